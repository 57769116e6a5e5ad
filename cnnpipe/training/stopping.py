"""Which epoch was best, and whether to go on: pure functions of the history."""

from collections.abc import Sequence

from cnnpipe.params.experiment import EarlyStoppingParams, ExperimentParams
from cnnpipe.training.records import Epoch, StopReason


def best_epoch(history: Sequence[Epoch], watch: str) -> int:
    """Return the number of the best epoch on val, from 1; of equals the earliest.

    Args:
        history: at least one epoch.
        watch: the metric; of a loss the smallest is best, of all others the largest.
    """
    gains = [_gain(row, watch) for row in history]
    return gains.index(max(gains)) + 1


def stop_reason(history: Sequence[Epoch], params: ExperimentParams) -> StopReason | None:
    """Return why training is over after these epochs, or None while it goes on."""
    if len(history) >= params.epochs:
        return "epochs"
    if params.early_stopping is not None and _is_stale(history, params.watch, params.early_stopping):
        return "early_stopping"
    return None


def _is_stale(history: Sequence[Epoch], watch: str, params: EarlyStoppingParams) -> bool:
    """Say whether the last `patience_epochs` epochs all failed to gain more than `min_delta`.

    A gain counts against the last epoch that had one, so many small steps up add up.
    """
    reference, since = float("-inf"), 0
    for row in history:
        gain = _gain(row, watch)
        if gain > reference + params.min_delta:
            reference, since = gain, 0
        else:
            since += 1
    return since >= params.patience_epochs


def _gain(row: Epoch, watch: str) -> float:
    value = row[f"val/{watch}"]
    return -value if watch == "loss" else value
