"""Detectors: what goes in and comes out, counted from 0, without a network of wires."""

import math
import socket
from collections.abc import Sequence
from typing import Any, NoReturn

import pytest
import torch
from torch import Tensor, nn
from torchvision.models.detection.rpn import (  # type: ignore[import-untyped]  # no stubs
    RegionProposalNetwork,
)

from cnnpipe.errors import ParamsError
from cnnpipe.inference.torch_settings import repeatable_torch
from cnnpipe.models.building import num_parameters
from cnnpipe.models.bundle import Decoding
from cnnpipe.models.detectors import DETECTORS, IN_PACKAGES, DetectorShape, build_detector
from cnnpipe.models.lite0 import package_weights
from cnnpipe.params.networks import DETECTOR_WEIGHTS

NAMES = sorted(DETECTORS)
PARTS = {
    "fcos-lite0": {"classification", "box", "centredness"},
    "fasterrcnn-lite0": {"classification", "box", "objectness", "proposal_box"},
    "fasterrcnn_mobilenet_v3_large_320_fpn": {"classification", "box", "objectness", "proposal_box"},
}
NO_OBJECT = (torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64))
TWO_OBJECTS = (torch.tensor([[4.0, 6.0, 40.0, 30.0], [30.0, 30.0, 60.0, 64.0]]), torch.tensor([0, 2]))


def shape_of(*, num_classes: int = 3, channels: int = 3, side_px: int = 64, **decoding: Any) -> DetectorShape:
    chosen: dict[str, Any] = {"score_floor": 0.0, "nms_iou": 0.5, "max_detections": 20} | decoding
    return DetectorShape(
        num_classes=num_classes, channels=channels, side_px=side_px, decoding=Decoding(**chosen)
    )


def built(name: str, *, seed: int = 1, **shape: Any) -> nn.Module:
    return build_detector(name, shape_of(**shape), weights="none", seed=seed)


def pictures(number: int = 2, *, channels: int = 3, side_px: int = 64) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(number, channels, side_px, side_px, generator=generator)


def step(network: nn.Module, targets: Sequence[tuple[Tensor, Tensor]], **shape: int) -> dict[str, Tensor]:
    """Return the parts of the loss, after their gradients were taken with deterministic operations only."""
    with repeatable_torch(num_threads=1):
        torch.manual_seed(0)
        parts: dict[str, Tensor] = network.train()(pictures(len(targets), **shape), targets)
        torch.autograd.backward(list(parts.values()))
    return parts


def refuse(*_: object, **__: object) -> NoReturn:
    raise AssertionError("a connection was asked for")


def test_params_know_the_same_detectors_and_weights() -> None:
    assert set(DETECTOR_WEIGHTS) == set(DETECTORS)
    assert {name for name, weights in DETECTOR_WEIGHTS.items() if "package" in weights} == set(IN_PACKAGES)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", NAMES)
def test_every_detector_takes_a_step_and_finds_boxes_without_a_connection(
    name: str, channels: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket.socket, "connect", refuse)
    network = built(name, channels=channels)
    parts = step(network, [TWO_OBJECTS, NO_OBJECT], channels=channels)
    assert set(parts) == PARTS[name]
    assert all(part.ndim == 0 and bool(part.isfinite()) for part in parts.values())
    assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in network.parameters())
    with torch.inference_mode():
        found = network.eval()(pictures(channels=channels))
    assert len(found) == 2
    for boxes_N4, scores_N, class_index_N in found:
        assert boxes_N4.shape == (len(scores_N), 4)
        assert 0 < len(scores_N) <= 20
        assert bool((boxes_N4 >= 0).all() and (boxes_N4 <= 64).all())
        assert bool((boxes_N4[:, 2:] > boxes_N4[:, :2]).all())
        assert bool((scores_N[:-1] >= scores_N[1:]).all())
        assert set(class_index_N.tolist()) <= {0, 1, 2}


@pytest.mark.parametrize("name", NAMES)
def test_a_batch_without_objects_has_a_loss(name: str) -> None:
    network = built(name)
    parts = {part: float(value.detach()) for part, value in step(network, [NO_OBJECT, NO_OBJECT]).items()}
    assert all(map(math.isfinite, parts.values()))
    assert parts["box"] == 0.0
    assert parts["classification"] > 0.0
    assert all(p.grad is None or bool(p.grad.isfinite().all()) for p in network.parameters())


@pytest.mark.parametrize("name", NAMES)
def test_one_class_is_enough_and_has_index_0(name: str) -> None:
    network = built(name, num_classes=1)
    one = (TWO_OBJECTS[0], torch.zeros(2, dtype=torch.int64))
    assert all(bool(part.isfinite()) for part in step(network, [one]).values())
    with torch.inference_mode():
        ((_, scores_N, class_index_N),) = network.eval()(pictures(1))
    assert len(scores_N) > 0
    assert not class_index_N.any()


@pytest.mark.parametrize(
    ("name", "layer", "label"),
    [
        pytest.param("fcos-lite0", "head.classification_head.cls_logits", 2, id="no background"),
        pytest.param("fasterrcnn-lite0", "roi_heads.box_predictor.cls_score", 3, id="background first"),
    ],
)
def test_classes_are_counted_from_0_on_both_sides(name: str, layer: str, label: int) -> None:
    """A head that says torchvision's `label` everywhere says class 2, and is right where that is true."""
    network = built(name)
    bias = network.get_submodule(f"detector.{layer}").bias
    assert isinstance(bias, Tensor)
    with torch.no_grad():
        bias[label] = 10.0
        for _, _, class_index_N in network.eval()(pictures()):
            assert set(class_index_N.tolist()) == {2}
        boxes_N4 = TWO_OBJECTS[0]
        said = [
            network.train()(pictures(1), [(boxes_N4, torch.full((2,), index))])["classification"]
            for index in (0, 1, 2)
        ]
    assert float(said[2]) < min(float(said[0]), float(said[1])) - 0.5


def test_decoding_is_applied() -> None:
    seen = pictures(1)
    with torch.inference_mode():
        many = built("fcos-lite0", score_floor=0.0, nms_iou=1.0, max_detections=1000).eval()(seen)[0]
        few = built("fcos-lite0", score_floor=0.0, nms_iou=1.0, max_detections=7).eval()(seen)[0]
        apart = built("fcos-lite0", score_floor=0.0, nms_iou=0.1, max_detections=1000).eval()(seen)[0]
        floor = float(many[1].median())
        above = built("fcos-lite0", score_floor=floor, nms_iou=1.0, max_detections=1000).eval()(seen)[0]
    assert len(few[1]) <= 7 < len(many[1])
    assert len(apart[1]) < len(many[1])
    assert 0 < len(above[1]) < len(many[1])
    assert float(above[1].min()) > floor


def test_more_detections_are_possible_than_torchvision_proposes() -> None:
    """Its mobile detector looks at 150 proposals of a picture, which would bound what is found."""
    network = built("fasterrcnn_mobilenet_v3_large_320_fpn", max_detections=500)
    proposals = network.eval().get_submodule("detector.rpn")
    assert isinstance(proposals, RegionProposalNetwork)
    assert proposals.post_nms_top_n() == 500


@pytest.mark.parametrize("name", ["fcos-lite0", "fasterrcnn-lite0"])
def test_first_weights_are_a_function_of_the_seed(name: str) -> None:
    generator = torch.get_rng_state()
    first, same, other = (built(name, seed=seed) for seed in (7, 7, 8))
    assert torch.equal(torch.get_rng_state(), generator)
    numbers = [torch.cat([p.detach().flatten() for p in each.parameters()]) for each in (first, same, other)]
    assert numbers[0].equal(numbers[1])
    assert not numbers[0].equal(numbers[2])


@pytest.mark.parametrize("name", NAMES)
def test_a_step_repeats_itself(name: str) -> None:
    """Gradients of two runs are equal to the last bit."""
    gradients = []
    for _ in range(2):
        network = built(name)
        step(network, [TWO_OBJECTS, NO_OBJECT])
        gradients.append([p.grad for p in network.parameters() if p.grad is not None])
    assert all(torch.equal(p, q) for p, q in zip(*gradients, strict=True))


@pytest.mark.parametrize("name", IN_PACKAGES)
@pytest.mark.parametrize("channels", [1, 3])
def test_the_package_fills_the_feature_extractor(name: str, channels: int) -> None:
    network = build_detector(name, shape_of(channels=channels), weights="package", seed=1)
    state, package = network.state_dict(), package_weights()
    body = {each: tensor for each, tensor in state.items() if each.startswith("detector.backbone.body.")}
    head = {"conv_head.weight", "classifier.weight", "classifier.bias"}
    head |= {
        f"bn2.{leaf}" for leaf in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    }
    assert {each.removeprefix("detector.backbone.body.") for each in body} == package.keys() - head
    stem = package["conv_stem.weight"]
    expected = stem if channels == 3 else stem.sum(dim=1, keepdim=True)
    assert torch.equal(body["detector.backbone.body.conv_stem.weight"], expected)
    last = "blocks.6.0.bn3.running_var"
    assert torch.equal(body[f"detector.backbone.body.{last}"], package[last])


def test_the_mobile_detector_is_torchvisions() -> None:
    """With 91 labels, background included, torchvision lists 19,386,354 parameters: all but batch norm's."""
    network = built("fasterrcnn_mobilenet_v3_large_320_fpn", num_classes=90)
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    assert num_parameters(network) - sum(map(num_parameters, norms)) == 19_386_354
    assert all(p.requires_grad for p in network.parameters())


@pytest.mark.parametrize(("side_px", "fix"), [(200, "192 or 224"), (20, "32 or 64")])
def test_a_side_that_the_maps_do_not_divide_is_refused(side_px: int, fix: str) -> None:
    with pytest.raises(ParamsError, match=f"input.side_px: {side_px} is no multiple of 32") as caught:
        built("fcos-lite0", side_px=side_px)
    assert caught.value.fix == f"set input.side_px: {fix}"


def test_an_unknown_detector_is_met_with_the_nearest_name() -> None:
    with pytest.raises(ParamsError, match="'fcos-lite' is not known") as caught:
        built("fcos-lite")
    assert caught.value.fix.startswith("did you mean 'fcos-lite0'? the networks are: fasterrcnn-lite0, ")


def test_weights_that_no_package_holds_are_refused() -> None:
    name = "fasterrcnn_mobilenet_v3_large_320_fpn"
    with pytest.raises(ParamsError, match=f"no package holds weights of '{name}'"):
        build_detector(name, shape_of(), weights="package", seed=1)


@pytest.mark.parametrize("seed", range(5))
def test_every_distance_of_fcos_begins_with_a_gradient(seed: int) -> None:
    head = built("fcos-lite0", seed=seed).get_submodule("detector.head.regression_head")
    maps = [torch.randn(2, 96, side, side) for side in (8, 4, 2)]
    with torch.no_grad():
        distances, _ = head(maps)
    assert distances.min() > 0
