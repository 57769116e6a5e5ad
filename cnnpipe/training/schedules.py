"""The learning rate as a pure function of the step."""

import math
from collections.abc import Sequence

import msgspec

from cnnpipe.params.experiment import ExperimentParams
from cnnpipe.params.optimisers import (
    ConstantParams,
    CosineParams,
    OneCycleParams,
    PlateauParams,
    ScheduleParams,
    StepParams,
)
from cnnpipe.training.records import Epoch
from cnnpipe.training.stopping import gain_of


class Course(msgspec.Struct, frozen=True, kw_only=True):
    """A schedule counted in steps."""

    params: ScheduleParams
    warmup_steps: int
    num_steps: int  # of the whole training
    steps_per_epoch: int

    @classmethod
    def of(cls, params: ScheduleParams, *, num_steps: int, steps_per_epoch: int) -> "Course":
        """Return the schedule of params for a training of `num_steps` steps."""
        return cls(
            params=params,
            warmup_steps=round(_warmup_epochs(params) * steps_per_epoch),
            num_steps=num_steps,
            steps_per_epoch=steps_per_epoch,
        )


def rate_factor(step: int, course: Course, *, num_drops: int = 0) -> float:
    """Return what the base learning rate is multiplied by at one step, in (0, 1].

    Warm-up of W steps is linear: (step + 1) / W. From then on, of a training of N steps:

    - constant: 1;
    - cosine: (1 + cos(πt)) / 2 with t = (step - W) / (N - W), which falls from 1 and would reach 0 one step
      after the last;
    - step: factor^k after k times `every_epochs` epochs since the warm-up;
    - plateau: factor^num_drops;
    - one_cycle, which has no warm-up but a rise: half a wave from `start_factor` to 1 at step
      `rise_fraction` x N - 1, and half a wave down to `end_factor` at the last step.

    Args:
        step: 0-based, over the whole training.
        course: schedule, warm-up and length.
        num_drops: how often a plateau was met so far, see `num_drops`; other schedules do not look at it.

    Source: Goyal et al. 2017, Accurate, Large Minibatch SGD, section 2.2 (warm-up); Loshchilov and
    Hutter 2017, SGDR, equation 5, without restarts (cosine); Krizhevsky et al. 2012, section 5, and torch's
    ReduceLROnPlateau (plateau, there by hand); He et al. 2016, section 3.4, and torch's StepLR (step); Smith
    and Topin 2018, Super-Convergence, and torch's OneCycleLR with two phases and `anneal_strategy="cos"`,
    whose momentum stays as it is here (one_cycle).
    """
    if step < course.warmup_steps:
        return (step + 1) / course.warmup_steps
    since = step - course.warmup_steps
    match course.params:
        case ConstantParams():
            return 1.0
        case CosineParams():
            return _half_wave(1.0, 0.0, since / (course.num_steps - course.warmup_steps))
        case StepParams(every_epochs=every, factor=factor):
            return math.pow(factor, since // (every * course.steps_per_epoch))
        case PlateauParams(factor=factor):
            return math.pow(factor, num_drops)
        case OneCycleParams():
            return _one_cycle(step, course.params, last=course.num_steps - 1)


def num_drops(history: Sequence[Epoch], params: ExperimentParams) -> int:
    """Return how often the rate of a plateau has dropped after these epochs; 0 of every other schedule.

    It drops when the watched metric of val has not gained more than `min_delta` over its best in
    `patience_epochs` epochs in a row; then the count begins again, but not the best. Epochs that began in the
    warm-up do not count.

    Source: torch's ReduceLROnPlateau with `threshold_mode="abs"`, no cooldown, and its patience one lower
    (it waits for one epoch more than it says).
    """
    schedule = params.schedule
    if not isinstance(schedule, PlateauParams):
        return 0
    best, since, drops = float("-inf"), 0, 0
    for row in history[math.ceil(schedule.warmup_epochs) :]:
        gain = gain_of(row, params.watch)
        if gain > best + schedule.min_delta:
            best, since = gain, 0
        else:
            since += 1
        if since == schedule.patience_epochs:
            since, drops = 0, drops + 1
    return drops


def _warmup_epochs(params: ScheduleParams) -> float:
    return 0.0 if isinstance(params, OneCycleParams) else params.warmup_epochs


def _one_cycle(step: int, params: OneCycleParams, *, last: int) -> float:
    peak = params.rise_fraction * (last + 1) - 1  # in steps; below 0 where a training is too short to rise
    if step < peak:
        return _half_wave(params.start_factor, 1.0, step / peak)
    return _half_wave(1.0, params.end_factor, (step - peak) / (last - peak))


def _half_wave(start: float, end: float, progress: float) -> float:
    """Return what lies between start and end after a share of the way, in [0, 1]: half a wave of a cosine."""
    return end + (start - end) * (1.0 + math.cos(math.pi * progress)) / 2.0
