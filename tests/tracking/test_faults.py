"""MLflow away or hung at the start, in the middle and at the end of trainings, with a real server.

Each fault is caused once, and several trainings live through it at the same time: to start a server takes
long. Also two hosts that do the same work.
"""

import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from bundles import make_view
from mlflow import MlflowClient
from mlflow.entities import Run
from tiny_projects import environment, tiny_params, write_params
from tracking.mlflow_servers import MlflowServer, free_port

from cnnpipe.tracking.active_run import PATIENCE_S

TESTS = Path(__file__).resolve().parents[1]
PROJECT = "faults"
MOMENT_S = 2.0  # more than an epoch may ever wait for the store, on a busy machine
SOON_S = 15.0  # in which a training ends that needs the store
WITHIN_S = 90.0
ENSURE = """
from pathlib import Path
from cnnpipe.tracking.projection import ensure_run
print(ensure_run(Path("models/lenet"), None))
"""

# folder, words, address of the store -> an interpreter there
Start = Callable[[Path, Sequence[str], str], "subprocess.Popen[str]"]


class Feeder:
    """A process that feeds a run: see feeding.py."""

    def __init__(self, start: Start, folder: Path, address: str, *, words: Sequence[str]) -> None:
        folder.mkdir()
        self.signature = words[0]
        self.folder = folder
        signature, when_unreachable, *host = words
        words = [str(TESTS / "tracking/feeding.py"), signature, when_unreachable, str(folder), *host]
        self.process = start(folder, words, address)

    def step(self) -> int:
        path = self.folder / "step"
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        return int(text or 0)

    def tell_to_end(self) -> None:
        (self.folder / "end").touch()

    def ended(self) -> tuple[int, str, str]:
        """Wait for its end; return exit code, stdout and stderr."""
        said, complained = self.process.communicate(timeout=WITHIN_S)
        return self.process.returncode, said, complained


def until(is_so: Callable[[], bool], what: str, *feeders: Feeder) -> None:
    """Wait for something, as long as the feeders live that are to bring it about."""
    end = time.monotonic() + WITHIN_S
    while not is_so():
        assert time.monotonic() < end, what
        for feeder in feeders:
            assert feeder.process.poll() is None, f"{what}: {feeder.ended()}"
        time.sleep(0.1)


class Store:
    """What the server's database holds, read beside the server."""

    def __init__(self, database: Path) -> None:
        self._client = MlflowClient(f"sqlite:///{database}")

    def runs(self, signature: str) -> list[Run]:
        experiment = self._client.get_experiment_by_name(PROJECT)
        if experiment is None:
            return []
        condition = f"tags.`cnnpipe.signature` = '{signature}'"
        return list(self._client.search_runs([experiment.experiment_id], condition))

    def run(self, signature: str) -> Run:
        (run,) = self.runs(signature)
        return run

    def steps(self, signature: str, metric: str) -> list[int]:
        """Return the steps of a metric, one as often as it is there."""
        run_id = self.run(signature).info.run_id
        return [point.step for point in self._client.get_metric_history(run_id, metric)]

    def has_steps(self, signature: str, number: int) -> bool:
        return bool(self.runs(signature)) and len(self.steps(signature, "epoch")) >= number

    def has_running(self, signature: str) -> bool:
        return [run.info.status for run in self.runs(signature)] == ["RUNNING"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Iterator[MlflowServer]:
    folder = tmp_path_factory.mktemp("server")
    server = MlflowServer(folder)
    server.database.write_bytes(empty_store.read_bytes())
    try:
        yield server
    finally:
        server.thaw()
        server.kill()


@pytest.fixture(scope="module")
def store(server: MlflowServer) -> Store:
    return Store(server.database)


@pytest.fixture
def start() -> Iterator[Start]:
    """Start interpreters, and leave none behind."""
    started: list[subprocess.Popen[str]] = []

    def python(folder: Path, words: Sequence[str], address: str) -> "subprocess.Popen[str]":
        names = {
            "MLFLOW_TRACKING_URI": address,
            "MLFLOW_EXPERIMENT_NAME": PROJECT,
            "PYTHONPATH": os.pathsep.join([str(TESTS), str(TESTS.parent)]),
        }
        process = subprocess.Popen(
            [sys.executable, *words],
            cwd=folder,
            env=environment(**names),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield python
    for process in started:
        process.kill()
        process.wait()
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()


@pytest.fixture
def feeders(tmp_path: Path, server: MlflowServer, start: Start) -> Callable[[str, str], Feeder]:
    def feeder(name: str, when_unreachable: str) -> Feeder:
        words = [f"{name}-{tmp_path.name}", when_unreachable]
        return Feeder(start, tmp_path / name, server.address, words=words)

    return feeder


def check_whole(feeder: Feeder, store: Store) -> None:
    """Nothing of it is lost, nothing is there twice, and it never waited long."""
    code, said, complained = feeder.ended()
    assert code == 0, complained
    told = json.loads(said)
    every_step = list(range(1, told["steps"] + 1))
    assert store.run(feeder.signature).info.status == "FINISHED"
    for metric in ("epoch", "loss", "time/epoch_seconds"):
        assert sorted(store.steps(feeder.signature, metric)) == every_step
    assert told["waits"]["epoch"] < MOMENT_S, told
    assert told["waits"]["start"] < PATIENCE_S + MOMENT_S, told
    assert not (feeder.folder / ".cnnpipe/unsent" / f"{feeder.signature}.jsonl").exists()


def a_project(folder: Path) -> Path:
    """Make a project whose one training is short; it can be trained at once."""
    folder.mkdir()
    recipe = {"epochs": 60, "early_stopping": None, "batch_size": 16}
    write_params(folder, tiny_params({"lenet": recipe}, {}))
    make_view(folder / "data/augmented/classify", pictures_per_split=12)
    subprocess.run([sys.executable, "-m", "cnnpipe", "code"], cwd=folder, env=environment(), check=True)
    return folder


def outputs(project: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (project / "models/lenet").iterdir()}


@pytest.mark.slow
def test_a_server_that_is_killed_and_comes_back(
    server: MlflowServer, store: Store, feeders: Callable[[str, str], Feeder], start: Start, tmp_path: Path
) -> None:
    disturbed, undisturbed = a_project(tmp_path / "disturbed"), a_project(tmp_path / "undisturbed")
    train = ["-m", "cnnpipe", "train", "lenet"]
    twin = start(undisturbed, train, f"sqlite:///{undisturbed}/mlflow.db")
    server.start()
    through, needs = feeders("through", "continue"), feeders("needs", "fail")
    until(lambda: all(store.has_steps(f.signature, 2) for f in (through, needs)), "two steps", through, needs)
    real = start(disturbed, train, server.address)
    until(lambda: any((disturbed / ".cnnpipe/unsent").glob("*")), "the first epoch")
    signature = next((disturbed / ".cnnpipe/unsent").glob("*")).stem
    until(lambda: store.has_steps(signature, 1), "the first epoch in the store")

    server.kill()
    killed = time.monotonic()
    begins = feeders("begins", "continue")
    code, _, complained = needs.ended()
    assert time.monotonic() - killed < SOON_S
    assert code == 7
    assert f"error: {server.address}: the MLflow store does not answer: " in complained
    assert "fix: start the server" in complained
    assert store.has_running(needs.signature)  # nobody could be told
    _, complained = real.communicate(timeout=WITHIN_S)
    assert real.returncode == 0, complained
    assert "`cnnpipe register` completes it from the files" in complained
    assert store.has_running(signature)
    until(lambda: begins.step() >= 2, "a training without a store")
    assert store.runs(begins.signature) == []

    server.start()
    until(lambda: store.has_steps(begins.signature, begins.step()), "a run in the middle of its training")
    assert store.has_running(begins.signature)
    through.tell_to_end()
    begins.tell_to_end()
    check_whole(through, store)
    check_whole(begins, store)
    assert store.run(needs.signature).info.status == "KILLED"

    found, complained = start(disturbed, ["-c", ENSURE], server.address).communicate(timeout=WITHIN_S)
    assert found.strip() == store.run(signature).info.run_id, complained
    assert store.run(signature).info.status == "FINISHED"
    for metric in ("epoch", "train/loss", "time/epoch_seconds", "images_per_second"):
        assert set(Counter(store.steps(signature, metric)).values()) == {1}
        assert len(store.steps(signature, metric)) == 60
    twin.communicate(timeout=WITHIN_S)
    assert outputs(disturbed) == outputs(undisturbed)
    assert not list((disturbed / ".cnnpipe/unsent").iterdir())


@pytest.mark.slow
def test_a_server_that_accepts_and_never_answers(
    server: MlflowServer, store: Store, feeders: Callable[[str, str], Feeder]
) -> None:
    server.start()
    through, needs, ends = (
        feeders("through", "continue"),
        feeders("needs", "fail"),
        feeders("ends", "continue"),
    )
    fed = (through, needs, ends)
    until(lambda: all(store.has_steps(f.signature, 2) for f in fed), "two steps each", *fed)

    server.freeze()
    frozen = time.monotonic()
    begins = feeders("begins", "continue")
    ends.tell_to_end()
    code, said, complained = ends.ended()
    assert code == 0, complained
    assert json.loads(said)["waits"]["end"] < PATIENCE_S + MOMENT_S
    code, _, complained = needs.ended()
    assert code == 7, complained
    assert time.monotonic() - frozen < SOON_S
    assert "the MLflow store does not answer: " in complained
    until(lambda: begins.step() >= 2, "a training without a store")

    server.thaw()
    until(lambda: store.has_steps(begins.signature, begins.step()), "a run in the middle of its training")
    through.tell_to_end()
    begins.tell_to_end()
    check_whole(through, store)
    check_whole(begins, store)
    assert store.run(needs.signature).info.status in ("FAILED", "KILLED")
    assert store.run(ends.signature).info.status in ("FINISHED", "KILLED")


@pytest.mark.slow
def test_without_a_store_a_training_that_needs_it_does_not_begin(start: Start, tmp_path: Path) -> None:
    project = a_project(tmp_path / "project")
    params = tiny_params({"lenet": {}}, {"tracking": {"when_unreachable": "fail"}})
    write_params(project, params)
    began = time.monotonic()
    away = start(project, ["-m", "cnnpipe", "train", "lenet"], f"http://127.0.0.1:{free_port()}")
    _, complained = away.communicate(timeout=WITHIN_S)
    assert time.monotonic() - began < SOON_S + WITHIN_S / 2  # the imports alone take 10 s on a busy machine
    assert away.returncode == 7
    assert "fix: start the server" in complained
    assert not (project / "models").exists()


@pytest.mark.slow
def test_hosts_that_train_the_same_leave_one_run(start: Start, tmp_path: Path, empty_store: Path) -> None:
    database = tmp_path / "mlflow.db"
    database.write_bytes(empty_store.read_bytes())
    store = Store(database)
    first, *others = [
        Feeder(start, tmp_path / name, f"sqlite:///{database}", words=["same", "continue", name])
        for name in ("host-a", "host-b", "host-c")
    ]
    until(lambda: [run.info.status for run in store.runs("same")] == ["RUNNING"] * 3, "three runs")
    until(lambda: min(host.step() for host in (first, *others)) >= 2, "two steps each")
    first.tell_to_end()
    assert first.ended()[0] == 0
    # what another host feeds is left alone
    assert sorted(run.info.status for run in store.runs("same")) == ["FINISHED", "RUNNING", "RUNNING"]
    (kept,) = [run.info.run_id for run in store.runs("same") if run.info.status == "FINISHED"]
    for host in others:
        host.tell_to_end()
    assert [host.ended()[0] for host in others] == [0, 0]
    assert store.run("same").info.run_id == kept
    steps = store.steps("same", "loss")
    assert steps == list(range(1, first.step() + 1))
