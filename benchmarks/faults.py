"""Faults, really caused, and whether what was promised for them holds.

    .venv/bin/python -m benchmarks.faults [NAME...] [--list] [--out FILE]

Servers of Prefect and MLflow, workers, clones and remotes are real, below a temporary folder; the project is
tiny. An undisturbed run comes first. After each fault, the next run by the same door must end in the same
dvc.lock, with one run in MLflow that holds each epoch once, one version of the model, and no process left.
Ends with 1 when a promise is broken. All faults take an hour on two cores, so `make bench` leaves them out.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType
from typing import Final

from benchmarks import (
    fault_locks,
    fault_servers,
    fault_stops,
    fault_storage,
    fault_twice,
    fault_workers,
    side_by_side,
)
from benchmarks.fault_looks import Row, look_at_code, look_at_end
from benchmarks.fault_site import Site, a_site

FAULTS: Final[Mapping[str, Callable[[Site], list[Row]]]] = MappingProxyType(
    {
        "stops": fault_stops.stops,
        "workers": fault_workers.workers,
        "prefect-away": fault_servers.prefect_away,
        "prefect-gone": fault_servers.prefect_gone,
        "mlflow-away": fault_servers.mlflow_away,
        "mlflow-needed": fault_servers.mlflow_needed,
        "remote-gone": fault_storage.remote_gone,
        "disk-full": fault_storage.disk_full,
        "twice-in-a-clone": fault_twice.twice_in_a_clone,
        "flow-beside-dvc": fault_twice.flow_beside_dvc,
        "two-clones": fault_twice.two_clones,
        "locks-left": fault_locks.locks_left,
    }
)


def main(arguments: Sequence[str]) -> int:
    """Cause the faults that are named, else all; return 1 when a promise is broken."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="of faults; none: all")
    parser.add_argument("--list", action="store_true", help="print the names of the faults, and leave")
    out = side_by_side.RESULTS / "faults.json"
    parser.add_argument("--out", type=Path, default=out, help="file of the result; others' rows in it stay")
    options = parser.parse_args(arguments)
    if unknown := sorted(set(options.names) - FAULTS.keys()):
        parser.error(f"there is no fault {unknown[0]!r}; --list prints all")
    if options.list:
        for name, cause in FAULTS.items():
            print(f"{name:24} {(cause.__doc__ or '').splitlines()[0]}")
        return 0
    with tempfile.TemporaryDirectory(prefix="cnnpipe-faults-", ignore_cleanup_errors=True) as folder:
        rows = cause_all(Path(folder), options.names or list(FAULTS), options.out)
    return int(any(row.broken for row in rows))


def cause_all(folder: Path, names: Sequence[str], out: Path) -> list[Row]:
    """Run undisturbed, then cause each fault; print and keep what came of it."""
    with a_site(folder) as site:
        rows = show("undisturbed", [undisturbed(site)], out)
        if not rows[0].broken:
            for name in names:
                rows += show(name, _caused(name, site), out)
    return rows


def undisturbed(site: Site) -> Row:
    """Run the flow by hand with no fault; its lock is what all others are measured by."""
    place = site.place("undisturbed")
    row = Row("none", "-")
    with row.timed("flow"):
        look_at_code(row, place.flow(), 0)
    if not row.broken:
        site.reference = (place.project / "dvc.lock").read_bytes()
        look_at_end(row, place)
    return row


def show(name: str, rows: list[Row], out: Path) -> list[Row]:
    """Print rows, write them into the file of results, and return them."""
    for row in rows:
        verdict = f"skipped: {row.skipped}" if row.skipped else ("BROKEN" if row.broken else "kept")
        print(f"{name}: {row.fault}: {row.caused}: {verdict}")
        for what, value in row.observed.items():
            print(f"    {what}: {value}")
        for what in row.broken:
            print(f"    not kept: {what}")
    sys.stdout.flush()
    there = json.loads(out.read_text(encoding="utf-8")) if out.exists() else {}
    out.parent.mkdir(parents=True, exist_ok=True)
    content = {**there, name: [asdict(row) for row in rows]}
    out.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return rows


def _caused(name: str, site: Site) -> list[Row]:
    try:
        return FAULTS[name](site)
    except (RuntimeError, OSError, subprocess.SubprocessError) as error:  # of the script; the next may work
        traceback.print_exc()
        return [Row(name, "-", broken=[f"could not be caused: {error}"])]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
