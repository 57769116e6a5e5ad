"""The command line as a whole: every command, and what each kind of failure exits with."""

import errno
import logging
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Final

import typer

from cnnpipe.cli import doctor, models, plan, predict, projects, reading, servers, stages, via
from cnnpipe.errors import CnnpipeError, StorageError

_TERMINATED: Final = 128 + signal.SIGTERM

app = typer.Typer(
    name="cnnpipe",
    help="From pictures annotated in the VGG Image Annotator to trained, evaluated CNNs.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,  # plain help: rich would double the start-up time
    pretty_exceptions_enable=False,
)
stages.add_to(app)
reading.add_to(app)
projects.add_to(app)
predict.add_to(app)
servers.add_to(app)
doctor.add_to(app)
plan.add_to(app)
via.add_to(app)
models.add_to(app)


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code.

    0 ok, 1 runtime, 2 usage, 3 data refused or missing, 4 model or checkpoint, 6 gate refused, 7 storage
    unreachable or full,
    75 busy (try again), 130 and 143 signals.
    """
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    logging.getLogger("cnnpipe").setLevel(logging.INFO)
    signal.signal(signal.SIGTERM, _terminate)
    try:
        app(list(arguments), prog_name="cnnpipe")  # ends in SystemExit: 0, 2 for wrong usage, 130 for Ctrl-C
    except CnnpipeError as error:
        return _report(error)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("cnnpipe"):
            raise
        return _report(_missing_extra(error.name))
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
            raise
        where = str(error.filename or f"the disk of {Path.cwd()}")
        return _report(
            StorageError(where, error.strerror or "cannot be written", "free some space; run it again")
        )
    return 0


def _report(error: CnnpipeError) -> int:
    print(f"error: {error}", file=sys.stderr)
    return error.exit_code


def _missing_extra(module: str) -> CnnpipeError:
    """Return what to say where cnnpipe was installed without an extra."""
    extra = "orchestration" if module.startswith(("dvc", "prefect")) else "train"
    return CnnpipeError("this command", f"needs {module}", f"pip install 'cnnpipe[{extra}]'")


def _terminate(_signal: int, _frame: FrameType | None) -> None:
    raise SystemExit(_TERMINATED)
