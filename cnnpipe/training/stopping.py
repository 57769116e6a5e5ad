"""Which epoch was best, how long training is, and whether to go on: pure functions of the history."""

import math
from collections.abc import Mapping, Sequence

from cnnpipe.params.experiment import EarlyStoppingParams, ExperimentParams, StopParams
from cnnpipe.params.watching import is_better_when_smaller
from cnnpipe.training.records import Epoch, StopReason

_NO_FURTHER_ENDS = StopParams()


def best_epoch(history: Sequence[Epoch], watch: str) -> int:
    """Return the number of the best epoch on val, from 1; of equals the earliest.

    Args:
        history: at least one epoch.
        watch: the metric; of a loss or an error the smallest is best, of all others the largest.
    """
    gains = [gain_of(row, watch) for row in history]
    return gains.index(max(gains)) + 1


def num_steps(params: ExperimentParams, steps_per_epoch: int) -> int:
    """Return how many steps the whole training has: `epochs`, or `stop.steps` where those are fewer.

    Schedules end there. What else may end a training early is not known beforehand and cuts them off.
    """
    steps = params.epochs * steps_per_epoch
    limit = None if params.stop is None else params.stop.steps
    return steps if limit is None else min(steps, limit)


def stop_reason(
    history: Sequence[Epoch], params: ExperimentParams, *, seconds: float = 0.0
) -> StopReason | None:
    """Return why training is over after these epochs, or None while it goes on.

    Where several rules hold at once the reason is the first of: loss_below (the aim is reached), steps,
    minutes, epochs, early_stopping. Steps and minutes may end an epoch half way: the last row of the history
    may be that of a part of an epoch, and its `step` says of how much.

    Args:
        history: rows of the epochs so far; without any, training goes on.
        params: `epochs`, `early_stopping` and `stop`; a rule that is left out never holds.
        seconds: of the clock, over all starts of this training.
    """
    if not history:
        return None
    further = params.stop or _NO_FURTHER_ENDS
    last = history[-1]
    rules: Mapping[StopReason, bool] = {
        "loss_below": further.loss_below is not None and last["train/loss"] < further.loss_below,
        "steps": further.steps is not None and last["step"] >= further.steps,
        "minutes": is_time_over(params, seconds=seconds),
        "epochs": len(history) >= params.epochs,
        "early_stopping": _is_stale(history, params.watch, params.early_stopping),
    }
    return next((reason for reason, holds in rules.items() if holds), None)


def is_time_over(params: ExperimentParams, *, seconds: float) -> bool:
    """Say whether `stop.minutes` are over after `seconds` of the clock."""
    minutes = None if params.stop is None else params.stop.minutes
    return minutes is not None and seconds >= 60.0 * minutes


def gain_of(row: Epoch, watch: str) -> float:
    """Return the watched metric of val such that larger is better; what is not a number is worse than all."""
    value = row[f"val/{watch}"]
    if math.isnan(value):
        return float("-inf")
    return -value if is_better_when_smaller(watch) else value


def _is_stale(history: Sequence[Epoch], watch: str, params: EarlyStoppingParams | None) -> bool:
    """Say whether the last `patience_epochs` epochs all failed to gain more than `min_delta`.

    A gain counts against the last epoch that had one, so many small steps up add up.
    """
    if params is None:
        return False
    reference, since = float("-inf"), 0
    for row in history:
        gain = gain_of(row, watch)
        if gain > reference + params.min_delta:
            reference, since = gain, 0
        else:
            since += 1
    return since >= params.patience_epochs
