"""The embedded sample's view for classifiers, made by the stages themselves in a project of its own."""

import subprocess
import sys
from pathlib import Path
from typing import Final

from benchmarks.side_by_side import RESULTS

ROOT: Final = Path(__file__).resolve().parents[1]
PARAMS: Final = ROOT / "params.yaml"
PROJECT: Final = RESULTS / "classify_vs_peers"
STAGES: Final = (["code"], ["sample"], ["ingest"], ["validate"], ["split"], ["augment", "classify"])
_VIEW: Final = Path("data/augmented/classify")


def sample_view(project: Path = PROJECT) -> Path:
    """Return the folder of the view; the stages run only where it is missing or params.yaml has changed.

    Raises:
        SystemExit: a stage failed.
    """
    view, params, content = project / _VIEW, project / "params.yaml", PARAMS.read_bytes()
    if view.exists() and params.read_bytes() == content:
        return view
    project.mkdir(parents=True, exist_ok=True)
    params.unlink(missing_ok=True)  # were a stage to fail, the view would be of other params
    params.write_bytes(content)
    for stage in STAGES:
        _run(stage, project)
    return view


def _run(stage: list[str], project: Path) -> None:
    command = [sys.executable, "-m", "cnnpipe", *stage]
    ran = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    if ran.returncode:
        (project / "params.yaml").unlink()  # so that the next call begins anew
        sys.exit(f"cnnpipe {' '.join(stage)} ended with {ran.returncode}:\n{ran.stdout}{ran.stderr}")
