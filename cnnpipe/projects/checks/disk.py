"""Free space, once for each disk that cnnpipe writes to."""

import os
import shutil
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from cnnpipe import paths
from cnnpipe.errors import StorageError
from cnnpipe.projects.checks.facts import Facts, is_project
from cnnpipe.projects.checks.results import Result, error, ok, warning
from cnnpipe.tracking import place

_GB: Final = 1e9
_WARN_GB: Final = 5.0
_MIN_GB: Final = 0.5
_TEMPORARY: Final = Path("/tmp")  # noqa: S108 (where Python goes without TMPDIR)


def check_disks(facts: Facts) -> list[Result]:
    """Look at each disk that holds the project, DVC's cache, the store of runs or temporary files."""
    places = {name: _nearest(path) for name, path in _places(facts).items()}
    by_disk: dict[int, list[str]] = defaultdict(list)
    for name, path in places.items():
        by_disk[path.stat().st_dev].append(name)
    full = [_judge(names, shutil.disk_usage(places[names[0]]).free) for names in by_disk.values()]
    return full + [_refused(name, path) for name, path in places.items() if not os.access(path, os.W_OK)]


def _places(facts: Facts) -> Mapping[str, Path]:
    """Return the folders that cnnpipe writes to; one that is not there yet counts for its parent."""
    found = {"temporary files": Path(os.environ.get("TMPDIR") or _TEMPORARY)}
    if not is_project():
        return {"this folder": Path(), **found}
    database = place.sqlite_file(place.tracking_uri())
    store = {"MLflow's store": database.parent} if database is not None else {}
    cache = Path(facts.dvc_setting("cache.dir") or ".dvc/cache")
    return {
        "the project": Path(),
        "checkpoints": paths.checkpoint_dir(),
        "DVC's cache": cache,
        **store,
        **found,
    }


def _nearest(path: Path) -> Path:
    """Return the path, or the nearest folder above it that exists."""
    absolute = path.absolute()
    return next((each for each in (absolute, *absolute.parents) if each.is_dir()), Path("/"))


def _judge(names: list[str], free: int) -> Result:
    told = f"{free / _GB:.1f} GB free for {', '.join(names)}"
    fix = "free some space (docs/clean-up.md), or move what is large to another disk"
    if free < _MIN_GB * _GB:
        return error("disk", told, fix, StorageError)
    return warning("disk", told, fix) if free < _WARN_GB * _GB else ok("disk", told)


def _refused(name: str, path: Path) -> Result:
    return error(
        "disk", f"{path} ({name}) cannot be written", "give yourself the right to write there", StorageError
    )
