"""What stage `code` will do is part of the plan: its digests, and what it removes."""

import shlex
import shutil
import sys
from pathlib import Path

import pytest
from dvc.repo import Repo
from plan_projects import reproduced, verdicts
from tiny_projects import ROOT

from cnnpipe import files
from cnnpipe.evaluation.promotion import Registered
from cnnpipe.orchestration.planning.plan import plan

_PYTHON = shlex.quote(sys.executable)  # its folder may have a blank
_GRAPH = f"""
stages:
  code: {{cmd: exec {_PYTHON} -m cnnpipe code, always_changed: true, outs: [code.json: {{cache: false}}]}}
  compare:
    cmd: mkdir comparison && ls models > comparison/all
    deps: [models]
    params: [code.json: [compare, train.detect]]
    outs: [comparison]
  register:
    cmd: cp proposed.json registered.json
    deps: [comparison]
    params: [code.json: [split]]
    outs: [registered.json: {{cache: false}}]
"""


@pytest.fixture
def project(project_dir: Path) -> Path:
    """Stand in a project that is up to date but for the runs that MLflow, which is empty, lacks."""
    shutil.copy(ROOT / "params.yaml", project_dir)
    files.write_text(project_dir / "dvc.yaml", _GRAPH)
    files.write_text(project_dir / "models/lenet/weights", "1")
    proposed = Registered(experiments={}, candidates={"classify": "lenet"})
    files.write_json(project_dir / "proposed.json", proposed)
    Repo.init(".", no_scm=True).close()
    with Repo(".") as repo:
        repo.reproduce()
    return project_dir


def test_stale_digests_do_not_count(project: Path, caplog: pytest.LogCaptureFixture) -> None:
    files.write_json(project / "code.json", {"compare": "0 ", "train": {"detect": "0 "}, "split": "0 "})
    planned = verdicts(plan(project))
    assert planned == {"code": "to run", "compare": "unchanged", "register": "to run"}
    assert reproduced(caplog) == planned


def test_folders_of_gone_experiments_do_not_count(project: Path, caplog: pytest.LogCaptureFixture) -> None:
    files.write_text(project / "models/old/run.json", "{}")
    assert verdicts(plan(project))["compare"] == "unchanged"
    assert (project / "models/old/run.json").exists()
    (project / "registered.json").unlink()  # a broken run.json would stop stage `code`
    assert reproduced(caplog)["compare"] == "unchanged"


def test_register_runs_where_mlflow_lacks_what_it_vouches_for(project: Path) -> None:
    (reason,) = plan(project)[2].reasons
    assert reason.text == "stage code will remove: registered.json"
    assert (project / "registered.json").exists()


def test_digests_of_other_code_are_told(project: Path) -> None:
    lock = (project / "dvc.lock").read_text(encoding="utf-8")
    old = next(line for line in lock.splitlines() if line.strip().startswith("compare: "))
    digest = old.split(": ")[1].split()[0]
    (project / "dvc.lock").write_text(lock.replace(digest, "f" * 32), encoding="utf-8")
    (reason,) = plan(project)[1].reasons
    assert reason.text == "code: which files is known only where that code ran"
    files.write_json(project / ".cnnpipe/code" / f"{'f' * 32}.json", {"gone.py": "1"})
    (reason,) = plan(project)[1].reasons
    assert reason.text.endswith("1 removed (gone.py)")
