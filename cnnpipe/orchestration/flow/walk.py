"""The order in which a flow starts stages: as soon as what they need is there, so many at a time."""

import queue
from collections.abc import Callable, Mapping, Sequence, Set
from typing import Final

from cnnpipe.orchestration.flow.stage_runs import StageRun
from cnnpipe.orchestration.graph import Node

_TICK_S: Final = 1.0
_BAD: Final = frozenset({"failed", "not run"})

# Starts a stage and returns at once; tells the second argument, from any thread, what became of it.
Start = Callable[[Node, Callable[[StageRun], None]], None]


def walk(
    nodes: Sequence[Node],
    start: Start,
    *,
    max_parallel: int,
    on_end: Callable[[StageRun], None],
    on_tick: Callable[[], None],
) -> list[StageRun]:
    """Run every stage after those it needs; return what became of each, in the order of `nodes`.

    A stage below a failed one is not run; all others are.

    Args:
        nodes: each after what it needs; needs that are no node count as done.
        start: starts one.
        max_parallel: how many run at the same time.
        on_end: told each stage that has ended, by the thread that called this.
        on_tick: called about every second while stages run; what it raises ends the walk.
    """
    ended: queue.SimpleQueue[StageRun] = queue.SimpleQueue()
    runs: dict[str, StageRun] = {}
    running: set[str] = set()
    while len(runs) < len(nodes):
        runs |= _not_to_be_run(nodes, runs)
        for node in _ready(nodes, runs, running)[: max_parallel - len(running)]:
            running.add(node.name)
            start(node, ended.put)
        if running:
            try:
                run = ended.get(timeout=_TICK_S)
            except queue.Empty:
                on_tick()
                continue
            running.discard(run.stage)
            runs[run.stage] = run
            on_end(run)
    return [runs[node.name] for node in nodes]


def selected(nodes: Sequence[Node], targets: Sequence[str]) -> list[Node]:
    """Return `targets` and all that they need, in order; no targets: every stage."""
    if not targets:
        return list(nodes)
    wanted = set(targets)
    for node in reversed(nodes):
        if node.name in wanted:
            wanted.update(node.needs)
    return [node for node in nodes if node.name in wanted]


def _ready(nodes: Sequence[Node], runs: Mapping[str, StageRun], running: Set[str]) -> list[Node]:
    waiting = {node.name for node in nodes} - runs.keys()
    return [
        node
        for node in nodes
        if node.name in waiting and node.name not in running and not waiting.intersection(node.needs)
    ]


def _not_to_be_run(nodes: Sequence[Node], runs: Mapping[str, StageRun]) -> dict[str, StageRun]:
    """Return the stages that cannot be run, since something they need failed or was not run."""
    bad = {name for name, run in runs.items() if run.outcome in _BAD}
    found: dict[str, StageRun] = {}
    for node in (node for node in nodes if node.name not in runs):
        if lacking := bad.intersection(node.needs):
            note = f"needs {min(lacking)}"
            found[node.name] = StageRun(stage=node.name, outcome="not run", seconds=0.0, note=note)
            bad.add(node.name)
    return found
