"""Stage `record`: every experiment has its run in MLflow, found or rebuilt from its files.

Always runs, as a store can be emptied at any time; imports MLflow only when there is something to do.
"""

from collections import Counter
from pathlib import Path

from cnnpipe import files
from cnnpipe.tracking import quick
from cnnpipe.training.records import RUN_FILE, RunRecord


def record(models: Path, results: Path, out: Path) -> Counter[str]:
    """Find or rebuild the MLflow run of every experiment below `models`; write {experiment: signature}.

    Returns:
        How many runs were there already, and how many were looked after.

    Raises:
        StorageError: the store cannot be reached.
        DataError: a file of a training or of its results is broken.
    """
    folders = {path.parent.name: path.parent for path in sorted(models.glob(f"*/{RUN_FILE}"))}
    records = {name: files.read_json(folder / RUN_FILE, RunRecord) for name, folder in folders.items()}
    wanted = {run.signature: _digest(folders[name], results / name) for name, run in records.items()}
    if quick.is_recorded(wanted):
        counts = Counter({"up to date": len(records)})
    else:
        counts = _look_after(folders, results)
    files.write_json(out, {name: run.signature for name, run in records.items()})
    return counts


def _digest(model_dir: Path, results_dir: Path) -> str | None:
    if not (results_dir / quick.METRICS_FILE).exists():
        return None
    return quick.results_digest(model_dir, results_dir)


def _look_after(folders: dict[str, Path], results: Path) -> Counter[str]:
    # Here and not above, as an exception to the rule: this stage is part of every `dvc repro`, and mostly has
    # nothing to do; MLflow's import would be 3 s of nothing.
    from cnnpipe.tracking import projection

    projection.ensure_runs((folder, results / name) for name, folder in folders.items())
    return Counter({"recorded": len(folders)})
