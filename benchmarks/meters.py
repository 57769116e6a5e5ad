"""Clocks of a training: wall and CPU seconds of its epochs, and how long each waited for the loader."""

import multiprocessing
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final, Self, TypeVar

import psutil  # type: ignore[import-untyped]  # its stubs are a package of their own
import torch
from torch import nn

from cnnpipe.training.fit import FitData

Found = TypeVar("Found")

_NO_MORE: Final = object()


@dataclass(frozen=True)
class Seconds:
    """Of the wall clock, and of the CPUs: this process, all threads, and the loaders' workers."""

    wall: float
    cpu: float

    def __sub__(self, earlier: Self) -> "Seconds":
        """Return the seconds from `earlier` to these."""
        return Seconds(wall=self.wall - earlier.wall, cpu=self.cpu - earlier.cpu)


@dataclass(frozen=True)
class MeteredEpoch:
    """The steps of one epoch with their loading, without validation and checkpoint."""

    seconds: Seconds
    waited_s: float  # of the wall clock, for the loader

    @property
    def waited_share(self) -> float:
        """Return the share of the epoch in which the loop waited for the loader."""
        return self.waited_s / self.seconds.wall


@dataclass
class Meter:
    """What `metered` data write down."""

    epochs: list[MeteredEpoch] = field(default_factory=list)
    began: Seconds = Seconds(0.0, 0.0)
    waited_s: float = 0.0
    judged: Seconds = Seconds(0.0, 0.0)  # when the last judgement ended


def now() -> Seconds:
    """Return the clocks; CPU seconds of workers that have ended are no longer counted."""
    workers = [psutil.Process(worker.pid).cpu_times() for worker in multiprocessing.active_children()]
    of_workers = sum(times.user + times.system for times in workers)
    return Seconds(wall=time.perf_counter(), cpu=time.process_time() + of_workers)


def metered(
    data: FitData[Any], meter: Meter, *, judgement: Mapping[str, float] | None = None
) -> FitData[Any]:
    """Return data that tell `meter` of each epoch that `fit` walks.

    An epoch is from where its batches are asked for to where val is judged.

    Args:
        data: of a training.
        meter: is changed.
        judgement: what is said of val in place of judging it; None: it is judged.
    """
    judge = data.objective.judge if judgement is None else partial(_as_said, dict(judgement))
    return replace(
        data,
        train=partial(_train, data.train, meter),
        objective=replace(data.objective, judge=partial(_judge, judge, meter)),
    )


def _train(train: Callable[[int, int], Iterable[Any]], meter: Meter, epoch: int, first: int) -> Iterator[Any]:
    meter.began, meter.waited_s = now(), 0.0
    batches = _waited(meter, lambda: iter(train(epoch, first)))
    return _each(batches, meter)


def _each(batches: Iterator[Any], meter: Meter) -> Iterator[Any]:
    while (batch := _waited(meter, lambda: next(batches, _NO_MORE))) is not _NO_MORE:
        yield batch


def _waited(meter: Meter, work: Callable[[], Found]) -> Found:
    began = time.perf_counter()
    found = work()
    meter.waited_s += time.perf_counter() - began
    return found


def _judge(
    judge: Callable[..., dict[str, float]],
    meter: Meter,
    network: nn.Module,
    batches: Iterable[Any],
    device: torch.device,
) -> dict[str, float]:
    meter.epochs.append(MeteredEpoch(now() - meter.began, meter.waited_s))
    found = judge(network, batches, device)
    meter.judged = now()
    return found


def _as_said(said: dict[str, float], *_: object) -> dict[str, float]:
    return said
