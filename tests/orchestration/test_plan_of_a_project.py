"""The plan of a real project of this package, against what `dvc repro` then does with it."""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from plan_projects import replace_in, verdicts_said
from tiny_projects import ROOT, make_tiny_project, run

pytestmark = pytest.mark.slow
_TARGET = "split"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny project, up to date as far as its split, and a copy of cnnpipe's code for it."""
    folder = tmp_path_factory.mktemp("planned")
    shutil.copytree(ROOT / "cnnpipe", folder / "code/cnnpipe", ignore=shutil.ignore_patterns("__pycache__"))
    make_tiny_project(folder / "project")
    repro(folder)
    return folder


def call(place: Path, *command: str) -> str:
    done = run(place / "project", sys.executable, "-m", *command, PYTHONPATH=str(place / "code"))
    assert done.returncode == 0, done.stderr
    return done.stdout


def repro(place: Path) -> dict[str, str]:
    return verdicts_said(call(place, "dvc", "repro", _TARGET))


def plan(place: Path) -> dict[str, Any]:
    told = json.loads(call(place, "cnnpipe", "plan", _TARGET, "--json"))
    return {each["stage"]: each for each in told["stages"]}


def check_against_repro(place: Path, planned: dict[str, Any]) -> dict[str, str]:
    """Compare, let `dvc repro` do it, and return the verdicts. Below what is to run anything may come."""
    done = repro(place)
    for name, each in planned.items():
        if all(reason["kind"] != "upstream" for reason in each["reasons"]):
            assert done[name] == each["verdict"], name
    return {name: each["verdict"] for name, each in planned.items()}


def texts(planned: dict[str, Any], stage: str) -> list[str]:
    return [reason["text"] for reason in planned[stage]["reasons"]]


def test_param_there_and_back(place: Path) -> None:
    params = place / "project/params.yaml"
    replace_in(params, "given: folder", "given: none")
    planned = plan(place)
    assert texts(planned, "split") == ["split.given folder → none"]
    verdicts = check_against_repro(place, planned)
    assert (verdicts["validate"], verdicts["split"]) == ("unchanged", "to run")
    replace_in(params, "given: none", "given: folder")
    assert check_against_repro(place, plan(place))["split"] == "restorable"


def test_code_as_it_is_now(place: Path) -> None:
    with (place / "code/cnnpipe/stages/split.py").open("a", encoding="utf-8") as file:
        file.write("\n# later\n")
    planned = plan(place)
    assert texts(planned, "split") == ["code: 1 changed (stages/split.py)"]
    assert check_against_repro(place, planned)["split"] == "to run"


def test_output_and_code_json_missing(place: Path) -> None:
    (place / "project/code.json").unlink()
    (place / "project/data/splits.jsonl").unlink()
    verdicts = check_against_repro(place, plan(place))
    assert verdicts == {
        "code": "to run",
        **dict.fromkeys(["sample", "ingest", "validate"], "unchanged"),
        "split": "restorable",
    }


def test_picture_that_somebody_changed(place: Path) -> None:
    picture = next((place / "project/data/raw").rglob("*.jpg"))
    picture.unlink()
    planned = plan(place)
    assert texts(planned, "sample") == ["not as in dvc.lock: data/raw"]
    verdicts = check_against_repro(place, planned)
    assert verdicts == {
        "code": "to run",
        "sample": "restorable",
        **dict.fromkeys(list(verdicts)[2:], "unchanged"),
    }
    assert picture.exists()


def test_clone_that_holds_nothing(place: Path) -> None:
    shutil.copytree(place / "project", place / "clone/project", ignore=_outputs)
    shutil.copytree(place / "code", place / "clone/code")
    planned = plan(place / "clone")
    assert {each["verdict"] for each in planned.values()} == {"to run"}
    (place / "clone/project/dvc.lock").unlink()
    assert texts(plan(place / "clone"), "ingest")[0] == "never run: dvc.lock has no entry for it"


def _outputs(folder: str, names: list[str]) -> set[str]:
    written = {"raw", "ingested", "validated", "splits.jsonl", "augmented", "code.json", ".cnnpipe"}
    return {
        name for name in names if name in written or (name in {"cache", "tmp"} and folder.endswith(".dvc"))
    }
