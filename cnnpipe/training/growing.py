"""Staged training: a shallow network is trained first, and its layers become those of a deeper one.

Source: Simonyan and Zisserman 2015, Very Deep Convolutional Networks, section 3.1.
"""

import logging
from collections.abc import Callable
from dataclasses import replace

from torch import nn

from cnnpipe.models.growth import copy_layers
from cnnpipe.params.experiment import ExperimentParams, GrowthParams
from cnnpipe.training.fit import FitData, Fitted, Surroundings, fit
from cnnpipe.training.objective import AnyBatch
from cnnpipe.training.records import Epoch
from cnnpipe.training.transfer import Transfer

log = logging.getLogger(__name__)

FirstNetwork = Callable[[ExperimentParams], nn.Module]  # of params, with its first weights


def fit_grown(
    network: nn.Module,
    data: FitData[AnyBatch],
    params: ExperimentParams,
    surroundings: Surroundings,
    *,
    first_network: FirstNetwork,
) -> Fitted:
    """Train the networks of `growth` one after the other, and then that of params; return its end.

    All have the same recipe but for their epochs. Each has a folder of checkpoints of its own, so that one
    whose training ended is not trained again.

    Args:
        network: that of params, with its first weights; it changes.
        data: the same for all.
        params: of the last network; without `growth` it is the only one.
        surroundings: as `fit` has them.
        first_network: makes those before it.

    Returns:
        The end of the last training. The history is that of all, in a row: epochs and steps are counted on,
        and `growth` is the number of the network, from 1.

    Raises:
        ParamsError: one network cannot become the next.
        ModelError: as `fit` has it.
    """
    growth: list[GrowthParams] = getattr(params, "growth", None) or []
    if not growth:
        return fit(network, data, params, surroundings)
    recipes = [_params_of(params, stage) for stage in growth]
    networks = [*(first_network(recipe) for recipe in recipes), network]
    before: tuple[Epoch, ...] = ()
    incidents: tuple[str, ...] = ()
    held: Transfer | None = None
    for number, (recipe, stage) in enumerate(zip(recipes, growth, strict=True), start=1):
        log.info("%s, network %d of %d", recipe.network, number, len(networks))
        shallow, deep = networks[number - 1], networks[number]
        fitted = fit(shallow, data, recipe, _of_stage(surroundings, recipe, before, number), held=held)
        before = (*before, *_counted_on(fitted.history, before, number))
        incidents = (*incidents, *fitted.incidents)
        shallow.load_state_dict(fitted.last_state)
        thaw_step = stage.then_frozen_epochs * data.steps_per_epoch
        held = Transfer.of_tensors(deep, copy_layers(shallow, deep), thaw_step=thaw_step)
    number = len(networks)
    log.info("%s, network %d of %d", params.network, number, number)
    last = fit(network, data, params, _of_stage(surroundings, params, before, number), held=held)
    history = (*before, *_counted_on(last.history, before, number))
    return replace(
        last,
        history=history,
        best_epoch=len(before) + last.best_epoch,
        incidents=(*incidents, *last.incidents),
    )


def _params_of(params: ExperimentParams, stage: GrowthParams) -> ExperimentParams:
    """Return the recipe with the network and the epochs of a stage."""
    return params.model_copy(update={"network": stage.network, "epochs": stage.epochs, "growth": None})


def _of_stage(
    surroundings: Surroundings, recipe: ExperimentParams, before: tuple[Epoch, ...], number: int
) -> Surroundings:
    def on_epoch(row: Epoch, seconds: float | None) -> None:
        (counted,) = _counted_on((row,), before, number)
        surroundings.on_epoch(counted, seconds)

    training = surroundings.checkpoint_dir
    folder = training / f"{recipe.network}-{training.name}"
    return replace(surroundings, checkpoint_dir=folder, on_epoch=on_epoch)


def _counted_on(rows: tuple[Epoch, ...], before: tuple[Epoch, ...], number: int) -> tuple[Epoch, ...]:
    """Return the rows of a network with their epochs and steps counted on from those before."""
    epochs, steps = (before[-1]["epoch"], before[-1]["step"]) if before else (0, 0)
    return tuple(
        {**row, "epoch": row["epoch"] + epochs, "step": row["step"] + steps, "growth": number} for row in rows
    )
