"""Questions to a server: with the user's credentials, which no other server gets to see."""

import base64
import http.server
import threading
from collections.abc import Iterator

import pytest

from cnnpipe.tracking import rest


class Web(http.server.BaseHTTPRequestHandler):
    """Answers JSON to who is let in, and keeps what it was sent."""

    sent: list[str]
    elsewhere: str | None

    def do_GET(self) -> None:
        self.sent.append(self.headers.get("Authorization", ""))
        self.send_response(302 if self.elsewhere else 200)
        if self.elsewhere:
            self.send_header("Location", self.elsewhere)
        self.end_headers()
        self.wfile.write(b'{"answer": 42}')

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def serve(elsewhere: str | None = None) -> Iterator[tuple[str, list[str]]]:
    handler = type("Handler", (Web,), {"sent": [], "elsewhere": elsewhere})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as web:
        thread = threading.Thread(target=web.serve_forever)
        thread.start()
        yield f"127.0.0.1:{web.server_port}", handler.sent  # type: ignore[attr-defined]
        web.shutdown()
        thread.join()


@pytest.fixture
def server() -> Iterator[tuple[str, list[str]]]:
    yield from serve()


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@pytest.mark.parametrize(
    ("before_host", "names", "expected"),
    [
        pytest.param("", {}, "", id="none"),
        pytest.param("", {"USERNAME": "ann", "PASSWORD": "x"}, basic("ann", "x"), id="user"),
        pytest.param("", {"TOKEN": "t"}, "Bearer t", id="token"),
        pytest.param(
            "", {"USERNAME": "ann", "PASSWORD": "x", "TOKEN": "t"}, basic("ann", "x"), id="as MLflow"
        ),
        pytest.param("ben:p%40ss@", {"USERNAME": "ann", "PASSWORD": "x"}, basic("ben", "p@ss"), id="address"),
    ],
)
def test_credentials_are_sent(
    before_host: str,
    names: dict[str, str],
    expected: str,
    server: tuple[str, list[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in names.items():
        monkeypatch.setenv(f"MLFLOW_TRACKING_{name}", value)
    host, sent = server
    assert rest.ask(f"http://{before_host}{host}/x") == {"answer": 42}
    assert sent == [expected]


def test_another_server_does_not_get_them(server: tuple[str, list[str]]) -> None:
    host, sent = server
    for first_host, first_sent in serve(elsewhere=f"http://{host}/"):
        rest.ask(f"http://ann:x@{first_host}/")
        assert first_sent == [basic("ann", "x")]
    assert sent == [""]


def test_to_look_whether_it_answers_sends_none(server: tuple[str, list[str]]) -> None:
    host, sent = server
    rest.reach(f"http://ann:x@{host}/")
    assert sent == [""]


@pytest.mark.parametrize("address", ["ftp://127.0.0.1", "file:///etc/hostname"])
def test_other_addresses_are_refused(address: str) -> None:
    with pytest.raises(ValueError, match="not an http address"):
        rest.ask(address)


def test_an_address_that_makes_no_sense_tells_no_password() -> None:
    with pytest.raises(OSError, match="InvalidURL") as error:
        rest.reach("http://me:secret@127.0.0.1:port/")
    assert "secret" not in str(error.value)
