"""Where faults are caused: a folder with servers, a project with its first stages done, copies of it."""

import itertools
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from cnnpipe import telemetry

ROOT: Final = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT / "tests"))  # of the tests: a tiny project, a server of MLflow

import tiny_projects  # noqa: E402
from tracking.mlflow_servers import MlflowServer, free_port  # noqa: E402

MARK: Final = "CNNPIPE_FAULT"  # names the fault in the environment of all that it starts
EPOCHS: Final = 150  # 15 s on an idle core, a minute on a busy one
HIT_AT: Final = 30  # epoch in which a fault comes
PARAMS: Final[Mapping[str, Mapping[str, Any]]] = MappingProxyType({"flow": {"retry_delay_s": 5}})
WITHIN_S: Final = 420.0  # in which anything awaited must have happened on a busy machine
FLOW: Final = (sys.executable, "-m", "flows.pipeline")
DVC: Final = (sys.executable, "-m", "dvc")
CNNPIPE: Final = (sys.executable, "-m", "cnnpipe")
EPOCH: Final = re.compile(rf"epoch (\d+)/{EPOCHS}  loss")
GOING_ON: Final = re.compile(rf"going on after epoch (\d+) of {EPOCHS}")
# of the caller, which must decide nothing here
_FOREIGN: Final = ("PREFECT_", "MLFLOW_", "CNNPIPE_", "DVC_", "GIT_")


class Process:
    """A command that was started, with all it says in a file.

    Args:
        popen: the process, first of a group of its own.
        log: the file.
    """

    def __init__(self, popen: "subprocess.Popen[bytes]", log: Path) -> None:
        self.popen = popen
        self.log = log
        self.began = time.monotonic()

    @property
    def said(self) -> str:
        """What it said so far."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    @property
    def epoch(self) -> int:
        """The last epoch that it told of; 0: none."""
        return max((int(number) for number in EPOCH.findall(self.said)), default=0)

    def until_epoch(self, number: int) -> None:
        """Wait until a training has come so far."""
        self.until(lambda: self.epoch >= number, f"epoch {number}")

    def until_said(self, pattern: str) -> None:
        """Wait until it has said something."""
        self.until(lambda: re.search(pattern, self.said) is not None, repr(pattern))

    def until(self, is_so: Callable[[], bool], what: str) -> None:
        """Wait for something that needs this process."""
        until(lambda: is_so() or self.popen.poll() is not None, what)
        if not is_so():
            raise RuntimeError(f"ended with {self.popen.returncode} before {what}: {self.said[-3000:]}")

    def end(self, within_s: float = WITHIN_S) -> int:
        """Wait for its end and return its exit code; a shell would say 128 + n for signal n."""
        code = self.popen.wait(within_s)
        return code if code >= 0 else 128 - code

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process alone."""
        self.popen.send_signal(number)


class Place:
    """What one fault has for itself: a project with its first stages done, a remote, a store's experiment.

    Args:
        site: the servers.
        name: of the fault.
        folder: of all of it.
    """

    def __init__(self, site: "Site", name: str, folder: Path) -> None:
        self.site = site
        self.name = name
        self.folder = folder
        self.project = folder / "project"
        self.remote = folder / "remote"
        self.work = folder / "work"  # of workers: their clones
        self.started: list[Process] = []

    def environment(self, **more: str) -> dict[str, str]:
        """Return the environment of all that is started for this fault."""
        own = {
            MARK: self.name,
            "MLFLOW_EXPERIMENT_NAME": self.name,
            "CNNPIPE_WORK": str(self.work),
            "CNNPIPE_LEASES": str(self.folder / "leases"),
        }
        return {**self.site.environment(), **own, **more}

    def start(self, *command: str, cwd: Path | None = None, **more: str) -> Process:
        """Start a command in the project, or elsewhere."""
        process = start(
            command,
            cwd=cwd or self.project,
            environment=self.environment(**more),
            log=self.site.logs / f"{self.name}-{len(self.started)}.log",
        )
        self.started.append(process)
        return process

    def flow(self, *arguments: str, cwd: Path | None = None, **more: str) -> Process:
        """Start the flow by hand."""
        return self.start(*FLOW, *arguments, cwd=cwd, **more)

    def run(self, *command: str, cwd: Path | None = None, **more: str) -> Process:
        """Run a command to its end."""
        process = self.start(*command, cwd=cwd, **more)
        process.end()
        return process


class Site:
    """The servers and the project that all places are copies of.

    Args:
        folder: it is there, and empty.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.seed = folder / "seed"
        self.reference = b""  # dvc.lock of an undisturbed run
        self.mlflow = self._new_mlflow()
        self.logs = folder / "logs"
        self.logs.mkdir()
        self.prefect_port = free_port()
        self.prefect: Process | None = None
        self._numbers = itertools.count()

    @property
    def api(self) -> str:
        """The address of Prefect's API."""
        return f"http://127.0.0.1:{self.prefect_port}/api"

    def environment(self) -> dict[str, str]:
        """Return this process's environment without what could decide something, and the servers in it."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
        return {
            **kept,
            **telemetry.OFF,
            "PATH": path,
            "PYTHONPATH": str(ROOT),
            "PYTHONUNBUFFERED": "1",
            "OMP_NUM_THREADS": "1",
            "GIT_CEILING_DIRECTORIES": str(self.folder),
            "PREFECT_API_URL": self.api,
            "PREFECT_HOME": str(self.folder / "prefect"),
            "MLFLOW_TRACKING_URI": self.mlflow.address,
        }

    def start_prefect(self) -> None:
        """Start `cnnpipe server` for the scheduled project, and wait for its deployments."""
        ports = ("--prefect-port", str(self.prefect_port), "--mlflow-port", str(self.mlflow.port))
        command = (*CNNPIPE, "server", "--folder", str(self.folder / "server"), *ports)
        log = self.logs / f"server-{next(self._numbers)}.log"
        self.prefect = start(command, cwd=self.scheduled, environment=self.environment(), log=log)
        self.prefect.until_said("In each other terminal")

    def kill_prefect(self) -> None:
        """End Prefect's server as `kill -9` does; `cnnpipe server` notices and ends, too."""
        if self.prefect is None:
            return
        for pid in below(self.prefect.popen.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        with suppress(subprocess.TimeoutExpired):
            self.prefect.end(20)
        self.prefect.popen.kill()
        self.prefect = None

    @property
    def scheduled(self) -> Path:
        """The project whose flows are deployed."""
        return self.folder / "scheduled" / "project"

    def place(self, name: str, *, is_scheduled: bool = False) -> Place:
        """Return a new place; one for workers has the project whose flows are deployed, and an empty remote.

        Args:
            name: of the fault; its folder may be there, and be empty.
            is_scheduled: its flows are those that are deployed, which are the same for all faults of workers.
        """
        place = Place(self, name, self.folder / name)
        place.folder.mkdir(exist_ok=True)
        if is_scheduled:
            place.project, place.remote = self.scheduled, self.scheduled.with_name("remote")
        else:
            shutil.copytree(self.seed, place.project, symlinks=True)
            set_remote(place.project, place.remote)
        shutil.rmtree(place.remote, ignore_errors=True)
        shutil.copytree(self.seed.with_name("seed-remote"), place.remote)
        return place

    def prepare(self) -> None:
        """Make the project, run the stages before training, start the servers."""
        tiny_projects.make_tiny_project(self.seed, experiments={"lenet": {"epochs": EPOCHS}}, changes=PARAMS)
        remote = self.seed.with_name("seed-remote")
        remote.mkdir()
        set_remote(self.seed, remote)
        self.mlflow.start()
        for command in (("repro", "augment@classify"), ("push", "--run-cache", "--quiet")):
            done = tiny_projects.run(self.seed, *DVC, *command, **self.environment())
            if done.returncode:
                raise RuntimeError(f"dvc {command[0]}: {done.stdout}{done.stderr}")
        tiny_projects.git(self.seed, "add", "--all")
        tiny_projects.git(self.seed, "commit", "--quiet", "-m", "the stages before training")
        self.scheduled.parent.mkdir()
        tiny_projects.git(self.folder, "clone", "--quiet", str(self.seed), str(self.scheduled))
        tiny_projects.git(self.scheduled, "remote", "remove", "origin")
        set_remote(self.scheduled, self.scheduled.with_name("remote"))
        self.start_prefect()

    def stop(self) -> None:
        """End the servers, and whatever else was started for this site."""
        self.kill_prefect()
        self.mlflow.thaw()
        self.mlflow.kill()
        for pid, _ in processes(self.folder):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _new_mlflow(self) -> MlflowServer:
        folder = self.folder / "mlflow"
        folder.mkdir()
        return MlflowServer(folder)


@contextmanager
def a_site(folder: Path) -> Iterator[Site]:
    """Prepare a site below `folder`, and leave no process of it behind."""
    site = Site(folder)
    try:
        site.prepare()
        yield site
    finally:
        site.stop()


def start(command: Sequence[str], *, cwd: Path, environment: dict[str, str], log: Path) -> Process:
    """Start a command, first of a session of its own, as a terminal does."""
    with log.open("ab") as file:
        popen = subprocess.Popen(
            command,
            cwd=cwd,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    return Process(popen, log)


def set_remote(project: Path, remote: Path) -> None:
    """Let the project's DVC remote be a folder, and commit that."""
    path = project / ".dvc" / "config"
    text = path.read_text(encoding="utf-8").partition("    remote = ")[0].partition("['remote")[0]
    text = f"{text}    remote = folder\n['remote \"folder\"']\n    url = {remote}\n"
    path.write_text(text, encoding="utf-8")
    tiny_projects.git(project, "commit", "--quiet", "--all", "-m", "remote")


def until(is_so: Callable[[], bool], what: str, within_s: float = WITHIN_S) -> float:
    """Wait until something is so; return the seconds it took."""
    began = time.monotonic()
    while not is_so():
        if time.monotonic() - began > within_s:
            raise TimeoutError(f"no {what} within {within_s:.0f} s")
        time.sleep(0.1)
    return time.monotonic() - began


def processes(folder: Path, mark: str | None = None) -> list[tuple[int, str]]:
    """Return id and words of every process whose working folder is below `folder`, or that has the mark."""
    found = ((pid, _words(pid)) for pid in _pids() if _is_below(pid, folder) or _has_mark(pid, mark))
    return [(pid, words) for pid, words in found if words and pid != os.getpid()]


def _pids() -> list[int]:
    return [int(each.name) for each in Path("/proc").iterdir() if each.name.isdigit()]


def _is_below(pid: int, folder: Path) -> bool:
    try:
        return Path(f"/proc/{pid}/cwd").readlink().is_relative_to(folder.resolve())
    except OSError:
        return False


def _has_mark(pid: int, mark: str | None) -> bool:
    try:
        return mark is not None and f"{MARK}={mark}".encode() in Path(
            f"/proc/{pid}/environ"
        ).read_bytes().split(b"\0")
    except OSError:
        return False


def _words(pid: int) -> str:
    """Return what a process was started with; nothing of one that has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""


def below(pid: int) -> list[int]:
    """Return all processes that a process has started, and they in turn."""
    parents = {child: _parent(child) for child in _pids()}
    found, waiting = list[int](), [pid]
    while waiting:
        above = waiting.pop()
        children = [child for child, parent in parents.items() if parent == above]
        found += children
        waiting += children
    return found


def _parent(pid: int) -> int:
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        return int(status.rpartition(")")[2].split()[1])
    except OSError:
        return 0
