"""`python -m flows.pipeline` as a command: its arguments, its errors in words, its exit codes."""

import argparse
import signal
import sys
from collections.abc import Callable, Sequence

import httpx
from prefect.exceptions import CancelledRun, TerminationSignal
from prefect.settings import PREFECT_API_URL

from cnnpipe.errors import CnnpipeError, StorageError
from cnnpipe.tracking.place import shown


def main(pipeline: Callable[..., object], arguments: Sequence[str]) -> int:
    """Run the flow in the working folder and return its exit code.

    0 ok, 2 usage, 7 Prefect's server is away for minutes, 130 Ctrl-C, 143 SIGTERM or a cancelled flow run;
    else that of the first stage that failed.
    """
    parser = argparse.ArgumentParser(
        prog="python -m flows.pipeline", description="Bring the project up to date, as `dvc repro` does."
    )
    parser.add_argument("stages", nargs="*", help="these and what they need, e.g. evaluate@lenet; none: all")
    parser.add_argument("--revision", help="the commit this clone must stand at")
    parser.add_argument("--device-pool", help="work pool that trainings and judgements are sent to, e.g. gpu")
    options = parser.parse_args(arguments)
    try:
        pipeline(stages=options.stages, revision=options.revision, device_pool=options.device_pool)
    except CnnpipeError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except httpx.TransportError as error:  # after minutes of trying
        away = _server_away(error)
        print(f"error: {away}", file=sys.stderr)
        return away.exit_code
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except (CancelledRun, TerminationSignal):
        return 128 + signal.SIGTERM
    return 0


def _server_away(error: httpx.TransportError) -> StorageError:
    fix = "nothing is lost, `dvc status` tells what is there; start it, `cnnpipe server`, and run this again"
    where = shown(f"Prefect's server {PREFECT_API_URL.value() or ''}".strip())
    return StorageError(where, f"does not answer: {error}", fix)
