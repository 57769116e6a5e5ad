"""What is looked at after a fault: the lock, MLflow's runs, models and metrics, processes that are left."""

import re
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.fault_processes import Process, processes, until
from benchmarks.fault_site import EPOCHS, GOING_ON, Place

_LEFT_S = 15.0  # a stage ends itself within 2 s, then the dvc that has started it
_STORE_S = 30.0  # in which MLflow's server must have written what it was told


@dataclass
class Row:
    """One fault: what was done, seen, and whether each promise was kept."""

    fault: str
    caused: str
    observed: dict[str, str | float] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)
    skipped: str = ""  # why it could not be caused here

    def promise(self, is_kept: bool, what: str) -> None:
        """Note a promise that was not kept."""
        if not is_kept:
            self.broken.append(what)

    def see(self, what: str, value: str | float) -> None:
        """Note something that was seen."""
        self.observed[what] = round(value, 1) if isinstance(value, float) else value

    @contextmanager
    def timed(self, what: str, *, at_most: float | None = None) -> Iterator[None]:
        """Note how long the block took, and whether that was short enough."""
        began = time.monotonic()
        yield
        seconds = time.monotonic() - began
        self.see(f"{what}, s", seconds)
        self.promise(at_most is None or seconds <= at_most, f"{what} took {seconds:.1f} s, not {at_most} s")


def statuses(place: Place) -> list[str]:
    """Return the statuses of the fault's runs in MLflow."""
    return [str(status) for _, status, _ in _runs(place)]


def epochs_in_store(place: Place) -> int:
    """Return how many epochs the store holds by now."""
    ids = [run_id for run_id, _, _ in _runs(place)]
    return max((len(_steps(place, run_id)) for run_id in ids), default=0)


def look_for_orphans(row: Row, place: Place, *, beside: Process | None = None) -> None:
    """Promise that nothing of the fault runs any more, as soon as a stage may outlive what started it.

    Args:
        row: of the fault.
        place: of the fault.
        beside: what shall run, e.g. a worker.
    """
    known = None if beside is None else beside.popen.pid
    end = time.monotonic() + _LEFT_S
    while found := [one for one in processes(place.folder, place.name) if one[0] != known]:
        if time.monotonic() > end:
            break
        time.sleep(0.2)
    left = [f"{pid} {words[:80]}" for pid, words in found]
    row.promise(not left, f"processes were left: {'; '.join(left)}")


def look_at_code(row: Row, process: Process, wanted: int, *, says: str = "") -> None:
    """Promise how a command ends, and what it says then."""
    code = process.end()
    row.see("exit code", code)
    row.promise(code == wanted, f"ended with {code}, not {wanted}: {process.said[-600:]}")
    if says:
        found = re.search(says, process.said)
        row.promise(found is not None, f"did not say {says!r}: {process.said[-600:]}")


def look_at_status(row: Row, place: Place, wanted: str) -> None:
    """Promise the status of the fault's one run in MLflow."""
    try:
        until(lambda: statuses(place) == [wanted], wanted, within_s=_STORE_S)
    except TimeoutError:
        row.promise(False, f"MLflow's runs are {statuses(place)}, not one that is {wanted}")
    row.see("MLflow's run", ", ".join(statuses(place)))


def look_at_next(row: Row, process: Process, *, goes_on_after: int | None = None) -> None:
    """Promise that the next run ends well, and that its training went on where it was broken off."""
    code = process.end()
    row.see("next run, s", time.monotonic() - process.began)
    row.promise(code == 0, f"the next run ended with {code}: {process.said[-1500:]}")
    if goes_on_after is not None:
        look_at_going_on(row, process.said, goes_on_after)


def look_at_going_on(row: Row, said: str, goes_on_after: int) -> None:
    """Promise that a training went on after an epoch, or a later one."""
    found = GOING_ON.search(said)
    row.see("went on after epoch", int(found[1]) if found else "none")
    row.promise(
        found is not None and int(found[1]) >= goes_on_after, f"did not go on after epoch {goes_on_after}"
    )


def look_at_end(row: Row, place: Place, clone: Path | None = None) -> None:
    """Promise what holds once all is done: the lock, one run with each epoch once, one model, no process.

    Args:
        row: of the fault.
        place: of the fault.
        clone: where the last run was; None: in the place's project.
    """
    lock = ((clone or place.project) / "dvc.lock").read_bytes()
    row.see("lock equal", "yes" if lock == place.site.reference else "no")
    row.promise(lock == place.site.reference, "dvc.lock is not that of an undisturbed run")
    look_at_status(row, place, "FINISHED")
    for run_id, _, signature in _runs(place):
        steps = _steps(place, run_id)
        row.see("epochs in MLflow", len(steps))
        row.promise(len(set(steps)) == EPOCHS, f"MLflow holds {len(set(steps))} of {EPOCHS} epochs")
        doubled = _doubled(place, run_id)
        row.promise(not doubled, f"metrics are there twice: {doubled[:5]}")
        versions = _versions(place, signature)
        row.see("versions of the model", versions)
        row.promise(versions == 1, f"the registry has {versions} versions of the model")
    look_for_orphans(row, place)


def _query(place: Place, sql: str, *values: str) -> list[tuple[str | int, ...]]:
    with closing(
        sqlite3.connect(f"file:{place.site.mlflow.database}?mode=ro", uri=True, timeout=30)
    ) as store:
        return store.execute(sql, values).fetchall()


def _runs(place: Place) -> list[tuple[str, str, str]]:
    """Return id, status and signature of each run that is not in MLflow's bin."""
    found = _query(
        place,
        "SELECT runs.run_uuid, runs.status, tags.value FROM runs"
        " JOIN experiments USING (experiment_id) LEFT JOIN tags"
        " ON tags.run_uuid = runs.run_uuid AND tags.key = 'cnnpipe.signature'"
        " WHERE experiments.name = ? AND runs.lifecycle_stage = 'active'",
        place.name,
    )
    return [(str(run_id), str(status), str(signature)) for run_id, status, signature in found]


def _steps(place: Place, run_id: str) -> list[int]:
    found = _query(place, "SELECT step FROM metrics WHERE run_uuid = ? AND key = 'epoch'", run_id)
    return [int(step) for (step,) in found]


def _doubled(place: Place, run_id: str) -> list[str]:
    found = _query(
        place,
        "SELECT key, step FROM metrics WHERE run_uuid = ? AND key NOT LIKE 'system/%'"
        " GROUP BY key, step HAVING COUNT(*) > 1",
        run_id,
    )
    return [f"{key} at step {step}" for key, step in found]


def _versions(place: Place, signature: str) -> int:
    found = _query(
        place,
        "SELECT COUNT(*) FROM model_version_tags WHERE key = 'cnnpipe.signature' AND value = ?"
        " AND name LIKE ?",
        signature,
        f"{place.name}%",
    )
    return int(found[0][0])
