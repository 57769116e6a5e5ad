"""From a network on torch's meta device, which has shapes and no numbers, to one with first weights.

Large layers are drawn once so, not by torch, by torchvision, and by us.
"""

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from cnnpipe.models.initialisation import start_he_then_xavier


def materialised(network: nn.Module) -> nn.Module:
    """Give `network` memory and first weights: by He, in the last layer by Xavier; return it."""
    network.to_empty(device=torch.get_default_device())
    for module in network.modules():
        if isinstance(module, _BatchNorm):
            module.reset_parameters()
    start_he_then_xavier(network)
    return network
