"""How much our training loop with logging takes over a bare PyTorch loop of the same network and tensors.

    .venv/bin/python -m benchmarks.training_loop [--rounds 7] [--out FILE]

Both sides train the same network in the same memory format with the same kind of optimiser on the same
uint8 pictures, one thread, epoch by epoch in turn; medians of CPU time are compared. Ours changes the
learning rate every step, watches for losses that are no numbers, writes the epoch's line and sends its row
to an MLflow run. Bounds: ResNet-18 64 px batch 32: 1.03; LeNet-5 32 px batch 64: 1.15.
"""

import contextlib
import logging
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from cnnpipe import telemetry

telemetry.turn_off()  # before anything is imported that could phone home

import torch  # noqa: E402
from torch import Tensor, nn  # noqa: E402
from torch.nn import functional  # noqa: E402

from benchmarks import side_by_side  # noqa: E402
from cnnpipe import files  # noqa: E402
from cnnpipe.datasets.normalisation import normalise  # noqa: E402
from cnnpipe.inference.torch_settings import repeatable_torch  # noqa: E402
from cnnpipe.models.networks import build_network  # noqa: E402
from cnnpipe.models.shape import NetworkShape  # noqa: E402
from cnnpipe.params.losses import CrossEntropyParams  # noqa: E402
from cnnpipe.params.optimisers import AdamWParams, CosineParams  # noqa: E402
from cnnpipe.tracking.active_run import ActiveRun, start_run  # noqa: E402
from cnnpipe.tracking.runs import Training  # noqa: E402
from cnnpipe.training.classification import classification_objective  # noqa: E402
from cnnpipe.training.devices import make_accelerator  # noqa: E402
from cnnpipe.training.epoch import (  # noqa: E402
    Conditions,
    Walk,
    refuse_no_number,
    train_one_epoch,
)
from cnnpipe.training.optimisers import make_optimiser  # noqa: E402
from cnnpipe.training.schedules import Course, rate_factor  # noqa: E402
from cnnpipe.training.step import Learner  # noqa: E402

Batches = list[tuple[Tensor, Tensor]]

NUM_CLASSES = 6
CROSS_ENTROPY = CrossEntropyParams(name="cross_entropy", label_smoothing=0.0)
ADAM = AdamWParams(name="adamw", learning_rate=0.001, weight_decay=0.01)
HALF = partial(normalise, mean=[0.5] * 3, std=[0.5] * 3)

log = logging.getLogger("benchmarks.training_loop")


@dataclass(frozen=True)
class Case:
    """A network and its batches; the ratio must not pass `bound`."""

    network: str
    side_px: int
    batch_size: int
    steps_per_epoch: int
    bound: float


@dataclass(frozen=True)
class Result:
    """Seconds are CPU time per epoch; ratio is of the medians."""

    case: Case
    ours_cpu_seconds: tuple[float, ...]
    bare_cpu_seconds: tuple[float, ...]
    ratio: float
    torch: str


CASES = (
    Case(network="resnet18", side_px=64, batch_size=32, steps_per_epoch=10, bound=1.03),
    Case(network="lenet", side_px=32, batch_size=64, steps_per_epoch=100, bound=1.15),
)


def main(arguments: Sequence[str]) -> int:
    """Run the benchmark; return 1 when a bound is passed."""
    options = side_by_side.options(__doc__, "training_loop", rounds=7).parse_args(arguments)
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(message)s")
    with (
        tempfile.TemporaryDirectory(prefix="cnnpipe-loop-") as folder,
        contextlib.chdir(folder),  # where the MLflow store will be
        repeatable_torch(num_threads=1),
    ):
        results = [measure(case, options.rounds) for case in CASES]
    files.write_json(options.out, results)
    for found in results:
        print(f"{found.case.network} {found.case.side_px} px: {found.ratio:.3f}, bound {found.case.bound}")
    return int(any(found.ratio > found.case.bound for found in results))


def measure(case: Case, rounds: int) -> Result:
    """Train on both sides, epoch by epoch in turn."""
    batches = batches_of(case)
    with start_run(training_of(case), device="cpu") as run:
        ours, bare = our_epoch(case, batches, run), bare_epoch(case, batches)
        ours(0), bare(0)  # the first steps set up the optimiser's state
        pairs = [(cpu_seconds(ours, epoch), cpu_seconds(bare, epoch)) for epoch in range(1, rounds + 1)]
    ours_seconds, bare_seconds = zip(*pairs, strict=True)
    return Result(
        case=case,
        ours_cpu_seconds=ours_seconds,
        bare_cpu_seconds=bare_seconds,
        ratio=statistics.median(ours_seconds) / statistics.median(bare_seconds),
        torch=str(torch.__version__),
    )


def our_epoch(case: Case, batches: Batches, run: ActiveRun) -> Callable[[int], None]:
    """Return one epoch of cnnpipe's loop as a function of its number."""
    accelerator = make_accelerator("cpu")
    network = network_of(case)
    optimiser = make_optimiser(network, ADAM)
    course = Course.of(
        CosineParams(name="cosine", warmup_epochs=1.0),
        num_steps=1000 * len(batches),
        steps_per_epoch=len(batches),
    )
    learner = Learner(
        accelerator=accelerator,
        network=network,
        optimiser=optimiser,
        objective=classification_objective(HALF, CROSS_ENTROPY),
        seed=1,
    )
    conditions = Conditions(rate=lambda step: ADAM.learning_rate * rate_factor(step, course))

    def epoch(number: int) -> None:
        walk = Walk(step=number * len(batches), num_pieces=1)
        train_one_epoch(learner, batches, walk, conditions)
        refuse_no_number(learner, walk)
        found = walk.tally.means()
        log.info("%s epoch %d  loss %.4f", case.network, number, found["loss"])
        run.log_epoch(
            {"epoch": number, "train/loss": found["loss"], "lr/network": ADAM.learning_rate}, step=walk.step
        )

    return epoch


def bare_epoch(case: Case, batches: Batches) -> Callable[[int], None]:
    """Return one epoch of the loop of any tutorial, which logs nothing."""
    step = bare_step(case)

    def epoch(_: int) -> None:
        for pictures, targets in batches:
            step(pictures, targets)

    return epoch


def bare_step(case: Case) -> Callable[[Tensor, Tensor], None]:
    """Return one step of that loop."""
    network = network_of(case)
    network.train()
    optimiser = make_optimiser(network, ADAM)

    def step(pictures: Tensor, targets: Tensor) -> None:
        optimiser.zero_grad()
        loss = functional.cross_entropy(network(HALF(pictures)), targets)
        loss.backward()  # type: ignore[no-untyped-call]  # torch's has no types
        optimiser.step()

    return step


def network_of(case: Case) -> nn.Module:
    """Return the network of both sides, with the same first weights."""
    shape = NetworkShape(num_classes=NUM_CLASSES, channels=3, side_px=case.side_px, dropout=0.0)
    network = build_network(case.network, shape, weights="none", seed=1)
    return network.to(memory_format=torch.channels_last)


def batches_of(case: Case) -> Batches:
    """Return uint8 pictures as our loader gives them, channels last in memory."""
    generator = torch.Generator().manual_seed(1)
    size = (case.batch_size, case.side_px, case.side_px, 3)
    return [
        (
            torch.randint(256, size, dtype=torch.uint8, generator=generator).permute(0, 3, 1, 2),
            torch.randint(NUM_CLASSES, (case.batch_size,), generator=generator),
        )
        for _ in range(case.steps_per_epoch)
    ]


def training_of(case: Case) -> Training:
    """Return what the MLflow run is told beforehand."""
    return Training(
        signature=case.network,
        experiment=case.network,
        task="classify",
        network=case.network,
        num_parameters=0,
        params={},
        inputs={str(Path("none")): ""},
        code="",
    )


def cpu_seconds(epoch: Callable[[int], None], number: int) -> float:
    """Return the CPU time of one epoch, of all threads: what is sent to MLflow meanwhile counts."""
    began = time.process_time()
    epoch(number)
    return time.process_time() - began


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
