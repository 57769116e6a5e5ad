"""A flow by hand is stopped, again and again: Ctrl-C, SIGTERM, from Prefect's pages, kill -9."""

import os
import signal
from collections.abc import Callable
from typing import Final, NamedTuple

from benchmarks.fault_looks import (
    Row,
    look_at_code,
    look_at_end,
    look_at_going_on,
    look_at_next,
    look_at_status,
    look_for_orphans,
    statuses,
)
from benchmarks.fault_prefect import cancel, newest_flow_run, state_of
from benchmarks.fault_processes import Process
from benchmarks.fault_site import HIT_AT, Site

ENDS_WITHIN_S: Final = 15.0


class _Stop(NamedTuple):
    """One way to stop a flow."""

    name: str
    caused: str
    do: Callable[[Site, Process], None]
    code: int  # with which the flow ends then
    state: str  # of the flow run in Prefect


def stops(site: Site) -> list[Row]:
    """Stop a flow by Ctrl-C, SIGTERM, Prefect's API and kill -9, each later in the same training."""
    place = site.place("stops")
    rows: list[Row] = []
    for number, stop in enumerate(_STOPS, start=1):
        row = Row(stop.name, f"{stop.caused} at epoch {number * HIT_AT}")
        flow = place.flow()
        flow.until_epoch(number * HIT_AT)
        run = newest_flow_run(site)
        with row.timed("until its last process has ended", at_most=ENDS_WITHIN_S):
            stop.do(site, flow)
            look_at_code(row, flow, stop.code)
            look_for_orphans(row, place)
        if stop.state == "RUNNING":  # nobody could tell MLflow in any case
            row.see("MLflow's run at first", ", ".join(statuses(place)))
        else:
            look_at_status(row, place, "KILLED")
        state = state_of(site, run)
        row.see("Prefect's flow run", state)
        row.promise(state == stop.state, f"the flow run is {state}, not {stop.state}")
        if rows:
            look_at_going_on(rows[-1], flow.said, (number - 1) * HIT_AT)
        rows.append(row)
    look_at_next(rows[-1], place.flow(), goes_on_after=len(_STOPS) * HIT_AT)
    look_at_end(rows[-1], place)
    return rows


def _ctrl_c(_site: Site, flow: Process) -> None:
    os.killpg(flow.popen.pid, signal.SIGINT)  # as a terminal does


def _terminate(_site: Site, flow: Process) -> None:
    flow.signal(signal.SIGTERM)


def _cancel(site: Site, _flow: Process) -> None:
    cancel(site, newest_flow_run(site))


def _kill(_site: Site, flow: Process) -> None:
    flow.signal(signal.SIGKILL)


_STOPS: Final = (
    _Stop("Ctrl-C at a flow", "kill -INT of the process group", _ctrl_c, 130, "CRASHED"),
    _Stop("SIGTERM to a flow", "kill -TERM of the flow's process", _terminate, 143, "CRASHED"),
    _Stop("a flow by hand is cancelled", "set_state CANCELLING by Prefect's API", _cancel, 143, "CANCELLED"),
    _Stop("a flow is killed with -9", "kill -9 of the flow's process alone", _kill, 137, "RUNNING"),
)
