"""The flow, as a command against a real server, over a graph of its own."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.sorting import FlowRunSort
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.states import Cancelling
from stub_projects import GRAPH, Flow, make_stub_project

pytestmark = pytest.mark.slow

_SLEEPS = """
stages:
  long: {cmd: "echo $$ > pid; exec sleep 100", deps: [input], outs: [a]}
  next: {cmd: cp a b, deps: [a], outs: [b]}
"""


@pytest.fixture
def client(prefect_server: str) -> Iterator[SyncPrefectClient]:
    with temporary_settings({PREFECT_API_URL: prefect_server}), get_client(sync_client=True) as opened:
        yield opened


@pytest.fixture
def home(prefect_home: Path) -> Path:
    return prefect_home


def latest(client: SyncPrefectClient) -> FlowRun:
    return client.read_flow_runs(sort=FlowRunSort.START_TIME_DESC, limit=1)[0]


def artifact(client: SyncPrefectClient, run: FlowRun, key: str) -> str:
    found = client.request("POST", "/artifacts/filter", json={"artifacts": {"key": {"any_": [key]}}}).json()
    return str(next(each["data"] for each in found if each["flow_run_id"] == str(run.id)))


def outcomes(client: SyncPrefectClient) -> dict[str, str]:
    """Return stage -> what became of it, by the table that the latest flow run left."""
    lines = artifact(client, latest(client), "stages").splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:] if line]
    return {row[0]: row[1] for row in rows if len(row) == 4}


def wait_for_pid(folder: Path, process: "subprocess.Popen[str]") -> int:
    """Wait until the stage runs, and return the number of its process."""
    deadline = time.monotonic() + 90
    while not (folder / "pid").exists() or not (folder / "pid").read_text(encoding="utf-8").endswith("\n"):
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return int((folder / "pid").read_text(encoding="utf-8"))


def is_gone(pid: int, *, within_s: float) -> bool:
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.1)
    return False


def test_stages_run_once_and_again_only_what_changed(
    tmp_path: Path, prefect_server: str, home: Path, client: SyncPrefectClient
) -> None:
    folder = make_stub_project(tmp_path / "leaves")
    flow = Flow(folder, prefect_server, home)
    code, said = flow.run()
    assert code == 0, said
    assert outcomes(client) == dict.fromkeys(["start", "train@one", "train@two", "end"], "ran")
    assert (folder / "z").read_text(encoding="utf-8") == "11"
    lock = (folder / "dvc.lock").read_bytes()
    run = latest(client)
    assert run.state is not None
    assert run.state.is_completed()
    tasks = {task.name for task in client.read_task_runs() if task.flow_run_id == run.id}
    assert tasks == {"start", "train@one", "train@two", "end"}
    assert "to run" in artifact(client, run, "plan")

    (folder / "one.out").unlink()
    code, said = flow.run("train@one")
    assert code == 0, said
    assert outcomes(client) == {"start": "unchanged", "train@one": "restored"}
    assert (folder / "dvc.lock").read_bytes() == lock


def test_a_failure_stops_what_is_below_it_and_nothing_else(
    tmp_path: Path, prefect_server: str, home: Path, client: SyncPrefectClient
) -> None:
    graph = GRAPH.replace('"cp a ${item}.out"', '"test ${item} = two && cp a ${item}.out"')
    folder = make_stub_project(tmp_path / "leaves", graph)
    code, said = Flow(folder, prefect_server, home).run()
    assert code == 1
    assert outcomes(client) == {"start": "ran", "train@one": "failed", "train@two": "ran", "end": "not run"}
    assert "Traceback" not in said
    assert "error: stage train@one:" in said
    state = latest(client).state
    assert state is not None
    assert state.is_failed()
    assert sorted(path.name for path in folder.glob("*.out")) == ["two.out"]


def test_wrong_params_and_names_are_refused_in_words(tmp_path: Path, prefect_server: str, home: Path) -> None:
    folder = make_stub_project(tmp_path / "leaves")
    flow = Flow(folder, prefect_server, home)
    code, said = flow.run("trian@one")
    assert code == 2
    assert "dvc.yaml has no stage 'trian@one'\n  fix: did you mean 'train@one'?" in said
    code, said = flow.run("--revision", "no-such")
    assert code == 2
    assert "git knows no commit 'no-such'" in said
    assert "Traceback" not in said
    assert not (folder / "a").exists()


def test_a_cancelled_flow_ends_its_stage_within_15_s(
    tmp_path: Path, prefect_server: str, home: Path, client: SyncPrefectClient
) -> None:
    folder = make_stub_project(tmp_path / "leaves", _SLEEPS)
    flow = Flow(folder, prefect_server, home)
    process = flow.start()
    try:
        pid = wait_for_pid(folder, process)
        client.set_flow_run_state(latest(client).id, Cancelling())
        assert is_gone(pid, within_s=15)
        assert process.wait(30) == 143
    finally:
        process.kill()
        process.communicate()
    state = latest(client).state
    assert state is not None
    assert state.is_cancelled()


def test_ctrl_c_ends_the_stage_and_a_second_flow_of_the_clone_is_refused(
    tmp_path: Path, prefect_server: str, home: Path
) -> None:
    folder = make_stub_project(tmp_path / "leaves", _SLEEPS)
    flow = Flow(folder, prefect_server, home)
    process = flow.start()
    try:
        pid = wait_for_pid(folder, process)
        code, said = flow.run()
        assert code == 75
        assert f"process {process.pid}" in said
        process.send_signal(signal.SIGINT)
        assert is_gone(pid, within_s=15)
        assert process.wait(30) == 130
    finally:
        process.kill()
        process.communicate()


def test_a_stage_does_not_outlive_a_killed_flow(tmp_path: Path, prefect_server: str, home: Path) -> None:
    graph = _SLEEPS.replace('"echo $$ > pid; exec sleep 100"', "exec python watched.py")
    folder = make_stub_project(tmp_path / "leaves", graph)
    (folder / "watched.py").write_text(
        "import os, time, pathlib\n"
        "from cnnpipe.cli.process import stage_process\n"
        "with stage_process('long'):\n"
        "    pathlib.Path('pid').write_text(f'{os.getpid()}\\n')\n"
        "    time.sleep(100)\n",
        encoding="utf-8",
    )
    process = Flow(folder, prefect_server, home).start()
    try:
        pid = wait_for_pid(folder, process)
        process.kill()
        assert is_gone(pid, within_s=5)
    finally:
        process.kill()
        process.communicate()
