"""Whether somebody cancels this flow run, through Prefect's pages or its API.

A worker ends the flow runs it has started itself. One that was started by hand has nobody to end it, so it
looks for itself; in a thread, for a server that is away makes its clients wait.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final
from uuid import UUID

import httpx
from prefect.client.orchestration import get_client
from prefect.exceptions import PrefectException

_POLL_S: Final = 2.0


@contextmanager
def watched(flow_run_id: UUID) -> Iterator[threading.Event]:
    """Yield what is set as soon as the server says that the flow run is being cancelled."""
    cancelled, left = threading.Event(), threading.Event()
    watch = threading.Thread(
        target=_watch, args=(flow_run_id, cancelled, left), name="cancel-watch", daemon=True
    )
    watch.start()
    try:
        yield cancelled
    finally:
        left.set()


def _watch(flow_run_id: UUID, cancelled: threading.Event, left: threading.Event) -> None:
    with get_client(sync_client=True) as client:
        while not left.wait(_POLL_S):
            try:
                state = client.read_flow_run(flow_run_id).state
            except (httpx.HTTPError, PrefectException):  # away: the flow goes on
                continue
            if state is not None and (state.is_cancelling() or state.is_cancelled()):
                cancelled.set()
                return
