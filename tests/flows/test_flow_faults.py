"""A flow is cancelled, stopped, started twice; a lock is left behind: with a real server and real processes.

Trainings are hit by `python -m benchmarks.faults`; here a stage is a script that waits, in the graph's place.
"""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]  # its stubs are a package of their own
import pytest
from tiny_projects import environment, git, make_tiny_project

WITHIN_S = 120.0
ENDS_WITHIN_S = 15.0
SLOW = """
import os, pathlib, subprocess, sys, time
if pathlib.Path("quick").exists():
    pathlib.Path("out").write_text("done")
    sys.exit()
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
pathlib.Path("pids").write_text(f"{os.getpid()} {child.pid}")
time.sleep(600)
"""
GRAPH = """
stages:
  slow:
    cmd: exec python slow.py
    outs: [out]
  below:
    cmd: exec python -c "open('last', 'w').write('done')"
    deps: [out]
    outs: [last]
"""

# folder, arguments -> the flow, at work there
Flow = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a project whose graph is two scripts."""
    folder = make_tiny_project(tmp_path_factory.mktemp("faults") / "project")
    (folder / "dvc.yaml").write_text(GRAPH, encoding="utf-8")
    (folder / "slow.py").write_text(SLOW, encoding="utf-8")
    with (folder / ".gitignore").open("a", encoding="utf-8") as file:
        file.write("/out\n/last\n/pids\n/quick\n")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "-m", "two scripts")
    return folder


@pytest.fixture
def flow(project: Path, prefect_server: str, prefect_home: Path, tmp_path: Path) -> Iterator[Flow]:
    """Start flows by hand, and leave none behind."""
    started: list[subprocess.Popen[str]] = []
    settings = {
        "PREFECT_API_URL": prefect_server,
        "PREFECT_HOME": str(prefect_home),
        "CNNPIPE_LEASES": str(tmp_path / "leases"),
    }

    def start(*arguments: str) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, "-m", "flows.pipeline", *arguments],
            cwd=project,
            env=environment(**settings),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()
    for pid in pids_of(project):
        if is_running(pid):
            os.kill(pid, signal.SIGKILL)


def ask(api: str, path: str, content: object) -> Any:
    request = urllib.request.Request(  # noqa: S310 (on this machine)
        f"{api}/{path}", json.dumps(content).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
        return json.load(answer)


def newest_run(api: str) -> dict[str, Any]:
    found: list[dict[str, Any]] = ask(api, "flow_runs/filter", {"sort": "START_TIME_DESC", "limit": 1})
    return found[0]


def pids_of(project: Path) -> list[int]:
    path = project / "pids"
    return [int(pid) for pid in path.read_text(encoding="utf-8").split()] if path.exists() else []


def is_running(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return False
    return status.rpartition(")")[2].split()[0] not in "ZX"


def until_nobody_is_left(project: Path) -> None:
    """Wait until no process has the project as its working directory."""
    end = time.monotonic() + WITHIN_S
    while any(info["cwd"] == str(project) for info in (one.info for one in psutil.process_iter(["cwd"]))):
        assert time.monotonic() < end
        time.sleep(0.05)


def until_at_work(project: Path, process: "subprocess.Popen[str]") -> list[int]:
    """Wait until the slow stage and its child run; return their ids."""
    end = time.monotonic() + WITHIN_S
    while len(pids := pids_of(project)) < 2:
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < end
        time.sleep(0.1)
    return pids


@pytest.mark.slow
def test_one_flow_per_clone_and_a_cancelled_one_leaves_nothing(
    project: Path, flow: Flow, prefect_server: str
) -> None:
    (project / "pids").unlink(missing_ok=True)
    first = flow()
    pids = until_at_work(project, first)
    run = newest_run(prefect_server)["id"]
    said, _ = flow().communicate(timeout=WITHIN_S)
    assert f"process {first.pid} (flow) walks its graph now" in said

    content = {"state": {"type": "CANCELLING", "name": "Cancelling"}}
    ask(prefect_server, f"flow_runs/{run}/set_state", content)
    cancelled = time.monotonic()
    said, _ = first.communicate(timeout=WITHIN_S)
    assert time.monotonic() - cancelled < ENDS_WITHIN_S
    assert first.returncode == 143, said
    assert not any(map(is_running, pids))
    assert not (project / "last").exists()
    (found,) = ask(prefect_server, "flow_runs/filter", {"flow_runs": {"id": {"any_": [run]}}})
    assert found["state_type"] == "CANCELLED"


@pytest.mark.slow
def test_after_a_kill_and_with_a_lock_left_behind_the_next_flow_does_the_rest(
    project: Path, flow: Flow
) -> None:
    (project / "pids").unlink(missing_ok=True)
    killed = flow()
    for pid in [*until_at_work(project, killed), killed.pid]:
        os.kill(pid, signal.SIGKILL)
    killed.wait()
    until_nobody_is_left(project)  # dvc, which has seen its stage die, takes itself out of the list
    holder = {"pid": os.getpid(), "cmd": "dvc repro"}  # as if this number had been given to pytest
    (project / ".dvc/tmp/rwlock").write_text(
        json.dumps({"write": {str(project / "out"): holder}, "read": {}}), encoding="utf-8"
    )
    (project / "quick").touch()
    following = flow()
    said, _ = following.communicate(timeout=WITHIN_S)
    assert following.returncode == 0, said
    assert f"[{os.getpid()}]" in said
    assert (project / "last").read_text(encoding="utf-8") == "done"
