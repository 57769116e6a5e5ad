"""Servers, asked over HTTP with a limit of time."""

import urllib.error
import urllib.request
from typing import Final

from cnnpipe.tracking.place import shown

_ANSWER_S: Final = 5.0
_GATEWAY: Final = (502, 503, 504)  # of a proxy, about the server behind it


def is_http(url: str) -> bool:
    """Whether the address can be asked here."""
    return url.startswith(("http://", "https://"))


def fault_of(url: str) -> str:
    """Return why a server does not answer, or ""; any answer will do, a refusal too.

    User and password in the address are not sent: urllib would take them for the host.
    """
    try:
        urllib.request.urlopen(shown(url), timeout=_ANSWER_S).close()  # noqa: S310 (the caller checked the scheme)
    except urllib.error.HTTPError as answer:
        answer.close()
        return f"{answer.code} {answer.reason}" if answer.code in _GATEWAY else ""
    except (OSError, ValueError) as error:
        return str(getattr(error, "reason", error)) or type(error).__name__
    return ""
