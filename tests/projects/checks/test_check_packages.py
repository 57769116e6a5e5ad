"""Installed versions against the bounds of cnnpipe's own metadata."""

import platform
import tomllib
from collections.abc import Mapping
from email.message import Message
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import pytest
from packaging.requirements import Requirement

from cnnpipe.projects.checks import packages
from cnnpipe.projects.checks.facts import Facts

PROJECT = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
FITTING = {"cnnpipe": "0.1.0", "rich": "14.0", "torch": "2.14.1", "fastapi": "0.150.0", "ruff": "0.9"}
REQUIRES = [
    "rich>=13",
    'torch==2.14.1; extra == "train"',
    'timm<1.1,>=1.0.19; extra == "train"',
    'fastapi<0.151,>=0.139; extra == "orchestration"',
    'ruff>=0.9; extra == "dev"',
    'pywin32>=300; sys_platform == "win32"',
]


def install(monkeypatch: pytest.MonkeyPatch, versions: Mapping[str, str], python: str = ">=3.11") -> None:
    """Let these and no other packages be installed."""

    def version(name: str) -> str:
        if name not in versions:
            raise metadata.PackageNotFoundError(name)
        return versions[name]

    about = Message()
    about["Requires-Python"] = python
    for extra in ("train", "orchestration", "dev"):
        about["Provides-Extra"] = extra
    fake = SimpleNamespace(
        version=version,
        requires=lambda name: REQUIRES,
        metadata=lambda name: about,
        PackageNotFoundError=metadata.PackageNotFoundError,
    )
    monkeypatch.setattr(packages, "metadata", fake)


def test_packages_within_the_bounds_are_one_row(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, {**FITTING, "timm": "1.0.20"})
    (result,) = packages.check_packages(Facts())
    assert (result.state, result.found) == ("ok", "cnnpipe 0.1.0, 5 packages within its bounds")


@pytest.mark.parametrize(
    ("changed", "state", "found", "fix"),
    [
        (
            {"fastapi": "0.151.2"},
            "error",
            "fastapi 0.151.2; cnnpipe asks for <0.151,>=0.139: Prefect 3.8.8 does not start with",
            "pip install 'fastapi<0.151,>=0.139'",
        ),
        ({"rich": "12"}, "error", "rich 12; cnnpipe asks for >=13", "pip install 'rich>=13'"),
        ({"ruff": "0.8"}, "warning", "ruff 0.8; cnnpipe asks for >=0.9", "pip install 'ruff>=0.9'"),
        (
            {"torch": "2.15.0+cu140"},
            "error",
            "torch and torchvision belong together",
            "pip install 'torch==2.14.1'",
        ),
        ({"rich": None}, "error", "cnnpipe lacks rich", "pip install 'cnnpipe'"),
        ({"timm": None}, "error", "cnnpipe[train] lacks timm", "pip install 'cnnpipe[train]'"),
        (
            {"fastapi": None},
            "note",
            "cnnpipe[orchestration] is not installed",
            "pip install 'cnnpipe[orchestration]'",
        ),
    ],
    ids=["cap", "too-old", "tool", "pinned", "missing", "missing-of-extra", "no-extra"],
)
def test_each_misfit_has_a_row_and_a_fix(
    changed: dict[str, str | None], state: str, found: str, fix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    versions = {**FITTING, "timm": "1.0.20", **changed}
    install(monkeypatch, {name: version for name, version in versions.items() if version is not None})
    first, *_ = packages.check_packages(Facts())
    assert first.state == state
    assert found in first.found
    assert fix in first.fix


def test_a_build_for_cuda_is_the_same_version(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, {**FITTING, "timm": "1.0.20", "torch": "2.14.1+cu130"})
    assert [result.state for result in packages.check_packages(Facts())] == ["ok"]


def test_every_bound_from_above_has_its_reason_and_no_other_package() -> None:
    groups = [
        PROJECT["dependencies"],
        *(PROJECT["optional-dependencies"][e] for e in ("train", "orchestration")),
    ]
    wanted = [Requirement(line) for group in groups for line in group]
    capped = {each.name for each in wanted if any(s.operator in ("<", "<=", "==") for s in each.specifier)}
    assert set(packages.REASONS) == capped


def test_the_agpl_library_under_the_mit_name_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert packages.check_albumentations(Facts()) == []
    install(monkeypatch, {**FITTING, "albumentationsx": "2.0.14"})
    monkeypatch.setattr(
        "cnnpipe.projects.checks.packages.metadata.requires",
        lambda name: ['albumentations==2.0.8; extra == "train"'],
    )
    (result,) = packages.check_albumentations(Facts())
    assert result.state == "error"
    assert "albumentationsx 2.0.14 (AGPL)" in result.found
    assert result.fix == "pip uninstall albumentationsx albumentations; pip install 'albumentations==2.0.8'"


@pytest.mark.parametrize(
    ("version", "bounds", "state"),
    [("3.11.7", ">=3.11", "ok"), ("3.13.0", ">=3.11", "note"), ("3.10.2", ">=3.11", "error")],
)
def test_python(version: str, bounds: str, state: str, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, FITTING, bounds)
    monkeypatch.setattr(platform, "python_version", lambda: version)
    (result,) = packages.check_python(Facts())
    assert result.state == state
    assert version in result.found
    assert bool(result.fix) == (state != "ok")
