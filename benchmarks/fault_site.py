"""Where faults are caused: a folder with servers, a project with its first stages done, copies of it."""

import itertools
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from benchmarks.fault_processes import MARK, Process, below, processes, start
from cnnpipe import telemetry

ROOT: Final = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT / "tests"))  # of the tests: a tiny project, a server of MLflow

import tiny_projects  # noqa: E402
from tracking.mlflow_servers import MlflowServer, free_port  # noqa: E402

EPOCHS: Final = 150  # 15 s on an idle core, a minute on a busy one
HIT_AT: Final = 30  # epoch in which a fault comes
PARAMS: Final[Mapping[str, Mapping[str, Any]]] = MappingProxyType({"flow": {"retry_delay_s": 5}})
FLOW: Final = (sys.executable, "-m", "flows.pipeline")
DVC: Final = (sys.executable, "-m", "dvc")
CNNPIPE: Final = (sys.executable, "-m", "cnnpipe")
GOING_ON: Final = re.compile(rf"going on after epoch (\d+) of {EPOCHS}")
# of the caller, which must decide nothing here
_FOREIGN: Final = ("PREFECT_", "MLFLOW_", "CNNPIPE_", "DVC_", "GIT_")


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


def set_remote(project: Path, remote: Path) -> None:
    """Let the project's DVC remote be a folder, and commit that."""
    path = project / ".dvc" / "config"
    text = path.read_text(encoding="utf-8").partition("    remote = ")[0].partition("['remote")[0]
    text = f"{text}    remote = folder\n['remote \"folder\"']\n    url = {remote}\n"
    path.write_text(text, encoding="utf-8")
    tiny_projects.git(project, "commit", "--quiet", "--all", "-m", "remote")
