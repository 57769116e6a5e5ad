"""How long `cnnpipe plan` takes on a large project that is up to date, beside `dvc status`.

    .venv/bin/python -m benchmarks.plan [--experiments 50] [--rounds 5] [--out FILE]

The project has the graph of this one and as many experiments as said; its outputs are small files in the
place of real ones, known to DVC as if they had been computed. Both commands look at the same files, and both
run in turn, as new processes. Bounds: 3 s, and 1.0 of `dvc status`, which says less: what changed in a stage,
not which value, file or module, and not what can be restored.
"""

import copy
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from dvc.repo import Repo
from ruamel.yaml import YAML

from benchmarks import side_by_side
from benchmarks.side_by_side import Contest, Runner
from cnnpipe import files, paths
from cnnpipe.evaluation.promotion import Registered
from cnnpipe.training.records import RUN_FILE, RunRecord

ROOT: Final = Path(__file__).resolve().parent.parent
BOUND: Final = 1.0
BOUND_S: Final = 3.0
_COPIED: Final = ("dvc.yaml", ".gitignore", ".dvcignore", ".dvc/config", ".dvc/.gitignore")
_NUM_PICTURES: Final = 360
_NUM_OTHERS: Final = 4  # files of any other folder


def main(arguments: Sequence[str]) -> int:
    """Run the benchmark; return 1 when a bound is passed."""
    parser = side_by_side.options(__doc__, "plan", rounds=5)
    parser.add_argument("--experiments", type=int, default=50, help="of the project")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="cnnpipe-plan-") as folder:
        project = Path(folder) / "project"
        make_project(project, options.experiments)
        ours = Runner("cnnpipe plan", (sys.executable, "-m", "cnnpipe", "plan", "--json"), project)
        theirs = Runner("dvc status", (sys.executable, "-m", "dvc", "status"), project)
        told = json.loads(ours.output())
        print(f"{len(told['stages'])} stages: {told['counts']}")
        code = side_by_side.hold(Contest(ours, theirs, BOUND), rounds=options.rounds, out=options.out)
    seconds = statistics.median(json.loads(options.out.read_text(encoding="utf-8"))["ours_seconds"])
    print(f"{seconds:.2f} s, bound {BOUND_S} s")
    return int(code or seconds > BOUND_S)


def make_project(folder: Path, num_experiments: int) -> None:
    """Make a project in which only what asks MLflow, which knows nothing of it, is not up to date."""
    for name in _COPIED:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    _write_params(folder, num_experiments)
    files.write_text(folder / paths.PINNED_SPLITS, "\n")
    _run(folder, "git", "init", "--quiet")
    _run(folder, sys.executable, "-m", "cnnpipe", "code")
    with Repo(str(folder)) as repo:
        for stage in repo.index.stages:
            for out in stage.outs:
                _write_output(Path(out.fs_path), stage.name)
    _run(folder, sys.executable, "-m", "dvc", "commit", "--quiet", "--force")


def _write_params(folder: Path, num_experiments: int) -> None:
    yaml = YAML(typ="safe")
    params = yaml.load((ROOT / paths.PARAMS).read_text(encoding="utf-8"))
    recipes = list(params["experiments"].items())
    named = ((number, *recipes[number % len(recipes)]) for number in range(num_experiments))
    params["experiments"] = {f"e{number:02d}-{name}": copy.deepcopy(recipe) for number, name, recipe in named}
    with (folder / paths.PARAMS).open("w", encoding="utf-8") as file:
        yaml.dump(params, file)


def _write_output(path: Path, stage: str) -> None:
    if path.name == RUN_FILE:
        files.write_json(path, _run_record(path.parent.name))
    elif path.name == paths.REGISTERED.name:
        files.write_json(path, Registered(experiments={}, candidates={}))
    elif path.suffix and not path.exists():
        files.write_text(path, f"{stage} {path.name}\n" * 100)
    elif not path.exists():
        for number in range(_NUM_PICTURES if path.name == paths.RAW.name else _NUM_OTHERS):
            files.write_text(path / f"{number}.png", f"{stage} {number}\n" * 100)


def _run_record(experiment: str) -> RunRecord:
    return RunRecord(
        signature=experiment,
        experiment=experiment,
        task="classify",
        network="lenet5",
        num_parameters=1,
        params={},
        inputs={},
        code="",
        stop_reason="epochs",
        best_epoch=1,
    )


def _run(folder: Path, *command: str) -> None:
    subprocess.run(command, cwd=folder, check=True, capture_output=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
