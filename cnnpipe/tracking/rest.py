"""MLflow's and other servers' JSON over HTTP, without their clients, whose imports take seconds."""

import base64
import http.client
import json
import os
import urllib.error
import urllib.parse
import urllib.request
from typing import Any, Final

from cnnpipe.tracking import place

ANSWER_S: Final = 5.0


def ask(url: str, query: Any = None) -> Any:
    """Return the JSON a server answers; `query` is posted to it.

    User, password and token are MLflow's own: those in the address, else MLFLOW_TRACKING_USERNAME and
    MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN. A redirection to another server does not get them.

    Raises:
        OSError: it refuses or does not answer.
        ValueError: the address is not http, or the answer no JSON.
    """
    body = None if query is None else json.dumps(query).encode()
    request = _request(url, body)
    request.add_header("Content-Type", "application/json")
    for name, value in _authorization(url).items():
        request.add_unredirected_header(name, value)
    with _sent(request) as answer:
        return json.load(answer)


def reach(url: str) -> None:
    """Wait for any answer, a refusal too; user and password are not sent.

    Raises:
        OSError: there is none within 5 s.
        ValueError: the address is not http.
    """
    try:
        _sent(_request(url)).close()
    except urllib.error.HTTPError as answer:
        answer.close()


def _request(url: str, body: bytes | None = None) -> urllib.request.Request:
    """Return what asks `url`; with user and password in it, urllib would take them for the host."""
    if not url.startswith(("http://", "https://")):
        raise ValueError("not an http address")
    return urllib.request.Request(place.shown(url), body)  # noqa: S310 (checked above)


def _sent(request: urllib.request.Request) -> Any:
    try:
        return urllib.request.urlopen(request, timeout=ANSWER_S)  # noqa: S310 (checked by _request)
    except http.client.HTTPException as error:  # it speaks another language, or the address has no such port
        raise OSError(f"{type(error).__name__}: {error}") from error


def _authorization(url: str) -> dict[str, str]:
    parts = urllib.parse.urlsplit(url)
    if parts.password is not None:
        return _basic(urllib.parse.unquote(parts.username or ""), urllib.parse.unquote(parts.password))
    user, password = (os.environ.get(f"MLFLOW_TRACKING_{name}") for name in ("USERNAME", "PASSWORD"))
    if user and password:
        return _basic(user, password)
    token = os.environ.get("MLFLOW_TRACKING_TOKEN")
    return {"Authorization": f"Bearer {token}"} if token else {}


def _basic(user: str, password: str) -> dict[str, str]:
    return {"Authorization": f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"}
