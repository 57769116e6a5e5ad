"""A Prefect worker of this host: takes flow runs from a pool, each in a process and a clone of its own."""

import base64
import os
import socket
import sys
import urllib.error
import urllib.request
from typing import Final

from cnnpipe.errors import StorageError
from cnnpipe.orchestration.servers import HOST, require

_PREFECT: Final = f"http://{HOST}:4200/api"
_MLFLOW: Final = f"http://{HOST}:5000"
_ANSWER_S: Final = 5.0


def become_worker(pool: str, *, limit: int | None) -> None:
    """Become a worker of `pool`; Ctrl-C ends it after its flow runs.

    Args:
        pool: a work pool of type process.
        limit: of flow runs at the same time; None: any number, for trainings lease their devices.

    Raises:
        StorageError: Prefect's server does not answer, or refuses the password.
    """
    api = os.environ.setdefault("PREFECT_API_URL", _PREFECT)
    os.environ.setdefault("MLFLOW_TRACKING_URI", _MLFLOW)  # else each clone would have a store of its own
    require("PREFECT_API_URL", f"{api}/health")
    _log_in(api)
    name = f"{socket.gethostname()}-{pool}-{os.getpid()}"
    command = [sys.executable, "-m", "prefect", "worker", "start"]
    options = ["--pool", pool, "--type", "process", "--name", name, "--install-policy", "never"]
    limits = [] if limit is None else ["--limit", str(limit)]
    os.execv(sys.executable, [*command, *options, *limits])  # noqa: S606


def _log_in(api: str) -> None:
    """See that the server takes the password: a worker would tell it in a traceback."""
    word = os.environ.get("PREFECT_API_AUTH_STRING", "")
    headers = {"Authorization": f"Basic {base64.b64encode(word.encode()).decode()}"} if word else {}
    request = urllib.request.Request(f"{api}/admin/version", headers=headers)  # noqa: S310 (the user's own words)
    try:
        urllib.request.urlopen(request, timeout=_ANSWER_S).close()  # noqa: S310
    except urllib.error.HTTPError as refusal:
        refusal.close()
        fix = "set PREFECT_API_AUTH_STRING=user:password"
        raise StorageError(api, f"refuses: {refusal.code} {refusal.reason}", fix) from None
    except OSError as error:
        raise StorageError(api, f"does not answer: {error}", "try it again") from error
