"""Lock files that a dead process has left behind: DVC's list of readers and writers, cnnpipe's locks."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks.fault_looks import Row, look_at_end, look_at_next
from benchmarks.fault_site import CNNPIPE, DVC, Place, Site

_RWLOCK = Path(".dvc/tmp/rwlock")
_SOON_S = 90.0


def locks_left(site: Site) -> list[Row]:
    """.dvc/tmp/rwlock names a dead process or a living other one, or is half written."""
    place = site.place("locks-left")
    row = Row("lock files of a dead process", "each is put into a project that is up to date")
    row.promise(place.flow().end() == 0, "the first flow failed")
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"], cwd=site.folder)
    try:
        for what, put in _left(other.pid).items():
            put(place.project)
            if what == "number given to another program":
                _look_by_hand(row, place)
            flow = place.flow()
            row.promise(flow.end(_SOON_S) == 0, f"{what}: the flow ended with {flow.popen.returncode}")
            row.see(f"{what}: flow", "ran")
    finally:
        other.kill()
        other.wait()
    look_at_next(row, place.flow())
    look_at_end(row, place)
    return [row]


def _left(other: int) -> dict[str, Callable[[Path], None]]:
    """Return what is left behind, by what is wrong with it."""
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    return {
        "number of no process": lambda project: _write_rwlock(project, gone.pid),
        "number given to another program": lambda project: _write_rwlock(project, other),
        "half written": lambda project: _write(project / _RWLOCK, '{"write": {"/code.js'),
        "empty": lambda project: _write(project / _RWLOCK, ""),
        "a stage's lock of cnnpipe": lambda project: _write(
            project / ".cnnpipe/locks/train@lenet.lock", str(gone.pid)
        ),
    }


def _write_rwlock(project: Path, pid: int) -> None:
    holder = {"pid": pid, "cmd": f"{sys.executable} -m dvc repro"}
    paths = [str(project / name) for name in ("code.json", "models/lenet/weights.safetensors")]
    read = {str(project / "params.yaml"): [holder]}
    _write(project / _RWLOCK, json.dumps({"write": dict.fromkeys(paths, holder), "read": read}))


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _look_by_hand(row: Row, place: Place) -> None:
    """Note what `dvc repro` and `cnnpipe doctor` say of a number that another program has got."""
    dvc = place.run(*DVC, "repro")
    row.see("dvc repro by hand then ends with", dvc.popen.returncode or 0)
    doctor = place.run(*CNNPIPE, "doctor")
    row.promise("blocks for ever" in " ".join(doctor.said.split()), "doctor does not say it")
