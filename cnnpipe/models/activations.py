"""What stands between layers: one literal table, in which one's own has its place."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

import torch
from torch import Tensor, nn

from cnnpipe.params.layers import Activation


class ScaledSigmoid(nn.Module):
    """a·sigmoid(x) with a learned factor a, which starts at 1.

    An example of one's own: a module here, a line in `ACTIVATIONS`, and its name in
    `params.layers.Activation`.
    The gradient of a is sigmoid(x), summed over all x.
    """

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Parameter(torch.ones(()))

    def forward(self, x: Tensor) -> Tensor:
        """Return values in (0, a), of the shape of `x`."""
        return self.a * x.sigmoid()


# Sources: relu, Nair and Hinton 2010; leaky_relu (slope 0.01), Maas et al. 2013; elu (alpha 1), Clevert et
# al. 2016; silu, Elfwing et al. 2018; formulas as in torch.nn.
ACTIVATIONS: Final[Mapping[Activation, Callable[[], nn.Module]]] = MappingProxyType(
    {
        "relu": nn.ReLU,
        "leaky_relu": nn.LeakyReLU,
        "elu": nn.ELU,
        "silu": nn.SiLU,
        "sigmoid": nn.Sigmoid,
        "tanh": nn.Tanh,
        "scaled_sigmoid": ScaledSigmoid,
    }
)


def set_activation(network: nn.Module, activation: Activation) -> None:
    """Put an activation in the place of every ReLU among the modules; one used twice stays one."""
    made: dict[nn.Module, nn.Module] = {}
    places = [
        (module, name, child)
        for module in network.modules()
        for name, child in module.named_children()
        if isinstance(child, nn.ReLU)
    ]
    for module, name, child in places:
        if child not in made:
            made[child] = ACTIVATIONS[activation]()
        setattr(module, name, made[child])
