"""requirements.lock: complete, hashed, within the bounds of pyproject.toml, free of binding licences."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tools import environment, lock

ROOT = Path(__file__).resolve().parents[2]
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
PINS = {
    environment.normalised(name): version for name, version in re.findall(r"^(\S+)==(\S+) \\$", LOCK, re.M)
}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
WANTED = [Requirement(line) for line in PROJECT["dependencies"]] + [
    Requirement(line) for lines in PROJECT["optional-dependencies"].values() for line in lines
]
# the AGPL would bind whoever serves a model; albumentationsx even takes the import name `albumentations`
REFUSED = {"albumentationsx", "lightly", "lightly-train", "ultralytics", "ultralytics-thop"}


@pytest.mark.parametrize("requirement", WANTED, ids=str)
def test_the_lock_satisfies_the_bounds(requirement: Requirement) -> None:
    version = PINS[environment.normalised(requirement.name)]
    assert requirement.specifier.contains(version, prereleases=True)


def test_every_package_is_pinned_with_hashes() -> None:
    assert set(PINS) == environment.pinned_names(LOCK)
    for name in PINS:
        block = environment.pinned_block(LOCK, name).splitlines()
        assert len(block) > 1, name
        assert all(re.fullmatch(r"    --hash=sha256:[0-9a-f]{64}( \\)?", line) for line in block[1:]), name


def test_the_lock_names_no_place_to_fetch_from() -> None:
    assert not re.search(r"https?://|file:/|^-|--(index|extra|find|trusted)", LOCK, re.M)


def test_no_package_has_a_licence_that_binds_the_user() -> None:
    assert not set(PINS) & REFUSED


@pytest.mark.parametrize(
    ("names", "options"),
    [
        ([], []),
        (["dvc", "typer"], ["--upgrade-package=dvc", "--upgrade-package=typer"]),
        (["all"], ["--upgrade"]),
    ],
)
def test_only_named_versions_move(names: list[str], options: list[str]) -> None:
    assert lock.upgrades(names) == options
