"""Telemetry, and the `python` that dvc.yaml starts."""

import os
import sys
from pathlib import Path

import pytest

from cnnpipe import telemetry
from cnnpipe.projects.checks import environment
from cnnpipe.projects.checks.facts import Facts
from cnnpipe.projects.checks.programs import Answer, ask

OFF = Facts(dvc=Answer(0, "core.analytics=false\ncore.check_update=false"))


def put_python(folder: Path, content: str) -> None:
    folder.mkdir()
    (folder / "python").write_text(f"#!/bin/sh\n{content}\n", encoding="utf-8")
    (folder / "python").chmod(0o755)


def test_telemetry_is_off_by_default() -> None:
    assert [result.state for result in environment.check_telemetry(OFF)] == ["ok"]


@pytest.mark.parametrize("name", telemetry.OFF)
def test_the_users_own_choice_is_noted(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "other")
    (result,) = environment.check_telemetry(OFF)
    assert (result.state, result.found) == ("note", f"{name}=other in your environment")


def test_dvc_by_itself_asks_for_updates_unless_told(tmp_path: Path) -> None:
    results = environment.check_telemetry(Facts())
    assert [result.fix for result in results] == [
        "dvc config core.analytics false",
        "dvc config core.check_update false",
    ]


def test_the_python_of_this_environment_is_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.defpath}")
    (result,) = environment.check_python_on_path(Facts())
    assert result.state == "ok"


def test_a_link_from_elsewhere_to_this_environment_is_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_python(tmp_path / "bin", f'exec "{sys.executable}" "$@"')
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.defpath}")
    (result,) = environment.check_python_on_path(Facts())
    assert result.state == "ok"


@pytest.mark.parametrize("content", ["echo /usr", "exit 1"], ids=["another", "broken"])
def test_another_python_first_on_the_path_is_a_warning(
    content: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_python(tmp_path / "bin", content)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    (result,) = environment.check_python_on_path(Facts())
    assert result.state == "warning"
    assert f"{tmp_path}/bin/python is another Python" in result.found
    assert "cnnpipe repro" in result.fix


def test_no_python_on_the_path_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    (result,) = environment.check_python_on_path(Facts())
    assert (result.state, result.found) == ("warning", "there is none: `dvc repro` fails")


def test_a_program_that_does_not_end_or_is_absent_gives_an_answer() -> None:
    assert ask("sleep", "30", timeout_s=0.1).complained == "sleep gave no answer within 0 s"
    assert ask("cnnpipe-no-such-program").code == 127
    assert ask("sh", "-c", "echo one; echo two >&2; exit 3") == Answer(3, "one", "two")
