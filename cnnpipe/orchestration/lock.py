"""dvc.lock in one canonical form, so that both doors end in the same bytes."""

from pathlib import Path
from typing import Any, Final

from dvc.exceptions import DvcException
from dvc.repo import Repo
from dvc.utils.serialize import dump_yaml, load_yaml

from cnnpipe.errors import CnnpipeError, DataError
from cnnpipe.orchestration.graph import stages_in_order
from cnnpipe.orchestration.planning.listings import keep_listings

_LOCK: Final = "dvc.lock"


def lock(root: Path) -> list[str]:
    """Bring dvc.lock into its one form and return the stages dropped from it.

    Stages stand in the order of the graph, and only those of dvc.yaml. DVC appends them in the
    order they end, which differs from run to run. Writes only what changed. What the input folders
    hold is kept aside, for a later `cnnpipe plan`.

    Raises:
        DataError: there is no dvc.lock yet.
        CnnpipeError: dvc.yaml cannot be read.
    """
    path = root / _LOCK
    if not path.exists():
        raise DataError(str(path), "file not found", "run `dvc repro` first")
    try:
        with Repo(str(root)) as repo, repo.lock:
            order = [stage.name for stage in stages_in_order(repo)]
            content: dict[str, Any] = load_yaml(str(path))
            stages = content["stages"]
            wanted = {name: stages[name] for name in order if name in stages}
            if list(wanted) != list(stages):
                part = path.with_name(f"{_LOCK}.part")
                dump_yaml(str(part), {**content, "stages": wanted})
                part.replace(path)
            keep_listings(repo)
            return sorted(set(stages) - set(wanted))
    except DvcException as error:
        raise CnnpipeError(str(root / "dvc.yaml"), str(error), "mend it as `dvc repro` asks") from error
