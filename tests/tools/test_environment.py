"""What counts as a finished environment, and what an interrupted pip leaves."""

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tools import environment

LOCK = """\
# made by hand
Flufl.Lock==9.2.0 \\
    --hash=sha256:aa \\
    --hash=sha256:bb
    # via dvc

# The following packages are considered to be unsafe in a requirements file:
setuptools==84.2.1 \\
    --hash=sha256:cc
    # via
    #   torch==2
"""
PYPROJECT = '[build-system]\nrequires = []\n[project]\nname = "thing"\ndependencies = ["dvc"]\n'


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "requirements.lock").write_text(LOCK)
    (tmp_path / "pyproject.toml").write_text(PYPROJECT)
    return tmp_path


@pytest.fixture
def venv(project: Path) -> Path:
    """An environment that only looks like one: its Python is the one of the tests."""
    site = project / ".venv/lib/python3.11/site-packages"
    site.mkdir(parents=True)
    (project / ".venv/bin").mkdir()
    (project / ".venv/bin/python").symlink_to(sys.executable)
    install(site, "pip", "23.2")
    install(site, "thing", "1.0")
    return project / ".venv"


def install(site: Path, name: str, version: str) -> Path:
    """Leave in `site` what pip leaves of a package of two files."""
    info = site / f"{name}-{version}.dist-info"
    (site / name).mkdir()
    info.mkdir()
    (site / name / "__init__.py").write_text("x = 1\n")
    (info / "INSTALLER").write_text("pip\n")
    (info / "RECORD").write_text(
        f"{name}/__init__.py,sha256=aa,6\n{name}/__pycache__/__init__.pyc,,\n{info.name}/INSTALLER,sha256=bb,4\n"
        f"{info.name}/RECORD,,\n"
    )
    (site / name / "__pycache__").mkdir()
    (site / name / "__pycache__/__init__.pyc").touch()
    return info


def test_names_are_normalised_and_comments_are_no_packages() -> None:
    assert environment.pinned_names(LOCK) == {"flufl-lock", "setuptools"}


def test_the_block_of_a_package_is_its_pin_and_its_hashes() -> None:
    assert environment.pinned_block(LOCK, "flufl-lock").splitlines() == [
        "Flufl.Lock==9.2.0 \\",
        "    --hash=sha256:aa \\",
        "    --hash=sha256:bb",
    ]
    assert environment.pinned_block(LOCK, "setuptools").splitlines()[-1] == "    --hash=sha256:cc"


@pytest.mark.parametrize(
    ("file", "old", "new", "changes"),
    [
        ("requirements.lock", "84.2.1", "84.2.2", True),
        ("pyproject.toml", '["dvc"]', '["dvc>=3"]', True),
        ("pyproject.toml", "requires = []", 'requires = ["setuptools"]', True),
        ("pyproject.toml", "[project]", "[tool.setuptools.packages.find]\ninclude = ['x']\n[project]", True),
        ("pyproject.toml", "[project]", "[tool.ruff]\nline-length = 99\n[project]", False),
    ],
    ids=["version", "dependency", "build", "packages", "tool"],
)
def test_set_up_begins_again_when_what_it_installs_changes(
    project: Path, file: str, old: str, new: str, changes: bool
) -> None:
    before = environment.wanted_mark(project)
    text = (project / file).read_text()
    (project / file).write_text(text.replace(old, new))
    assert (environment.wanted_mark(project).digest != before.digest) is changes


def test_a_mark_is_read_as_it_was_written(venv: Path, project: Path) -> None:
    mark = environment.wanted_mark(project)
    environment.write_mark(venv, mark)
    assert environment.read_mark(venv) == mark
    assert environment.is_ready(venv, mark)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"digest": "x"}', "null"])
def test_a_damaged_mark_is_none(venv: Path, content: str) -> None:
    (venv / "cnnpipe-setup.json").write_text(content)
    assert environment.read_mark(venv) is None


def test_an_environment_whose_interpreter_is_gone_is_neither_ready_nor_usable(
    venv: Path, project: Path
) -> None:
    environment.write_mark(venv, environment.wanted_mark(project))
    (venv / "bin/python").unlink()
    (venv / "bin/python").symlink_to(project / "gone")
    assert not environment.is_ready(venv, environment.wanted_mark(project))
    assert not environment.is_usable(venv)


def test_an_environment_that_was_moved_is_neither_ready_nor_usable(venv: Path, project: Path) -> None:
    environment.write_mark(venv, environment.wanted_mark(project))
    assert environment.is_usable(venv)
    moved = project / "moved"
    moved.mkdir()
    for name in ("requirements.lock", "pyproject.toml"):
        shutil.copy(project / name, moved)
    venv.rename(moved / ".venv")
    assert not environment.is_ready(moved / ".venv", environment.wanted_mark(moved))
    assert not environment.is_usable(moved / ".venv")


def test_an_environment_without_pip_is_not_usable(venv: Path) -> None:
    shutil.rmtree(next(venv.glob("lib/*/site-packages/pip-*.dist-info")))
    assert not environment.is_usable(venv)


def test_an_environment_that_was_not_even_begun_is_not_usable(tmp_path: Path) -> None:
    assert environment.drop_half_installed(tmp_path / ".venv") == []
    assert not environment.is_usable(tmp_path / ".venv")


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:2])


def forget_installer(info: Path) -> None:
    """Leave the RECORD that the wheel itself brought."""
    record = info / "RECORD"
    lines = record.read_text().splitlines(keepends=True)
    record.write_text("".join(line for line in lines if "INSTALLER" not in line))


@pytest.mark.parametrize(
    "break_it",
    [
        lambda info: (info / "RECORD").unlink(),
        lambda info: cut(info / "RECORD"),
        forget_installer,
        lambda info: (info.parent / "thing/__init__.py").unlink(),
        lambda info: cut(info.parent / "thing/__init__.py"),
    ],
    ids=["no-record", "record-cut", "record-of-the-wheel", "file-missing", "file-cut"],
)
def test_a_half_installed_package_loses_its_metadata(venv: Path, break_it: Callable[[Path], None]) -> None:
    info = next(venv.glob("lib/*/site-packages/thing-*.dist-info"))
    assert environment.drop_half_installed(venv) == []
    break_it(info)
    assert environment.drop_half_installed(venv) == ["thing-1.0.dist-info"]
    assert not info.exists()
    assert environment.drop_half_installed(venv) == []


def test_what_pip_had_put_aside_is_removed(venv: Path) -> None:
    aside = next(venv.glob("lib/*/site-packages")) / "~hing"
    aside.mkdir()
    environment.drop_half_installed(venv)
    assert not aside.exists()


def test_size_counts_files_and_not_what_links_point_to(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a/x").write_bytes(b"12345")
    (tmp_path / "big").write_bytes(b"1" * 1000)
    (tmp_path / "a/link").symlink_to(tmp_path / "big")
    assert 5 <= environment.size_bytes(tmp_path / "a") < 500
    assert environment.size_bytes(tmp_path / "none") == 0
