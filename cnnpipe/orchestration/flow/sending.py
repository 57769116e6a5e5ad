"""A stage sent to a worker of another pool: a clone at the same commit there, results through the remote."""

import re
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import httpx
from dvc.utils.serialize import YAMLFileCorruptedError, load_yaml
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun
from prefect.deployments import run_deployment
from prefect.exceptions import ObjectNotFound
from prefect.states import Cancelling

from cnnpipe.errors import BusyError, CnnpipeError, DataError, ModelError, ParamsError, StorageError
from cnnpipe.orchestration.children import StoppedError

FLOW: Final = "stage"  # of flows/stage.py
_POLL_S: Final = 2.0
_TELL_S: Final = 60.0
# Prefect's words for an exception of a flow. Source: prefect 3.8, states.py, exception_to_failed_state.
_EXPECTED: Final = re.compile(
    r"exception: (?P<kind>[A-Z]\w*Error): (?P<what>.*?)\n\s+fix: (?P<fix>.*)", re.DOTALL
)
_KINDS: Final[Mapping[str, type[CnnpipeError]]] = MappingProxyType(
    {kind.__name__: kind for kind in (BusyError, DataError, ModelError, ParamsError, StorageError)}
)


def run_elsewhere(
    stage: str,
    pool: str,
    parameters: dict[str, Any],
    *,
    is_stopping: Callable[[], bool],
    say: Callable[[str], None],
) -> str:
    """Have a worker of `pool` bring one stage up to date; return the name of the flow run that did.

    Args:
        stage: its name in the graph.
        pool: a work pool with a deployment of flow `stage`.
        parameters: of that flow.
        is_stopping: asked while waiting; the flow run there is cancelled then.
        say: told what is waited for.

    Raises:
        ParamsError: there is no such deployment.
        StoppedError: this flow is stopping.
        CnnpipeError: the flow run there did not succeed.
    """
    try:
        run: FlowRun = run_deployment(f"{FLOW}/{pool}", parameters=parameters, timeout=0)  # type: ignore[assignment]
    except ObjectNotFound as error:
        fix = "deploy it: `prefect deploy --all`, or leave out device_pool"
        raise ParamsError("device_pool", f"there is no deployment {FLOW}/{pool}", fix) from error
    say(f"sent to pool {pool} as flow run {run.name}")
    told = time.monotonic()
    with get_client(sync_client=True) as client:
        while True:
            if is_stopping():
                client.set_flow_run_state(run.id, Cancelling(), force=True)
                raise StoppedError(f"stage {stage}", "the flow is stopping", "run it again")
            try:
                state = client.read_flow_run(run.id).state
            except httpx.HTTPError:  # the server is away; the worker goes on
                state = None
            if state is not None and state.is_final():
                break
            if state is not None and state.is_scheduled() and time.monotonic() - told > _TELL_S:
                told = time.monotonic()
                say(f"flow run {run.name} still waits for a worker of pool {pool}")
            time.sleep(_POLL_S)
    if not state.is_completed():
        raise _error(f"flow run {run.name} in pool {pool}", str(state.name), state.message or "")
    return run.name


def _error(where: str, state: str, message: str) -> CnnpipeError:
    """Return why a flow run failed: of the class and in the words of its own error, where it had one."""
    if found := _EXPECTED.search(message):
        kind = _KINDS.get(found["kind"], CnnpipeError)
        return kind(where, found["what"].strip(), found["fix"].strip())
    what = " ".join(f"ended {state.lower()}: {message}".split())
    return CnnpipeError(where, what, "its log in Prefect's pages says why")


def lock_of(root: Path, stages: Sequence[str]) -> dict[str, Any]:
    """Return the entries of dvc.lock for `stages`; those it has.

    Raises:
        CnnpipeError: the file is broken.
    """
    if not (root / "dvc.lock").exists():  # nothing has run yet, and nothing had to
        return {"schema": "2.0", "stages": {}}
    for _ in range(50):
        try:
            lock = load_yaml(str(root / "dvc.lock"))
            return {
                "schema": lock["schema"],
                "stages": {s: lock["stages"][s] for s in stages if s in lock["stages"]},
            }
        except (YAMLFileCorruptedError, KeyError, TypeError):  # read while a dvc wrote it
            time.sleep(0.1)
    raise CnnpipeError(str(root / "dvc.lock"), "cannot be read", "run `dvc status`")
