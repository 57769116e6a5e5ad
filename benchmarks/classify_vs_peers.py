"""A classifier trained by cnnpipe, and by torchvision's and timm's recipes in plain loops: accuracy and time.

    python -m benchmarks.classify_vs_peers                  # five seeds, about 15 minutes on an idle machine
    python -m benchmarks.classify_vs_peers --seeds 2 --epochs 2 --side 32

All sides train the same network from the same first weights on the embedded sample's view, as many epochs
with batches of the same size, one thread, and as many loader workers as params.yaml has. Val is judged after
each epoch; the best epoch by its accuracy (of equals the earliest) is judged on test.

Ours is the task's own way: `prepare` and `fit_grown`, with the recipe of docs/experiments.md's resnet18. The
peers' recipes are told in benchmarks/peer_recipes.py; torchvision's rate falls in steps, as its script has
it, unless --torchvision-schedule says otherwise.

Time is that of an epoch's steps with their loading, without val and checkpoint: medians over epochs and seeds
of the wall clock and of the CPUs, workers included. After each epoch of ours each peer has one, so that what
else the machine does meets all. Our checkpoints are timed beside it; benchmarks.checkpoint_cost has a bound.

Bounds, for each peer: ours over theirs at most 1.05 by either clock; the paired 95 % interval of ours minus
theirs on test, by Student's t over the seeds, is not wholly below zero. A seed that is done is kept below
benchmarks/results/classify_vs_peers, by what it was asked: a second call goes on. Delete that folder to begin
anew, as after a change of the code.
"""

import argparse
import hashlib
import logging
import os
import platform
import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, get_args

from cnnpipe import telemetry

telemetry.turn_off()  # before anything is imported that could phone home

import msgspec  # noqa: E402
import torch  # noqa: E402
from scipy import stats  # type: ignore[import-untyped]  # noqa: E402  # no stubs
from torch import Tensor, nn  # noqa: E402

from benchmarks import side_by_side  # noqa: E402
from benchmarks.course_networks import Trial, recipe_of, side  # noqa: E402
from benchmarks.meters import Meter, Seconds, metered, now  # noqa: E402
from benchmarks.peer_recipes import (  # noqa: E402
    Peer,
    Schedule,
    Terms,
    accuracy_of,
    timm_peer,
    torchvision_peer,
    train_epoch,
)
from benchmarks.sample_view import PARAMS, PROJECT, sample_view  # noqa: E402
from cnnpipe import files  # noqa: E402
from cnnpipe.datasets.classification import evaluation_loader  # noqa: E402
from cnnpipe.datasets.packs import open_view  # noqa: E402
from cnnpipe.inference.preprocessing import preprocess_of  # noqa: E402
from cnnpipe.inference.torch_settings import repeatable_torch  # noqa: E402
from cnnpipe.models.bundle import Preprocessing  # noqa: E402
from cnnpipe.params.experiment import ClassifyParams, TrainParams  # noqa: E402
from cnnpipe.params.load import load_section  # noqa: E402
from cnnpipe.tasks.classify.training import prepare  # noqa: E402
from cnnpipe.training.checkpoints import CHECKPOINT_FILE  # noqa: E402
from cnnpipe.training.devices import make_accelerator  # noqa: E402
from cnnpipe.training.fit import FitData, Fitted, Surroundings  # noqa: E402
from cnnpipe.training.growing import fit_grown  # noqa: E402
from cnnpipe.training.records import Epoch  # noqa: E402

TIME_BOUND: Final = 1.05  # ours over theirs, by either clock
CONFIDENCE: Final = 0.95
OURS: Final = "cnnpipe"
PEERS: Final = ("torchvision", "timm")

log = logging.getLogger("benchmarks.classify_vs_peers")


@dataclass(frozen=True)
class Settings:
    """What decides a seed's result, beside the code."""

    network: str
    side_px: int
    epochs: int
    batch_size: int
    torchvision_schedule: Schedule
    view: str  # SHA-256 of its view.json
    torch: str


@dataclass(frozen=True)
class Trained:
    """One side of a seed; seconds are of each epoch, in order."""

    test_accuracy: float
    val_accuracy: float  # of the best epoch
    best_epoch: int  # from 1
    seconds: tuple[Seconds, ...]


@dataclass(frozen=True)
class SeedResult:
    """All sides of a seed, by name."""

    seed: int
    sides: dict[str, Trained]
    checkpoints: tuple[Seconds, ...]  # ours, after each epoch


@dataclass(frozen=True)
class Comparison:
    """Ours beside a peer; accuracies are of test, in [0, 1]."""

    peer: str
    wall_ratio: float
    cpu_ratio: float
    differences: tuple[float, ...]  # ours minus theirs, by seed
    mean_difference: float
    low: float
    high: float

    @property
    def is_held(self) -> bool:
        """Return whether no bound is missed."""
        return max(self.wall_ratio, self.cpu_ratio) <= TIME_BOUND and self.high >= 0.0


@dataclass(frozen=True)
class Result:
    """What is written."""

    settings: Settings
    seeds: tuple[SeedResult, ...]
    comparisons: tuple[Comparison, ...]
    time_bound: float
    confidence: float
    python: str
    machine: str


@dataclass
class _Race:
    """A peer's training as it goes on."""

    peer: Peer
    seconds: list[Seconds] = field(default_factory=list)
    val_accuracies: list[float] = field(default_factory=list)
    best_state: Mapping[str, Tensor] = field(default_factory=dict)


def main(arguments: Sequence[str]) -> int:
    """Run the benchmark; return 1 when a bound is missed."""
    options = _parsed(arguments)
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(message)s")
    view = sample_view()
    settings = _settings(options, view)
    with repeatable_torch(num_threads=1):
        seeds = tuple(seed_result(view, settings, seed) for seed in range(1, options.seeds + 1))
    comparisons = tuple(comparison(peer, seeds) for peer in PEERS)
    result = Result(
        settings=settings,
        seeds=seeds,
        comparisons=comparisons,
        time_bound=TIME_BOUND,
        confidence=CONFIDENCE,
        python=platform.python_version(),
        machine=platform.machine(),
    )
    files.write_json(options.out, result)
    print(table_of(seeds, comparisons))
    return int(not all(found.is_held for found in comparisons))


def paired_interval(differences: Sequence[float], *, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Return the interval of the mean of paired differences, two or more.

    Source: Student 1908, The Probable Error of a Mean; t has one degree of freedom less than differences.
    """
    mean, error = statistics.mean(differences), statistics.stdev(differences) / len(differences) ** 0.5
    reach = float(stats.t.ppf((1.0 + confidence) / 2.0, len(differences) - 1)) * error
    return mean - reach, mean + reach


def median_seconds(seeds: Sequence[SeedResult], name: str) -> Seconds:
    """Return a side's medians over all epochs of all seeds."""
    epochs = [seconds for found in seeds for seconds in found.sides[name].seconds]
    return _medians(epochs)


def comparison(peer: str, seeds: Sequence[SeedResult]) -> Comparison:
    """Return how ours and a peer compare over the seeds, two or more."""
    ours, theirs = median_seconds(seeds, OURS), median_seconds(seeds, peer)
    differences = [found.sides[OURS].test_accuracy - found.sides[peer].test_accuracy for found in seeds]
    low, high = paired_interval(differences)
    return Comparison(
        peer=peer,
        wall_ratio=ours.wall / theirs.wall,
        cpu_ratio=ours.cpu / theirs.cpu,
        differences=tuple(differences),
        mean_difference=statistics.mean(differences),
        low=low,
        high=high,
    )


def table_of(seeds: Sequence[SeedResult], comparisons: Sequence[Comparison]) -> str:
    """Return what is printed: a line for each side, and one for each comparison."""
    lines = [f"{'':<12} {'test':>6} {'val':>6} {'wall s':>8} {'cpu s':>8}   per epoch; {len(seeds)} seeds"]
    for name in (OURS, *PEERS):
        seconds, sides = median_seconds(seeds, name), [found.sides[name] for found in seeds]
        test, val = (
            statistics.mean(values)
            for values in ([each.test_accuracy for each in sides], [each.val_accuracy for each in sides])
        )
        lines.append(f"{name:<12} {test:6.3f} {val:6.3f} {seconds.wall:8.2f} {seconds.cpu:8.2f}")
    kept = _medians([seconds for found in seeds for seconds in found.checkpoints])
    lines.append(f"our checkpoint after an epoch: {kept.wall:.2f} s wall, {kept.cpu:.2f} s CPU")
    for found in comparisons:
        interval = f"{found.low:+.3f} to {found.high:+.3f}"
        lines.append(
            f"over {found.peer}: wall {found.wall_ratio:.3f}, CPU {found.cpu_ratio:.3f}, bound {TIME_BOUND}; "
            f"test {found.mean_difference:+.3f} ({interval}): {'held' if found.is_held else 'MISSED'}"
        )
    return "\n".join(lines)


def seed_result(view: Path, settings: Settings, seed: int) -> SeedResult:
    """Train all sides with a seed, or read what a former call has found."""
    kept = PROJECT / "seeds" / _digest(settings) / f"seed-{seed}.json"
    if kept.exists():
        return files.read_json(kept, SeedResult)
    with tempfile.TemporaryDirectory(prefix="cnnpipe-peers-") as folder:
        found = train_all(view, settings, seed, Path(folder))
    files.write_json(kept, found)
    tests = (f"{name} {trained.test_accuracy:.3f}" for name, trained in found.sides.items())
    log.info("seed %d: test %s", seed, ", ".join(tests))
    return found


def train_all(view: Path, settings: Settings, seed: int, folder: Path) -> SeedResult:
    """Train ours, and after each of its epochs one of each peer.

    Args:
        view: folder of the view.
        settings: the same for all seeds.
        seed: of first weights, order and augmentation.
        folder: empty; for our checkpoints.
    """
    params, machine = _params(settings, seed), _machine()
    job = prepare(view, params, machine)
    network = job.first_network(params)
    preprocessing = job.spec({}, "").preprocessing
    races = _races(view, settings, network, _terms(params, machine, preprocessing))
    meter, checkpoints = Meter(), list[Seconds]()

    def on_epoch(row: Epoch, _: float | None) -> None:
        checkpoints.append(now() - meter.judged)
        _settle(folder / CHECKPOINT_FILE)
        number = int(row["epoch"])
        for race in list(races.values())[:: 1 if number % 2 else -1]:
            _run_epoch(race, number, seed)

    data = job.data()
    surroundings = Surroundings(make_accelerator("cpu"), folder, on_epoch)
    fitted = fit_grown(network, metered(data, meter), params, surroundings, first_network=job.first_network)
    ours = Trained(
        test_accuracy=_our_test_accuracy(view, network, data, fitted, preprocessing),
        val_accuracy=fitted.history[fitted.best_epoch - 1]["val/accuracy"],
        best_epoch=fitted.best_epoch,
        seconds=tuple(epoch.seconds for epoch in meter.epochs),
    )
    theirs = {name: _trained(race) for name, race in races.items()}
    return SeedResult(seed=seed, sides={OURS: ours, **theirs}, checkpoints=tuple(checkpoints))


def _parsed(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--network", default="resnet18", help="of cnnpipe, without auxiliary classifiers")
    parser.add_argument("--side", type=int, default=48, help="pixels, of the network's input")
    parser.add_argument("--epochs", type=int, default=6, help="2 or more: the first warms up")
    parser.add_argument("--seeds", type=int, default=5, help="2 or more: 1, 2, …")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--torchvision-schedule", choices=get_args(Schedule), default="steplr")
    parser.add_argument("--out", type=Path, default=side_by_side.RESULTS / "classify_vs_peers.json")
    options = parser.parse_args(arguments)
    if options.epochs < 2 or options.seeds < 2:
        parser.error("--epochs and --seeds must be 2 or more")
    return options


def _settings(options: argparse.Namespace, view: Path) -> Settings:
    return Settings(
        network=options.network,
        side_px=options.side,
        epochs=options.epochs,
        batch_size=options.batch,
        torchvision_schedule=options.torchvision_schedule,
        view=files.sha256_of_file(view / "view.json"),
        torch=str(torch.__version__),
    )


def _digest(settings: Settings) -> str:
    return hashlib.sha256(msgspec.json.encode(asdict(settings), order="sorted")).hexdigest()[:12]


def _params(settings: Settings, seed: int) -> ClassifyParams:
    changes: dict[str, Any] = side(settings.side_px) | {
        "network": settings.network,
        "epochs": settings.epochs,
        "batch_size": settings.batch_size,
    }
    trial = Trial("resnet18", "experiments.md", "resnet18", changes)
    return ClassifyParams.model_validate(recipe_of(trial, seed=seed))


def _machine() -> TrainParams:
    machine = load_section(PARAMS, "train", TrainParams)
    return machine.model_copy(update={"device": "cpu", "precision": "float32", "num_threads": 1})


def _terms(params: ClassifyParams, machine: TrainParams, preprocessing: Preprocessing) -> Terms:
    return Terms(
        side_px=params.input.side_px,
        epochs=params.epochs,
        batch_size=params.batch_size,
        seed=params.seed,
        num_workers=machine.num_workers,
        mean=preprocessing.mean,
        std=preprocessing.std,
    )


def _races(view: Path, settings: Settings, network: nn.Module, terms: Terms) -> dict[str, _Race]:
    """Return the peers' trainings, each with a copy of the network as it begins."""
    opened = open_view(view)
    of_torchvision = torchvision_peer(deepcopy(network), opened, terms, settings.torchvision_schedule)
    return {"torchvision": _Race(of_torchvision), "timm": _Race(timm_peer(deepcopy(network), opened, terms))}


def _run_epoch(race: _Race, number: int, seed: int) -> None:
    began = now()
    train_epoch(race.peer, number, seed=seed)
    race.seconds.append(now() - began)
    accuracy = accuracy_of(race.peer.network, race.peer.val)
    if accuracy > max(race.val_accuracies, default=-1.0):
        race.best_state = deepcopy(race.peer.network.state_dict())
    race.val_accuracies.append(accuracy)


def _trained(race: _Race) -> Trained:
    race.peer.network.load_state_dict(race.best_state)
    best = max(race.val_accuracies)
    return Trained(
        test_accuracy=accuracy_of(race.peer.network, race.peer.test),
        val_accuracy=best,
        best_epoch=race.val_accuracies.index(best) + 1,
        seconds=tuple(race.seconds),
    )


def _our_test_accuracy(
    view: Path, network: nn.Module, data: FitData[Any], fitted: Fitted, preprocessing: Preprocessing
) -> float:
    network.load_state_dict(fitted.best_state)
    test = evaluation_loader(
        open_view(view), preprocess_of(preprocessing), split="test", batch_size=32, num_workers=0
    )
    return data.objective.judge(network, test, torch.device("cpu"))["accuracy"]


def _settle(path: Path) -> None:
    """Wait until a file is on the disk: else it would be written while the peers train."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _medians(seconds: Sequence[Seconds]) -> Seconds:
    return Seconds(
        wall=statistics.median(each.wall for each in seconds),
        cpu=statistics.median(each.cpu for each in seconds),
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
