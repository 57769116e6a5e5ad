"""How long `dvc repro` takes with nothing to do, beside DVC's own no-op of a project of the same shape.

    make demo && .venv/bin/python -m benchmarks.noop [--rounds 7] [--out FILE]

The peer has as many stages, dependencies, params and outputs, and the same files, but no stage that always
runs. Both run in turn, as new processes; medians are compared. Bound: 1.5.
"""

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from ruamel.yaml import YAML

from benchmarks import side_by_side
from benchmarks.side_by_side import Contest, Runner

ROOT: Final = Path(__file__).resolve().parent.parent
BOUND: Final = 1.5
DVC_REPRO: Final = (sys.executable, "-m", "dvc", "repro")
ALWAYS: Final = frozenset({"code"})  # runs every time, and leaves at once


def main(arguments: Sequence[str]) -> int:
    """Run the benchmark; return 1 when the bound is passed."""
    options = side_by_side.options(__doc__, "noop", rounds=7).parse_args(arguments)
    ours = Runner("cnnpipe: dvc repro", DVC_REPRO, ROOT)
    if late := stages_run(ours) - ALWAYS:
        sys.exit(f"not up to date: {', '.join(sorted(late))} had to run; now run this again")
    with tempfile.TemporaryDirectory(prefix="cnnpipe-noop-") as folder:
        theirs = Runner("dvc alone: dvc repro", DVC_REPRO, Path(folder))
        make_peer(ROOT, theirs.cwd)
        if late := stages_run(theirs):
            sys.exit(f"the peer is not up to date: {', '.join(sorted(late))}")
        return side_by_side.hold(Contest(ours, theirs, BOUND), rounds=options.rounds, out=options.out)


def stages_run(runner: Runner) -> set[str]:
    """Run `dvc repro` once and return the names of the stages that it ran or restored."""
    return set(re.findall(r"tage '([^']+)'(?=:| is cached)", runner.output()))


def make_peer(project: Path, folder: Path) -> None:
    """Make in `folder` a DVC project with the shape and the files of `project`, all of it up to date.

    Its stages are the entries of dvc.lock: templates are expanded, and no stage says `always_changed`.
    """
    yaml = YAML(typ="safe")
    entries = yaml.load((project / "dvc.lock").read_text(encoding="utf-8"))["stages"]
    stages = {name.replace("@", "-"): peer_stage(entry) for name, entry in entries.items()}
    for path in sorted(_files_of(entries)):
        _copy(project / path, folder / path)
    with (folder / "dvc.yaml").open("w", encoding="utf-8") as file:
        yaml.dump({"stages": stages}, file)
    for command in (["git", "init", "--quiet"], [sys.executable, "-m", "dvc", "init", "--quiet"]):
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
    for name in (".gitignore", ".dvcignore", ".dvc/config"):
        shutil.copy(project / name, folder / name)
    commit = [sys.executable, "-m", "dvc", "commit", "--quiet", "--force"]
    subprocess.run(commit, cwd=folder, check=True, capture_output=True)


def peer_stage(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return the stage of dvc.yaml that has the shape of one entry of dvc.lock."""
    stage = {
        "cmd": "true",
        "deps": [dep["path"] for dep in entry.get("deps", [])],
        "params": [{file: list(values)} for file, values in entry.get("params", {}).items()],
        "outs": [out["path"] for out in entry.get("outs", [])],
    }
    return {key: value for key, value in stage.items() if value}


def _files_of(entries: Mapping[str, Mapping[str, Any]]) -> set[str]:
    """Return every file and folder that the entries name, without what lies in another of them."""
    named = {
        part["path"]
        for entry in entries.values()
        for kind in ("deps", "outs")
        for part in entry.get(kind, [])
    }
    named |= {file for entry in entries.values() for file in entry.get("params", {})}
    return {path for path in named if not named & {str(parent) for parent in Path(path).parents}}


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target)
    else:
        shutil.copy(source, target)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
