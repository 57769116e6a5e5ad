"""Networks that timm builds: some under names of their own in the table, any other as timm/<name>."""

from functools import lru_cache
from typing import Any, Final, cast

import timm
import torch
from timm.models import PretrainedCfg, get_pretrained_cfg, is_model, list_models
from torch import nn

from cnnpipe.errors import ParamsError
from cnnpipe.models.initialisation import start_xavier
from cnnpipe.models.shape import NetworkShape
from cnnpipe.params.load import did_you_mean
from cnnpipe.params.networks import TIMM_PREFIX

_BATCH: Final = 2  # pictures that a network is tried with


def timm_network(timm_name: str, shape: NetworkShape) -> nn.Module:
    """Return a network of timm with random weights and its own dropout replaced.

    One whose weights depend on the side of the input is made for the side of `shape`.

    Args:
        timm_name: as `timm.list_models()` names it.
        shape: sizes at its two ends.
    """
    sized: dict[str, Any] = {"img_size": shape.side_px} if _config(timm_name).fixed_input_size else {}
    network = timm.create_model(
        timm_name,
        pretrained=False,
        num_classes=shape.num_classes,
        in_chans=shape.channels,
        drop_rate=shape.dropout,
        **sized,
    )
    for prefix in timm_head(timm_name):
        head = network.get_submodule(prefix.removesuffix("."))
        if isinstance(head, nn.Linear):
            start_xavier(head)
    return network


def any_timm_network(name: str, shape: NetworkShape) -> nn.Module:
    """Return the network timm/<name>, once it is known that it takes such pictures.

    Raises:
        ParamsError: timm has no such network, or it cannot be made for this input.
    """
    timm_name = name.removeprefix(TIMM_PREFIX)
    _check_is_of_timm(timm_name)
    try:
        with torch.device("meta"):  # shapes alone: nothing is computed
            pictures = torch.empty(_BATCH, shape.channels, shape.side_px, shape.side_px)
            logits = timm_network(timm_name, shape)(pictures)
    except Exception as error:  # timm's networks say in many ways that they cannot
        what = f"cannot take {shape.channels} x {shape.side_px} x {shape.side_px}: {_first_line(error)}"
        fix = "change input.side_px (timm's own is a safe choice), or choose another network"
        raise ParamsError(f"network {name}", what, fix) from error
    if getattr(logits, "shape", None) != (_BATCH, shape.num_classes):
        raise ParamsError(f"network {name}", "gives no logits of classes", "choose a classifier of timm")
    return timm_network(timm_name, shape)


@lru_cache
def timm_head(timm_name: str) -> tuple[str, ...]:
    """Return how the names of the head's tensors begin.

    Raises:
        ParamsError: timm has no such network.
    """
    _check_is_of_timm(timm_name)
    named = cast(str | tuple[str, ...] | None, _config(timm_name).classifier)
    names = (named,) if isinstance(named, str) else named or ()
    return tuple(f"{name}." for name in names)


def _check_is_of_timm(timm_name: str) -> None:
    if not is_model(timm_name):
        known = (TIMM_PREFIX + each for each in list_models())
        fix = f"{did_you_mean(TIMM_PREFIX + timm_name, known)}timm.list_models() lists its networks"
        raise ParamsError("network", f"timm has no network {timm_name!r}", fix)


def _config(timm_name: str) -> PretrainedCfg:
    return get_pretrained_cfg(timm_name) or PretrainedCfg()


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
