"""The share of an epoch in which training waits for the loader: lite0 at 96 px, ResNet-18 at 64 px.

    python -m benchmarks.loader_wait [--rounds 3] [--out FILE]

Each trains on the embedded sample's view by the task's own `prepare` and `fit`, with the recipe of
params.yaml or docs/experiments.md, and the threads and loader workers of params.yaml. Waiting is the wall
time in the loader's `iter` and `next`, the first batch of each epoch included; the epoch is that of its
steps, without validation, which is left out, and without its checkpoint. The first epoch, in which the worker
starts, is told and does not count. Bound on the median of the others: 10 % of the epoch.
"""

import logging
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from cnnpipe import telemetry

telemetry.turn_off()  # before anything is imported that could phone home

from benchmarks import side_by_side  # noqa: E402
from benchmarks.course_networks import Trial, recipe_of, side  # noqa: E402
from benchmarks.meters import Meter, MeteredEpoch, metered  # noqa: E402
from benchmarks.sample_view import PARAMS, sample_view  # noqa: E402
from cnnpipe import files  # noqa: E402
from cnnpipe.inference.torch_settings import repeatable_torch  # noqa: E402
from cnnpipe.params.experiment import ClassifyParams, TrainParams  # noqa: E402
from cnnpipe.params.load import load_section, load_value  # noqa: E402
from cnnpipe.tasks.classify.training import prepare  # noqa: E402
from cnnpipe.training.devices import make_accelerator  # noqa: E402
from cnnpipe.training.fit import Surroundings, fit  # noqa: E402

BOUND: Final = 0.10
_SAID: Final = {"loss": 1.0, "accuracy": 0.5, "f1_macro": 0.5}  # of val, which nobody judges here


@dataclass(frozen=True)
class Result:
    """Epochs are in order, the first one included; the share is the median of the others'."""

    network: str
    side_px: int
    num_workers: int
    num_threads: int
    epochs: tuple[MeteredEpoch, ...]
    share: float
    bound: float


def main(arguments: Sequence[str]) -> int:
    """Run the benchmark; return 1 when a bound is passed."""
    options = side_by_side.options(__doc__, "loader_wait", rounds=3).parse_args(arguments)
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(message)s")
    view, machine = sample_view(), _machine()
    with repeatable_torch(num_threads=machine.num_threads):
        results = [measure(view, recipe, machine, options.rounds) for recipe in recipes()]
    files.write_json(options.out, results)
    for found in results:
        first = found.epochs[0].waited_share
        print(
            f"{found.network} {found.side_px} px: waits {found.share:.1%} of an epoch, bound {BOUND:.0%}; "
            f"of the first {first:.1%}"
        )
    return int(any(found.share > BOUND for found in results))


def recipes() -> tuple[dict[str, Any], ...]:
    """Return the recipes as params.yaml writes them."""
    lite0: dict[str, Any] = load_value(PARAMS, "experiments.lite0")
    resnet18 = recipe_of(Trial("resnet18", "experiments.md", "resnet18", side(64)), seed=1)
    return lite0, resnet18


def measure(view: Path, recipe: dict[str, Any], machine: TrainParams, rounds: int) -> Result:
    """Train one epoch to warm up and `rounds` that count."""
    params = ClassifyParams.model_validate({**recipe, "epochs": rounds + 1, "early_stopping": None})
    job, meter = prepare(view, params, machine), Meter()
    with tempfile.TemporaryDirectory(prefix="cnnpipe-wait-") as folder:
        surroundings = Surroundings(make_accelerator("cpu"), Path(folder), lambda _row, _seconds: None)
        fit(job.first_network(params), metered(job.data(), meter, judgement=_SAID), params, surroundings)
    return Result(
        network=params.network,
        side_px=params.input.side_px,
        num_workers=machine.num_workers,
        num_threads=machine.num_threads,
        epochs=tuple(meter.epochs),
        share=median_share(meter.epochs),
        bound=BOUND,
    )


def median_share(epochs: Sequence[MeteredEpoch]) -> float:
    """Return the median share of waiting, without the first epoch."""
    return statistics.median(epoch.waited_share for epoch in epochs[1:])


def _machine() -> TrainParams:
    machine = load_section(PARAMS, "train", TrainParams)
    return machine.model_copy(update={"device": "cpu", "precision": "float32"})


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
