"""Runs as a projection of files: built when missing, completed when torn, left alone when there."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import mlflow
import pytest
from bundles import make_bundle, make_view
from mlflow.entities import Run
from mlflow.models import Model

from cnnpipe import files
from cnnpipe.errors import DataError, StorageError
from cnnpipe.tracking import projection
from cnnpipe.tracking.active_run import start_run
from cnnpipe.tracking.quick import is_recorded, results_digest
from cnnpipe.tracking.runs import Training, find_runs
from cnnpipe.tracking.store import open_store
from cnnpipe.training.records import HISTORY_FILE, RUN_FILE, Epoch, RunRecord

MODEL, RESULTS = Path("models/lenet"), Path("results/lenet")


@pytest.fixture
def trained(project_with_store: Path) -> RunRecord:
    """Leave the files of an experiment that was trained and judged; no run knows of it."""
    make_view(Path("view"), pictures_per_split=2)
    make_bundle(MODEL, Path("view"), seed=7)
    files.write_json(
        RESULTS / "metrics.json",
        {"test/accuracy": 0.75, "test/f1/c++": 0.5, "val/accuracy": 0.5, "test/x": None},
    )
    files.write_text(RESULTS / "report.html", "<h1>lenet</h1>")
    files.write_text(RESULTS / "plots/confusion_matrix.svg", "<svg/>")
    return files.read_json(MODEL / RUN_FILE, RunRecord)


def all_runs() -> list[Run]:
    return find_runs(open_store(), "")


def history_of(run_id: str, name: str) -> list[tuple[int, float]]:
    return [(m.step, m.value) for m in open_store().client.get_metric_history(run_id, name)]


def test_a_run_is_rebuilt_from_files(trained: RunRecord) -> None:
    run_id = projection.ensure_run(MODEL, RESULTS)
    run = open_store().client.get_run(run_id)
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "lenet"
    assert run.data.tags["cnnpipe.origin"] == "restored"
    assert run.data.tags["cnnpipe.signature"] == trained.signature
    assert run.data.tags["cnnpipe.stop_reason"] == "epochs"
    assert run.data.params["input.side_px"] == "32"
    rows = files.read_jsonl(MODEL / HISTORY_FILE, Epoch)
    for name in ("train/loss", "val/loss", "val/accuracy"):
        assert history_of(run_id, name) == [(int(row["step"]), row[name]) for row in rows]
    assert run.data.metrics["test/accuracy"] == 0.75
    assert run.data.metrics["test/f1/c:plus sign::plus sign:"] == 0.5
    assert run.data.metrics["val_best/accuracy"] == 0.5
    assert "test/x" not in run.data.metrics
    artifacts = {artifact.path for artifact in open_store().client.list_artifacts(run_id)}
    assert {"metrics.json", "report.html", "plots"} <= artifacts


def test_a_live_run_and_a_rebuilt_one_hold_the_same(trained: RunRecord) -> None:
    rows = files.read_jsonl(MODEL / HISTORY_FILE, Epoch)
    known = {field: getattr(trained, field) for field in Training.__struct_fields__}
    with start_run(Training(**{**known, "signature": "live"}), device="cpu") as live:
        for row in rows:
            live.log_epoch(row, int(row["step"]))
    client = open_store().client
    rebuilt = client.get_run(projection.ensure_run(MODEL, None)).data
    trained_run = client.get_run(live.run_id).data
    assert rebuilt.params == trained_run.params
    assert rebuilt.metrics == {k: v for k, v in trained_run.metrics.items() if not k.startswith("system/")}
    own = {
        "cnnpipe.signature",
        "cnnpipe.origin",
        "cnnpipe.stop_reason",
        "cnnpipe.device",
        "cnnpipe.precision",
        "cnnpipe.alive_at",
        "mlflow.note.content",
    }
    assert {k: v for k, v in rebuilt.tags.items() if k not in own} == {
        k: v for k, v in trained_run.tags.items() if k not in own
    }


def test_a_second_call_changes_nothing(trained: RunRecord, monkeypatch: pytest.MonkeyPatch) -> None:
    run_id = projection.ensure_run(MODEL, RESULTS)
    before = open_store().client.get_run(run_id).to_dictionary()
    assert projection.ensure_run(MODEL, RESULTS) == run_id
    assert open_store().client.get_run(run_id).to_dictionary() == before
    assert len(all_runs()) == 1


def test_the_run_of_the_training_is_found_and_added_to(trained: RunRecord) -> None:
    known = {field: getattr(trained, field) for field in Training.__struct_fields__}
    with start_run(Training(**known), device="cpu") as live:
        live.log_epoch({"epoch": 1, "step": 4, "train/loss": 1.0}, 4)
    assert projection.ensure_run(MODEL, RESULTS) == live.run_id
    run = open_store().client.get_run(live.run_id)
    assert run.data.tags["cnnpipe.origin"] == "trained"
    assert run.data.metrics["test/accuracy"] == 0.75


def test_a_run_that_its_training_could_not_close_is_completed(trained: RunRecord) -> None:
    known = {field: getattr(trained, field) for field in Training.__struct_fields__}
    torn = start_run(Training(**known), device="cpu")
    torn.log_epoch({"epoch": 1, "step": 4, "train/loss": 1.0}, 4)
    torn.finish("KILLED")
    assert projection.ensure_run(MODEL, RESULTS) == torn.run_id
    assert open_store().client.get_run(torn.run_id).info.status == "FINISHED"
    assert [step for step, _ in history_of(torn.run_id, "train/loss")] == [4, 8, 12]


def test_new_results_are_added_to_the_same_run(trained: RunRecord) -> None:
    run_id = projection.ensure_run(MODEL, RESULTS)
    files.write_json(RESULTS / "metrics.json", {"test/accuracy": 0.25})
    assert projection.ensure_run(MODEL, RESULTS) == run_id
    run = open_store().client.get_run(run_id)
    assert run.data.metrics["test/accuracy"] == 0.25
    assert run.outputs is not None
    assert len(run.outputs.model_outputs) == 1


def test_an_emptied_store_ends_with_the_same_run(trained: RunRecord, empty_store: Path) -> None:
    first = open_store().client.get_run(projection.ensure_run(MODEL, RESULTS)).data
    Path("mlflow.db").write_bytes(empty_store.read_bytes())
    second = open_store().client.get_run(projection.ensure_run(MODEL, RESULTS)).data
    assert (first.params, first.metrics) == (second.params, second.metrics)


def test_of_several_at_once_one_builds_the_run(trained: RunRecord) -> None:
    # the lock is on a file opened for each call, so it parts threads as it parts processes
    with ThreadPoolExecutor(4) as pool:
        run_ids = set(pool.map(lambda _: projection.ensure_run(MODEL, None), range(4)))
    assert run_ids == {run.info.run_id for run in all_runs()}
    assert len(run_ids) == 1


def test_without_results_the_run_holds_the_training(trained: RunRecord) -> None:
    run = open_store().client.get_run(projection.ensure_run(MODEL, Path("results/not_there")))
    assert "test/accuracy" not in run.data.metrics
    assert "cnnpipe.projected" not in run.data.tags


def test_what_is_recorded_is_seen_without_mlflow(trained: RunRecord) -> None:
    wanted = {trained.signature: results_digest(MODEL, RESULTS)}
    assert not is_recorded(wanted)
    projection.ensure_run(MODEL, None)
    assert is_recorded({trained.signature: None})
    assert not is_recorded(wanted)
    projection.ensure_run(MODEL, RESULTS)
    assert is_recorded(wanted)
    files.write_text(RESULTS / "report.html", "<h1>better</h1>")
    assert not is_recorded({trained.signature: results_digest(MODEL, RESULTS)})
    assert not is_recorded({**wanted, "another": None})


def test_a_run_left_running_is_nothing_settled(trained: RunRecord) -> None:
    projection.ensure_run(MODEL, RESULTS)
    run = start_run(Training(**{f: getattr(trained, f) for f in Training.__struct_fields__}), device="cpu")
    wanted = {trained.signature: results_digest(MODEL, RESULTS)}
    assert not is_recorded(wanted)
    run.finish("FAILED")
    assert not is_recorded(wanted)
    assert projection.ensure_run(MODEL, RESULTS) == run.run_id
    assert is_recorded(wanted)


def test_a_store_that_is_away_is_a_warning_to_a_stage_that_has_written_its_files(
    trained: RunRecord, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    assert projection.ensure_run_if_reachable(MODEL, RESULTS) is None
    assert "`cnnpipe register` will do it" in caplog.text
    with pytest.raises(StorageError):
        projection.ensure_run(MODEL, RESULTS)


def test_a_torn_file_is_named(trained: RunRecord) -> None:
    (MODEL / HISTORY_FILE).write_text('{"epoch": 1, "st', encoding="utf-8")
    with pytest.raises(DataError, match=r"history\.jsonl:1"):
        projection.ensure_run(MODEL, RESULTS)


def test_the_logged_model_is_the_bundle_and_needs_no_pickle(
    trained: RunRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = projection.ensure_run(MODEL, RESULTS)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", open_store().uri)
    folder = Path(mlflow.artifacts.download_artifacts(f"runs:/{run_id}/model"))
    data = folder / "data" / "bundle"
    for name in ("model.json", "weights.safetensors"):
        assert (data / name).read_bytes() == (MODEL / name).read_bytes()
    assert [path.name for path in folder.rglob("*.pkl")] == []
    assert "cnnpipe[train]==" in (folder / "requirements.txt").read_text(encoding="utf-8")
    signature = Model.load(str(folder)).signature
    assert signature.inputs.input_names() == ["image"]
    assert signature.outputs.input_names() == ["boot", "coat", "dress"]
