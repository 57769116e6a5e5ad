"""What a training leaves beside its weights: run.json and the lines of history.jsonl."""

import hashlib
from collections.abc import Mapping
from typing import Any, Literal

import msgspec

RUN_FILE = "run.json"
HISTORY_FILE = "history.jsonl"

# One line of history.jsonl: "epoch" and "step" (ints, the epoch's last step, from 1), and by MLflow's names
#   train/loss, and where it has several parts train/loss/<part>;
#   val/loss, and of a classifier val/accuracy, val/f1_macro, of a detector val/map_50, val/map_50_95;
#   growth, where params set it: the number of the network, from 1;
#   of that step lr/network, or where params set `transfer` lr/head, lr/backbone and lr/<first tensor of a
#   part> (0 while it is frozen), or where a shallower network was grown from lr/network and lr/copied.
# No times: outputs are functions of inputs.
Epoch = dict[str, float]
StopReason = Literal["epochs", "early_stopping", "loss_below", "steps", "minutes"]


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
    incidents: list[str] = []  # what went wrong and was mended: a training that diverged, memory that ran out


def signature_of(*, stage: str, inputs: Mapping[str, str], params: Mapping[str, Any], code: str) -> str:
    """Return the SHA-256, in hex, of what decides a training: equal signatures, equal results.

    Args:
        stage: e.g. train@lenet.
        inputs: path of an input -> sha256; the digests count, not where they lie.
        params: flattened with dots.
        code: digest of the stage's code and packages.
    """
    content = [stage, sorted(inputs.values()), dict(params), code]
    return hashlib.sha256(msgspec.json.encode(content, order="sorted")).hexdigest()


def flatten(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return nested params as one mapping: {"input": {"side_px": 48}} -> {"input.side_px": 48}."""
    flat: dict[str, Any] = {}
    for name, value in params.items():
        if isinstance(value, Mapping):
            flat |= {f"{name}.{inner}": leaf for inner, leaf in flatten(value).items()}
        else:
            flat[name] = value
    return flat
