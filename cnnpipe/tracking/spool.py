"""What MLflow is told of each epoch, on disk until it holds it: .cnnpipe/unsent/<signature>.jsonl.

The moment of an epoch and how long it took are in no output of a stage. Here they outlive a store that is
away and a process that is killed; and as an epoch is sent with the same moment each time, MLflow keeps it
once, however often it gets it.
"""

import logging
import time
from collections.abc import Mapping
from pathlib import Path

import msgspec

from cnnpipe import paths

_logger = logging.getLogger(__name__)


class ToldEpoch(msgspec.Struct, frozen=True):
    """One epoch as MLflow gets it."""

    step: int
    time_ms: int  # since 1970
    metrics: dict[str, float | None]  # None: not a number


class Spool:
    """The file of one training.

    Args:
        signature: of the training.
    """

    def __init__(self, signature: str) -> None:
        self._path = paths.state_dir() / "unsent" / f"{signature}.jsonl"
        self._former = self.read()
        self._said = False

    def keep(self, metrics: Mapping[str, float], step: int) -> ToldEpoch:
        """Note an epoch at this moment and return it; a disk that takes no note is a warning.

        An epoch that a former process has noted keeps its moment, and its seconds where it has no new ones.
        """
        if step in self._former:
            former = self._former[step]
            return msgspec.structs.replace(former, metrics={**former.metrics, **metrics})
        told = ToldEpoch(step, int(time.time() * 1000), {k: v for k, v in metrics.items() if k != "step"})
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("ab") as file:
                file.write(msgspec.json.encode(told) + b"\n")
        except OSError as error:
            if not self._said:
                self._said = True
                _logger.warning("%s: %s: the seconds of epochs may get lost", self._path, error.strerror)
        return told

    def read(self) -> dict[int, ToldEpoch]:
        """Return the epochs by step; a line that a killed process has left torn is left out."""
        told = (_epoch(line) for line in _lines(self._path))
        return {epoch.step: epoch for epoch in told if epoch is not None}

    def remove(self) -> None:
        """Forget the epochs: MLflow holds them."""
        self._path.unlink(missing_ok=True)


def _lines(path: Path) -> list[bytes]:
    try:
        return path.read_bytes().splitlines()
    except OSError:
        return []


def _epoch(line: bytes) -> ToldEpoch | None:
    try:
        return msgspec.json.decode(line, type=ToldEpoch)
    except msgspec.MsgspecError:
        return None
