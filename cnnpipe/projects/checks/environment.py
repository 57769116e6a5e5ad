"""What the stages inherit: variables, and the `python` that dvc.yaml starts."""

import os
import shutil
import sys
from pathlib import Path
from typing import Final

from cnnpipe import telemetry
from cnnpipe.projects.checks.facts import Facts
from cnnpipe.projects.checks.programs import ask
from cnnpipe.projects.checks.results import Result, note, ok, warning

_ASK_PREFIX: Final = "import sys; print(sys.prefix)"
# DVC runs before any stage, so its own settings count; the project's .dvc/config turns both off.
_DVC_SETTINGS: Final = ("core.analytics", "core.check_update")


def check_telemetry(facts: Facts) -> list[Result]:
    """Look whether a library is allowed to phone home."""
    chosen = [
        note(
            "telemetry", f"{name}={os.environ.get(name)} in your environment", f"unset {name}, if not wanted"
        )
        for name, off in telemetry.OFF.items()
        if os.environ.get(name, off) != off
    ]
    on = [name for name in _DVC_SETTINGS if facts.dvc_setting(name) != "false"]
    chosen += [note("telemetry", f"DVC's {name} is not off", f"dvc config {name} false") for name in on]
    return chosen or [ok("telemetry", "off")]


def check_python_on_path(_facts: Facts) -> list[Result]:
    """Look whether `python`, which dvc.yaml starts, is the interpreter that has cnnpipe."""
    found = shutil.which("python")
    activate = Path(sys.prefix) / "bin" / "activate"
    fix = f"source {activate}" if activate.exists() else f"export PATH={Path(sys.executable).parent}:$PATH"
    fix = f"{fix}; or run `cnnpipe repro` in place of `dvc repro`"
    if found is None:
        return [warning("python on PATH", "there is none: `dvc repro` fails", fix)]
    if _is_this(Path(found)):
        return [ok("python on PATH", found)]
    what = f"{found} is another Python than {sys.executable}: `dvc repro` fails, or runs another cnnpipe"
    return [warning("python on PATH", what, fix)]


def _is_this(python: Path) -> bool:
    """Whether a `python` is of this environment: a link beside ours, or one that says so."""
    if python.parent.resolve() == Path(sys.executable).parent.resolve():
        return True
    prefix = ask(str(python), "-c", _ASK_PREFIX).said
    return bool(prefix) and Path(prefix).resolve() == Path(sys.prefix).resolve()
