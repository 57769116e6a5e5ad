"""Where a project keeps its files, relative to its root; DVC and git know the same names."""

import os
from pathlib import Path
from typing import Final

PARAMS: Final = Path("params.yaml")
CODE: Final = Path("code.json")
DATA: Final = Path("data")
RAW: Final = DATA / "raw"
INGESTED: Final = DATA / "ingested"
VALIDATED: Final = DATA / "validated"
PINNED_SPLITS: Final = DATA / "splits_pinned.jsonl"
SPLITS: Final = DATA / "splits.jsonl"
AUGMENTED: Final = DATA / "augmented"
MODELS: Final = Path("models")
RESULTS: Final = Path("results")
COMPARISON: Final = Path("comparison")
REGISTERED: Final = Path("registered.json")
DECISION: Final = Path("decision.json")


def checkpoint_dir() -> Path:
    """Return the folder of checkpoints, one folder per signature of a training.

    `CNNPIPE_CHECKPOINTS` moves it to where several clones share it, e.g. out of a worker's throw-away clone.
    """
    return Path(os.environ.get("CNNPIPE_CHECKPOINTS") or state_dir() / "checkpoints")


def state_dir() -> Path:
    """Return the folder of locks, exit codes and checkpoints: never versioned, safe to delete.

    `CNNPIPE_STATE` moves it, e.g. out of a worker's throw-away clone.
    """
    return Path(os.environ.get("CNNPIPE_STATE", ".cnnpipe"))
