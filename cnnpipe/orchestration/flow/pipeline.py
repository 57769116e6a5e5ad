"""The second door to the graph: each stage as a Prefect task, run by `dvc` as a person would type it.

Prefect decides when, where and again; what exists and what is stale is DVC's affair. No stage is named here.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Event
from typing import Any, Final
from uuid import UUID

from prefect import get_run_logger
from prefect.client.schemas.objects import State
from prefect.exceptions import CancelledRun
from prefect.futures import PrefectFuture
from prefect.runtime import flow_run
from prefect.states import Cancelled

from cnnpipe import locks, paths
from cnnpipe.errors import CnnpipeError, DataError, ParamsError
from cnnpipe.orchestration import remote
from cnnpipe.orchestration.children import Children
from cnnpipe.orchestration.dvc_locks import forget_dead_holders
from cnnpipe.orchestration.flow import artifacts as flow_artifacts
from cnnpipe.orchestration.flow import log as flow_log
from cnnpipe.orchestration.flow.cancelling import watched
from cnnpipe.orchestration.flow.clones import changed_files, commit_of
from cnnpipe.orchestration.flow.stage_runs import DVC, Site, StageRun, dvc_environment
from cnnpipe.orchestration.flow.stage_tasks import (
    Round,
    ending,
    fault_of,
    plan_with_remote,
    push_task,
    stage_task,
)
from cnnpipe.orchestration.flow.walk import selected, walk
from cnnpipe.orchestration.graph import Node, missing_data, read_graph
from cnnpipe.orchestration.lock import lock
from cnnpipe.orchestration.planning.text import plan_markdown
from cnnpipe.params.document import Document
from cnnpipe.params.load import check, did_you_mean, read_yaml

_GRACE_S: Final = 10.0  # from SIGTERM to SIGKILL; a training closes its run in MLflow meanwhile


def run_pipeline(
    stages: Sequence[str] = (), *, revision: str | None = None, device_pool: str | None = None
) -> State[Any] | None:
    """Bring the project in the working folder up to date; call it inside a flow.

    Args:
        stages: these and all that they need; none: every stage.
        revision: the commit this clone must stand at; None: any, with changes that are not committed.
        device_pool: work pool whose workers get the stages that need a device; None: they run here.

    Returns:
        Cancelled, where somebody cancels the flow run: a flow that raised would be Failed.

    Raises:
        CnnpipeError: of the class of the first failure; all else has run as far as it could.
    """
    flow_log.show_expected_errors_as_text()
    flow_log.go_on_without_a_reader()
    root = Path.cwd()
    place = paths.state_dir() / "locks" / "flow.lock"
    fix = "wait for its end, or cancel it"
    with locks.only_one(place, where=f"the clone {root.name}", does="walks its graph", fix=fix, note="flow"):
        around = _prepare(root, stages, revision=revision, device_pool=device_pool)
        flow_artifacts.show_plan(plan_markdown(around.planned))
        try:
            runs, faults = _walk(around)
        except CancelledRun as error:
            around.site.children.stop(grace_s=_GRACE_S)
            return Cancelled(message=str(error))
        except BaseException:  # Ctrl-C, and a worker that ends this process, arrive here
            around.site.children.stop(grace_s=_GRACE_S)
            raise
        finally:
            with suppress(DataError):  # no stage has ended yet: there is no dvc.lock
                lock(root)
        flow_artifacts.show_end(runs, root)
    for line in flow_artifacts.stage_lines(runs):
        get_run_logger().info(line)
    if faults:
        raise as_one(faults)
    return None


def _prepare(root: Path, stages: Sequence[str], *, revision: str | None, device_pool: str | None) -> Round:
    document = check(read_yaml(paths.PARAMS), Document, where=str(paths.PARAMS), section="")
    log = get_run_logger()
    if dead := forget_dead_holders(root):
        log.warning("took processes %s out of DVC's list of who reads and writes: they are gone", dead)
    commit = _commit(root, revision, is_sent=device_pool is not None)
    children = Children()
    has_remote = _has_remote(root, log.warning)
    if has_remote:
        _pull_missing_data(root, children, log.info)
    graph = read_graph(root)
    if unknown := sorted(set(stages) - {node.name for node in graph}):
        hint = did_you_mean(unknown[0], [node.name for node in graph])
        raise ParamsError(
            "stages", f"dvc.yaml has no stage {unknown[0]!r}", f"{hint}`dvc stage list` has them all"
        )
    return Round(
        site=Site(root=root, children=children),
        document=document,
        nodes=selected(graph, stages),
        planned=plan_with_remote(root, stages, has_remote=has_remote),
        has_remote=has_remote,
        device_pool=device_pool,
        commit=commit,
    )


def _commit(root: Path, revision: str | None, *, is_sent: bool) -> str | None:
    """Return the commit of this clone where it matters which it is.

    Raises:
        ParamsError: it is not the one asked for, or others could not have the same.
    """
    if revision is None and not is_sent:
        return None
    here = commit_of(root)
    if revision is not None and commit_of(root, revision) != here:
        fix = f"git checkout {revision}, or leave the revision out"
        raise ParamsError("revision", f"this clone stands at {here[:12]}, not at {revision}", fix)
    if is_sent and (changed := changed_files(root)):
        what = f"{changed[0]} is not committed, and workers would not have it"
        raise ParamsError("device_pool", what, "commit and push it, or leave device_pool out")
    return here


def _has_remote(root: Path, warn: Callable[[str], None]) -> bool:
    """Whether there is a DVC remote to take results from and to give them to."""
    if remote.default_remote(root) is None:
        return False
    if fault := remote.is_reachable(root):
        warn(f"the DVC remote does not answer, so nothing is restored from it: {fault}")
        return False
    return True


def _pull_missing_data(root: Path, children: Children, say: Callable[[str], None]) -> None:
    """Bring data that `dvc add` knows into a clone that does not have it."""
    files_ = missing_data(root)
    if files_:
        command = [*DVC, "pull", *files_]
        if children.run(command, cwd=root, environment=dvc_environment({}), on_line=say):
            fix = "push it from where it is: `dvc push`"
            raise DataError(", ".join(files_), "its data is neither here nor on the remote", fix)


class _Tasks:
    """The tasks of one flow run: stages, and pushes of what they made."""

    def __init__(self, around: Round, cancelled: Event) -> None:
        self._around = around
        self._cancelled = cancelled
        self._nodes = {node.name: node for node in around.nodes}
        self._stages: dict[str, PrefectFuture[Any]] = {}
        self._pushes: dict[str, Event] = {}  # set when the push has ended
        self.faults: list[CnnpipeError] = []

    def start(self, node: Node, done: Callable[[StageRun], None]) -> None:
        """Submit a stage."""
        above = [self._stages[need] for need in node.needs if need in self._stages]
        future = stage_task(self._around, node).submit(return_state=False, wait_for=above)
        self._stages[node.name] = future
        future.add_done_callback(lambda _: done(ending(self._around, node.name)))

    def on_end(self, run: StageRun) -> None:
        """Push what a stage made, or keep why it failed."""
        if run.outcome == "failed":
            self.faults.append(fault_of(self._around, run.stage))
        elif run.outcome == "ran" and self._around.has_remote and self._nodes[run.stage].has_cached_outputs:
            self._push(f"push {run.stage}", [run.stage])

    def on_tick(self) -> None:
        """Leave when somebody cancels the flow run."""
        if self._cancelled.is_set():
            raise CancelledRun("somebody cancels this flow run")

    def push_rest(self, runs: Sequence[StageRun]) -> None:
        """Push what earlier runs could not, then wait for every push and keep why one failed."""
        if remote.default_remote(self._around.site.root) is not None:
            rest = [
                run.stage
                for run in runs
                if run.outcome in ("ran", "restored", "unchanged")
                and self._nodes[run.stage].has_cached_outputs
                and f"push {run.stage}" not in self._pushes
            ]
            self._push("push what is not there yet", rest)
        for name, ended in self._pushes.items():
            while not ended.wait(timeout=1.0):  # a future would ask Prefect's server, which may be away
                self.on_tick()
            if name not in self._around.results:
                self.faults.append(fault_of(self._around, name))

    def _push(self, name: str, stages: Sequence[str]) -> None:
        if stages:
            above = [self._stages[stage] for stage in stages]
            task = push_task(self._around, name, stages)
            ended = self._pushes[name] = Event()
            task.submit(return_state=False, wait_for=above).add_done_callback(lambda _: ended.set())


def _walk(around: Round) -> tuple[list[StageRun], list[CnnpipeError]]:
    """Run every stage and push what ran; return what became of each, and what failed."""
    with watched(UUID(str(flow_run.id))) as cancelled:
        tasks = _Tasks(around, cancelled)
        runs = walk(
            around.nodes,
            tasks.start,
            max_parallel=around.document.flow.max_parallel,
            on_end=tasks.on_end,
            on_tick=tasks.on_tick,
        )
        tasks.push_rest(runs)
    return runs, tasks.faults


def as_one(faults: Sequence[CnnpipeError]) -> CnnpipeError:
    """Return one error for several: of the class of the first, naming all."""
    first = faults[0]
    if len(faults) == 1:
        return first
    others = "; ".join(f"{fault.where}: {fault.what}" for fault in faults[1:])
    return type(first)(first.where, f"{first.what}; and {others}", first.fix)
