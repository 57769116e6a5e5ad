"""The doctor as a whole: it never falls ill itself, changes nothing, and its exit code says the worst."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import MappingProxyType

import msgspec
import pytest

from cnnpipe.cli import main
from cnnpipe.errors import DataError
from cnnpipe.projects import doctor
from cnnpipe.projects.checks.facts import Facts, TorchReport, gather
from cnnpipe.projects.checks.programs import Answer
from cnnpipe.projects.checks.results import Result, error, note, ok, warning

ROOT = Path(__file__).parents[2]
WELL = Facts(torch=TorchReport(), dvc=Answer(0, "core.analytics=false\ncore.check_update=false"))


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spare the seconds that torch and DVC take to answer."""
    monkeypatch.setattr(doctor, "gather", lambda *, online: msgspec.structs.replace(WELL, online=online))


def snapshot(folder: Path) -> dict[str, tuple[int, int]]:
    return {str(p): (p.lstat().st_mtime_ns, p.lstat().st_size) for p in sorted(folder.rglob("*"))}


def test_a_check_that_fails_is_a_row_and_the_others_go_on(
    quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(facts: Facts) -> list[Result]:
        raise ZeroDivisionError("division by zero")

    def refused(facts: Facts) -> list[Result]:
        raise DataError("raw", "is odd", "mend it")

    checks = {"first": broken, "second": refused, "third": lambda facts: [ok("third", "well")]}
    monkeypatch.setattr(doctor, "MACHINE", MappingProxyType(checks))
    first, second, third, *_ = doctor.examine()
    assert (first.check, first.state, first.exit_code) == ("first", "error", 1)
    assert first.found == "this check itself failed: ZeroDivisionError: division by zero"
    assert (second.found, second.fix, second.exit_code) == ("is odd", "mend it", 3)
    assert third.state == "ok"


@pytest.mark.parametrize(
    ("results", "code"),
    [
        ([], 0),
        ([ok("a", ""), note("b", ""), warning("c", "", "")], 0),
        ([warning("c", "", ""), error("d", "", "", DataError), error("e", "", "")], 3),
    ],
)
def test_the_exit_code_is_that_of_the_first_error(results: list[Result], code: int) -> None:
    assert doctor.exit_code(results) == code


def test_outside_a_project_only_the_machine_is_looked_at(quick: None, project_dir: Path) -> None:
    results = doctor.examine()
    assert {result.check for result in results} <= {*doctor.MACHINE, "project"}
    assert (results[-1].check, results[-1].state) == ("project", "note")


def test_below_a_project_its_folder_is_named(
    quick: None, project_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project_dir / "params.yaml").touch()
    (project_dir / "data").mkdir()
    monkeypatch.chdir(project_dir / "data")
    assert doctor.examine()[-1].fix == f"cd {project_dir}"


def test_in_an_empty_project_every_check_ends_in_rows(quick: None, project_dir: Path) -> None:
    (project_dir / "params.yaml").write_bytes(b"\xff\x00: [")
    results = doctor.examine()
    assert not [result.found for result in results if "check itself failed" in result.found]
    assert [result.exit_code for result in results if result.check == "params.yaml"] == [2]
    assert all(result.fix for result in results if result.state in ("warning", "error"))


def test_json_holds_every_row_and_the_code(
    quick: None, project_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project_dir / "params.yaml").write_text("ingest: {}\n", encoding="utf-8")
    with pytest.raises(SystemExit) as end:
        main.run(["doctor", "--json"])
    shown = json.loads(capsys.readouterr().out)
    assert end.value.code == shown["exit_code"] == 2
    assert {"check", "state", "found", "fix", "exit_code"} == set(shown["checks"][0])


def test_the_table_cuts_nothing(
    quick: None, project_dir: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setattr(
        doctor, "MACHINE", {"x": lambda facts: [warning("x", "[bold] " + "a" * 200, "do " * 50)]}
    )
    with pytest.raises(SystemExit) as end:
        main.run(["doctor"])
    assert end.value.code == 0
    shown = capsys.readouterr().out
    assert shown.count("a") >= 200
    assert shown.count("do") == 50
    assert "[bold]" in shown
    assert "fix:" in shown


@pytest.mark.slow
def test_a_real_project_is_looked_over_and_left_as_it_is(project_dir: Path) -> None:
    for name in ("params.yaml", "dvc.yaml", ".gitignore"):
        shutil.copy(ROOT / name, project_dir)
    shutil.copytree(ROOT / ".dvc", project_dir / ".dvc", ignore=shutil.ignore_patterns("tmp", "cache"))
    subprocess.run(["git", "init", "--quiet"], check=True)
    with (project_dir / ".dvc/config").open("a", encoding="utf-8") as config:
        config.write("['remote \"far\"']\n    url = ../../store\n")
    before = snapshot(project_dir)
    command = [sys.executable, "-m", "cnnpipe", "doctor", "--json"]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
    ran = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert snapshot(project_dir) == before
    rows = {row["check"]: row for row in json.loads(ran.stdout)["checks"]}
    assert ran.returncode == 7, ran.stdout
    assert rows["remotes"]["found"] == f"far: there is no folder {project_dir.parent / 'store'}"
    assert rows["torch"]["state"] != "error"
    assert rows["dvc"]["state"] == rows["python on PATH"]["state"] == "ok"
    assert rows["telemetry"]["state"] == "ok"


def test_a_torch_that_cannot_be_imported_is_told(project_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project_dir / "torch.py").write_text("raise OSError('libcudart.so.13 is not there')", encoding="utf-8")
    report = gather(online=False).torch
    assert report is not None
    assert report.fault == "OSError: libcudart.so.13 is not there"


def test_a_torchvision_of_another_torch_is_told(project_dir: Path) -> None:
    (project_dir / "torchvision").mkdir()
    (project_dir / "torchvision/__init__.py").touch()
    (project_dir / "torchvision/_C.so").write_bytes(b"no library")
    report = gather(online=False).torch
    assert report is not None
    assert not report.fault
    assert "_C.so" in report.torchvision_fault
