"""DVC's project and its remotes."""

import http.server
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from cnnpipe.projects.checks import dvc_project, servers
from cnnpipe.projects.checks.facts import Facts
from cnnpipe.projects.checks.programs import Answer


@pytest.fixture
def server() -> Iterator[str]:
    """The address of a server that refuses everything."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler) as web:
        thread = threading.Thread(target=web.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{web.server_port}/data"
        web.shutdown()
        thread.join()


def remote(url: str, *, online: bool = False) -> Facts:
    return Facts(
        dvc=Answer(0, f"core.analytics=false\nremote.store.url={url}\ncore.remote=store"), online=online
    )


@pytest.mark.parametrize(
    ("answer", "found", "fix"),
    [
        (
            Answer(1, "", "/usr/bin/python: No module named dvc"),
            "not installed",
            "pip install 'cnnpipe[orchestration]'",
        ),
        (Answer(251, "", "ERROR: configuration error"), "ERROR: configuration error", "mend .dvc/config"),
        (Answer(0, ""), "no .dvc here", "dvc init"),
    ],
    ids=["not-installed", "broken-config", "no-project"],
)
def test_what_dvc_lacks(answer: Answer, found: str, fix: str, project_dir: Path) -> None:
    (result,) = dvc_project.check_dvc(Facts(dvc=answer))
    assert (result.state, result.exit_code) == ("error", 1)
    assert found in result.found
    assert fix in result.fix


def test_a_project_needs_its_graph(project_dir: Path) -> None:
    (project_dir / ".dvc").mkdir()
    assert dvc_project.check_dvc(Facts())[0].state == "error"
    (project_dir / "dvc.yaml").touch()
    assert dvc_project.check_dvc(Facts())[0].state == "ok"


def test_without_remotes_nothing_is_wrong() -> None:
    assert [result.state for result in dvc_project.check_remotes(Facts())] == ["ok"]


def test_a_folder_as_remote_must_be_there_and_writable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (found,) = dvc_project.check_remotes(remote(str(tmp_path)))
    assert (found.state, found.found) == ("ok", f"store: {tmp_path}")
    (gone,) = dvc_project.check_remotes(remote(f"{tmp_path}/gone"))
    assert (gone.state, gone.exit_code) == ("error", 7)
    assert f"mkdir -p {tmp_path}/gone" in gone.fix
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may write anywhere
    (locked,) = dvc_project.check_remotes(remote(str(tmp_path)))
    assert locked.state == "warning"


def test_a_remote_elsewhere_is_asked_only_when_told(server: str) -> None:
    (listed,) = dvc_project.check_remotes(remote("http://127.0.0.1:9/data"))
    assert (listed.state, listed.fix) == ("note", "doctor --online asks it")
    (reached,) = dvc_project.check_remotes(remote(server, online=True))
    assert reached.state == "ok"
    (away,) = dvc_project.check_remotes(remote("http://127.0.0.1:9/data", online=True))
    assert (away.state, away.exit_code) == ("error", 7)
    assert "refused" in away.found


def test_a_server_that_says_nothing_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(servers, "_ANSWER_S", 0.2)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler) as web:
        assert "timed out" in servers.fault_of(f"http://127.0.0.1:{web.server_port}/")


def test_a_gateway_that_finds_no_server_is_a_fault(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(servers, "_GATEWAY", (501,))  # what the server here answers
    assert servers.fault_of(server).startswith("501 ")


def test_other_remotes_are_asked_through_dvc(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def ask(*words: str, timeout_s: float) -> Answer:
        asked.append(words[3:])
        return Answer(7, "error: DVC remote store (s3://bucket/data): no such bucket\n  fix: look")

    monkeypatch.setattr(dvc_project, "ask", ask)
    monkeypatch.setattr(dvc_project, "_is_installed", lambda package: True)
    (result,) = dvc_project.check_remotes(remote("s3://bucket/data", online=True))
    assert asked == [("ask", "store")]
    assert (result.state, result.exit_code) == ("error", 7)
    assert result.found == "store: s3://bucket/data does not answer: no such bucket"


def test_a_remote_without_its_package_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dvc_project, "_is_installed", lambda package: False)
    (result,) = dvc_project.check_remotes(remote("s3://bucket/data"))
    assert (result.state, result.fix) == ("error", "pip install 'cnnpipe[s3]'")


def test_a_remote_that_nothing_answers_at_is_told_as_it_says(
    project_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project_dir / ".dvc").mkdir()
    config = "[core]\nno_scm = true\n['remote \"store\"']\nurl = s3://bucket/data\nendpointurl = http://127.0.0.1:9\n"
    (project_dir / ".dvc/config").write_text(config, encoding="utf-8")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "somebody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "planted")
    (result,) = dvc_project.check_remotes(remote("s3://bucket/data", online=True))
    assert (result.state, result.exit_code) == ("error", 7)
    assert "Could not connect to the endpoint" in result.found


def test_a_flow_needs_a_default_remote(tmp_path: Path) -> None:
    url = f"remote.store.url={tmp_path}"
    none, there = dvc_project.check_remotes(Facts(dvc=Answer(0, url)))
    assert (none.state, there.state) == ("warning", "ok")
    assert none.fix.startswith("dvc remote default store")
    gone, there = dvc_project.check_remotes(Facts(dvc=Answer(0, f"{url}\ncore.remote=gone")))
    assert (gone.state, gone.exit_code, there.state) == ("error", 7, "ok")
