"""The objective of regression: a loss between outputs and standardised numbers.

A network learns (y - mean) / std, so that one recipe fits grams and tons; what is told is in the unit of y.

Legend: B batch, C channels, H W pixels, N samples.
"""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Final

import torch
from torch import Tensor, nn

from cnnpipe.datasets.regression import RegressBatch
from cnnpipe.errors import DataError
from cnnpipe.evaluation.regression import errors_of
from cnnpipe.inference.forward import Normalise, forward, to_network
from cnnpipe.models.bundle import Target
from cnnpipe.models.outputs import logits_and_auxiliaries
from cnnpipe.params.losses import RegressLossParams
from cnnpipe.training.losses import PictureLoss, finite_on_val, regression_loss
from cnnpipe.training.objective import Objective

_LARGEST: Final = 1e150  # the square of a larger number may be none


def target_of(attribute: str, values: Sequence[float], *, where: str) -> Target:
    """Return the target whose outputs have mean 0 and standard deviation 1 over the numbers of train.

    Args:
        attribute: of VIA.
        values: of the originals of train, at least one.
        where: folder of the view, for the error.

    Raises:
        DataError: they are all equal, or so large that they have no standard deviation.
    """
    mean = math.fsum(value / len(values) for value in values)
    std = statistics.pstdev(values) if max(map(abs, values)) < _LARGEST else math.inf
    if len(set(values)) == 1 or std == 0.0 or not math.isfinite(std):
        what = f"{attribute!r} is {min(values):g} to {max(values):g} in train"
        raise DataError(where, what, "annotate pictures with other numbers; of these nothing can be learnt")
    return Target(attribute=attribute, mean=mean, std=std)


def regression_objective(
    normalise: Normalise, loss: RegressLossParams, target: Target, *, auxiliary_weight: float = 0.0
) -> Objective[RegressBatch]:
    """Return the objective of a regressor.

    Its parts are means over the pictures: the loss under its name in params, and "auxiliary" where the
    network has outputs on its way.

    Args:
        normalise: from uint8 to what the network sees.
        loss: what training makes small.
        target: by which numbers are standardised.
        auxiliary_weight: of the loss of each output on the way.
    """
    of_values = regression_loss(loss)
    return Objective(
        losses=partial(
            _losses,
            normalise=normalise,
            name=loss.name,
            of_values=of_values,
            target=target,
            auxiliary_weight=auxiliary_weight,
        ),
        judge=partial(judge, normalise=normalise, of_values=of_values, target=target),
    )


def judge(  # noqa: PLR0913 (the objective's three, and what it is made of)
    network: nn.Module,
    batches: Iterable[RegressBatch],
    device: torch.device,
    *,
    normalise: Normalise,
    of_values: PictureLoss,
    target: Target,
) -> dict[str, float]:
    """Return loss, mae, mse, rmse, and r2 where it is defined, of the network on val.

    The loss is that of training, of standardised numbers; all else is in the unit of the attribute.

    Raises:
        ModelError: the loss is NaN or infinite.
    """
    outputs_N1, values_N = forward(network, batches, normalise, device=device)
    outputs_N = outputs_N1.reshape(-1)
    loss = float(of_values(outputs_N, (values_N - target.mean) / target.std).mean())
    finite_on_val(loss)
    predicted_N = target.mean + target.std * outputs_N
    return {"loss": loss} | errors_of(values_N.numpy(), predicted_N.numpy())


def _losses(  # noqa: PLR0913 (the objective's three, and what it is made of)
    network: nn.Module,
    batch: RegressBatch,
    device: torch.device,
    *,
    normalise: Normalise,
    name: str,
    of_values: PictureLoss,
    target: Target,
    auxiliary_weight: float,
) -> Mapping[str, Tensor]:
    pictures_BCHW, values_B = batch
    outputs_B1, auxiliaries = logits_and_auxiliaries(
        network(to_network(pictures_BCHW, normalise, device=device))
    )
    # in float64 first: a large mean would cost digits of what is left
    wanted_B = ((values_B - target.mean) / target.std).float().to(device, non_blocking=True)
    parts = {name: of_values(outputs_B1.reshape(-1), wanted_B).mean()}
    if auxiliaries and auxiliary_weight > 0.0:
        of_each = torch.stack([of_values(each_B1.reshape(-1), wanted_B).mean() for each_B1 in auxiliaries])
        parts["auxiliary"] = auxiliary_weight * of_each.sum()
    return parts
