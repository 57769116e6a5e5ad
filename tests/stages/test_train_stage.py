"""The stage train: what it writes, what it refuses, and how it goes on."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec
import pytest
import torch
from bundles import make_view
from safetensors.torch import load_file
from toy_detectors import toy_detect_params
from toy_pictures import toy_params
from toy_views import make_detect_view

from cnnpipe import files, paths
from cnnpipe.datasets.loading import batches_of_epoch, epoch_loader
from cnnpipe.datasets.normalisation import channel_statistics
from cnnpipe.datasets.packs import open_view
from cnnpipe.datasets.records import SAMPLES_FILE, VIEW_FILE, Sample, View
from cnnpipe.errors import BusyError, DataError, ModelError
from cnnpipe.inference.classifier import load_classifier
from cnnpipe.inference.detector import load_detector
from cnnpipe.models.bundle import MODEL_FILE, WEIGHTS_FILE, ModelSpec
from cnnpipe.params.experiment import ClassifyParams, TrainParams
from cnnpipe.stages import train as stage
from cnnpipe.tracking.store import open_store
from cnnpipe.training import job
from cnnpipe.training.records import HISTORY_FILE, RUN_FILE, Epoch, RunRecord

VIEW = Path("data/augmented/classify")
DETECT_VIEW = Path("data/augmented/detect")
OUT = Path("models/tiny")
MACHINE = TrainParams(device="cpu", precision="auto", num_threads=1, num_workers=0)
INPUT = {"side_px": 16, "channels": 3, "fit": "letterbox", "normalisation": "dataset"}


class RecordedRun:
    """Stands for the MLflow run; keeps what it is told."""

    def __init__(self) -> None:
        self.steps: list[int] = []
        self.timed: list[bool] = []
        self.ended = ""

    def log_epoch(self, metrics: Mapping[str, float], step: int) -> None:
        self.steps.append(step)
        self.timed.append("time/epoch_seconds" in metrics and "images_per_second" in metrics)

    def finish(self, status: str, *, stop_reason: str, incidents: Sequence[str]) -> None:
        self.ended = f"{status} {stop_reason}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.ended = self.ended or f"left by {kind}"


@pytest.fixture
def run(project_dir: Path, monkeypatch: pytest.MonkeyPatch) -> RecordedRun:
    """Return the run that the stage will feed, in a project with a view of its own."""
    make_view(VIEW, pictures_per_split=12)
    files.write_json(paths.CODE, {"train": {"classify": "ab torch 2", "detect": "cd"}})
    recorded = RecordedRun()
    monkeypatch.setattr(stage, "start_run", lambda _training, **_others: recorded)
    monkeypatch.setattr(stage, "ensure_run_if_reachable", lambda _model, _results: None)
    return recorded


def recipe(**changes: Any) -> ClassifyParams:
    return toy_params(**({"input": INPUT, "epochs": 2} | changes))


def train(params: ClassifyParams | None = None, machine: TrainParams = MACHINE) -> RunRecord:
    return stage.train("tiny", VIEW, OUT, params or recipe(), machine)


def hashes() -> dict[str, str]:
    return {path.name: files.sha256_of_file(path) for path in sorted(OUT.iterdir())}


def test_every_output_is_there_and_agrees(run: RecordedRun) -> None:
    record = train()
    assert sorted(hashes()) == [
        "history.jsonl", "last.safetensors", "model.json", "run.json", "weights.safetensors",
    ]  # fmt: skip
    assert files.read_json(OUT / RUN_FILE, RunRecord) == record
    spec = files.read_json(OUT / MODEL_FILE, ModelSpec)
    view_digest = files.sha256_of_file(VIEW / VIEW_FILE)
    assert (spec.network, spec.classes, spec.data_sha256) == ("lenet", ["boot", "coat", "dress"], view_digest)
    assert load_classifier(OUT).spec == spec
    assert record.inputs == {"data/augmented/classify/view.json": view_digest}
    assert record.params["input.side_px"] == 16
    assert record.params["train.num_threads"] == 1
    assert record.num_parameters == 456 + 2_416 + (16 * 120 + 120) + 10_164 + 255
    history = files.read_jsonl(OUT / HISTORY_FILE, Epoch)
    assert [int(row["step"]) for row in history] == run.steps == [2, 4]  # 24 samples in batches of 16
    assert run.timed == [True, True]
    assert run.ended == "FINISHED epochs"
    assert list((paths.state_dir() / "checkpoints").iterdir()) == []


def test_the_bundle_holds_the_best_weights_and_last_the_last(run: RecordedRun) -> None:
    optimiser = {"name": "adamw", "learning_rate": 0.02, "weight_decay": 0.0}
    record = train(recipe(epochs=6, optimiser=optimiser))
    assert record.best_epoch < 6
    last = hashes()["last.safetensors"]
    assert hashes()[WEIGHTS_FILE] != last
    train(recipe(epochs=6, optimiser=optimiser, watch="loss", early_stopping=None))
    assert hashes()["last.safetensors"] == last


def test_the_order_of_train_and_its_augmentation_are_of_the_experiments_seed(
    run: RecordedRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    seeds: list[int] = []

    def spy(*arguments: Any, seed: int, **others: Any) -> Any:
        seeds.append(seed)
        return epoch_loader(*arguments, seed=seed, **others)

    monkeypatch.setattr(job, "epoch_loader", spy)
    train(recipe(seed=17))
    assert seeds == [17]


def test_the_same_again_gives_the_same_bytes_whatever_the_workers(run: RecordedRun) -> None:
    train()
    first = hashes()
    train()
    assert hashes() == first
    record = files.read_json(OUT / RUN_FILE, RunRecord)
    again = train(machine=MACHINE.model_copy(update={"num_workers": 1}))
    assert hashes()[WEIGHTS_FILE] == first[WEIGHTS_FILE]
    assert again.signature != record.signature


def test_a_stopped_training_goes_on_and_ends_in_the_same_files(
    run: RecordedRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    params = recipe(epochs=3)
    train(params)
    whole = hashes()
    with monkeypatch.context() as patch:

        def stop_in_epoch_2(loader: Any, epoch: int, first: int) -> Any:
            if epoch == 2:
                raise KeyboardInterrupt
            return batches_of_epoch(loader, epoch, first)

        patch.setattr(job, "batches_of_epoch", stop_in_epoch_2)
        with pytest.raises(KeyboardInterrupt):
            train(params)
    assert hashes() == whole  # untouched by what was broken off
    run.steps.clear()
    run.timed.clear()
    train(params)
    assert hashes() == whole
    assert (run.steps, run.timed) == ([2, 4, 6], [False, True, True])


def test_checkpoints_lie_where_they_are_told_to_and_are_held_by_one_training(
    run: RecordedRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = tmp_path / "shared"
    monkeypatch.setenv("CNNPIPE_CHECKPOINTS", str(shared))
    params = recipe(epochs=1, schedule={"name": "constant", "warmup_epochs": 0.0})
    found: list[str] = []

    def look(loader: Any, epoch: int, first: int) -> Any:
        found.extend(sorted(path.name for path in shared.iterdir()))
        with pytest.raises(BusyError, match=r"train@tiny: process \d+ \(train@tiny in project\) trains"):
            train(params)
        return batches_of_epoch(loader, epoch, first)

    with monkeypatch.context() as patch:
        patch.setattr(job, "batches_of_epoch", look)
        record = train(params)
    assert found == [f"{record.signature}.lock"]
    assert list(shared.iterdir()) == []
    assert not paths.state_dir().joinpath("checkpoints").exists()


def test_the_precision_that_was_decided_is_told_and_in_no_output(
    run: RecordedRun, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    record = train()
    assert "training on cpu in float32" in caplog.text
    assert record.params["train.precision"] == "auto"
    low = train(machine=MACHINE.model_copy(update={"precision": "bfloat16"}))
    assert "training on cpu in bfloat16" in caplog.text
    assert low.signature != record.signature


@pytest.mark.parametrize(
    ("normalisation", "channels", "mean", "std"),
    [
        pytest.param("half", 3, [0.5] * 3, [0.5] * 3, id="half"),
        pytest.param("half", 1, [0.5], [0.5], id="half, grey"),
        pytest.param("imagenet", 3, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225], id="imagenet"),
        pytest.param("imagenet", 1, [0.449], [0.226], id="imagenet, grey"),
    ],
)
def test_fixed_normalisation(
    run: RecordedRun, normalisation: str, channels: int, mean: list[float], std: list[float]
) -> None:
    train(
        recipe(
            epochs=1,
            schedule={"name": "constant", "warmup_epochs": 0.0},
            input=INPUT | {"normalisation": normalisation, "channels": channels},
        )
    )
    found = files.read_json(OUT / MODEL_FILE, ModelSpec).preprocessing
    assert (found.mean, found.std, found.channels) == (mean, std, channels)


def test_normalisation_by_the_data_looks_at_train_alone(run: RecordedRun) -> None:
    train()
    found = files.read_json(OUT / MODEL_FILE, ModelSpec).preprocessing
    assert (found.mean, found.std) == channel_statistics(open_view(VIEW), lambda picture: picture)


def change_view(
    classes: list[str] | None = None, without_split: str = "", without_in_train: str = ""
) -> None:
    """Write the view anew with other classes, or without a split, or without a class in train."""
    view = files.read_json(VIEW / VIEW_FILE, View)
    samples = files.read_jsonl(VIEW / SAMPLES_FILE, Sample)
    samples = [s for s in samples if s.split != without_split]
    samples = [s for s in samples if s.split != "train" or s.label != without_in_train]
    files.write_jsonl(VIEW / SAMPLES_FILE, samples)
    num_samples = {split: sum(s.split == split for s in samples) for split in ("train", "val", "test")}
    changed = msgspec.structs.replace(
        view,
        classes=classes or view.classes,
        num_samples=num_samples,
        samples_sha256=files.sha256_of_file(VIEW / SAMPLES_FILE),
    )
    files.write_json(VIEW / VIEW_FILE, changed)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param({"classes": ["boot"]}, "holds 1 class; a classifier needs two", id="one class"),
        pytest.param(
            {"without_in_train": "coat"}, "no picture to train on for class: coat", id="class not in train"
        ),
        pytest.param({"without_split": "val"}, "no picture in val to choose the best epoch by", id="no val"),
    ],
)
def test_a_view_that_cannot_be_learned_is_refused(
    run: RecordedRun, change: dict[str, Any], message: str
) -> None:
    change_view(**change)
    with pytest.raises(DataError, match=message) as caught:
        train()
    assert caught.value.exit_code == 3
    assert not OUT.exists()
    assert run.steps == []


def test_code_json_is_needed(run: RecordedRun) -> None:
    paths.CODE.unlink()
    with pytest.raises(DataError, match="run `cnnpipe code`"):
        train()


def test_code_json_of_another_version_is_refused(run: RecordedRun) -> None:
    files.write_json(paths.CODE, {"train": "ab"})
    with pytest.raises(DataError, match="has no digest of train for task classify") as caught:
        train()
    assert caught.value.fix == "run `cnnpipe code`"


def test_a_change_of_another_tasks_code_makes_no_other_training(run: RecordedRun) -> None:
    first = train()
    files.write_json(paths.CODE, {"train": {"classify": "ab torch 2", "detect": "new"}})
    assert train().signature == first.signature


def test_a_change_of_code_makes_it_another_training(run: RecordedRun) -> None:
    first = train()
    files.write_json(paths.CODE, {"train": {"classify": "cd", "detect": "cd"}})
    assert train().signature != first.signature


def test_a_view_smaller_than_the_input_is_told(run: RecordedRun, caplog: pytest.LogCaptureFixture) -> None:
    train(recipe(input=INPUT | {"side_px": 40}))
    assert "input.side_px is 40, but the view was made with max_side_px 32" in caplog.text


def test_the_run_in_mlflow_holds_every_epoch_and_is_finished(project_dir: Path) -> None:
    make_view(VIEW, pictures_per_split=12)
    files.write_json(paths.CODE, {"train": {"classify": "ab"}})
    record = train()
    store = open_store()
    signature = f"tags.`cnnpipe.signature` = '{record.signature}'"
    (found,) = store.client.search_runs([store.experiment_id], signature)
    assert found.info.status == "FINISHED"
    assert found.data.params["input.side_px"] == "16"
    assert (found.data.tags["cnnpipe.device"], found.data.tags["cnnpipe.precision"]) == ("cpu", "float32")
    history = files.read_jsonl(OUT / HISTORY_FILE, Epoch)
    curve = store.client.get_metric_history(found.info.run_id, "val/loss")
    assert [(point.step, point.value) for point in curve] == [
        (row["step"], row["val/loss"]) for row in history
    ]
    assert len(store.client.get_metric_history(found.info.run_id, "time/epoch_seconds")) == 2


@pytest.fixture
def detect_run(run: RecordedRun) -> RecordedRun:
    """Return the run, in a project with a detection view, too."""
    make_detect_view(DETECT_VIEW, splits=("train", "val"), num_samples=12)
    return run


def train_detector(**changes: Any) -> RunRecord:
    changes = {"epochs": 1, "schedule": {"name": "constant", "warmup_epochs": 0.0}} | changes
    return stage.train("tiny", DETECT_VIEW, OUT, toy_detect_params(**changes), MACHINE)


def test_a_detector_leaves_the_same_files(detect_run: RecordedRun) -> None:
    record = train_detector()
    first = hashes()
    assert sorted(first) == [
        "history.jsonl", "last.safetensors", "model.json", "run.json", "weights.safetensors",
    ]  # fmt: skip
    spec = load_detector(OUT).spec
    assert (spec.task, spec.network, spec.classes) == ("detect", "fcos-lite0", ["ant", "bee", "cat"])
    assert (spec.source, spec.label_attribute) == ("objects", "kind")
    assert list(spec.thresholds) == spec.classes
    assert spec.decoding is not None
    assert spec.decoding.nms_iou == 0.6
    assert (record.task, record.params["transfer.batch_norm"]) == ("detect", "frozen")
    assert record.inputs == {"data/augmented/detect/view.json": files.sha256_of_file(DETECT_VIEW / VIEW_FILE)}
    assert detect_run.ended == "FINISHED epochs"
    train_detector()
    assert hashes() == first


def test_first_weights_come_from_the_file_that_is_named(detect_run: RecordedRun) -> None:
    """Its path is relative to the project; the backbone hardly learns here, so it is still to be seen."""
    train_detector()
    OUT.rename("given")
    path = Path("given") / WEIGHTS_FILE
    given = {"file": str(path), "sha256": files.sha256_of_file(path)}
    with pytest.raises(ModelError, match="has the SHA-256"):
        train_detector(weights="file", weights_file=given | {"sha256": "0" * 64})
    slow = {"backbone_rate": 1e-9, "frozen_epochs": 0, "batch_norm": "frozen"}
    train_detector(weights="file", weights_file=given, transfer=slow)
    found, start = load_file(OUT / WEIGHTS_FILE), load_file(path)
    body = [name for name in found if name.startswith("detector.backbone.body.")]
    assert all(torch.allclose(found[name], start[name], atol=1e-6) for name in body)


def test_a_view_of_another_task_is_refused(detect_run: RecordedRun) -> None:
    with pytest.raises(DataError, match="is a view of task classify, not detect"):
        stage.train("tiny", VIEW, OUT, toy_detect_params(), MACHINE)
