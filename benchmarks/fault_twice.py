"""The same is done twice at the same time: in one clone, or in two of one host."""

import re
import shutil
from pathlib import Path
from typing import Final

from benchmarks.fault_looks import Row, look_at_code, look_at_end, look_at_next, statuses
from benchmarks.fault_processes import Process, until
from benchmarks.fault_site import CNNPIPE, DVC, EPOCHS, HIT_AT, Place, Site

_EARLY: Final = 5  # epoch; to start Python takes as long as many of them


def twice_in_a_clone(site: Site) -> list[Row]:
    """A flow trains, and in its clone a second flow, `dvc repro` and the stage itself are started."""
    place = site.place("twice-in-a-clone")
    flow = place.flow()
    flow.until_epoch(_EARLY)
    stage, second = place.start(*CNNPIPE, "train", "lenet"), place.flow()
    dvc = place.start(*DVC, "repro")  # all three at once: while the first trains
    rows = [
        Row("two flows in one clone", f"a second python -m flows.pipeline at epoch {_EARLY} of the first"),
        Row("the same stage taken twice", "cnnpipe train lenet while the flow trains it"),
        Row("`dvc repro` beside a flow, in one clone", "dvc repro while the flow trains"),
    ]
    look_at_code(rows[0], second, 75, says=rf"process {flow.popen.pid} \(flow\) walks its graph")
    look_at_code(rows[1], stage, 75, says=r"process \d+ runs it now")
    rows[2].see("dvc repro ended with", dvc.end())
    rows[2].see("and said", _last_error(dvc) or "no error")
    rows[2].promise(dvc.epoch == 0, "dvc repro trained beside the flow")
    look_at_code(rows[2], flow, 0)
    look_at_next(rows[2], place.flow())
    look_at_end(rows[2], place)
    return rows


def flow_beside_dvc(site: Site) -> list[Row]:
    """`dvc repro` trains, and somebody starts a flow in its clone."""
    place = site.place("flow-beside-dvc")
    row = Row("a flow beside `dvc repro`, in one clone", f"python -m flows.pipeline at epoch {HIT_AT}")
    dvc = place.start(*DVC, "repro")
    dvc.until_epoch(HIT_AT)
    flow = place.flow()
    code = flow.end()
    row.see("the flow ended with", code)
    row.see("and said", _last_error(flow) or "no error")
    row.promise(code in {0, 75}, f"the flow ended with {code}")
    row.promise(flow.epoch == 0, "the flow trained beside dvc repro")
    look_at_code(row, dvc, 0)
    look_at_next(row, place.flow())
    look_at_end(row, place)
    return [row]


def two_clones(site: Site) -> list[Row]:
    """Two clones of one host train the same, with one folder of checkpoints, as a worker's clones have."""
    place = site.place("two-clones")
    row = Row("two clones of a host train the same", "a flow in each is started at the same moment")
    shared = str(place.folder / "checkpoints")
    other = place.folder / "other"
    shutil.copytree(place.project, other, symlinks=True)
    flows = [place.flow(cwd=clone, CNNPIPE_CHECKPOINTS=shared) for clone in (place.project, other)]
    until(lambda: any(flow.epoch >= HIT_AT for flow in flows), f"epoch {HIT_AT}")
    first, second = sorted(flows, key=lambda flow: -flow.epoch)
    first.until_epoch(EPOCHS)
    row.promise(second.epoch == 0, "the second trained beside the first")
    told = re.search(r"process \d+ \(train@lenet in \w+\) trains the same now", second.said)
    row.promise(told is not None, f"the second was not told who trains: {second.said[-800:]}")
    code = second.end()
    row.see("the second ended with", code)
    row.see("and had", "not trained" if second.epoch == 0 else "trained after the first")
    row.promise(code in {0, 75}, f"the second ended with {code}: {second.said[-800:]}")
    look_at_code(row, first, 0)
    row.see("MLflow's runs", ", ".join(statuses(place)))
    for clone in (other, place.project):
        look_at_next(row, place.flow(cwd=clone, CNNPIPE_CHECKPOINTS=shared))
    _look_at_other(row, place, other)
    look_at_end(row, place)
    return [row]


def _look_at_other(row: Row, place: Place, other: Path) -> None:
    is_equal = (other / "dvc.lock").read_bytes() == place.site.reference
    row.promise(is_equal, "dvc.lock of the other clone is not that of an undisturbed run")


def _last_error(process: Process) -> str:
    said = [line for line in process.said.splitlines() if line.lower().startswith("error")]
    text = " ".join(" ".join(said[-1:]).split())
    return text.replace(str(process.log.parent.parent), "…")[:240]
