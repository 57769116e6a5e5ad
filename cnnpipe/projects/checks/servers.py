"""Servers, asked over HTTP with a limit of time."""

import urllib.error
import urllib.request
from typing import Any, Final

import msgspec

_ANSWER_S: Final = 5.0
_GATEWAY: Final = (502, 503, 504)  # of a proxy, about the server behind it


def is_http(url: str) -> bool:
    """Whether the address can be asked here."""
    return url.startswith(("http://", "https://"))


def fault_of(url: str) -> str:
    """Return why a server does not answer, or ""; any answer will do, a refusal too."""
    try:
        urllib.request.urlopen(url, timeout=_ANSWER_S).close()  # noqa: S310 (the caller checked the scheme)
    except urllib.error.HTTPError as answer:
        answer.close()
        return f"{answer.code} {answer.reason}" if answer.code in _GATEWAY else ""
    except (OSError, ValueError) as error:
        return str(getattr(error, "reason", error)) or type(error).__name__
    return ""


def ask_json(url: str, query: Any = None) -> Any:
    """Return the JSON that a server answers; `query` is posted to it.

    Raises:
        OSError: it refuses or does not answer.
        msgspec.DecodeError: the answer is no JSON.
    """
    body = None if query is None else msgspec.json.encode(query)
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})  # noqa: S310 (the same)
    with urllib.request.urlopen(request, timeout=_ANSWER_S) as answer:  # noqa: S310
        return msgspec.json.decode(answer.read())
