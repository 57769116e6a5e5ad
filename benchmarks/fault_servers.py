"""Prefect's or MLflow's server goes away: for a while, for good; at the start, in the middle, at the end."""

import time
from typing import Final

import tiny_projects

from benchmarks.fault_looks import (
    Row,
    epochs_in_store,
    look_at_code,
    look_at_end,
    look_at_next,
    look_for_orphans,
    statuses,
)
from benchmarks.fault_prefect import newest_flow_run, state_of
from benchmarks.fault_processes import processes, stopped, until
from benchmarks.fault_site import EPOCHS, HIT_AT, PARAMS, Place, Site

AWAY_S: Final = 60.0
_PATIENCE_S: Final = 900.0  # a flow asks a server that is away several times, each for two minutes


def prefect_away(site: Site) -> list[Row]:
    """Prefect's server is killed in a training, and is back after a minute."""
    place = site.place("prefect-away")
    row = Row("Prefect's server is gone for 60 s", "kill -9 at epoch 30; started again 60 s later")
    flow = place.flow()
    flow.until_epoch(HIT_AT)
    run = newest_flow_run(site)
    site.kill_prefect()
    time.sleep(AWAY_S)
    row.see("epoch when it is back", flow.epoch)
    row.promise(flow.epoch > HIT_AT + 5, "the training did not go on")
    site.start_prefect()
    with row.timed("from then to the end of the flow"):
        look_at_code(row, flow, 0)
    row.see("Prefect's flow run", state_of(site, run))
    row.promise(state_of(site, run) == "COMPLETED", f"the flow run is {state_of(site, run)}")
    return _next(row, place)


def prefect_gone(site: Site) -> list[Row]:
    """Prefect's server is killed in a training, and does not come back."""
    place = site.place("prefect-gone")
    row = Row("Prefect's server is gone for good", "kill -9 at epoch 30; started again after the flow")
    flow = place.flow()
    flow.until_epoch(HIT_AT)
    run = newest_flow_run(site)
    site.kill_prefect()
    try:
        with row.timed("from then to the end of the flow"):
            flow.end(_PATIENCE_S)
        look_at_code(row, flow, 7, says="error: Prefect's server .*does not answer")
        row.promise(flow.epoch == EPOCHS, "the training did not come to its end")
        is_equal = (place.project / "dvc.lock").read_bytes() == site.reference
        row.see("lock equal before the next run", "yes" if is_equal else "no")
    finally:
        site.start_prefect()
    row.see("Prefect's flow run", state_of(site, run))
    return _next(row, place)


def mlflow_away(site: Site) -> list[Row]:
    """MLflow's server is down at the start of a flow, for a while in its training, and at its end.

    The training is stopped while the server starts, which takes as long as many epochs.
    """
    place = site.place("mlflow-away")
    start = Row("MLflow's server is down at the start", f"killed before the flow; started at epoch {HIT_AT}")
    middle = Row("… in the middle", f"kill -9 at epoch {2 * HIT_AT}; started again at epoch {3 * HIT_AT}")
    end = Row("… at the end", f"kill -9 at epoch {4 * HIT_AT}; down until the flow has ended")
    site.mlflow.kill()
    flow = place.flow()
    flow.until_epoch(HIT_AT)
    _back(start, place, HIT_AT)
    flow.until_epoch(2 * HIT_AT)
    site.mlflow.kill()
    flow.until_epoch(3 * HIT_AT)
    _back(middle, place, 3 * HIT_AT)
    flow.until_epoch(4 * HIT_AT)
    site.mlflow.kill()
    look_at_code(end, flow, 7, says="stage register: .*does not answer")
    end.see("epochs trained", flow.epoch)
    end.promise(flow.epoch == EPOCHS, "the training did not come to its end")
    end.see("MLflow's run then", ", ".join(statuses(place)))
    site.mlflow.start()
    return [start, middle, *_next(end, place)]


def _back(row: Row, place: Place, number: int) -> None:
    """Start MLflow's server, and promise that it gets all epochs that were kept."""
    row.see("epochs trained without it", number - epochs_in_store(place))
    training = [pid for pid, words in processes(place.folder, place.name) if "cnnpipe train" in words]
    with stopped(training):
        place.site.mlflow.start()
    row.see("until they are there, s", until(lambda: epochs_in_store(place) >= number, "kept epochs"))


def mlflow_needed(site: Site) -> list[Row]:
    """MLflow's server is killed in a training whose params say that it is needed."""
    place = site.place("mlflow-needed")
    needed = {**PARAMS, "tracking": {"when_unreachable": "fail"}}
    params = tiny_projects.tiny_params({"lenet": {"epochs": EPOCHS}}, needed)
    tiny_projects.write_params(place.project, params)
    row = Row("MLflow's server is needed, and down", "kill -9 at epoch 30, `tracking.when_unreachable: fail`")
    flow = place.flow()
    flow.until_epoch(HIT_AT)
    site.mlflow.kill()
    with row.timed("until the flow has ended, after its two retries"):
        look_at_code(row, flow, 7, says="stage train@lenet: .*does not answer")
    row.promise(flow.epoch < EPOCHS, "the training came to its end")
    look_for_orphans(row, place)
    site.mlflow.start()
    return _next(row, place, goes_on_after=HIT_AT)


def _next(row: Row, place: Place, goes_on_after: int | None = None) -> list[Row]:
    look_at_next(row, place.flow(), goes_on_after=goes_on_after)
    look_at_end(row, place)
    return [row]
