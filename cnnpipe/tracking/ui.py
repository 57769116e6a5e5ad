"""MLflow's pages on this project's store, for this machine alone."""

import os
import sys
from typing import Final

from cnnpipe import telemetry
from cnnpipe.tracking import place

# MLflow opens with the pages of language models, unless told
_PAGE: Final = "/#/experiments?workflowType=machine_learning"


def serve(port: int) -> None:
    """Become the server of an sqlite store; for a store with a server of its own, say where that is."""
    telemetry.turn_off()
    uri = place.tracking_uri()
    if uri.startswith(("http://", "https://")):
        print(f"the runs of this project are on {place.shown(uri)}", file=sys.stderr)
        return
    print(f"open http://127.0.0.1:{port}{_PAGE}   (Ctrl-C ends it)", file=sys.stderr, flush=True)
    # its queue for jobs of language models: three more processes
    os.environ.setdefault("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "false")
    os.environ["MLFLOW_BACKEND_STORE_URI"] = uri  # the list of processes would show a password
    os.execv(sys.executable, command(port))  # noqa: S606


def command(port: int) -> list[str]:
    """Return the command that serves the store at MLFLOW_BACKEND_STORE_URI, for this machine alone."""
    where = ["--host", "127.0.0.1", "--port", str(port)]
    return [sys.executable, "-m", "mlflow", "server", *where, "--workers", "1"]
