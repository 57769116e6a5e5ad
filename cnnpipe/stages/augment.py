"""Stage `augment`: pack what training reads, and seeded copies of train, as the view's task wants it.

A view is planned whole, and its size on disk told, before the first picture is decoded.
"""

import logging
import shutil
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import msgspec

from cnnpipe import files
from cnnpipe.datasets.packs import PackPlan, write_view
from cnnpipe.datasets.split_pictures import ViewInputs, read_view_inputs
from cnnpipe.datasets.view_planning import PlannedView
from cnnpipe.errors import StorageError
from cnnpipe.params.augment import ClassifyViewParams, DetectViewParams, RegressViewParams, ViewParams
from cnnpipe.tasks.classify import view as classify
from cnnpipe.tasks.detect import view as detect
from cnnpipe.tasks.regress import view as regress

log = logging.getLogger(__name__)

REPORT_FILE: Final = "report.json"
PREVIEW_FILE: Final = "preview.jpg"

_PLANNERS: Final[Mapping[type, Callable[[ViewInputs, Any], PlannedView]]] = MappingProxyType(
    {
        ClassifyViewParams: classify.plan_view,
        DetectViewParams: detect.plan_view,
        RegressViewParams: regress.plan_view,
    }
)


class AugmentInputs(msgspec.Struct, frozen=True, kw_only=True):
    """Where the stage reads."""

    validated: Path  # folder of images.jsonl, objects.jsonl and report.json
    splits: Path  # splits.jsonl
    raw_dir: Path  # image ids are paths below it


def augment(inputs: AugmentInputs, out: Path, params: ViewParams) -> Counter[str]:
    """Write the view below `out`; return samples per split, copies, and what was lost by reason.

    Raises:
        DataError: nothing to learn, a split without samples, or records that do not fit each other.
        StorageError: the disk has no room for the view.
    """
    planned = _PLANNERS[type(params)](
        read_view_inputs(inputs.validated, inputs.splits, inputs.raw_dir), params
    )
    _tell_and_check_disk(planned.plan, out)
    with files.whole_folder(out) as folder:
        write_view(folder, planned.plan, planned.render())
        files.write_json(folder / REPORT_FILE, planned.report)
        planned.draw_preview(folder, folder / PREVIEW_FILE)
    return planned.counts


def _tell_and_check_disk(plan: PackPlan[Any], out: Path) -> None:
    log.info("%d samples, %.1f MB on disk", len(plan.samples), plan.num_bytes / 1e6)
    existing = next(folder for folder in out.absolute().parents if folder.exists())
    free = shutil.disk_usage(existing).free
    if plan.num_bytes > free:
        what = f"{plan.num_bytes / 1e6:.0f} MB are needed, {free / 1e6:.0f} MB are free"
        fix = f"free some disk, or lower augment.{plan.task}.max_side_px or copies"
        raise StorageError(str(out), what, fix)
