"""The run of a training: what it holds, how it ends, and what becomes of one that was left behind."""

import logging
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest
from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.exceptions import MlflowException
from tracking.trainings import EPOCHS, a_training

from cnnpipe.tracking import processes
from cnnpipe.tracking.active_run import ActiveRun, start_run
from cnnpipe.tracking.place import DOUBLE_OF, PROJECTED
from cnnpipe.tracking.runs import Training, create_run, find_runs, keep_one
from cnnpipe.tracking.store import open_store

ROUNDS_AT_ONCE = 8  # in each, two of four meet more often than not

LEFT_BEHIND = """
import sys, time
from cnnpipe.tracking.active_run import start_run
from cnnpipe.tracking.store import open_store
from tracking.trainings import EPOCHS, a_training
run = start_run(a_training(sys.argv[1]), device="cpu")
for epoch in EPOCHS[:2]:
    run.log_epoch(epoch, epoch["step"])
while len(open_store().client.get_metric_history(run.run_id, "epoch")) < 2:
    time.sleep(0.05)
print(run.run_id, flush=True)
time.sleep(600)
"""


def recorded(run_id: str) -> Run:
    return open_store().client.get_run(run_id)


def history(run_id: str, name: str) -> list[tuple[int, float]]:
    return [(m.step, m.value) for m in open_store().client.get_metric_history(run_id, name)]


def log_all(run: ActiveRun) -> None:
    for epoch in EPOCHS:
        run.log_epoch(epoch, int(epoch["step"]))


def test_a_run_holds_what_is_known_of_a_training(project_with_store: Path) -> None:
    with start_run(a_training(), device="cpu") as run:
        for epoch in EPOCHS:
            run.log_epoch(
                {**epoch, "time/epoch_seconds": 1.5, "images_per_second": 400.0}, int(epoch["step"])
            )
        run.finish("FINISHED", stop_reason="early_stopping")
    found = recorded(run.run_id)
    assert found.info.status == "FINISHED"
    assert found.info.run_name == "lenet"
    assert found.data.params == {
        "early_stopping": "null",
        "input.side_px": "48",
        "nesterov": "true",
        "network": "lenet",
        "num_parameters": "61706",
        "optimiser.name": "adamw",
        "task": "classify",
    }
    expected = {
        "cnnpipe.signature": "a" * 64,
        "cnnpipe.experiment": "lenet",
        "cnnpipe.origin": "trained",
        "cnnpipe.device": "cpu",
        "cnnpipe.stop_reason": "early_stopping",
        "cnnpipe.data_hash": "b" * 64,
    }
    assert expected.items() <= found.data.tags.items()
    assert history(run.run_id, "train/loss") == [(10, 1.0), (20, 0.5), (30, pytest.approx(1 / 3))]
    assert history(run.run_id, "images_per_second") == [(10, 400.0), (20, 400.0), (30, 400.0)]
    assert "step" not in found.data.metrics
    assert found.inputs is not None
    dataset = found.inputs.dataset_inputs[0].dataset
    assert (dataset.name, dataset.digest) == ("classify", "b" * 36)


def test_handing_over_an_epoch_does_not_wait_for_the_store(
    project_with_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = start_run(a_training(), device="cpu")
    threads = set()
    log_batch = MlflowClient.log_batch

    def watched(client: MlflowClient, *arguments: Any, **named: Any) -> Any:
        threads.add(threading.current_thread().name)
        return log_batch(client, *arguments, **named)

    monkeypatch.setattr(MlflowClient, "log_batch", watched)
    log_all(run)
    run.finish("FINISHED")
    assert threads == {"mlflow-sender"}


@pytest.mark.parametrize(
    ("ending", "status"),
    [
        (None, "FINISHED"),
        (KeyboardInterrupt(), "KILLED"),
        (SystemExit(143), "KILLED"),
        (ValueError("loss is NaN"), "FAILED"),
    ],
    ids=["end", "ctrl-c", "sigterm", "error"],
)
def test_a_run_ends_as_its_training_did(
    ending: BaseException | None, status: str, project_with_store: Path
) -> None:
    run = start_run(a_training(), device="cpu")
    with suppress(KeyboardInterrupt, SystemExit, ValueError), run:
        log_all(run)
        if ending is not None:
            raise ending
    assert recorded(run.run_id).info.status == status
    assert len(history(run.run_id, "epoch")) == 3


def failing(times: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the next `times` calls of log_batch fail."""
    log_batch, left = MlflowClient.log_batch, [times]

    def flaky(client: MlflowClient, *arguments: Any, **named: Any) -> Any:
        left[0] -= 1
        if left[0] >= 0:
            raise MlflowException("connection refused")
        return log_batch(client, *arguments, **named)

    monkeypatch.setattr(MlflowClient, "log_batch", flaky)


def test_a_store_that_comes_back_gets_every_epoch_once(
    project_with_store: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with start_run(a_training(), device="cpu") as run:
        failing(2, monkeypatch)
        log_all(run)
        time.sleep(2.5)  # two tries fail, the third, a second later, does not
    assert [step for step, _ in history(run.run_id, "epoch")] == [10, 20, 30]
    assert recorded(run.run_id).info.status == "FINISHED"
    warnings = [r for r in caplog.records if r.name.startswith("cnnpipe") and r.levelno >= logging.WARNING]
    assert [warning.message for warning in warnings] == [
        "the MLflow store does not answer: connection refused; what it is to know is kept",
    ]


def test_a_store_that_stays_away_stops_no_training(
    project_with_store: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "cnnpipe")
    with start_run(a_training(), device="cpu") as run:
        failing(1000, monkeypatch)
        log_all(run)
    assert "`cnnpipe register` completes it from the files" in caplog.text


@pytest.mark.slow
def test_runs_of_killed_processes_are_resumed_or_closed(
    project_with_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).resolve().parents[1]))
    alive = start_run(a_training("f" * 64), device="cpu")
    command = [sys.executable, "-c", LEFT_BEHIND]
    children = [
        subprocess.Popen([*command, letter * 64], stdout=subprocess.PIPE, text=True) for letter in ("a", "d")
    ]
    same, other = (child.stdout.readline().strip() for child in children if child.stdout)
    for child in children:
        child.send_signal(signal.SIGKILL)
        child.communicate()
    assert recorded(same).info.status == recorded(other).info.status == "RUNNING"

    with start_run(a_training("a" * 64), device="cpu") as resumed:
        assert recorded(other).info.status == "KILLED"
        assert recorded(alive.run_id).info.status == "RUNNING"
        log_all(resumed)
    assert resumed.run_id == same
    assert recorded(same).info.status == "FINISHED"
    assert [step for step, _ in history(same, "train/loss")] == [10, 20, 30]
    alive.finish("FINISHED")


@pytest.mark.parametrize("ending", [KeyboardInterrupt(), ValueError("x")], ids=["KILLED", "FAILED"])
def test_a_stopped_training_goes_on_in_its_own_run(ending: BaseException, project_with_store: Path) -> None:
    run = start_run(a_training(), device="cpu")
    with pytest.raises(type(ending)), run:
        raise ending
    with start_run(a_training(), device="cpu") as again:
        log_all(again)
    assert again.run_id == run.run_id
    assert recorded(run.run_id).info.status == "FINISHED"


def test_a_finished_training_that_is_run_again_keeps_its_one_run(project_with_store: Path) -> None:
    runs = []
    for _ in range(2):
        with start_run(a_training(), device="cpu") as run:
            log_all(run)
        runs.append(recorded(run.run_id))
    assert runs[0].info.run_id == runs[1].info.run_id
    assert runs[1].info.status == "FINISHED"
    assert runs[0].data.metrics == runs[1].data.metrics


def test_a_foreign_run_id_in_the_environment_changes_nothing(
    project_with_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parent = start_run(a_training("e" * 64), device="cpu")
    monkeypatch.setenv("MLFLOW_RUN_ID", parent.run_id)
    with start_run(a_training(), device="cpu") as run:
        log_all(run)
    assert run.run_id != parent.run_id
    assert recorded(parent.run_id).info.status == "RUNNING"
    parent.finish("FINISHED")


def test_a_server_that_was_too_late_with_its_answers_leaves_one_run(project_with_store: Path) -> None:
    """It made runs of which the process never learnt the id; one lacks what comes after its making."""
    store = open_store()
    made = [create_run(store, a_training(), processes.own_tags()) for _ in range(2)]
    with start_run(a_training(), device="cpu") as run:
        log_all(run)
    assert run.run_id in made
    (left,) = find_runs(store, "")
    assert (left.info.run_id, left.info.status) == (run.run_id, "FINISHED")
    (double,) = {*made} - {run.run_id}
    binned = recorded(double)
    assert (binned.info.lifecycle_stage, binned.data.tags[DOUBLE_OF]) == ("deleted", run.run_id)


def test_a_run_that_was_broken_off_in_its_making_gets_what_it_lacks(project_with_store: Path) -> None:
    store = open_store()
    tags = {"cnnpipe.signature": "a" * 64, **processes.own_tags()}
    half = store.client.create_run(store.experiment_id, tags=tags).info.run_id
    with start_run(a_training(), device="cpu") as run:
        log_all(run)
    found = recorded(half)
    assert run.run_id == half
    assert found.data.params["num_parameters"] == "61706"
    assert found.inputs is not None
    assert len(found.inputs.dataset_inputs) == 1


def test_trainings_that_begin_at_once_with_data_new_to_the_store(project_with_store: Path) -> None:
    store = open_store()
    for number in range(ROUNDS_AT_ONCE):
        digest = f"{number}".ljust(64, "0")
        trainings = [
            msgspec.structs.replace(a_training(f"{number}-{name}"), inputs={"data/view.json": digest})
            for name in "abcd"
        ]
        together = threading.Barrier(len(trainings))

        def make(training: Training, together: threading.Barrier = together) -> str:
            together.wait()
            return create_run(store, training, processes.own_tags())

        with ThreadPoolExecutor(len(trainings)) as threads:
            runs = [recorded(run_id) for run_id in threads.map(make, trainings)]
        kept = [run.inputs.dataset_inputs for run in runs if run.inputs is not None]
        assert [[one.dataset.digest for one in inputs] for inputs in kept] == [[digest[:36]]] * len(runs)


def test_of_finished_doubles_that_stays_which_holds_results(project_with_store: Path) -> None:
    store = open_store()
    first, second, other = (
        create_run(store, a_training(letter * 64), processes.own_tags()) for letter in ("a", "a", "b")
    )
    for number, run_id in enumerate((first, second, other)):
        store.client.set_terminated(run_id, "FINISHED", end_time=1000 + number)
    store.client.set_tag(second, PROJECTED, "a digest")
    assert keep_one(store, "a" * 64) == second
    assert {run.info.run_id for run in find_runs(store, "")} == {second, other}


@pytest.mark.parametrize(
    ("beat", "is_gone"),
    [
        pytest.param(lambda: {processes.ALIVE: "1"}, True, id="silent for years"),
        pytest.param(lambda: {processes.ALIVE: processes.beat()}, False, id="heard of"),
        pytest.param(dict, False, id="of an older version"),
    ],
)
def test_a_process_on_another_host_is_dead_when_it_is_silent(
    beat: Callable[[], dict[str, str]], is_gone: bool
) -> None:
    tags = beat()  # now, not when the tests were collected
    assert processes.is_gone({processes.HOST: "another", processes.PID: "1", **tags}) is is_gone
