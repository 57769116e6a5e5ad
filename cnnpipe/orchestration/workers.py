"""A Prefect worker of this host: takes flow runs from a pool, each in a process and a clone of its own."""

import os
import socket
import sys
from typing import Final

from cnnpipe.orchestration.servers import HOST, require

_PREFECT: Final = f"http://{HOST}:4200/api"
_MLFLOW: Final = f"http://{HOST}:5000"


def become_worker(pool: str, *, limit: int | None) -> None:
    """Become a worker of `pool`; Ctrl-C ends it after its flow runs.

    Args:
        pool: a work pool of type process.
        limit: of flow runs at the same time; None: any number, for trainings lease their devices.

    Raises:
        StorageError: Prefect's server does not answer.
    """
    api = os.environ.setdefault("PREFECT_API_URL", _PREFECT)
    os.environ.setdefault("MLFLOW_TRACKING_URI", _MLFLOW)  # else each clone would have a store of its own
    require("PREFECT_API_URL", f"{api}/health")
    name = f"{socket.gethostname()}-{pool}-{os.getpid()}"
    command = [sys.executable, "-m", "prefect", "worker", "start"]
    options = ["--pool", pool, "--type", "process", "--name", name, "--install-policy", "never"]
    limits = [] if limit is None else ["--limit", str(limit)]
    os.execv(sys.executable, [*command, *options, *limits])  # noqa: S606
