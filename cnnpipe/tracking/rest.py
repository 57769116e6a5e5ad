"""MLflow's and other servers' JSON over HTTP, without their clients, whose imports take seconds."""

import base64
import json
import os
import urllib.request
from typing import Any, Final

ANSWER_S: Final = 5.0


def ask(url: str, query: Any = None) -> Any:
    """Return the JSON a server answers; `query` is posted to it.

    User, password and token are MLflow's own: MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or
    MLFLOW_TRACKING_TOKEN.

    Raises:
        OSError: it refuses or does not answer.
        ValueError: the address is not http, or the answer no JSON.
    """
    if not url.startswith(("http://", "https://")):
        raise ValueError("not an http address")
    body = None if query is None else json.dumps(query).encode()
    headers = {"Content-Type": "application/json", **_authorization()}
    request = urllib.request.Request(url, body, headers)  # noqa: S310 (checked above)
    with urllib.request.urlopen(request, timeout=ANSWER_S) as answer:  # noqa: S310
        return json.load(answer)


def _authorization() -> dict[str, str]:
    if token := os.environ.get("MLFLOW_TRACKING_TOKEN"):
        return {"Authorization": f"Bearer {token}"}
    user, password = (os.environ.get(f"MLFLOW_TRACKING_{name}") for name in ("USERNAME", "PASSWORD"))
    if user is None or password is None:
        return {}
    return {"Authorization": f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"}
