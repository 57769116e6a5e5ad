"""What a flow's tasks do: run a stage here, send it to a worker, push what it made."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.tasks import Task

from cnnpipe.errors import BusyError, CnnpipeError, StorageError
from cnnpipe.orchestration import remote
from cnnpipe.orchestration.flow.sending import lock_of, run_elsewhere
from cnnpipe.orchestration.flow.stage_runs import Site, StageRun, push, run_stage
from cnnpipe.orchestration.flow.walk import selected
from cnnpipe.orchestration.graph import Node
from cnnpipe.orchestration.leases import Lease, devices, leased
from cnnpipe.orchestration.planning.plan import plan
from cnnpipe.orchestration.planning.records import PlannedStage, Verdict
from cnnpipe.params.document import Document


@dataclass(frozen=True)
class Round:
    """What the tasks of one flow run share."""

    site: Site
    document: Document
    nodes: Sequence[Node]  # each after what it needs
    planned: Sequence[PlannedStage]
    has_remote: bool  # and it answers
    device_pool: str | None
    commit: str | None  # of the clone, where stages are sent elsewhere
    # of tasks, by name: Prefect hands on no results that it does not keep
    results: dict[str, Any] = field(default_factory=dict)
    faults: dict[str, CnnpipeError] = field(default_factory=dict)
    one_push: threading.Lock = field(default_factory=threading.Lock)
    one_plan: threading.Lock = field(default_factory=threading.Lock)


def stage_task(around: Round, node: Node) -> Task[[], StageRun]:
    """Return the task that brings one stage up to date, here or on a worker."""

    def bring_up_to_date() -> StageRun:
        log = get_run_logger()
        verdict = _verdict(around, node)
        works = node.needs_device and verdict == "to run"
        if works and around.device_pool is not None:
            return _send(around, node, around.device_pool)
        if works:
            machine = around.document.train
            with leased(
                devices(threads=machine.num_threads, wanted=machine.device),
                holder=f"{node.name} of {around.site.root.name}",
                is_stopped=around.site.children.is_stopping,
                on_wait=log.info,
            ) as lease:
                log.info("%s works on %s", node.name, lease.name)
                return _run(around, node, verdict, lease)
        return _run(around, node, verdict)

    return _task(around, node.name, bring_up_to_date)


def push_task(around: Round, name: str, stages: Sequence[str]) -> Task[[], None]:
    """Return the task that gives the remote what stages made."""

    def push_stages() -> None:
        _push(around, remote.push_command(*stages))

    return _task(around, name, push_stages)


def ending(around: Round, stage: str) -> StageRun:
    """Return what became of a stage whose task has ended."""
    if stage in around.results:
        run: StageRun = around.results[stage]
        return run
    return StageRun(stage=stage, outcome="failed", seconds=0.0, note=fault_of(around, stage).what)


def fault_of(around: Round, name: str) -> CnnpipeError:
    """Return why a task failed."""
    fix = "report it, with the log of the flow"
    return around.faults.get(name) or CnnpipeError(name, "failed, and its log says why", fix)


def _task(around: Round, name: str, work: Callable[[], Any]) -> Task[[], Any]:
    """Return a task that is tried again where the outside failed. DVC is the cache: Prefect keeps nothing."""

    def work_once() -> None:
        around.faults.pop(name, None)
        try:
            around.results[name] = work()
        except CnnpipeError as error:
            around.faults[name] = error
            raise

    def may_pass(_task: object, _run: object, _state: object) -> bool:
        return isinstance(around.faults.get(name), BusyError | StorageError)

    params = around.document.flow
    made: Task[[], Any] = task(
        name=name,
        task_run_name=name,
        cache_policy=NO_CACHE,
        persist_result=False,
        retries=params.retries,
        retry_delay_seconds=params.retry_delay_s,
        retry_condition_fn=may_pass,
    )(work_once)
    return made


def _verdict(around: Round, node: Node) -> Verdict:
    """Return what is going to become of the stage, as far as can be told before it is started."""
    planned = {each.stage: each.verdict for each in around.planned}
    above = {each.name: each for each in selected(around.nodes, [node.name])}
    if all(planned[name] == "unchanged" or each.is_always_run for name, each in above.items()):
        return "unchanged"
    if not node.needs_device:  # all the same to it
        return "to run"
    with around.one_plan:
        now = plan_with_remote(around.site.root, (node.name,), has_remote=around.has_remote)
    return next(each.verdict for each in now if each.stage == node.name)


def plan_with_remote(root: Path, targets: Sequence[str], *, has_remote: bool) -> list[PlannedStage]:
    """Return the plan, with what the remote holds as long as it answers."""
    try:
        return plan(root, targets=targets, remote=has_remote)
    except StorageError as error:
        get_run_logger().warning("the remote does not answer: %s", error.what)
        return plan(root, targets=targets)


def _run(around: Round, node: Node, verdict: Verdict, lease: Lease | None = None) -> StageRun:
    asks = around.has_remote and node.has_cached_outputs and verdict != "unchanged"
    log = get_run_logger()
    return run_stage(
        node.name, around.site, on_line=log.info, pull="the stage" if asks else "nothing", lease=lease
    )


def _send(around: Round, node: Node, pool: str) -> StageRun:
    """Have a worker run it, then fetch what it made. What it needs is pushed before."""
    log, began = get_run_logger(), time.perf_counter()
    above = selected(around.nodes, [node.name])
    there = lock_of(around.site.root, [each.name for each in above if each.has_cached_outputs])
    _push(around, remote.push_command(*(name for name in there["stages"] if name != node.name)))
    name = run_elsewhere(
        node.name,
        pool,
        {"name": node.name, "revision": around.commit, "lock": there},
        is_stopping=around.site.children.is_stopping,
        say=log.info,
    )
    run = _run(around, node, "restorable")
    return StageRun(
        stage=run.stage,
        outcome=run.outcome,
        seconds=time.perf_counter() - began,
        note=f"by flow run {name} in pool {pool}",
    )


def _push(around: Round, command: Sequence[str]) -> None:
    with around.one_push:  # each holds DVC's lock as long as it lasts
        push(command, around.site, on_line=get_run_logger().info)
