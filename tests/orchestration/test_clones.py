"""A worker's clones: at the commit asked for, with what they share, and nothing a shell could read."""

import os
import subprocess
import time
from pathlib import Path

import pytest
from tiny_projects import git

from cnnpipe import locks
from cnnpipe.errors import CnnpipeError, ParamsError
from cnnpipe.orchestration.flow.clones import (
    changed_files,
    commit_of,
    make_clone,
    source,
    without_credentials,
)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Return a repository of two commits, the first of them tagged."""
    folder = tmp_path / "leaves"
    (folder / ".dvc").mkdir(parents=True)
    git(folder, "init", "--quiet", "--initial-branch=main")
    for text in ("one", "two"):
        (folder / "file").write_text(text)
        (folder / ".dvc/config").write_text("")
        git(folder, "add", "--all")
        git(folder, "commit", "--quiet", "-m", text)
        if text == "one":
            git(folder, "tag", "v1")
    return folder


def clone(repository: Path, revision: str, run_id: str = "run") -> Path:
    return make_clone(str(repository), revision, run_id=run_id, work=repository.parent / "work")


@pytest.mark.parametrize(("revision", "text"), [("main", "two"), ("HEAD", "two"), ("v1", "one")])
def test_a_clone_stands_at_the_revision(repository: Path, revision: str, text: str) -> None:
    folder = clone(repository, revision)
    assert (folder / "file").read_text() == text
    assert commit_of(folder) == commit_of(repository, revision)
    assert changed_files(folder) == []


def test_a_full_hash_is_a_revision(repository: Path) -> None:
    assert (clone(repository, commit_of(repository, "v1")) / "file").read_text() == "one"


def test_a_new_commit_is_seen_and_a_moved_branch_followed(repository: Path) -> None:
    clone(repository, "main", "first")
    git(repository, "reset", "--hard", "--quiet", "v1")
    (repository / "file").write_text("three")
    git(repository, "commit", "--quiet", "--all", "-m", "three")
    assert (clone(repository, "main", "second") / "file").read_text() == "three"


def test_clones_share_cache_and_checkpoints_and_are_called_after_the_repository(repository: Path) -> None:
    one, two = clone(repository, "main", "1"), clone(repository, "v1", "2")
    assert (one / ".dvc/config.local").read_text() == (two / ".dvc/config.local").read_text()
    (one / ".cnnpipe/checkpoints/signature").mkdir()
    assert (two / ".cnnpipe/checkpoints/signature").is_dir()
    assert git(one, "config", "--get", "remote.origin.url") == str(repository)


def test_a_run_that_begins_again_has_a_fresh_clone(repository: Path) -> None:
    (clone(repository, "main") / "file").write_text("half done")
    assert (clone(repository, "main") / "file").read_text() == "two"


def test_clones_of_ended_runs_are_removed_but_the_latest_and_those_at_work(repository: Path) -> None:
    working = clone(repository, "main", "working")
    held = locks.take(working / ".cnnpipe/locks/flow.lock", "flow")
    assert held is not None
    for number in range(8):
        path = clone(repository, "main", f"run{number}")
        os.utime(path, (time.time() + number, time.time() + number))
    left = {path.name for path in working.parent.iterdir()}
    held.close()
    assert "working" in left
    assert "run7" in left
    assert "run0" not in left
    assert len(left) == 7


@pytest.mark.parametrize(
    "evil",
    ["--upload-pack=touch made", "main; touch made", "$(touch made)", "-v1", "`touch made`", "a b", ""],
)
def test_a_revision_is_never_an_option_nor_a_command(
    repository: Path, evil: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ParamsError, match="no name of a commit"):
        clone(repository, evil)
    assert not list(tmp_path.rglob("made"))


def test_an_unknown_revision_is_named(repository: Path) -> None:
    with pytest.raises(ParamsError, match="git knows no commit 'v2'"):
        clone(repository, "v2")


def test_an_absent_repository_is_an_error_with_git_s_words(tmp_path: Path) -> None:
    with pytest.raises(CnnpipeError, match="does not exist"):
        make_clone(str(tmp_path / "absent"), "main", run_id="1", work=tmp_path / "work")
    assert not list((tmp_path / "work").rglob("mirror.git"))


def test_passwords_leave_no_trace(tmp_path: Path) -> None:
    assert without_credentials("https://me:s3cret@example.org/x.git") == "https://example.org/x.git"
    address = "http://me:s3cret@127.0.0.1:9/x.git"  # nothing listens there
    with pytest.raises(CnnpipeError) as caught:
        make_clone(without_credentials(address), "main", run_id="1", work=tmp_path / "work")
    assert "s3cret" not in str(caught.value)


def test_workers_clone_from_origin_else_from_here(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(repository)
    assert source() == {"repository": str(repository), "branch": "main"}
    git(repository, "remote", "add", "origin", "https://me:s3cret@example.org/leaves.git")
    assert source() == {"repository": "https://example.org/leaves.git", "branch": "main"}
    git(repository, "checkout", "--quiet", "--detach")
    assert source()["branch"] == "HEAD"


def test_a_folder_without_git_is_no_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ParamsError, match="is no git repository"):
        source()


def test_changed_files_are_told_but_dvc_lock(repository: Path) -> None:
    (repository / "dvc.lock").write_text("x")
    git(repository, "add", "--all")
    git(repository, "commit", "--quiet", "-m", "lock")
    (repository / "dvc.lock").write_text("y")
    assert changed_files(repository) == []
    (repository / "file").write_text("changed")
    assert changed_files(repository) == ["file"]


def test_a_killed_clone_of_the_mirror_is_begun_anew(repository: Path) -> None:
    folder = clone(repository, "main")
    mirror = folder.parents[1] / "mirror.git"
    subprocess.run(["mv", mirror, f"{mirror}.part"], check=True)
    (Path(f"{mirror}.part") / "HEAD").unlink()
    assert (clone(repository, "main", "next") / "file").read_text() == "two"
