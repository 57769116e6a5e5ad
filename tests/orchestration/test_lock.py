"""dvc.lock ends in the same bytes whatever the order the stages ended in; a real DVC project."""

import subprocess
import sys
from pathlib import Path

import pytest
from dvc.repo import Repo

from cnnpipe.errors import CnnpipeError, DataError
from cnnpipe.orchestration.graph import graph_of
from cnnpipe.orchestration.lock import lock

_GRAPH = """
stages:
  third: {cmd: cp b c, deps: [b], outs: [c]}
  first: {cmd: echo x > a, outs: [a]}
  second: {cmd: cp a b, deps: [a], outs: [b]}
  aside: {cmd: echo y > d, outs: [d]}
"""


def _project(folder: Path, *targets: str) -> Path:
    folder.mkdir()
    Repo.init(str(folder), no_scm=True).close()
    (folder / "dvc.yaml").write_text(_GRAPH, encoding="utf-8")
    for target in targets:
        subprocess.run([sys.executable, "-m", "dvc", "repro", "--quiet", target], cwd=folder, check=True)
    return folder


@pytest.fixture(scope="module")
def two_orders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("orders")
    return _project(folder / "one", "aside", "third"), _project(folder / "two", "third", "aside")


def test_both_orders_end_in_the_same_bytes(two_orders: tuple[Path, Path]) -> None:
    one, two = ((folder / "dvc.lock") for folder in two_orders)
    assert one.read_bytes() != two.read_bytes()
    for folder in two_orders:
        assert lock(folder) == []
    assert one.read_bytes() == two.read_bytes()


def test_order_is_that_of_the_graph(two_orders: tuple[Path, Path]) -> None:
    with Repo(str(two_orders[0])) as repo:
        order = [node.name for node in graph_of(repo)]
    assert order.index("first") < order.index("second") < order.index("third")
    assert sorted(order) == ["aside", "first", "second", "third"]


def test_stage_that_is_gone_is_dropped_and_named(tmp_path: Path) -> None:
    folder = _project(tmp_path / "project", "aside")
    (folder / "dvc.yaml").write_text(_GRAPH.replace("aside:", "beside:"), encoding="utf-8")
    assert lock(folder) == ["aside"]
    assert "aside" not in (folder / "dvc.lock").read_text(encoding="utf-8")


def test_canonical_lock_is_not_written_again(two_orders: tuple[Path, Path]) -> None:
    lock(two_orders[0])
    before = (two_orders[0] / "dvc.lock").stat()
    lock(two_orders[0])
    assert (two_orders[0] / "dvc.lock").stat() == before


def test_nothing_to_lock_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="run `dvc repro` first"):
        lock(tmp_path)


def test_broken_graph_is_no_traceback(tmp_path: Path) -> None:
    folder = _project(tmp_path / "project", "aside")
    (folder / "dvc.yaml").write_text("stages: [", encoding="utf-8")
    with pytest.raises(CnnpipeError, match=r"dvc\.yaml"):
        lock(folder)
