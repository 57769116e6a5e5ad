"""Looks over machine and project: what is wrong, and what helps. It changes nothing."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Final

from cnnpipe.errors import CnnpipeError
from cnnpipe.projects.checks import (
    disk,
    dvc_project,
    environment,
    git,
    hardware,
    locks,
    packages,
    prefect_server,
    project_files,
    tracking_store,
)
from cnnpipe.projects.checks.facts import Facts, gather, is_project
from cnnpipe.projects.checks.results import Result, error, note

Check = Callable[[Facts], Sequence[Result]]

# By the name under which a failure of the check itself is told.
MACHINE: Final[Mapping[str, Check]] = MappingProxyType(
    {
        "Python": packages.check_python,
        "packages": packages.check_packages,
        "albumentations": packages.check_albumentations,
        "torch": hardware.check_torch,
        "processors": hardware.check_processors,
        "memory": hardware.check_memory,
        "shared memory": hardware.check_shared_memory,
        "disk": disk.check_disks,
    }
)
PROJECT: Final[Mapping[str, Check]] = MappingProxyType(
    {
        "params.yaml": project_files.check_params,
        "data": project_files.check_data,
        "git": git.check_git,
        ".gitignore": git.check_ignored_outputs,
        "dvc": dvc_project.check_dvc,
        "remotes": dvc_project.check_remotes,
        "DVC's locks": locks.check_dvc_locks,
        "stages": locks.check_stage_locks,
        "tracking store": tracking_store.check_store,
        "Prefect": prefect_server.check_prefect,
        "telemetry": environment.check_telemetry,
        "python on PATH": environment.check_python_on_path,
    }
)


def examine(*, online: bool = False) -> list[Result]:
    """Return what every check found, in the order of the tables; the project is the current folder.

    Args:
        online: ask the remotes too that are not on this machine.
    """
    facts = gather(online=online)
    checks = {**MACHINE, **PROJECT} if is_project() else MACHINE
    results = [result for name, check in checks.items() for result in _run(name, check, facts)]
    return results if is_project() else [*results, _no_project()]


def exit_code(results: Iterable[Result]) -> int:
    """Return the code of the first error, or 0: the machine is told before the project that stands on it."""
    return next((result.exit_code for result in results if result.state == "error"), 0)


def _run(name: str, check: Check, facts: Facts) -> Sequence[Result]:
    """Run one check; whatever goes wrong in it is a row of its own, and the others go on."""
    try:
        return check(facts)
    except CnnpipeError as fault:
        return [error(name, fault.what, fault.fix, type(fault))]
    except Exception as fault:
        what = f"this check itself failed: {type(fault).__name__}: {fault}"
        return [error(name, what, "look at what it names; the other rows stand")]


def _no_project() -> Result:
    above = next((str(folder) for folder in Path.cwd().parents if (folder / "params.yaml").exists()), None)
    fix = f"cd {above}" if above else "cd into one, or make one: cnnpipe init"
    return note("project", "none in this folder: only the machine was looked at", fix)
