"""git around a new project: whatever the user has set up, or has not."""

import os
import subprocess
from pathlib import Path

import pytest

from cnnpipe.errors import CnnpipeError
from cnnpipe.projects.versioning import commit_first, find_place


@pytest.fixture(autouse=True)
def nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Be a user without any set-up of git, in a folder that is in no repository."""
    monkeypatch.setenv("HOME", "")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    for name in ("GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL", "EMAIL"):
        monkeypatch.delenv(name, raising=False)


def git(folder: Path, *arguments: str) -> str:
    ran = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return ran.stdout.strip()


def a_project(folder: Path, *names: str) -> list[str]:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    return list(names)


def config(path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    path.write_text(text)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(path))


def test_without_an_identity_the_first_commit_has_a_stand_in(tmp_path: Path) -> None:
    files = a_project(tmp_path / "p", "a.txt")
    assert commit_first(tmp_path / "p", files) is False
    assert git(tmp_path / "p", "log", "--format=%an <%ae> %s") == (
        "cnnpipe <cnnpipe@localhost> Start the project with cnnpipe init"
    )
    assert "user" not in (tmp_path / "p/.git/config").read_text()


def test_the_user_s_identity_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config(tmp_path / "gitconfig", monkeypatch, "[user]\n name = Jo\n email = jo@x.example\n")
    assert commit_first(tmp_path / "p", a_project(tmp_path / "p", "a.txt")) is True
    assert git(tmp_path / "p", "log", "--format=%an %ce") == "Jo jo@x.example"


def test_names_are_taken_as_they_are(tmp_path: Path) -> None:
    odd = [
        "a b.json",
        "ü 稲.json",
        "#%20.json",
        "x,y [1]*.json",
        ":(top).json",
        "-q.json",
        "data/raw/ignored.json",
    ]
    files = a_project(tmp_path / "p", ".gitignore", *odd)
    (tmp_path / "p/.gitignore").write_text("/data\n")
    a_project(tmp_path / "p", "not named.txt")
    commit_first(tmp_path / "p", files)
    listed = git(tmp_path / "p", "-c", "core.quotePath=false", "ls-tree", "-r", "-z", "--name-only", "HEAD")
    assert sorted(listed.strip("\0").split("\0")) == sorted(files)


def test_hooks_templates_signing_and_ignored_files_of_the_user_do_not_matter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for place in ("template/hooks", "hooks"):
        hook = tmp_path / place / "pre-commit"
        hook.parent.mkdir(parents=True)
        hook.write_text("#!/bin/sh\nexit 1\n")
        hook.chmod(0o755)
    (tmp_path / "ignore").write_text("*\n")
    config(
        tmp_path / "gitconfig",
        monkeypatch,
        f"""
[init]
 templateDir = {tmp_path}/template
[core]
 hooksPath = {tmp_path}/hooks
 excludesFile = {tmp_path}/ignore
 autocrlf = true
 safecrlf = true
[commit]
 gpgSign = true
 template = {tmp_path}/nowhere
[gpg]
 program = /bin/false
""",
    )
    files = a_project(tmp_path / "p", "a.txt")
    assert commit_first(tmp_path / "p", files) is False
    assert git(tmp_path / "p", "show", "HEAD:a.txt") == "a.txt"


def test_a_repository_around_the_process_is_not_touched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit_first(tmp_path / "other", a_project(tmp_path / "other", "a.txt"))
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "other/.git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(tmp_path / "other"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "other/.git/index"))
    commit_first(tmp_path / "p", a_project(tmp_path / "p", "b.txt"))
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
        monkeypatch.delenv(name)
    assert git(tmp_path / "p", "ls-files") == "b.txt"
    assert git(tmp_path / "other", "status", "--short") == ""


def test_where_a_project_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repository = tmp_path / "mine"
    commit_first(repository, a_project(repository, "a.txt"))
    (repository / ".gitignore").write_text("/scratch/\n")
    assert find_place(tmp_path / "new") == "own"
    assert find_place(repository / "sub" / "new") == "inside"
    assert find_place(repository / "scratch") == "own"
    assert find_place(repository / "scratch" / "new") == "own"
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_place(repository / "sub" / "new") == "none"


def test_a_failing_git_is_told_with_its_own_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config(tmp_path / "gitconfig", monkeypatch, "[user\n")
    (tmp_path / "p").mkdir()
    with pytest.raises(CnnpipeError, match="bad config line"):
        commit_first(tmp_path / "p", [])
