"""What a training leaves beside its weights: run.json and the lines of history.jsonl."""

from typing import Any, Literal

import msgspec

RUN_FILE = "run.json"
HISTORY_FILE = "history.jsonl"

# One line of history.jsonl: "epoch" and "step" (ints, the epoch's last step, from 1), and by MLflow's
# names train/loss, val/loss, val/accuracy, val/f1_macro, lr/network (of that step). No times: outputs
# are functions of inputs.
Epoch = dict[str, float]
StopReason = Literal["epochs", "early_stopping"]


class RunRecord(msgspec.Struct, frozen=True, kw_only=True):
    """run.json: which training this is, and how it ended. No clock, host, path or random id."""

    signature: str  # sha256 of stage, inputs, params and code digest
    experiment: str
    task: str
    network: str
    num_parameters: int
    params: dict[str, Any]  # flattened with dots: input.side_px, train.num_threads ...
    inputs: dict[str, str]  # path of an input -> sha256
    code: str  # digest of the stage's code and packages
    stop_reason: StopReason
    best_epoch: int  # from 1
