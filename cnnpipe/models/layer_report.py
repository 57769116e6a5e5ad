"""The layers of a network for one size of input: by formula, and as they run."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import msgspec
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils.hooks import RemovableHandle
from torch.utils.weak import WeakTensorKeyDictionary

from cnnpipe.models.calls import Call, plain_name
from cnnpipe.models.layer_sums import connections_of, flops_of, kind_of, output_by_formula
from cnnpipe.models.receptive_field import Sights


class ReportedLayer(msgspec.Struct, frozen=True, kw_only=True):
    """One layer in evaluation. Sizes are of one picture: features x height x width; flat features alone."""

    name: str  # of its module in the network
    kind: str
    input: list[int]
    output_by_formula: list[int]
    output: list[int]  # as run
    parameters: int  # that training may change, counted where they are first used
    fully_connected: int | None  # weights of a full connection between the same m inputs and n outputs: m·n
    unshared: int | None  # weights where each of n outputs has its own k inputs: k·n
    receptive_field_px: tuple[int, int] | None  # height, width; None: not known
    sees_all: bool  # the whole picture, whatever its size
    flops: int  # two for each multiply-add

    @property
    def agrees(self) -> bool:
        """The formula has the size that was run."""
        return self.output == self.output_by_formula


class LayerReport(msgspec.Struct, frozen=True, kw_only=True):
    """All layers of a network, in the order they run."""

    layers: list[ReportedLayer]
    parameters: int  # of the whole network
    parameters_of_training: int  # among them: not used in evaluation, as those of auxiliary classifiers
    flops: int

    @property
    def differing(self) -> list[ReportedLayer]:
        """The layers whose formula has another size than was run; there are none, or cnnpipe is wrong."""
        return [layer for layer in self.layers if not layer.agrees]


def report_layers(make: Callable[[], nn.Module], *, channels: int, side_px: int) -> LayerReport:
    """Return what each layer of a network does with one picture; nothing is computed, only sizes.

    Args:
        make: builds the network.
        channels: of the picture, C.
        side_px: its height and width.

    Raises:
        ParamsError: a layer does not fit on its input.
    """
    network = _on_meta(make).eval()
    picture = torch.empty(1, channels, side_px, side_px, device="meta")
    with torch.no_grad(), _named_calls(network) as names, _Reporter(picture, names) as reporter:
        network(picture)
    total = sum(p.numel() for p in network.parameters() if p.requires_grad)
    return LayerReport(
        layers=reporter.layers,
        parameters=total,
        parameters_of_training=total - sum(layer.parameters for layer in reporter.layers),
        flops=sum(layer.flops for layer in reporter.layers),
    )


def _on_meta(make: Callable[[], nn.Module]) -> nn.Module:
    """Return the network without memory for its weights, where its builder can do so."""
    try:
        with torch.device("meta"):
            return make().to("meta")
    except (NotImplementedError, RuntimeError):  # it computes with numbers that it draws
        return make().to("meta")


@contextmanager
def _named_calls(network: nn.Module) -> Iterator[list[str]]:
    """Return a list that holds the names of the modules that run at any moment, the innermost last."""
    running = [""]
    handles: list[RemovableHandle] = []

    def watch(module: nn.Module, name: str) -> None:
        handles.append(module.register_forward_pre_hook(lambda *_: running.append(name)))
        handles.append(module.register_forward_hook(lambda *_: running.pop() and None))

    for name, module in network.named_modules():
        watch(module, name)
    try:
        yield running
    finally:
        for handle in handles:
            handle.remove()


class _Reporter(TorchFunctionMode):
    """Sees each call of torch while it is entered, and notes those that are layers."""

    def __init__(self, picture: Tensor, running: list[str]) -> None:
        super().__init__()
        self.layers: list[ReportedLayer] = []
        self._running = running
        self._sights = Sights(picture)
        self._made_of = (
            WeakTensorKeyDictionary()
        )  # tensors of weights alone -> the parameters they are made of
        self._counted: set[int] = set()

    def __torch_function__(
        self,
        func: Any,
        types: Any,  # not needed, but the signature is torch's
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        given = dict(kwargs or {})
        output = func(*args, **given)
        call = Call(plain_name(func), func, args, given, output)
        if call.outputs:
            self._note(call)
        return output

    def _note(self, call: Call) -> None:
        branches = [tensor for tensor in call.tensors if self._sights.comes_of_picture(tensor)]
        parameters = {id(one): one for tensor in call.tensors for one in self._parameters_of(tensor)}
        if not branches:
            for output in call.outputs:
                self._made_of[output] = list(parameters.values())
            return
        joins = len(branches) > 1 or bool(parameters)
        kind = kind_of(call, joins=joins) or (call.name.strip("_") if parameters else None)
        self._sights.follow(call)
        if kind is not None:
            fresh = [one for key, one in parameters.items() if key not in self._counted and one.requires_grad]
            self._counted |= set(parameters)
            self.layers.append(self._layer(call, kind, branches[0], sum(one.numel() for one in fresh)))

    def _parameters_of(self, tensor: Tensor) -> list[nn.Parameter]:
        if isinstance(tensor, nn.Parameter):
            return [tensor]
        return list(self._made_of[tensor]) if tensor in self._made_of else []

    def _layer(self, call: Call, kind: str, source: Tensor, parameters: int) -> ReportedLayer:
        connections = connections_of(call)
        sight = self._sights.of(call.outputs[0])
        return ReportedLayer(
            name=self._running[-1],
            kind=kind,
            input=list(source.shape[1:]),
            output_by_formula=output_by_formula(call),
            output=list(call.outputs[0].shape[1:]),
            parameters=parameters,
            fully_connected=connections.full if connections else None,
            unshared=connections.local if connections else None,
            receptive_field_px=(sight[0].size_px, sight[1].size_px) if sight else None,
            sees_all=sight is not None and all(reach.cells is None for reach in sight),
            flops=flops_of(call),
        )
