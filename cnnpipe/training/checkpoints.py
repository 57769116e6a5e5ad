"""The state a killed training goes on from: one file, replaced whole."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cnnpipe import files
from cnnpipe.errors import ModelError
from cnnpipe.training.processes import told_by_the_first
from cnnpipe.training.records import Epoch
from cnnpipe.training.step import Learner
from cnnpipe.training.tally import Tally

CHECKPOINT_FILE = "checkpoint.pt"


@dataclass(frozen=True)
class Progress:
    """How far a training has come.

    The random numbers of a step are drawn anew from the seed and its number, so no generator's state has to
    travel.
    """

    history: tuple[Epoch, ...] = ()
    best_state: Mapping[str, Tensor] | None = None  # of the best epoch, on the CPU; None: what is judged now
    steps: int = 0  # taken
    tally: Tally | None = None  # of the epoch that was broken off
    num_pieces: int = 1  # that a batch is computed in
    num_divergences: int = 0  # after which it went back
    rate_factor: float = 1.0  # below 1 after the first of them
    seconds: float = 0.0  # of the clock, over all starts
    incidents: tuple[str, ...] = ()  # what went wrong and was mended, in words


def save_checkpoint(folder: Path, progress: Progress, learner: Learner[Any]) -> None:
    """Write what `load_checkpoint` needs to `folder`; an interruption leaves the one before."""
    content = {
        "training": folder.name,
        "history": list(progress.history),
        "best_state": None if progress.best_state is None else dict(progress.best_state),
        "steps": progress.steps,
        "tally": None if progress.tally is None else progress.tally.state(),
        "num_pieces": progress.num_pieces,
        "num_divergences": progress.num_divergences,
        "rate_factor": progress.rate_factor,
        "seconds": progress.seconds,
        "incidents": list(progress.incidents),
        "network": learner.network.state_dict(),
        "optimiser": learner.optimiser.state_dict(),
        "scaler": None if learner.scaler is None else learner.scaler.state_dict(),
        "average": None if learner.average is None else learner.average.state_dict(),
    }
    files.write_by(folder / CHECKPOINT_FILE, partial(_save, content))


def _save(content: dict[str, Any], path: Path) -> None:
    """Write `content` to a file, without checksums: they take as long as the rest, and torch.load reads none.

    Raises:
        OSError: e.g. the disk is full; torch has other words for that, after Python's.
    """
    has_checksums = torch.serialization.get_crc32_options()
    torch.serialization.set_crc32_options(False)
    try:
        with path.open("wb") as file:
            torch.save(content, file)
    except RuntimeError as error:
        if isinstance(error.__context__, OSError):
            raise error.__context__ from None
        raise
    finally:
        torch.serialization.set_crc32_options(has_checksums)


def load_checkpoint(folder: Path, learner: Learner[Any]) -> Progress | None:
    """Put all that a training changes back to the checkpoint's step; None when there is no checkpoint.

    One of another precision will do: weights are float32 in all, and the scale of gradients finds itself.

    Raises:
        ModelError: the checkpoint is damaged, or of another training.
    """
    path = folder / CHECKPOINT_FILE
    # several machines need not have one file
    content = told_by_the_first(learner.accelerator, partial(_read, path))
    try:
        return None if content is None else _restored(content, learner)
    except Exception as error:  # torch promises no kind of exception for a state that does not fit
        raise _unreadable(path, error) from error


def _read(path: Path) -> dict[str, Any] | None:
    if not path.exists():
        return None
    try:
        content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        training = content["training"]
    except Exception as error:  # torch.load promises no kind of exception for a damaged file
        raise _unreadable(path, error) from error
    if training != path.parent.name:
        raise ModelError(str(path), f"is of another training: {training}", _fix(path))
    return content


def _unreadable(path: Path, error: Exception) -> ModelError:
    return ModelError(str(path), f"cannot be read: {' '.join(str(error).split())[:200]}", _fix(path))


def _fix(path: Path) -> str:
    return f"delete {path.parent}; training then starts anew"


def _restored(content: Mapping[str, Any], learner: Learner[Any]) -> Progress:
    learner.network.load_state_dict(content["network"], strict=True)
    learner.optimiser.load_state_dict(content["optimiser"])
    if learner.scaler is not None and content["scaler"] is not None:
        learner.scaler.load_state_dict(content["scaler"])
    if learner.average is not None:
        learner.average.load_state_dict(content["average"], strict=True)
    return Progress(
        history=tuple(content["history"]),
        best_state=content["best_state"],
        steps=content["steps"],
        tally=None if content["tally"] is None else Tally.of_state(content["tally"]),
        num_pieces=content["num_pieces"],
        num_divergences=content["num_divergences"],
        rate_factor=content["rate_factor"],
        seconds=content["seconds"],
        incidents=tuple(content["incidents"]),
    )
