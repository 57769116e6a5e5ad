"""How parts of a network that were trained before are treated: slower, frozen at first, batch norm held."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from cnnpipe.errors import ParamsError
from cnnpipe.models.heads import check_has_head, is_of_head
from cnnpipe.params.experiment import PartParams, TransferParams
from cnnpipe.params.load import did_you_mean

_BACKBONE: Final = "backbone"
_NEVER: Final = None


@dataclass(frozen=True)
class Part:
    """Tensors of a network that learn at one rate, from one step on."""

    name: str  # in the log
    parameters: tuple[nn.Parameter, ...]  # that learn once it is thawed
    norms: tuple[_BatchNorm, ...]
    rate_share: float  # learning rate, as a share of the rest's
    thaw_step: int | None  # 0-based, over the whole training: the first in which it learns; None: never

    def is_frozen(self, step: int) -> bool:
        """Say whether it stays as it is at a step, 0-based over the whole training."""
        return self.thaw_step is _NEVER or step < self.thaw_step


@dataclass(frozen=True)
class Transfer:
    """The parts of a network in training that are not treated as the rest."""

    parts: tuple[Part, ...]
    has_held_norms: bool = False  # their statistics, scales and shifts stay as they came
    rest: str = "head"  # the name, in the log, of what is in no part

    @property
    def learning_parts(self) -> tuple[Part, ...]:
        """The parts that learn at some step."""
        return tuple(part for part in self.parts if part.thaw_step is not _NEVER)

    @classmethod
    def of_tensors(cls, network: nn.Module, names: Collection[str], *, thaw_step: int) -> "Transfer":
        """Return the treatment of tensors that stay as they came until a step, and then learn as the rest.

        Their batch norm is held for as long.

        Args:
            network: stays as it is.
            names: of tensors in its state dict, e.g. what a shallower network gave.
            thaw_step: the first in which they learn, 0-based over the whole training.
        """
        part = _part(network, "copied", set(names), rate_share=1.0, thaw_step=thaw_step)
        return cls(parts=(part,), rest="network")


def transfer_of(
    network: nn.Module, name: str, params: TransferParams | None, *, steps_per_epoch: int
) -> Transfer | None:
    """Return how the backbone of `network` is treated, or None where it learns as the rest does.

    What never learns, and scales and shifts of batch norm that is held, are given no gradient, for good.

    Args:
        network: changes where something of it never learns.
        name: of the network, key of `heads.HEADS`.
        params: null in params.yaml: None.
        steps_per_epoch: of the training.

    Raises:
        ParamsError: the network has no backbone, or no tensor there begins as a part says.
    """
    if params is None:
        return None
    check_has_head(name)
    if params.batch_norm == "frozen":
        for path, norm in _norms(network):
            if not is_of_head(name, f"{path}."):
                norm.requires_grad_(False)
    of_part = _tensors_of_parts(network, name, params.parts or [])
    parts = [
        _part(
            *(network, each.tensors[0].rstrip("."), names),
            rate_share=each.rate,
            thaw_step=_NEVER if each.rate == 0.0 else each.frozen_epochs * steps_per_epoch,
        )
        for each, names in zip(params.parts or [], of_part, strict=True)
    ]
    rest = _backbone(network, name).difference(*of_part)
    if rest:
        thaw_step = params.frozen_epochs * steps_per_epoch
        parts.append(_part(network, _BACKBONE, rest, rate_share=params.backbone_rate, thaw_step=thaw_step))
    for part in parts:
        if part.thaw_step is _NEVER:
            _freeze(part, frozen=True)
    return Transfer(parts=tuple(parts), has_held_norms=params.batch_norm == "frozen")


def to_training_mode(network: nn.Module, transfer: Transfer | None, *, step: int) -> None:
    """Set `network` for the steps from `step` on: what learns, and which batch norm follows the batches."""
    network.train()
    if transfer is None:
        return
    for part in transfer.parts:
        frozen = part.is_frozen(step)
        _freeze(part, frozen=frozen)
        if frozen or transfer.has_held_norms:
            hold(part.norms)


def learning_rates(transfer: Transfer | None, rate: float, step: int) -> dict[str, float]:
    """Return the rate of every part at a step by its name in the log; 0 of what is frozen.

    Args:
        transfer: the parts apart; without any there is `lr/network` alone.
        rate: of the rest.
        step: 0-based, over the whole training.
    """
    if transfer is None:
        return {"lr/network": rate}
    of_parts = {
        f"lr/{part.name}": 0.0 if part.is_frozen(step) else rate * part.rate_share for part in transfer.parts
    }
    return {f"lr/{transfer.rest}": rate} | of_parts


def hold(modules: Iterable[nn.Module]) -> None:
    """Let batch norm among `modules` use the statistics it has, and not change them."""
    for module in modules:
        if isinstance(module, _BatchNorm):
            module.eval()


def _freeze(part: Part, *, frozen: bool) -> None:
    for parameter in part.parameters:
        parameter.requires_grad_(not frozen)


def _part(
    network: nn.Module, name: str, tensors: Collection[str], *, rate_share: float, thaw_step: int | None
) -> Part:
    """Return the part of those tensors that have a gradient now, and of the batch norm among them."""
    named = network.named_parameters()
    return Part(
        name=name,
        parameters=tuple(each for path, each in named if path in tensors and each.requires_grad),
        norms=tuple(norm for path, norm in _norms(network) if f"{path}.running_mean" in tensors),
        rate_share=rate_share,
        thaw_step=thaw_step,
    )


def _norms(network: nn.Module) -> list[tuple[str, _BatchNorm]]:
    return [(path, module) for path, module in network.named_modules() if isinstance(module, _BatchNorm)]


def _backbone(network: nn.Module, name: str) -> set[str]:
    return {tensor for tensor in network.state_dict() if not is_of_head(name, tensor)}


def _tensors_of_parts(network: nn.Module, name: str, parts: Iterable[PartParams]) -> list[set[str]]:
    """Return the names of each part's tensors; the first part that fits a tensor has it."""
    left = _backbone(network, name)
    found = []
    for index, part in enumerate(parts):
        for prefix in part.tensors:
            if not any(tensor.startswith(prefix) for tensor in left):
                raise _no_such_tensors(network, name, prefix, where=f"transfer.parts[{index}].tensors")
        names = {tensor for tensor in left if tensor.startswith(tuple(part.tensors))}
        left -= names
        found.append(names)
    return found


def _no_such_tensors(network: nn.Module, name: str, prefix: str, *, where: str) -> ParamsError:
    fitting = [tensor for tensor in network.state_dict() if tensor.startswith(prefix)]
    if fitting and all(is_of_head(name, tensor) for tensor in fitting):
        what = f"{prefix!r} is of the head of {name}, which learns at the full rate"
        return ParamsError(where, what, "name a part of the backbone")
    if fitting:
        return ParamsError(where, f"an earlier part has all of {prefix!r}", "leave one of them out")
    paths = [tensor.split(".") for tensor in network.state_dict() if not is_of_head(name, tensor)]
    modules = dict.fromkeys(".".join(path[:depth]) for path in paths for depth in range(1, len(path)))
    fix = (
        f"{did_you_mean(prefix.rstrip('.'), modules)}the parts of {name} are: {', '.join(_outermost(paths))}"
    )
    return ParamsError(where, f"no tensor of {name} begins with {prefix!r}", fix)


def _outermost(paths: Sequence[Sequence[str]]) -> list[str]:
    """Return the names of the modules at the first depth that has several."""
    depth = 1
    while len(found := dict.fromkeys(".".join(path[:depth]) for path in paths)) == 1 and depth < len(
        paths[0]
    ):
        depth += 1
    return list(found)
