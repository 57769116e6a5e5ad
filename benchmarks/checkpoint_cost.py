"""How much longer a training with checkpoints and logging takes than a bare PyTorch loop: ResNet-18, 64 px.

    python -m benchmarks.checkpoint_cost [--rounds 20] [--out FILE]

Both sides train the same network on the same uint8 pictures as in benchmarks.training_loop: 19 batches of 32,
about as many pictures as the embedded sample has for training, one thread, step by step in turn, so that
what else the machine does meets both. Ours is `fit` itself: it changes the learning rate every step, watches
for losses that are no numbers, writes checkpoints after epochs, and sends each epoch's row to an open MLflow
run. What it is told of val makes the first epoch the best, so that each later checkpoint also holds the best
weights: the largest there is. Val itself is on neither side. `fit` sees the bare loop's time pass as if it
were its own, so that it is told to spend half the share on checkpoints.

Sums over the epochs without the first, which warms up, by the wall clock and by the CPU time of all threads;
the last epoch always has a checkpoint. Bound: by either clock (ours - bare) / bare is at most 0.03.
"""

import contextlib
import logging
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from unittest.mock import patch

from cnnpipe import telemetry

telemetry.turn_off()  # before anything is imported that could phone home

import torch  # noqa: E402
from torch import Tensor  # noqa: E402

from benchmarks import side_by_side, training_loop  # noqa: E402
from benchmarks.course_networks import Trial, recipe_of, side  # noqa: E402
from benchmarks.meters import Seconds, now  # noqa: E402
from cnnpipe import files  # noqa: E402
from cnnpipe.inference.torch_settings import repeatable_torch  # noqa: E402
from cnnpipe.params.experiment import ClassifyParams  # noqa: E402
from cnnpipe.tracking.active_run import start_run  # noqa: E402
from cnnpipe.training import fit as fit_module  # noqa: E402
from cnnpipe.training.checkpoints import CHECKPOINT_FILE  # noqa: E402
from cnnpipe.training.classification import Batch, classification_objective  # noqa: E402
from cnnpipe.training.devices import make_accelerator  # noqa: E402
from cnnpipe.training.fit import FitData, Surroundings, fit  # noqa: E402
from cnnpipe.training.objective import Objective  # noqa: E402
from cnnpipe.training.records import Epoch  # noqa: E402

BOUND: Final = 0.03
_SHARE: Final = "_LARGEST_COST"  # of cnnpipe.training.fit: the share of the time that checkpoints may take
CASE: Final = training_loop.Case(
    network="resnet18", side_px=64, batch_size=32, steps_per_epoch=19, bound=BOUND
)


@dataclass(frozen=True)
class Result:
    """Seconds are of each epoch but the first; shares are of the sums."""

    ours: tuple[Seconds, ...]
    bare: tuple[Seconds, ...]
    checkpoint_bytes: int
    wall_share: float  # (ours - bare) / bare
    cpu_share: float
    bound: float
    torch: str


def main(arguments: Sequence[str]) -> int:
    """Run the benchmark; return 1 when the bound is passed."""
    parser = side_by_side.options(__doc__, "checkpoint_cost", rounds=20)
    parser.add_argument("--side", type=int, default=CASE.side_px, help="pixels, of the network's input")
    options = parser.parse_args(arguments)
    case = training_loop.Case(CASE.network, options.side, CASE.batch_size, CASE.steps_per_epoch, BOUND)
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(message)s")
    with (
        tempfile.TemporaryDirectory(prefix="cnnpipe-checkpoints-") as folder,
        contextlib.chdir(folder),  # where the MLflow store will be
        repeatable_torch(num_threads=1),
    ):
        result = measure(case, options.rounds, Path(folder) / "checkpoints")
    files.write_json(options.out, result)
    print(
        f"{case.network} {case.side_px} px: {result.wall_share:+.1%} by the wall clock, "
        f"{result.cpu_share:+.1%} CPU, bound {BOUND:.0%}; "
        f"a checkpoint is {result.checkpoint_bytes / 1e6:.0f} MB"
    )
    return int(max(result.wall_share, result.cpu_share) > BOUND)


def measure(case: training_loop.Case, rounds: int, checkpoint_dir: Path) -> Result:
    """Train on both sides, step by step in turn; the first epoch warms up."""
    beside = _Beside(training_loop.bare_step(case), training_loop.batches_of(case))
    checkpoint = checkpoint_dir / CHECKPOINT_FILE
    with start_run(training_loop.training_of(case), device="cpu") as run:

        def on_epoch(row: Epoch, _: float | None) -> None:
            run.log_epoch(dict(row), step=int(row["step"]))
            beside.end_epoch()
            with checkpoint.open("rb") as file:
                os.fsync(file.fileno())  # else it would be written while the bare loop runs
            beside.begin_epoch()

        share = getattr(fit_module, _SHARE)
        with patch.object(fit_module, _SHARE, share / 2.0):
            _fit(case, beside, rounds + 1, on_epoch, checkpoint_dir)
    ours, theirs = beside.ours[1:], beside.bare[1:]
    return Result(
        ours=tuple(ours),
        bare=tuple(theirs),
        checkpoint_bytes=checkpoint.stat().st_size,
        wall_share=added_share([each.wall for each in ours], [each.wall for each in theirs]),
        cpu_share=added_share([each.cpu for each in ours], [each.cpu for each in theirs]),
        bound=BOUND,
        torch=str(torch.__version__),
    )


class _Beside:
    """Batches that have the bare loop take its step on each of them, and the seconds of both sides."""

    def __init__(self, step: Callable[[Tensor, Tensor], None], batches: training_loop.Batches) -> None:
        self.batches = batches
        self.ours = list[Seconds]()
        self.bare = list[Seconds]()
        self._step = step
        self._of_bare = list[Seconds]()
        self.begin_epoch()

    def from_batch(self, first: int) -> Iterator[Batch]:
        for pictures, targets in self.batches[first:]:
            began = now()
            self._step(pictures, targets)
            self._of_bare.append(now() - began)
            yield pictures, targets

    def begin_epoch(self) -> None:
        self._of_bare = []
        self._began = now()

    def end_epoch(self) -> None:
        both = now() - self._began
        bare = Seconds(sum(each.wall for each in self._of_bare), sum(each.cpu for each in self._of_bare))
        self.bare.append(bare)
        self.ours.append(both - bare)


def added_share(ours: Sequence[float], bare: Sequence[float]) -> float:
    """Return (ours - bare) / bare of the sums."""
    return sum(ours) / sum(bare) - 1.0


def _fit(
    case: training_loop.Case,
    beside: _Beside,
    epochs: int,
    on_epoch: Callable[[Epoch, float | None], None],
    checkpoint_dir: Path,
) -> None:
    trial = Trial("resnet18", "experiments.md", "resnet18", {**side(case.side_px), "epochs": epochs})
    params = ClassifyParams.model_validate(recipe_of(trial, seed=1))
    data = FitData[Batch](
        train=lambda _, first: beside.from_batch(first),
        batch_sizes=[case.batch_size] * len(beside.batches),
        val=(),
        objective=Objective(
            losses=classification_objective(training_loop.HALF, training_loop.CROSS_ENTROPY).losses,
            judge=_falling_judgements(),
        ),
    )
    surroundings = Surroundings(make_accelerator("cpu"), checkpoint_dir, on_epoch)
    fit(training_loop.network_of(case), data, params, surroundings)


def _falling_judgements() -> Callable[..., dict[str, float]]:
    """Return what says of each epoch that it is worse than the one before."""
    num_judged = 0

    def judge(*_: object) -> dict[str, float]:
        nonlocal num_judged
        num_judged += 1
        return {"loss": 1.0, "accuracy": 1.0 / num_judged, "f1_macro": 0.5}

    return judge


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
