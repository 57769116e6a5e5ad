"""The state a killed training goes on from: one file per epoch, replaced whole."""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cnnpipe import files
from cnnpipe.errors import ModelError
from cnnpipe.training.epoch import Learner
from cnnpipe.training.records import Epoch

CHECKPOINT_FILE = "checkpoint.pt"


@dataclass(frozen=True)
class Progress:
    """How far a training has come: every epoch so far, and the weights of the best one.

    The random numbers of an epoch are drawn anew from the seed and its number, so no generator's
    state has to travel.
    """

    history: tuple[Epoch, ...]
    best_state: Mapping[str, Tensor]  # on the CPU


def save_checkpoint(folder: Path, progress: Progress, learner: Learner[Any]) -> None:
    """Write what `load_checkpoint` needs to `folder`; an interruption leaves the one before."""
    content = {
        "history": list(progress.history),
        "best_state": dict(progress.best_state),
        "network": learner.network.state_dict(),
        "optimiser": learner.optimiser.state_dict(),
        "scaler": None if learner.scaler is None else learner.scaler.state_dict(),
    }
    # not straight to the file: torch tells of a full disk in words of its own
    buffer = io.BytesIO()
    torch.save(content, buffer)
    files.write_bytes(folder / CHECKPOINT_FILE, buffer.getvalue())


def load_checkpoint(folder: Path, learner: Learner[Any]) -> Progress | None:
    """Put all that a training changes back to the last full epoch; None when there is no checkpoint.

    One of another precision will do: weights are float32 in all, and the scale of gradients finds itself.

    Raises:
        ModelError: the checkpoint is damaged.
    """
    path = folder / CHECKPOINT_FILE
    if not path.exists():
        return None
    try:
        content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        learner.network.load_state_dict(content["network"], strict=True)
        learner.optimiser.load_state_dict(content["optimiser"])
        if learner.scaler is not None and content["scaler"] is not None:
            learner.scaler.load_state_dict(content["scaler"])
        return Progress(history=tuple(content["history"]), best_state=content["best_state"])
    except Exception as error:  # torch.load promises no kind of exception for a damaged file
        what = f"cannot be read: {' '.join(str(error).split())[:200]}"
        raise ModelError(str(path), what, f"delete {folder}; training then starts anew") from error
