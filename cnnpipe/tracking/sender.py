"""The thread that feeds a run: whatever MLflow does or does not, the training does not wait for it."""

import logging
import threading
import time
from collections.abc import Callable, Iterable
from typing import Final

import msgspec
from mlflow.entities import Metric, RunTag

from cnnpipe.tracking import place, processes
from cnnpipe.tracking.machine import PREFIX, Machine
from cnnpipe.tracking.place import INCIDENTS, ORIGIN, STOP_REASON
from cnnpipe.tracking.provenance import git_tags
from cnnpipe.tracking.runs import (
    Status,
    Training,
    close_abandoned,
    create_run,
    describe_run,
    former_run,
    keep_one,
    log_metrics,
    logged_steps,
    to_metrics,
)
from cnnpipe.tracking.spool import ToldEpoch
from cnnpipe.tracking.store import Store, open_store, reach, unreachable

_logger = logging.getLogger(__name__)

_RETRY_S: Final = 1.0  # between two tries of a store that is away
_SAMPLE_S: Final = 10.0  # between two samples of the machine


class Ending(msgspec.Struct, frozen=True):
    """How a run is to be closed."""

    status: Status
    stop_reason: str | None
    incidents: tuple[str, ...] = ()


class _OpenRun(msgspec.Struct, frozen=True):
    store: Store
    run_id: str
    logged_steps: frozenset[int]  # that a former process has logged; they are not logged twice
    first_sample: int


class Sender:
    """Opens the run of a training, sends what it is given, closes the run: each as soon as the store answers.

    What could not be sent is kept and sent again. Every call to MLflow is made on a thread of its own, which
    ends with the process: a server that accepts and never answers holds nothing up.

    Args:
        training: what is trained.
        device: e.g. cpu or cuda:0.
        precision: what it computes in there, e.g. bfloat16.
        look_s: how often to look after the store when there are no news for it.
        on_away: called on the thread, before the end of the training, after each try that failed, with the
            seconds since the first of them began.
    """

    def __init__(
        self,
        training: Training,
        *,
        device: str,
        precision: str,
        look_s: float,
        on_away: Callable[[float], None],
    ) -> None:
        self.run_id = ""  # until the run is open
        self.tried = threading.Event()  # to open the run, with or without success
        self.fault: Exception | None = None  # of the last try; None: it went well
        self.closed = False
        self._moved_at = time.monotonic()  # when the store last did what it was asked
        self._training = training
        self._tags = {ORIGIN: "trained", "cnnpipe.device": device, "cnnpipe.precision": precision}
        self._look_s = look_s
        self._on_away = on_away
        self._started_ms = int(time.time() * 1000)
        self._run: _OpenRun | None = None
        self._away_since: float | None = None
        self._news = threading.Condition()
        self._epochs: list[ToldEpoch] = []
        self._samples: list[list[Metric]] = []
        self._num_samples = 0
        self._sampled_at = self._beaten_at = time.monotonic()
        self._machine = Machine()
        self._ending: Ending | None = None
        self._tries_to_end = 0
        self._left = False
        self._thread = threading.Thread(target=self._serve, name="mlflow-sender", daemon=True)
        self._thread.start()

    def send(self, epoch: ToldEpoch) -> None:
        """Hand an epoch over, and return at once."""
        with self._news:
            self._epochs.append(epoch)
            self._news.notify_all()

    def end(self, ending: Ending, *, patience_s: float) -> None:
        """Have the rest sent and the run closed; leave it when a try fails or nothing moves for so long."""
        with self._news:
            self._ending = ending
            self._moved_at = time.monotonic()
            self._news.notify_all()
            while not self.closed and not self._tries_to_end and self.rested_s() < patience_s:
                self._news.wait(0.1)
            self._left = True
            self._news.notify_all()

    def rested_s(self) -> float:
        """Return the seconds since the store last did what it was asked."""
        return time.monotonic() - self._moved_at

    def _serve(self) -> None:
        while not self.closed and not self._left:
            ending = self._ending
            began = time.monotonic()
            try:
                self._try(ending)
            except Exception as error:  # whatever MLflow raises: it must not end the training
                self._failed(error, began, ending)
            else:
                self._succeeded()
            self.tried.set()
            with self._news:
                self._news.wait_for(self._is_due, timeout=self._look_s if self.fault is None else _RETRY_S)

    def _is_due(self) -> bool:
        """Whether there is something to do; while the store is away, a new epoch is no reason to ask."""
        if self._left or self.closed:
            return True
        is_asked_to_end = self._ending is not None and not self._tries_to_end
        return is_asked_to_end or (self.fault is None and bool(self._epochs))

    def _try(self, ending: Ending | None) -> None:
        """Do everything that waits; an exception leaves the rest waiting."""
        reach(place.tracking_uri())  # in seconds, where MLflow's client would take longer
        if self._run is None:
            self._run = self._open()
            self.run_id = self._run.run_id
        if self._away_since is not None:  # another host may have taken this process for dead
            self._run.store.client.update_run(self._run.run_id, "RUNNING")
        self._sample(self._run)
        self._send_epochs(self._run)
        self._send_samples(self._run)
        self._beat(self._run)
        if ending is not None and not self._left:
            self._close(self._run, ending)

    def _open(self) -> _OpenRun:
        """Take up the run of the same signature, however it ended, or make one."""
        store = open_store()
        self._moved()
        former = former_run(store, self._training.signature)
        self._moved()
        close_abandoned(store, keep=former)
        self._moved()
        own = processes.own_tags()
        if former is None:
            tags = {**own, **self._tags}
            run_id = create_run(store, self._training, tags, started_ms=self._started_ms)
            return _OpenRun(store, run_id, frozenset(), 0)
        run_id = former.info.run_id
        store.client.update_run(run_id, "RUNNING")
        tags = {**own, **git_tags(), **self._tags}
        store.client.log_batch(run_id, tags=[RunTag(key, value) for key, value in tags.items()])
        describe_run(store, former, self._training)
        first_sample = 1 + max(_steps_of_samples(former.data._metric_objs), default=-1)
        return _OpenRun(store, run_id, logged_steps(store, run_id), first_sample)

    def _send_epochs(self, run: _OpenRun) -> None:
        with self._news:
            epochs = list(self._epochs)
        metrics = [
            metric
            for epoch in epochs
            if epoch.step not in run.logged_steps
            for metric in to_metrics(epoch.metrics, epoch.step, time_ms=epoch.time_ms)
        ]
        log_metrics(run.store, run.run_id, metrics, on_part=self._moved)
        with self._news:
            del self._epochs[: len(epochs)]

    def _sample(self, run: _OpenRun) -> None:
        if time.monotonic() - self._sampled_at >= _SAMPLE_S:
            self._sampled_at = time.monotonic()
            step = run.first_sample + self._num_samples
            self._num_samples += 1
            self._samples.append(to_metrics(self._machine.sample(), step))

    def _send_samples(self, run: _OpenRun) -> None:
        log_metrics(
            run.store, run.run_id, [m for sample in self._samples for m in sample], on_part=self._moved
        )
        self._samples = []

    def _beat(self, run: _OpenRun) -> None:
        if time.monotonic() - self._beaten_at >= processes.BEAT_S:
            run.store.client.set_tag(run.run_id, processes.ALIVE, processes.beat())
            self._beaten_at = time.monotonic()

    def _close(self, run: _OpenRun, ending: Ending) -> None:
        client = run.store.client
        if ending.stop_reason is not None:
            client.set_tag(run.run_id, STOP_REASON, ending.stop_reason)
        if ending.incidents:
            client.set_tag(run.run_id, INCIDENTS, "; ".join(ending.incidents))
        client.set_terminated(run.run_id, ending.status)
        if ending.status == "FINISHED":
            keep_one(run.store, self._training.signature)
        self.closed = True

    def _moved(self) -> None:
        self._moved_at = time.monotonic()

    def _succeeded(self) -> None:
        self._moved()
        if self._away_since is not None:
            _logger.info("the MLflow store answers again: what was kept is sent")
        self.fault = self._away_since = None

    def _failed(self, error: Exception, began: float, ending: Ending | None) -> None:
        self.fault = error
        if self._away_since is None:
            self._away_since = began
            what = unreachable(place.tracking_uri(), error).what
            _logger.warning("%s; what it is to know is kept", what)
        with self._news:
            if ending is not None:
                self._tries_to_end += 1
            if self._ending is None:
                self._on_away(time.monotonic() - self._away_since)


def _steps_of_samples(metrics: Iterable[Metric]) -> list[int]:
    return [metric.step for metric in metrics if metric.key.startswith(PREFIX)]
