"""Where runs are kept, and under which name."""

import subprocess
from pathlib import Path

import pytest

from cnnpipe.tracking import place


def test_the_store_is_a_database_in_the_project(project_dir: Path) -> None:
    assert place.tracking_uri() == f"sqlite:///{project_dir}/mlflow.db"
    assert place.sqlite_file(place.tracking_uri()) == project_dir / "mlflow.db"


def test_the_users_store_is_honoured(project_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:5000")
    assert place.tracking_uri() == "http://127.0.0.1:5000"
    assert place.sqlite_file(place.tracking_uri()) is None


@pytest.mark.parametrize(
    ("origin", "expected"),
    [
        ("https://example.org/team/shoes.git", "shoes"),
        ("git@example.org:shoes.git", "shoes"),
        ("ssh://git@example.org:22/team/shoes", "shoes"),
        ("/srv/git/shoes/", "shoes"),
        ("https://me:secret@example.org/team/shoes.git", "shoes"),
        ("https://me:secret@shoes.example.org", "shoes.example.org"),
        ("me:secret@example.org:shoes", "shoes"),
        (None, "project"),
    ],
)
def test_every_clone_has_the_same_name(origin: str | None, expected: str, project_dir: Path) -> None:
    subprocess.run(["git", "init", "-q"], check=True)
    if origin is not None:
        subprocess.run(["git", "remote", "add", "origin", origin], check=True)
    assert place.project() == expected


def test_without_git_the_folder_names_the_project(project_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(project_dir))
    assert place.project() == "project"


def test_the_users_name_is_honoured(project_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "boots")
    assert place.project() == "boots"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("http://me:secret@host:5000/x", "http://host:5000/x"),
        ("http://token@host", "http://host"),
        ("postgresql://me:se/cr@t@host/db", "postgresql://host/db"),
        (
            "asked http://me:secret@a/ and http://me:secret@b/: refused",
            "asked http://a/ and http://b/: refused",
        ),
        ("HTTPConnectionPool(host='me:x', port=1): url //me:secret@host", None),
        ("http://host:5000/#/models/shoes@champion", "http://host:5000/#/models/shoes@champion"),
        ("models:/shoes@champion", "models:/shoes@champion"),
        ("sqlite:////home/me/mlflow.db", "sqlite:////home/me/mlflow.db"),
    ],
)
def test_what_is_shown_holds_no_password(text: str, expected: str | None) -> None:
    assert "secret" not in place.shown(text)
    assert expected is None or place.shown(text) == expected
