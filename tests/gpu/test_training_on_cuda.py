"""Training on a GPU: near the CPU's, the same again, in every precision it has, from pinned memory."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from toy_detectors import toy_detect_params
from toy_pictures import STEPS_PER_EPOCH, toy_data, toy_epoch, toy_network, toy_params
from toy_views import make_detect_view, make_view

from cnnpipe.augmentation.policy import build_augmentation
from cnnpipe.datasets.classification import Batch, batch_maker
from cnnpipe.datasets.loading import batches_of_epoch, epoch_loader, pinned
from cnnpipe.datasets.packs import open_view
from cnnpipe.inference.detector import as_detector, detect_view, shape_of
from cnnpipe.inference.forward import to_network
from cnnpipe.inference.torch_settings import repeatable_torch
from cnnpipe.models.detectors import build_detector
from cnnpipe.models.weights import write_weights
from cnnpipe.params.augmentation import AugmentationParams
from cnnpipe.params.experiment import ClassifyParams, TrainParams
from cnnpipe.tasks.detect.training import prepare
from cnnpipe.training.classification import Batch as ToyBatch
from cnnpipe.training.devices import Precision, make_accelerator, precision_on, uses_cuda
from cnnpipe.training.fit import FitData, Fitted, Surroundings, fit

pytestmark = pytest.mark.skipif(
    not torch.cuda.is_available(), reason=f"needs a GPU; torch {torch.__version__} sees none here"
)

CUDA = torch.device("cuda")
CPU = torch.device("cpu")
UNCHANGED = AugmentationParams(
    crop_scale=1.0,
    flip_horizontal=0.0,
    flip_vertical=0.0,
    translate_fraction=0.0,
    brightness=0.0,
    contrast=0.0,
    saturation=0.0,
)


@pytest.fixture(autouse=True)
def repeatable() -> Iterator[None]:
    """Set torch as `train` does: an operation that does not repeat itself on a GPU is an error."""
    with repeatable_torch(num_threads=1):
        yield


@pytest.fixture(params=["float32", "bfloat16", "float16"])
def precision(request: pytest.FixtureRequest) -> Precision:
    """Return each precision that this GPU computes in."""
    chosen: Precision = request.param
    capability = torch.cuda.get_device_capability()
    if chosen == "bfloat16" and capability < (8, 0):
        pytest.skip(f"bfloat16 needs compute capability 8.0; this GPU has {capability[0]}.{capability[1]}")
    return chosen


def fit_toy(
    folder: Path,
    params: ClassifyParams,
    *,
    device: torch.device = CUDA,
    precision: Precision = "float32",
    data: FitData[ToyBatch] | None = None,
) -> Fitted:
    """Fit the toy network without dropout, whose random numbers differ from device to device."""
    accelerator = make_accelerator("cuda" if device.type == "cuda" else "cpu")
    surroundings = Surroundings(accelerator, folder, lambda _row, _seconds: None, precision)
    return fit(toy_network(seed=params.seed, dropout=0.0), data or toy_data(), params, surroundings)


def digest(fitted: Fitted, folder: Path) -> str:
    return write_weights(folder / "last.safetensors", fitted.last_state)


def test_a_gpu_is_taken_when_it_is_there() -> None:
    assert make_accelerator("auto").device.type == "cuda"
    assert make_accelerator("cuda").device.type == "cuda"
    assert make_accelerator("cpu").device.type == "cpu"
    assert uses_cuda("auto")


def test_auto_takes_what_the_gpu_is_fast_in() -> None:
    capability = torch.cuda.get_device_capability()
    expected = "bfloat16" if capability >= (8, 0) else "float16" if capability >= (7, 0) else "float32"
    assert precision_on("auto", CUDA) == expected


def test_a_gpu_learns_what_the_cpu_learns(tmp_path: Path) -> None:
    """Loosely: it adds in another order, and its convolutions may round to TF32."""
    params = toy_params(epochs=10)
    on_gpu = fit_toy(tmp_path / "gpu", params)
    on_cpu = fit_toy(tmp_path / "cpu", params, device=CPU)
    first_gpu, first_cpu = on_gpu.history[0], on_cpu.history[0]
    assert first_gpu["train/loss"] == pytest.approx(first_cpu["train/loss"], rel=0.05)
    assert on_gpu.history[-1]["val/accuracy"] == on_cpu.history[-1]["val/accuracy"] == 1.0
    assert all(tensor.device == CPU for tensor in on_gpu.best_state.values())


def test_every_precision_learns_and_repeats_itself(tmp_path: Path, precision: Precision) -> None:
    params = toy_params(epochs=10)
    first = fit_toy(tmp_path / "1", params, precision=precision)
    assert first.history[-1]["val/accuracy"] == 1.0
    assert all(
        not tensor.is_floating_point() or tensor.dtype == torch.float32
        for tensor in first.last_state.values()
    )
    again = fit_toy(tmp_path / "2", params, precision=precision)
    assert digest(again, tmp_path) == digest(first, tmp_path)


def test_a_broken_off_training_goes_on_to_the_same_weights(tmp_path: Path, precision: Precision) -> None:
    params = toy_params(epochs=4)
    whole = fit_toy(tmp_path / "whole", params, precision=precision)
    left = iter(range(2 * STEPS_PER_EPOCH + 1))

    def train(epoch: int, first: int) -> Iterator[tuple[Tensor, Tensor]]:
        for batch in toy_epoch(epoch, first):
            if next(left, None) is None:
                raise KeyboardInterrupt
            yield batch

    with pytest.raises(KeyboardInterrupt):
        fit_toy(tmp_path / "c", params, precision=precision, data=replace(toy_data(), train=train))
    resumed = fit_toy(tmp_path / "c", params, precision=precision)
    assert digest(resumed, tmp_path) == digest(whole, tmp_path)


def test_a_checkpoint_of_a_gpu_is_gone_on_from_on_the_cpu_and_back(tmp_path: Path) -> None:
    best = precision_on("auto", CUDA)
    fit_toy(tmp_path, toy_params(epochs=2), precision=best)
    fit_toy(tmp_path, toy_params(epochs=3), device=CPU)
    fitted = fit_toy(tmp_path, toy_params(epochs=10), precision=best)
    assert [row["epoch"] for row in fitted.history] == list(range(1, 11))
    assert fitted.history[-1]["val/accuracy"] == 1.0


@pytest.mark.parametrize("num_workers", [0, 2])
def test_batches_come_pinned_and_arrive_as_they_are(tmp_path: Path, num_workers: int) -> None:
    make_view(tmp_path)
    opened = open_view(tmp_path)
    augment = build_augmentation(UNCHANGED, side_px=16, channels=3, fit="letterbox")

    def batches(*, is_wanted: bool) -> list[Batch]:
        make_batch = batch_maker(opened, augment)
        loader = epoch_loader(opened, make_batch, batch_size=5, seed=1, num_workers=num_workers)
        return list(batches_of_epoch(pinned(loader, is_wanted=is_wanted), 1))

    for fixed, paged in zip(batches(is_wanted=True), batches(is_wanted=False), strict=True):
        assert fixed.pictures.is_pinned()
        assert fixed.class_index.is_pinned()
        assert not paged.pictures.is_pinned()
        assert fixed.pictures.stride() == paged.pictures.stride()  # channels last in memory
        seen = to_network(fixed.pictures, lambda pictures: pictures.float(), device=CUDA)
        assert seen.device.type == "cuda"
        assert torch.equal(seen.cpu(), paged.pictures.float())


@pytest.mark.parametrize("network", ["fcos-lite0", "fasterrcnn-lite0"])
def test_a_detector_trains_in_the_gpus_precision_and_finds_on_the_cpu(tmp_path: Path, network: str) -> None:
    """With deterministic operations only, as all trainings; detections are computed on the CPU everywhere."""
    view = tmp_path / "view"
    make_detect_view(view, splits=("train", "train", "train", "val"), num_samples=16)
    params = toy_detect_params(epochs=4, network=network)
    machine = TrainParams(device="cuda", precision="auto", num_threads=1, num_workers=0)
    job = prepare(view, params, machine)
    data: FitData[Any] = job.data()
    batch = next(iter(data.val))
    assert batch.pictures.is_pinned()
    assert all(target.boxes.is_pinned() for target in batch.targets if target.boxes.numel())
    accelerator = make_accelerator(machine.device)
    precision = precision_on(machine.precision, accelerator.device)
    surroundings = Surroundings(accelerator, tmp_path / "c", lambda _row, _seconds: None, precision)
    fitted = fit(job.first_network(params), data, params, surroundings)
    assert fitted.history[-1]["train/loss"] < fitted.history[0]["train/loss"]
    spec = job.spec(fitted.best_state, "0" * 64)
    found_by = build_detector(spec.network, shape_of(spec), weights="none", seed=0)
    found_by.load_state_dict(fitted.best_state)
    assert len(detect_view(as_detector(spec, found_by), view, "val")) == 4
