"""The run of a training: opened before it, or as soon as the store answers; fed beside it; always closed."""

import logging
import signal
import threading
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Final, Self

from cnnpipe.errors import StorageError
from cnnpipe.params.tracking import WhenUnreachable
from cnnpipe.tracking import place
from cnnpipe.tracking.runs import Status, Training
from cnnpipe.tracking.sender import Ending, Sender
from cnnpipe.tracking.spool import Spool
from cnnpipe.tracking.store import unreachable

_logger = logging.getLogger(__name__)

PATIENCE_S: Final = 8.0  # how long a training waits at its start and its end for a store that does nothing
_POLL_S: Final = 0.1
# How long a store may be away before a training that needs it fails: no longer than one look at a server that
# never answers. With two timeouts of MLflow in its place the training still ends within 15 s.
_AWAY_S: Final = 5.0
_LOOK_S: Final = 10.0
_LOOK_IF_NEEDED_S: Final = 3.0
_LAST_PATIENCE_S: Final = 1.0  # of a training that fails because of the store


class ActiveRun:
    """The run of one training, as a context manager; `start_run` makes one.

    It ends FINISHED, KILLED on Ctrl-C and SIGTERM, or FAILED. What a store that is away could not be told is
    kept, and sent when it answers again; what is left at the end, `ensure_run` completes from the files.

    Args:
        training: what is trained.
        device: e.g. cpu or cuda:0.
        precision: what it computes in there, e.g. bfloat16.
        when_unreachable: whether a store that is away stops the training.
    """

    def __init__(
        self, training: Training, *, device: str, precision: str, when_unreachable: WhenUnreachable
    ) -> None:
        self._is_needed = when_unreachable == "fail"
        self._uri = place.tracking_uri()
        self._spool = Spool(training.signature)
        self._ended = False
        self._is_given_up = False
        look_s = _LOOK_IF_NEEDED_S if self._is_needed else _LOOK_S
        self._sender = Sender(
            training, device=device, precision=precision, look_s=look_s, on_away=self._on_away
        )

    @property
    def run_id(self) -> str:
        """The id of the run; empty while the store has not been reached."""
        return self._sender.run_id

    def wait_until_open(self) -> None:
        """Wait until the run is open, or it is clear that it cannot be opened now.

        A training that needs the store gives a slow one its time; others begin.

        Raises:
            StorageError: it cannot, and the training is to fail then.
        """
        if not self._is_needed:
            self._sender.tried.wait(PATIENCE_S)
            return
        while not self._sender.tried.wait(_POLL_S) and self._sender.rested_s() < PATIENCE_S:
            pass
        if not self.run_id:
            self._ended = True
            self._sender.end(Ending("FAILED", None), patience_s=0.0)
            raise self._error()

    def log_epoch(self, metrics: Mapping[str, float], step: int) -> None:
        """Hand over the metrics of one epoch and return at once; a step logged before is left out.

        Args:
            metrics: name -> value: a line of history.jsonl, and what only MLflow gets: time/epoch_seconds,
                images_per_second.
            step: the epoch's last optimiser step, the x axis of MLflow's charts.

        Raises:
            StorageError: the store is away for too long, and the training is to fail then.
        """
        if self._is_given_up:
            raise self._error()
        self._sender.send(self._spool.keep(metrics, step))

    def finish(
        self, status: Status, *, stop_reason: str | None = None, incidents: Sequence[str] = ()
    ) -> None:
        """Send what waits, and close the run. A second call does nothing.

        Args:
            status: how the training ended.
            stop_reason: by which rule.
            incidents: what went wrong and was mended, in words.

        Raises:
            StorageError: the training went well, its run could not be closed, and it is to fail then.
        """
        if self._ended:
            return
        self._ended = True
        patience_s = _LAST_PATIENCE_S if self._is_given_up else PATIENCE_S
        self._sender.end(Ending(status, stop_reason, tuple(incidents)), patience_s=patience_s)
        if self._sender.closed:
            if status == "FINISHED":
                self._spool.remove()
            return
        if self._is_needed and status == "FINISHED":
            raise self._error()
        _logger.warning(
            "the run could not be closed in the MLflow store %s\n  fix: nothing is lost; "
            "`cnnpipe register` completes it from the files when the store answers again",
            place.shown(self._uri),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """Close the run by how the block ended, unless `finish` did.

        Raises:
            StorageError: in place of the signal by which a store that is away has stopped the training.
        """
        if kind is None:
            self.finish("FINISHED")
        elif issubclass(kind, Exception):
            self.finish("FAILED")
        elif self._is_given_up:
            self.finish("FAILED")
            raise self._error() from value
        else:  # KeyboardInterrupt, or SystemExit from a signal
            self.finish("KILLED")

    def _on_away(self, seconds: float) -> None:
        """Stop a training that needs the store, as SIGTERM would. Runs on the sender's thread."""
        is_new = self._is_needed and not self._is_given_up
        if not is_new or seconds < _AWAY_S or not self._sender.tried.is_set():
            return
        self._is_given_up = True
        if callable(signal.getsignal(signal.SIGTERM)):  # else the end of the epoch sees it
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)

    def _error(self) -> StorageError:
        fault = self._sender.fault or TimeoutError("no answer in time")
        error = unreachable(self._uri, fault)
        going_on = "it goes on after its last epoch; tracking.when_unreachable: continue needs no store"
        return StorageError(error.where, error.what, f"{error.fix}: {going_on}")


def start_run(
    training: Training,
    *,
    device: str,
    precision: str = "float32",
    when_unreachable: WhenUnreachable = "continue",
) -> ActiveRun:
    """Open the run of a training, in MLflow beside the files, and close those that a dead process left.

    A training has one run: that of the same signature is taken up again under its own id, however it ended,
    for the same signature gives the same numbers. So a training that DVC runs again because it was killed
    before it could note the end leaves no second run. Every other RUNNING run of this project whose process
    is gone ends as KILLED.

    Args:
        training: what is about to be trained.
        device: e.g. cpu or cuda:0.
        precision: what it computes in there, e.g. bfloat16.
        when_unreachable: continue: a store that is away gets its run later, and the training begins within
            seconds; fail: it stops the training, now and later.

    Raises:
        StorageError: the store cannot be reached, and the training is to fail then.
    """
    run = ActiveRun(training, device=device, precision=precision, when_unreachable=when_unreachable)
    run.wait_until_open()
    return run
