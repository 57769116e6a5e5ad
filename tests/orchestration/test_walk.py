"""Stages start as soon as what they need is there, so many at a time, and never below a failed one."""

import threading
import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnnpipe.orchestration.flow.stage_runs import Outcome, StageRun
from cnnpipe.orchestration.flow.walk import selected, walk
from cnnpipe.orchestration.graph import Node


def node(name: str, *needs: str) -> Node:
    return Node(name=name, needs=needs, is_always_run=False, has_cached_outputs=True, needs_device=False)


@st.composite
def graphs(draw: st.DrawFn) -> list[Node]:
    """Graphs in order: each node needs some of those before it."""
    names = [f"s{number}" for number in range(draw(st.integers(1, 9)))]
    return [
        node(name, *(draw(st.lists(st.sampled_from(names[:index]), unique=True)) if index else []))
        for index, name in enumerate(names)
    ]


class Stages:
    """Ends each stage when it likes, and notes what was at work together."""

    def __init__(self, failing: set[str]) -> None:
        self.failing = failing
        self.started: list[str] = []
        self.ended: list[str] = []
        self.most = 0

    def start(self, node: Node, done: Callable[[StageRun], None]) -> None:
        assert set(node.needs) <= set(self.ended) - self.failing
        self.started.append(node.name)
        self.most = max(self.most, len(self.started) - len(self.ended))
        outcome: Outcome = "failed" if node.name in self.failing else "ran"
        done(StageRun(stage=node.name, outcome=outcome, seconds=0.0))

    def on_end(self, run: StageRun) -> None:
        self.ended.append(run.stage)


@given(graphs(), st.integers(1, 4), st.data())
def test_every_stage_is_run_once_after_its_needs_unless_one_of_them_failed(
    nodes: list[Node], max_parallel: int, data: st.DataObject
) -> None:
    failing = data.draw(st.sets(st.sampled_from([each.name for each in nodes])))
    stages = Stages(failing)
    runs = walk(nodes, stages.start, max_parallel=max_parallel, on_end=stages.on_end, on_tick=lambda: None)
    assert [run.stage for run in runs] == [each.name for each in nodes]
    outcome = {run.stage: run.outcome for run in runs}
    for each in nodes:
        is_below = any(outcome[need] in ("failed", "not run") for need in each.needs)
        wanted = "not run" if is_below else "failed" if each.name in failing else "ran"
        assert outcome[each.name] == wanted
    assert sorted(stages.started) == sorted(name for name in outcome if outcome[name] != "not run")
    assert stages.most <= max_parallel


def test_independent_stages_run_at_the_same_time() -> None:
    together = threading.Barrier(2, timeout=10)

    def start(node: Node, done: Callable[[StageRun], None]) -> None:
        def work() -> None:
            together.wait()
            done(StageRun(stage=node.name, outcome="ran", seconds=0.0))

        threading.Thread(target=work).start()

    runs = walk([node("a"), node("b")], start, max_parallel=2, on_end=lambda _: None, on_tick=lambda: None)
    assert [run.outcome for run in runs] == ["ran", "ran"]


def test_what_a_tick_raises_ends_the_walk_while_a_stage_runs() -> None:
    def tick() -> None:
        raise KeyboardInterrupt

    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        walk([node("a")], lambda *_: None, max_parallel=1, on_end=lambda _: None, on_tick=tick)
    assert time.monotonic() - began < 5


@given(graphs(), st.data())
def test_targets_bring_what_they_need_and_no_more(nodes: list[Node], data: st.DataObject) -> None:
    targets = data.draw(st.sets(st.sampled_from([each.name for each in nodes]), min_size=1))
    chosen = selected(nodes, sorted(targets))
    names = {each.name for each in chosen}
    assert targets <= names
    assert all(set(each.needs) <= names for each in chosen)
    needed = {need for each in chosen for need in each.needs}
    assert names == targets | needed
    assert chosen == [each for each in nodes if each.name in names]


def test_no_targets_mean_all() -> None:
    assert selected([node("a"), node("b")], []) == [node("a"), node("b")]
