"""git, its identity and its ignore rules, in repositories made wrong on purpose."""

import shutil
import subprocess
from pathlib import Path

import pytest

from cnnpipe.projects.checks import git
from cnnpipe.projects.checks.facts import Facts
from cnnpipe.projects.checks.programs import Answer

ROOT = Path(__file__).parents[3]


@pytest.fixture
def no_identity(project_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which git knows no user."""
    for name in ("GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL", "EMAIL"):
        monkeypatch.delenv(name, raising=False)
    config = project_dir.parent / "gitconfig"
    config.write_text("[user]\n  useConfigOnly = true\n[init]\n  defaultBranch = main\n", encoding="utf-8")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    return project_dir


def init() -> None:
    subprocess.run(["git", "init", "--quiet"], check=True)


def test_a_repository_with_an_identity_is_well(no_identity: Path) -> None:
    init()
    subprocess.run(["git", "config", "user.name", "A"], check=True)
    subprocess.run(["git", "config", "user.email", "a@example.org"], check=True)
    (result,) = git.check_git(Facts())
    assert result.state == "ok"
    assert str(no_identity) in result.found


def test_a_missing_identity_is_told_with_its_commands(no_identity: Path) -> None:
    init()
    _, result = git.check_git(Facts())
    assert result.state == "warning"
    assert "git config --global user.name" in result.fix


def test_no_repository_is_a_note_unless_dvc_asks_for_one(no_identity: Path) -> None:
    assert [result.state for result in git.check_git(Facts())] == ["note"]
    (no_identity / ".dvc").mkdir()
    assert [result.state for result in git.check_git(Facts())] == ["note", "error"]
    assert git.check_git(Facts())[1].fix == "dvc config core.no_scm true"
    assert [r.state for r in git.check_git(Facts(dvc=Answer(0, "core.no_scm=true")))] == ["note"]


def test_no_git_at_all_is_a_warning(no_identity: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(no_identity))
    (result,) = git.check_git(Facts())
    assert (result.state, result.fix) == ("warning", "install git")
    assert git.check_ignored_outputs(Facts()) == []


def test_a_repository_that_cannot_be_read_says_why(no_identity: Path) -> None:
    init()
    (no_identity / ".git" / "config").write_text("[core\n", encoding="utf-8")
    (result,) = git.check_git(Facts())
    assert result.state == "warning"
    assert "bad config line 1" in result.found


def test_every_output_of_the_demo_is_ignored(no_identity: Path) -> None:
    init()
    shutil.copy(ROOT / ".gitignore", no_identity)
    (result,) = git.check_ignored_outputs(Facts())
    assert result.state == "ok"


def test_an_output_that_git_would_see_is_named(no_identity: Path) -> None:
    init()
    lines = (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    kept = [line for line in lines if line not in ("/models", "/.cnnpipe/")]
    (no_identity / ".gitignore").write_text("\n".join(kept) + "\n", encoding="utf-8")
    (result,) = git.check_ignored_outputs(Facts())
    assert (result.state, result.found) == ("warning", "does not name models, .cnnpipe")
