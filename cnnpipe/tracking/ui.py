"""`python -m cnnpipe.tracking.ui [PORT]`: MLflow's pages on this project's store, for this machine alone."""

import os
import sys
from typing import Final

from cnnpipe import telemetry
from cnnpipe.tracking import place

_PORT: Final = "5000"


def command(uri: str, port: str) -> list[str]:
    """Return the command that serves the pages of the store at `uri` on 127.0.0.1."""
    arguments = [
        "server",
        "--backend-store-uri",
        uri,
        "--host",
        "127.0.0.1",
        "--port",
        port,
        "--workers",
        "1",
    ]
    return [sys.executable, "-m", "mlflow", *arguments]


def main() -> None:
    """Become the server."""
    telemetry.turn_off()
    # its queue for jobs of language models: three more processes, and a warning without Redis
    os.environ.setdefault("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "false")
    os.execv(sys.executable, command(place.tracking_uri(), *(sys.argv[1:] or [_PORT])))  # noqa: S606


if __name__ == "__main__":
    main()
