"""Runs on workers: cancelled, the whole host dies, the worker alone dies; each later in the same training."""

import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import Final

from benchmarks.fault_looks import (
    Row,
    look_at_end,
    look_at_going_on,
    look_at_status,
    look_for_orphans,
    statuses,
)
from benchmarks.fault_prefect import cancel, run_deployment, state_of, until_state
from benchmarks.fault_processes import Process, below, processes, until
from benchmarks.fault_site import CNNPIPE, HIT_AT, Place, Site
from benchmarks.fault_stops import ENDS_WITHIN_S

_DEPLOYMENT: Final = "pipeline/cpu"


def workers(site: Site) -> list[Row]:
    """Cancel a run on a worker; kill a worker and all its processes; kill a worker alone."""
    place = site.place("workers", is_scheduled=True)
    worker = _worker(place)
    cancelled = _cancelled(place, worker)
    dead = _host_dies(place, worker, cancelled)
    return [cancelled, dead, _worker_dies(place, dead)]


def _cancelled(place: Place, worker: Process) -> Row:
    row = Row("a run on a worker is cancelled", f"set_state CANCELLING by Prefect's API at epoch {HIT_AT}")
    run = run_deployment(place.site, _DEPLOYMENT)
    worker.until_epoch(HIT_AT)
    cancel(place.site, run)
    with row.timed("from the request to the end of its last process", at_most=ENDS_WITHIN_S):
        _until_alone(place, worker)
    look_at_status(row, place, "KILLED")
    row.see("then CANCELLED in Prefect after, s", until_state(place.site, run, "CANCELLED"))
    return row


def _host_dies(place: Place, worker: Process, former: Row) -> Row:
    row = Row("a worker's host dies", f"kill -9 of the worker and all its processes at epoch {2 * HIT_AT}")
    run = run_deployment(place.site, _DEPLOYMENT)
    worker.until_epoch(2 * HIT_AT)
    look_at_going_on(former, worker.said, HIT_AT)
    for pid in [worker.popen.pid, *below(worker.popen.pid)]:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    worker.end()
    look_for_orphans(row, place)
    row.see("MLflow's run at first", ", ".join(statuses(place)))
    row.see("Prefect's flow run", state_of(place.site, run))
    return row


def _worker_dies(place: Place, former: Row) -> Row:
    row = Row("a worker is killed with -9, its run not", f"kill -9 of the worker at epoch {3 * HIT_AT}")
    worker = _worker(place)
    run = run_deployment(place.site, _DEPLOYMENT)
    worker.until_epoch(3 * HIT_AT)
    look_at_going_on(former, worker.said, 2 * HIT_AT)
    worker.signal(signal.SIGKILL)
    worker.end()
    with row.timed("until the run's last process has ended"):
        _until_alone(place)
    state = state_of(place.site, run)
    row.see("Prefect's flow run", state)
    row.promise(state == "COMPLETED", f"the run did not go on without its worker: {state}")
    row.see("MLflow's run at first", ", ".join(statuses(place)))
    return _to_the_end(row, place)


def _to_the_end(row: Row, place: Place) -> Row:
    """Run the deployment once more, on a new worker."""
    worker = _worker(place)
    run = run_deployment(place.site, _DEPLOYMENT)
    with row.timed("next run"):
        until_state(place.site, run, "COMPLETED")
    worker.signal(signal.SIGINT)
    with row.timed("end of the worker by Ctrl-C", at_most=30.0):
        worker.end()
    look_at_end(row, place, _clone(place, run))
    return row


def _worker(place: Place) -> Process:
    return place.start(*CNNPIPE, "worker", "--pool", "cpu", cwd=place.folder)


def _until_alone(place: Place, worker: Process | None = None) -> None:
    """Wait until nothing of the fault runs, but the worker."""
    known = set() if worker is None else {worker.popen.pid}
    until(lambda: {pid for pid, _ in processes(place.folder, place.name)} <= known, "end of all processes")


def _clone(place: Place, run: str) -> Path:
    (clone,) = place.work.glob(f"*/clones/{run}")
    return clone
