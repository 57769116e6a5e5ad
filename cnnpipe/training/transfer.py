"""How a backbone that was trained elsewhere is treated: slower, frozen at first, its batch norm held."""

from collections.abc import Iterable
from dataclasses import dataclass

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from cnnpipe.models.heads import check_has_head, is_of_head
from cnnpipe.params.experiment import TransferParams


@dataclass(frozen=True)
class Transfer:
    """The backbone of a network in training."""

    parameters: tuple[nn.Parameter, ...]  # that learn once it is thawed
    norms: tuple[_BatchNorm, ...]
    rate_share: float  # learning rate, as a share of the head's
    thaw_step: int  # 0-based, over the whole training: the first in which the backbone learns
    has_held_norms: bool  # their statistics, scales and shifts stay as they came


def transfer_of(
    network: nn.Module, name: str, params: TransferParams | None, *, steps_per_epoch: int
) -> Transfer | None:
    """Return how the backbone of `network` is treated, or None where it learns as the rest does.

    Scales and shifts of batch norm that is held are given no gradient, for good.

    Args:
        network: changes where batch norm is held.
        name: of the network, key of `heads.HEADS`.
        params: null in params.yaml: None.
        steps_per_epoch: of the training.

    Raises:
        ParamsError: the network has no backbone.
    """
    if params is None:
        return None
    check_has_head(name)
    norms = tuple(
        module
        for path, module in network.named_modules()
        if isinstance(module, _BatchNorm) and not is_of_head(name, f"{path}.")
    )
    if params.batch_norm == "frozen":
        for norm in norms:
            norm.requires_grad_(False)
    return Transfer(
        parameters=tuple(
            parameter
            for path, parameter in network.named_parameters()
            if parameter.requires_grad and not is_of_head(name, path)
        ),
        norms=norms,
        rate_share=params.backbone_rate,
        thaw_step=params.frozen_epochs * steps_per_epoch,
        has_held_norms=params.batch_norm == "frozen",
    )


def is_frozen(transfer: Transfer, step: int) -> bool:
    """Say whether the backbone stays as it is at a step, 0-based over the whole training."""
    return step < transfer.thaw_step


def to_training_mode(network: nn.Module, transfer: Transfer | None, *, step: int) -> None:
    """Set `network` for the steps from `step` on: what learns, and which batch norm follows the batches."""
    network.train()
    if transfer is None:
        return
    frozen = is_frozen(transfer, step)
    for parameter in transfer.parameters:
        parameter.requires_grad_(not frozen)
    if frozen or transfer.has_held_norms:
        hold(transfer.norms)


def hold(modules: Iterable[nn.Module]) -> None:
    """Let batch norm among `modules` use the statistics it has, and not change them."""
    for module in modules:
        if isinstance(module, _BatchNorm):
            module.eval()
