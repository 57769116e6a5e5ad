"""The learning rate as a pure function of the step."""

import math

import msgspec

from cnnpipe.params.optimisers import OneCycleParams, ScheduleParams


class Course(msgspec.Struct, frozen=True, kw_only=True):
    """A schedule counted in steps."""

    name: str  # constant or cosine
    warmup_steps: int
    num_steps: int  # of the whole training

    @classmethod
    def of(cls, params: ScheduleParams, *, epochs: int, steps_per_epoch: int) -> "Course":
        """Return the schedule of params for epochs of `steps_per_epoch` steps."""
        return cls(
            name=params.name,
            warmup_steps=0
            if isinstance(params, OneCycleParams)
            else round(params.warmup_epochs * steps_per_epoch),
            num_steps=epochs * steps_per_epoch,
        )


def rate_factor(step: int, course: Course) -> float:
    """Return what the base learning rate is multiplied by at one step, in (0, 1].

    Warm-up of W steps is linear: (step + 1) / W. Then either 1, or (1 + cos(πt)) / 2 with
    t = (step - W) / (num_steps - W), which falls from 1 and would reach 0 one step after the last.

    Args:
        step: 0-based, over the whole training.
        course: name, warm-up and length.

    Source: Goyal et al. 2017, Accurate, Large Minibatch SGD, section 2.2 (warm-up); Loshchilov and
    Hutter 2017, SGDR, equation 5, without restarts (cosine).
    """
    if step < course.warmup_steps:
        return (step + 1) / course.warmup_steps
    if course.name == "constant":
        return 1.0
    progress = (step - course.warmup_steps) / (course.num_steps - course.warmup_steps)
    return (1.0 + math.cos(math.pi * progress)) / 2.0
