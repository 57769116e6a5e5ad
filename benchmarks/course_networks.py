"""The networks of the course, each trained on the embedded sample, and the table of docs/results.md.

    python -m benchmarks.course_networks                    # all of them, three seeds each: about an hour
    python -m benchmarks.course_networks lenet mlp --seeds 1

The recipes are those of docs/networks/, with the changes told below; each training is `cnnpipe train` and
`cnnpipe evaluate` in a project of its own below benchmarks/results/, one thread each. What is done is kept: a
second call does only what is missing.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from ruamel.yaml import YAML
from scipy import stats  # type: ignore[import-untyped]  # no stubs

from benchmarks.side_by_side import RESULTS

ROOT: Final = Path(__file__).resolve().parents[1]
PROJECT: Final = RESULTS / "course_networks"
STAGES: Final = (["code"], ["sample"], ["ingest"], ["validate"], ["split"], ["augment", "classify"])
ENOUGH_S: Final = 300.0  # of one training: three, two at a time, then take ten minutes


@dataclass(frozen=True)
class Trial:
    """An experiment of the table: the recipe of a page, and what is changed in it."""

    name: str
    page: str  # below docs/
    recipe: str
    changes: Mapping[str, Any] = field(default_factory=dict)


def side(side_px: int) -> dict[str, Any]:
    """Return the input of recipes in another size."""
    return {"input": {"side_px": side_px, "channels": 3, "fit": "letterbox", "normalisation": "dataset"}}


def adamw(learning_rate: float) -> dict[str, Any]:
    """Return the optimiser of the recipes with another rate."""
    return {"optimiser": {"name": "adamw", "learning_rate": learning_rate, "weight_decay": 0.05}}


TRIALS: Final = (
    Trial("mlp", "networks/plain.md", "mlp"),
    Trial("lenet", "networks/lenet.md", "lenet-tanh", {"options": None}),
    Trial("lenet-tanh", "networks/lenet.md", "lenet-tanh"),
    Trial("alexnet", "networks/alexnet.md", "zfnet", {"network": "alexnet", "options": None}),
    Trial("zfnet", "networks/alexnet.md", "zfnet"),
    Trial("vgg-grown", "networks/vgg.md", "vgg-grown"),
    Trial("googlenet", "networks/inception.md", "googlenet"),
    Trial(
        "inception-v2",
        "networks/inception.md",
        "googlenet",
        {"network": "inception_v2", "options": None, **adamw(0.003)},
    ),
    Trial("resnet18", "experiments.md", "resnet18", side(48)),
    Trial("mobilenet-v1", "networks/mobilenet.md", "mobilenet-v1"),
    Trial("se-resnet18", "networks/resnet.md", "se-resnet18", side(48)),
    Trial("coatnet", "networks/transformer.md", "coatnet"),
    Trial("small-vgg", "networks/cnn.md", "small-vgg"),
    Trial("small-mobile", "networks/cnn.md", "small-mobile"),
)


@dataclass(frozen=True)
class Outcome:
    """One training: its end on the test split."""

    trial: str
    seed: int
    network: str
    num_parameters: int
    epochs: int
    seconds: float  # of `cnnpipe train`, start included
    accuracy: float
    low: float  # ends of the interval by bootstrap over the groups of test
    high: float
    val_accuracy: float


def recipe_of(trial: Trial, *, seed: int) -> dict[str, Any]:
    """Return the recipe of a trial as params.yaml has it; a change to None leaves a key out."""
    text = (ROOT / "docs" / trial.page).read_text(encoding="utf-8")
    blocks = [block.partition("```")[0] for block in text.split("```yaml\n")[1:]]
    (block,) = (each for each in blocks if each.startswith(f"  {trial.recipe}:\n"))
    recipe: dict[str, Any] = YAML(typ="safe").load(block)[trial.recipe]
    left_out = {key for key, value in trial.changes.items() if value is None}
    changed = {**recipe, **trial.changes, "seed": seed}
    return {key: value for key, value in changed.items() if key not in left_out}


def experiment_of(trial: Trial, seed: int) -> str:
    """Return the name of a training among the experiments."""
    return f"{trial.name}-{seed}"


def prepare(seeds: Sequence[int]) -> None:
    """Make the project, once: the sample's view, and a params.yaml with every training."""
    (PROJECT / "data").mkdir(parents=True, exist_ok=True)
    (PROJECT / "data/splits_pinned.jsonl").touch()
    yaml = YAML()
    params = yaml.load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    params["experiments"] = {
        experiment_of(trial, seed): recipe_of(trial, seed=seed) for trial in TRIALS for seed in seeds
    }
    params["augment"].pop("detect")
    params["compare"].pop("detect")
    params["train"]["num_workers"] = 0  # two trainings share two cores
    with (PROJECT / "params.yaml").open("w", encoding="utf-8") as file:
        yaml.dump(params, file)
    for stage in STAGES:
        if stage == ["code"] or not (PROJECT / "data/augmented/classify").exists():
            run(stage)


def run(command: Sequence[str]) -> float:
    """Run a command of cnnpipe in the project; return its seconds.

    Raises:
        SystemExit: it failed.
    """
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "cnnpipe", *command],
        cwd=PROJECT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"cnnpipe {' '.join(command)} ended with {done.returncode}:\n{done.stderr}")
    return time.perf_counter() - began


def outcome_of(trial: Trial, seed: int) -> Outcome:
    """Train and judge, or read what a former call has found."""
    name = experiment_of(trial, seed)
    kept = PROJECT / "outcomes" / f"{name}.json"
    if kept.exists():
        return Outcome(**json.loads(kept.read_text(encoding="utf-8")))
    seconds = run(["train", name])
    run(["evaluate", name])
    record = json.loads((PROJECT / "models" / name / "run.json").read_text(encoding="utf-8"))
    metrics = json.loads((PROJECT / "results" / name / "metrics.json").read_text(encoding="utf-8"))
    outcome = Outcome(
        trial=trial.name,
        seed=seed,
        network=record["network"],
        num_parameters=record["num_parameters"],
        epochs=len(history_of(name)),
        seconds=seconds,
        accuracy=metrics["test/accuracy"],
        low=metrics["test/accuracy/ci_low"],
        high=metrics["test/accuracy/ci_high"],
        val_accuracy=metrics["val/accuracy"],
    )
    kept.parent.mkdir(exist_ok=True)
    kept.write_text(json.dumps(asdict(outcome)), encoding="utf-8")
    print(f"{name}: test {outcome.accuracy:.3f}, val {outcome.val_accuracy:.3f}, {seconds:.0f} s", flush=True)
    return outcome


def outcomes_of(trial: Trial, seeds: Sequence[int]) -> list[Outcome]:
    """Return the outcomes of one seed, and where three of them take less than ten minutes of all."""
    first = outcome_of(trial, seeds[0])
    if first.seconds > ENOUGH_S:
        return [first]
    return [first, *(outcome_of(trial, seed) for seed in seeds[1:])]


def history_of(name: str) -> list[dict[str, float]]:
    """Return the lines of history.jsonl of a training."""
    text = (PROJECT / "models" / name / "history.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def interval_of(outcomes: Sequence[Outcome]) -> tuple[float, float]:
    """Return the 95 % interval of the accuracy.

    Of several seeds Student's t over them; of one the bootstrap over the pictures of test.
    """
    if len(outcomes) == 1:
        return outcomes[0].low, outcomes[0].high
    accuracies = [outcome.accuracy for outcome in outcomes]
    mean, error = statistics.mean(accuracies), stats.sem(accuracies)
    reach = float(stats.t.ppf(0.975, len(accuracies) - 1)) * float(error)
    return max(mean - reach, 0.0), min(mean + reach, 1.0)


def table_of(found: Mapping[str, Sequence[Outcome]]) -> str:
    """Return the table of the page."""
    lines = [
        "| experiment | network | side | parameters | epochs | seconds | seeds | test | 95 % interval |",
        "|---|---|---:|---:|---:|---:|---:|---:|---|",
    ]
    for trial in TRIALS:
        outcomes = found.get(trial.name, [])
        if not outcomes:
            continue
        first, (low, high) = outcomes[0], interval_of(outcomes)
        side_px = recipe_of(trial, seed=1)["input"]["side_px"]
        mean = statistics.mean(outcome.accuracy for outcome in outcomes)
        seconds = statistics.mean(outcome.seconds for outcome in outcomes)
        cells = [
            f"[{trial.name}]({trial.page})",
            f"`{first.network}`",
            f"{side_px}",
            f"{first.num_parameters:,}",
            f"{first.epochs}",
            f"{seconds:.0f}",
            f"{len(outcomes)}",
            f"{mean:.3f}",
            f"{low:.3f} – {high:.3f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Train what is wanted and missing, two at a time, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="EXPERIMENT", help="left out: all of them")
    parser.add_argument("--seeds", type=int, default=3, help="of each, where that takes under ten minutes")
    parser.add_argument("--at-once", type=int, default=2, help="trainings at the same time")
    wanted = parser.parse_args()
    known = {trial.name: trial for trial in TRIALS}
    if unknown := set(wanted.names) - set(known):
        parser.error(f"no such experiment: {', '.join(sorted(unknown))}; there are: {', '.join(known)}")
    seeds = list(range(1, wanted.seeds + 1))
    prepare(seeds)
    chosen = [known[name] for name in wanted.names or known]
    with ThreadPoolExecutor(wanted.at_once) as pool:
        outcomes = list(pool.map(lambda trial: outcomes_of(trial, seeds), chosen))
    print(table_of({trial.name: each for trial, each in zip(chosen, outcomes, strict=True)}))


if __name__ == "__main__":
    main()
