"""Weights from a user's file: each kind of file finds its place, and what does not fit is named."""

from collections.abc import Mapping
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torchvision.models import mobilenet_v3_large  # type: ignore[import-untyped]  # no stubs
from torchvision.models import resnet18 as torchvision_resnet18
from torchvision.models.detection import (  # type: ignore[import-untyped]
    fasterrcnn_mobilenet_v3_large_320_fpn,
)

from cnnpipe.errors import ModelError
from cnnpipe.files import sha256_of_file
from cnnpipe.models.bundle import Decoding
from cnnpipe.models.detectors import DetectorShape, build_detector
from cnnpipe.models.heads import is_of_head
from cnnpipe.models.networks import build_network
from cnnpipe.models.shape import NetworkShape
from cnnpipe.models.weights_file import load_first_weights

MOBILE = "fasterrcnn_mobilenet_v3_large_320_fpn"
BODY = "detector.backbone.body."
State = Mapping[str, Tensor]


def classifier(name: str, *, seed: int = 1, num_classes: int = 4, channels: int = 3) -> nn.Module:
    shape = NetworkShape(num_classes=num_classes, channels=channels, side_px=32, dropout=0.0)
    return build_network(name, shape, weights="none", seed=seed)


def detector(name: str, *, seed: int = 1, num_classes: int = 4, channels: int = 3) -> nn.Module:
    decoding = Decoding(score_floor=0.05, nms_iou=0.5, max_detections=10)
    shape = DetectorShape(num_classes=num_classes, channels=channels, side_px=64, decoding=decoding)
    return build_detector(name, shape, weights="none", seed=seed)


def saved(path: Path, state: State) -> Path:
    if path.suffix == ".safetensors":
        save_file({name: tensor.contiguous() for name, tensor in state.items()}, path)
    else:
        torch.save(dict(state), path)
    return path


def loaded(network: nn.Module, name: str, path: Path) -> State:
    load_first_weights(network, name, path, sha256=sha256_of_file(path))
    return network.state_dict()


def agree(name: str, found: State, expected: State, *, head: bool) -> bool:
    """Say whether all tensors of the backbone (or of the head) are equal."""
    chosen = [each for each in found if is_of_head(name, each) == head]
    assert chosen
    return all(torch.equal(found[each], expected[each]) for each in chosen)


@pytest.mark.parametrize("suffix", [".safetensors", ".pt", ".pth"])
@pytest.mark.parametrize("name", ["lenet", "lite0", "resnet18"])
def test_a_network_of_the_same_kind_is_taken_whole(tmp_path: Path, name: str, suffix: str) -> None:
    given = classifier(name, seed=2).state_dict()
    found = loaded(classifier(name), name, saved(tmp_path / f"given{suffix}", given))
    assert all(torch.equal(found[each], given[each]) for each in given)


def test_a_head_of_other_classes_keeps_its_start(tmp_path: Path) -> None:
    path = saved(tmp_path / "given.pt", classifier("resnet18", seed=2, num_classes=7).state_dict())
    start = classifier("resnet18").state_dict()
    found = loaded(classifier("resnet18"), "resnet18", path)
    assert agree("resnet18", found, torch.load(path, weights_only=True), head=False)
    assert agree("resnet18", found, start, head=True)


def test_torchvisions_resnet_fills_the_backbone(tmp_path: Path) -> None:
    given = torchvision_resnet18(weights=None).state_dict()
    found = loaded(classifier("resnet18"), "resnet18", saved(tmp_path / "resnet18-f37072fd.pth", given))
    assert agree("resnet18", found, given, head=False)


@pytest.mark.parametrize("name", ["fcos-lite0", "fasterrcnn-lite0"])
def test_timms_lite0_fills_a_detectors_backbone(tmp_path: Path, name: str) -> None:
    given = timm.create_model("tf_efficientnet_lite0", pretrained=False).state_dict()
    found = loaded(detector(name), name, saved(tmp_path / "lite0.safetensors", given))
    body = {each.removeprefix(BODY): tensor for each, tensor in found.items() if each.startswith(BODY)}
    assert all(torch.equal(tensor, given[each]) for each, tensor in body.items())
    assert agree(name, found, detector(name).state_dict(), head=True)


def test_torchvisions_mobilenet_fills_a_detectors_backbone(tmp_path: Path) -> None:
    given = mobilenet_v3_large(weights=None).state_dict()
    found = loaded(detector(MOBILE), MOBILE, saved(tmp_path / "mobilenet.pth", given))
    body = {each.removeprefix(BODY): tensor for each, tensor in found.items() if each.startswith(BODY)}
    assert all(torch.equal(tensor, given[f"features.{each}"]) for each, tensor in body.items())


def test_torchvisions_detector_is_taken_but_for_its_classes(tmp_path: Path) -> None:
    """Its batch norm is frozen, and so counts no batches."""
    given = fasterrcnn_mobilenet_v3_large_320_fpn(weights=None, weights_backbone=None).state_dict()
    given = {name: each for name, each in given.items() if not name.endswith("num_batches_tracked")}
    found = loaded(detector(MOBILE), MOBILE, saved(tmp_path / "coco.pth", given))
    kept = [f"detector.roi_heads.box_predictor.{layer}" for layer in ("cls_score", "bbox_pred")]
    start = detector(MOBILE).state_dict()
    for name, tensor in found.items():
        other = start if name.startswith(tuple(kept)) or name.endswith("tracked") else given
        assert torch.equal(tensor, other[name if other is start else name.removeprefix("detector.")]), name


def test_a_detector_of_other_classes_gives_all_but_its_last_layer(tmp_path: Path) -> None:
    given = detector("fcos-lite0", seed=2, num_classes=7).state_dict()
    found = loaded(detector("fcos-lite0"), "fcos-lite0", saved(tmp_path / "given.safetensors", given))
    start = detector("fcos-lite0").state_dict()
    kept = {name for name in found if found[name].shape != given[name].shape}
    assert kept == {f"detector.head.classification_head.cls_logits.{leaf}" for leaf in ("weight", "bias")}
    assert all(torch.equal(found[name], start[name]) for name in kept)
    assert all(torch.equal(found[name], given[name]) for name in found.keys() - kept)


@pytest.mark.parametrize("name", ["lite0", "resnet18"])
def test_filters_for_colours_are_summed_for_grey(tmp_path: Path, name: str) -> None:
    given = classifier(name, seed=2).state_dict()
    stem = {"lite0": "conv_stem.weight", "resnet18": "conv1.weight"}[name]
    found = loaded(classifier(name, channels=1), name, saved(tmp_path / "given.pt", given))
    torch.testing.assert_close(found[stem], given[stem].sum(dim=1, keepdim=True))


def test_a_file_that_lacks_a_part_of_the_backbone_is_refused_by_name(tmp_path: Path) -> None:
    given = dict(classifier("resnet18", seed=2).state_dict())
    del given["layer1.0.conv1.weight"]
    given["layer4.1.bn2.bias"] = torch.zeros(3)
    path = saved(tmp_path / "given.pt", given)
    with pytest.raises(ModelError) as caught:
        loaded(classifier("resnet18"), "resnet18", path)
    assert caught.value.what == (
        "lacks 2 of the 120 tensors of the backbone of resnet18: layer1.0.conv1.weight, "
        "layer4.1.bn2.bias (of shape [3], not [512])"
    )
    assert "or set weights: none" in caught.value.fix


def test_another_network_is_refused_with_the_first_names(tmp_path: Path) -> None:
    path = saved(tmp_path / "given.pt", classifier("lenet").state_dict())
    with pytest.raises(ModelError, match=r"lacks .* of the backbone of lite0: conv_stem\.weight, .*, …"):
        loaded(classifier("lite0"), "lite0", path)


def test_another_file_is_refused_with_the_sha256_that_it_has(tmp_path: Path) -> None:
    path = saved(tmp_path / "given.pt", classifier("lenet").state_dict())
    with pytest.raises(
        ModelError, match=f"has the SHA-256 {sha256_of_file(path)}, where params say 00"
    ) as caught:
        load_first_weights(classifier("lenet"), "lenet", path, sha256="0" * 64)
    assert "weights_file.sha256" in caught.value.fix
    assert caught.value.exit_code == 4


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_a_damaged_file_is_refused(tmp_path: Path, suffix: str) -> None:
    path = saved(tmp_path / f"given{suffix}", classifier("lenet").state_dict())
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(ModelError, match="cannot be read"):
        loaded(classifier("lenet"), "lenet", path)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"none\.pt: cannot be read"):
        load_first_weights(classifier("lenet"), "lenet", tmp_path / "none.pt", sha256="0" * 64)


def test_a_pickled_network_is_not_run(tmp_path: Path) -> None:
    path = tmp_path / "network.pt"
    torch.save(classifier("lenet"), path)
    with pytest.raises(ModelError, match="cannot be read"):
        loaded(classifier("lenet"), "lenet", path)


@pytest.mark.parametrize("content", [[1, 2], {"epoch": 3, "state_dict": {}}])
def test_what_is_no_state_dict_is_refused(tmp_path: Path, content: object) -> None:
    path = tmp_path / "other.pth"
    torch.save(content, path)
    with pytest.raises(ModelError, match="holds no state dict") as caught:
        loaded(classifier("lenet"), "lenet", path)
    assert caught.value.fix == "save network.state_dict() and nothing else"


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"is of no known kind: \.safetensors, \.pt, \.pth"):
        load_first_weights(classifier("lenet"), "lenet", tmp_path / "weights.onnx", sha256="0" * 64)
