"""Training of detectors on coloured rectangles: it learns, repeats itself, and goes on after a break."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch
from torch import Tensor
from toy_detectors import toy_detect_params
from toy_views import CLASSES, make_detect_view

from cnnpipe import files
from cnnpipe.datasets.records import SAMPLES_FILE, VIEW_FILE, DetectSample, View
from cnnpipe.errors import DataError, ModelError, ParamsError
from cnnpipe.inference.detector import Detector, as_detector, shape_of
from cnnpipe.inference.torch_settings import repeatable_torch
from cnnpipe.models.detectors import build_detector
from cnnpipe.params.experiment import DetectParams, TrainParams
from cnnpipe.tasks.detect.training import prepare
from cnnpipe.training.devices import computing_in, make_accelerator
from cnnpipe.training.fit import FitData, Fitted, Surroundings, fit
from cnnpipe.training.job import Job

MACHINE = TrainParams(device="cpu", precision="auto", num_threads=1, num_workers=0)
FASTER = "fasterrcnn-lite0"


@pytest.fixture
def view(tmp_path: Path) -> Path:
    """Return a view of 12 pictures in train, two of them without an object, and 4 in val."""
    make_detect_view(tmp_path / "view", splits=("train", "train", "train", "val"), num_samples=16)
    return tmp_path / "view"


def fit_view(folder: Path, view: Path, params: DetectParams, *, data: FitData[Any] | None = None) -> Fitted:
    job = prepare(view, params, MACHINE)
    with repeatable_torch(num_threads=1):
        surroundings = Surroundings(make_accelerator("cpu"), folder, lambda _row, _seconds: None)
        return fit(job.first_network(params), data or job.data(), params, surroundings)


def interrupted(job: Job, after_batches: int) -> FitData[Any]:
    left, data = iter(range(after_batches)), job.data()

    def train(epoch: int, first: int) -> Iterator[Any]:
        for batch in data.train(epoch, first):
            if next(left, None) is None:
                raise KeyboardInterrupt
            yield batch

    return replace(data, train=train)


def detector_of(job: Job, fitted: Fitted) -> Detector:
    spec = job.spec(fitted.best_state, "0" * 64)
    network = build_detector(spec.network, shape_of(spec), weights="none", seed=0)
    network.load_state_dict(fitted.best_state)
    return as_detector(spec, network)


def equal(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return all(torch.equal(tensor, second[name]) for name, tensor in first.items())


def test_a_detector_learns_coloured_rectangles(tmp_path: Path) -> None:
    make_detect_view(tmp_path / "view", splits=("train", "train", "train", "val"), num_samples=32)
    params = toy_detect_params(epochs=8)
    fitted = fit_view(tmp_path / "c", tmp_path / "view", params)
    first, last = fitted.history[0], fitted.history[-1]
    assert last["val/map_50"] > max(0.4, first["val/map_50"])
    assert last["val/loss"] < first["val/loss"]
    assert list(first) == [
        "epoch", "step", "train/loss", "train/loss/classification", "train/loss/box",
        "train/loss/centredness", "val/loss", "val/map_50", "val/map_50_95", "lr/head", "lr/backbone",
    ]  # fmt: skip
    parts = [value for name, value in last.items() if name.startswith("train/loss/")]
    assert last["train/loss"] == pytest.approx(sum(parts), rel=1e-5)
    spec = detector_of(prepare(tmp_path / "view", params, MACHINE), fitted).spec
    assert (spec.task, spec.decoder, spec.source, spec.label_attribute) == (
        "detect",
        "boxes",
        "objects",
        "kind",
    )
    assert set(spec.thresholds) == set(CLASSES)
    assert all(params.decoding.score_floor < each < 1 for each in spec.thresholds.values())


@pytest.mark.parametrize("network", ["fcos-lite0", FASTER])
def test_two_runs_end_in_the_same_weights_also_with_a_break(tmp_path: Path, view: Path, network: str) -> None:
    """The break is in the first epoch of a thawed backbone."""
    transfer = {"backbone_rate": 0.5, "frozen_epochs": 1, "batch_norm": "train"}
    params = toy_detect_params(network=network, epochs=2, transfer=transfer)
    torch.manual_seed(1)
    whole = fit_view(tmp_path / "whole", view, params)
    torch.manual_seed(2)  # what torch's generator was at before does not matter
    data = interrupted(prepare(view, params, MACHINE), 3)
    with pytest.raises(KeyboardInterrupt):
        fit_view(tmp_path / "broken", view, params, data=data)
    resumed = fit_view(tmp_path / "broken", view, params)
    assert resumed.history == whole.history
    assert equal(dict(whole.last_state), dict(resumed.last_state))


def test_a_frozen_backbone_stays_as_the_package_has_it(tmp_path: Path, view: Path) -> None:
    transfer = {"backbone_rate": 1.0, "frozen_epochs": 1, "batch_norm": "train"}
    params = toy_detect_params(epochs=2, transfer=transfer)
    job = prepare(view, params, MACHINE)
    start = job.first_network(params).state_dict()
    with pytest.raises(KeyboardInterrupt):
        fit_view(tmp_path / "c", view, params, data=interrupted(job, 2))
    checkpoint = torch.load(tmp_path / "c" / "checkpoint.pt", weights_only=True)["network"]
    moved = {name for name, tensor in start.items() if not torch.equal(tensor, checkpoint[name])}
    assert moved
    assert all(name.startswith(("detector.backbone.fpn.", "detector.head.")) for name in moved)


@pytest.mark.parametrize("network", ["fcos-lite0", FASTER])
def test_a_rate_far_too_high_is_told(tmp_path: Path, view: Path, network: str) -> None:
    optimiser = {
        "name": "sgd",
        "learning_rate": 1e30,
        "momentum": 0.9,
        "nesterov": False,
        "weight_decay": 0.0,
    }
    schedule = {"name": "constant", "warmup_epochs": 0.0}
    params = toy_detect_params(network=network, epochs=1, optimiser=optimiser, schedule=schedule)
    with pytest.raises(ModelError, match=r"the loss is (nan|inf)"):
        fit_view(tmp_path, view, params)


def test_grey_pictures_of_one_class_and_the_data_s_statistics_will_do(tmp_path: Path) -> None:
    make_detect_view(tmp_path / "view", splits=("train", "val"), num_samples=8, channels=1, classes=["ant"])
    size = {"side_px": 64, "channels": 1, "fit": "stretch", "normalisation": "dataset"}
    params = toy_detect_params(input=size, epochs=1, schedule={"name": "constant", "warmup_epochs": 0.0})
    fitted = fit_view(tmp_path / "c", tmp_path / "view", params)
    spec = detector_of(prepare(tmp_path / "view", params, MACHINE), fitted).spec
    assert (spec.classes, len(spec.preprocessing.mean)) == (["ant"], 1)


def change_samples(view: Path, change: Any, **of_view: Any) -> None:
    """Write the view anew with every sample changed by a function."""
    samples = [change(sample) for sample in files.read_jsonl(view / SAMPLES_FILE, DetectSample)]
    files.write_jsonl(view / SAMPLES_FILE, samples)
    of_view |= {"samples_sha256": files.sha256_of_file(view / SAMPLES_FILE)}
    changed = msgspec.structs.replace(files.read_json(view / VIEW_FILE, View), **of_view)
    files.write_json(view / VIEW_FILE, changed)


def emptied(sample: DetectSample) -> DetectSample:
    return msgspec.structs.replace(sample, boxes=[], class_index=[], region=[])


def test_a_class_that_is_not_in_train_is_refused(view: Path) -> None:
    change_samples(view, lambda sample: sample, classes=[*CLASSES, "dog"])
    with pytest.raises(DataError, match="no picture to train on for class: dog"):
        prepare(view, toy_detect_params(), MACHINE)


def test_a_val_without_objects_is_refused(view: Path) -> None:
    change_samples(view, lambda sample: emptied(sample) if sample.split == "val" else sample)
    with pytest.raises(DataError, match="no object in val to choose the best epoch by"):
        prepare(view, toy_detect_params(), MACHINE)


def test_a_view_without_any_object_is_refused(view: Path) -> None:
    change_samples(view, emptied, classes=[])
    with pytest.raises(DataError, match="holds no object"):
        prepare(view, toy_detect_params(), MACHINE)


def test_a_side_of_no_use_is_refused(view: Path) -> None:
    size = {"side_px": 50, "channels": 3, "fit": "letterbox", "normalisation": "half"}
    params = toy_detect_params(input=size)
    with pytest.raises(ParamsError, match="50 is no multiple of 32"):
        prepare(view, params, MACHINE).first_network(params)


@pytest.mark.parametrize("network", ["fcos-lite0", FASTER, "fasterrcnn_mobilenet_v3_large_320_fpn"])
def test_a_detector_convolves_low_and_judges_in_float32(tmp_path: Path, view: Path, network: str) -> None:
    """All parts that may be lowered are found, what they give is float32, and so is the loss."""
    weights = "package" if "lite0" in network else "none"
    params = toy_detect_params(network=network, weights=weights, transfer=None)
    job = prepare(view, params, MACHINE)
    objective, built = job.data().objective, job.first_network(params)
    lowered = objective.may_be_lowered(built)
    assert len(lowered) == (2 if network == "fcos-lite0" else 4)
    of_low = {id(parameter) for part in lowered for parameter in part.parameters()}
    assert of_low == {id(parameter) for parameter in built.parameters()}
    given: list[torch.dtype] = []
    for part in lowered:
        part.register_forward_hook(lambda _part, _inputs, output: given.extend(dtypes(output)))
    device = torch.device("cpu")
    batch = next(iter(job.data().train(1, 0)))
    built.train()
    with repeatable_torch(num_threads=1), computing_in("bfloat16", lowered, device):
        losses = objective.losses(built, batch, device)
    assert set(given) == {torch.float32}
    assert {loss.dtype for loss in losses.values()} == {torch.float32}
    assert all(bool(loss.isfinite()) for loss in losses.values())


def dtypes(output: Any) -> Iterator[torch.dtype]:
    if isinstance(output, Tensor):
        yield output.dtype
    else:
        for each in output.values() if isinstance(output, dict) else output:
            yield from dtypes(each)


def test_a_detector_learns_in_lower_precision(tmp_path: Path, view: Path) -> None:
    params = toy_detect_params(epochs=3)
    job = prepare(view, params, MACHINE)
    with repeatable_torch(num_threads=1):
        surroundings = Surroundings(
            make_accelerator("cpu"), tmp_path / "c", lambda _row, _seconds: None, "bfloat16"
        )
        low = fit(job.first_network(params), job.data(), params, surroundings)
    plain = fit_view(tmp_path / "plain", view, params)
    assert low.history[-1]["train/loss"] < low.history[0]["train/loss"]
    assert low.history[-1]["val/loss"] == pytest.approx(plain.history[-1]["val/loss"], rel=0.1)
    assert low.history != plain.history


@pytest.mark.parametrize("watch", ["map_75", "ar_10"])
def test_any_of_cocos_numbers_can_be_watched(view: Path, watch: str) -> None:
    params = toy_detect_params(watch=watch)
    job = prepare(view, params, MACHINE)
    found = job.data().objective.judge(job.first_network(params), job.data().val, torch.device("cpu"))
    assert list(found) == ["loss", "map_50", "map_50_95", watch]
    assert 0.0 <= found[watch] <= 1.0


def test_what_val_has_no_object_for_cannot_be_watched(view: Path) -> None:
    with pytest.raises(DataError, match=r"no object that map_large counts, on a square of \d+ px\n.*map_50"):
        prepare(view, toy_detect_params(watch="map_large"), MACHINE)
