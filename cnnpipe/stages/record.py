"""Stage `record`: every experiment has its run in MLflow, found or rebuilt from its files.

A store can be emptied at any time: stage `code` looks at it and takes record.json away when a run is missing,
so that DVC runs this stage again.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

from cnnpipe import files
from cnnpipe.tracking import quick
from cnnpipe.training.records import RUN_FILE, RunRecord

# (model_dir, results_dir) of each experiment -> ids of their runs
EnsureRuns = Callable[[Iterable[tuple[Path, Path]]], list[str]]


def record(models: Path, results: Path, out: Path, *, ensure_runs: EnsureRuns) -> Counter[str]:
    """Find or rebuild the MLflow run of every experiment below `models`; write {experiment: signature}.

    Args:
        models: folder of the trained experiments.
        results: folder of their results.
        out: JSON file to write.
        ensure_runs: finds or builds the runs, `cnnpipe.tracking.projection.ensure_runs`; called only when one
            is missing. Whoever calls this stage can so put off importing MLflow, which takes 3 s.

    Returns:
        How many runs were there already, and how many were looked after.

    Raises:
        StorageError: the store cannot be reached.
        DataError: a file of a training or of its results is broken.
    """
    folders = {path.parent.name: path.parent for path in sorted(models.glob(f"*/{RUN_FILE}"))}
    records = {name: files.read_json(folder / RUN_FILE, RunRecord) for name, folder in folders.items()}
    if quick.is_recorded(quick.wanted_runs(models, results)):
        counts = Counter({"up to date": len(records)})
    else:
        run_ids = ensure_runs((folder, results / name) for name, folder in folders.items())
        counts = Counter({"recorded": len(run_ids)})
    files.write_json(out, {name: run.signature for name, run in records.items()})
    return counts
