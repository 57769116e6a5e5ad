"""What the next `dvc repro` will do with each stage, and why, without starting one.

Here the project is read, in `plan_verdicts` it is judged. Nothing is locked, so a plan can be made while a
run is under way.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from dvc.dependency import ParamsDependency
from dvc.exceptions import DvcException
from dvc.repo import Repo
from dvc.repo.reproduce import get_active_graph
from dvc.stage import Stage
from dvc.utils.serialize import load_path

from cnnpipe import paths
from cnnpipe.errors import CnnpipeError, DataError, ParamsError
from cnnpipe.orchestration.graph import stages_in_order
from cnnpipe.orchestration.planning import listings as plan_listings
from cnnpipe.orchestration.planning import stores as plan_stores
from cnnpipe.orchestration.planning.contents import Content, contents_now
from cnnpipe.orchestration.planning.records import PlannedStage
from cnnpipe.orchestration.planning.stores import Stores
from cnnpipe.orchestration.planning.verdicts import Now, judge_all
from cnnpipe.params.document import Document
from cnnpipe.params.load import check, did_you_mean, read_yaml
from cnnpipe.stages import code

_LOCK: Final = "dvc.lock"
_TRIES: Final = 10  # to read dvc.lock while DVC writes it
_WRITING_S: Final = 0.2  # from one piece of dvc.lock to the next


def plan(root: Path, *, targets: Sequence[str] = (), remote: bool = False) -> list[PlannedStage]:
    """Return what `dvc repro` will do with each stage, in the order of the graph.

    Args:
        root: folder of the project.
        targets: these and all that they need; none: every stage. `train` stands for every train@….
        remote: look into the DVC remote too, as `dvc repro --pull` does.

    Raises:
        ParamsError: params.yaml has a fault, all are named; or there is no such stage, or no remote.
        StorageError: the remote cannot be reached.
        CnnpipeError: dvc.yaml or dvc.lock cannot be read.
    """
    try:
        with _read(root) as repo:
            wanted = _wanted(repo, targets)
            values, gone = _params(repo, root)
            stores = plan_stores.open_stores(repo, remote=remote)
            now = _look(repo, wanted, stores, values)
            plan_listings.keep(
                root, {path: now.contents.get(path) for path in plan_listings.plain_inputs(repo)}
            )
            return judge_all(wanted, now, {**gone, **_pulled(repo, now)} if remote else gone)
    except DvcException as error:
        _checked_params(root)  # dvc.yaml is filled from it: then this is the better error
        raise CnnpipeError(str(root / "dvc.yaml"), str(error), "mend it as `dvc repro` asks") from error


@contextmanager
def _read(root: Path) -> Iterator[Repo]:
    """Yield the repository with its graph read; again where DVC was writing dvc.lock meanwhile."""
    for left in reversed(range(_TRIES)):
        before = _state(root / _LOCK)
        with Repo(str(root)) as repo:
            try:
                stages_in_order(repo)
            except DvcException:
                if not left or _is_steady(root / _LOCK, before):
                    raise
            else:
                if not left or _is_steady(root / _LOCK, before):
                    yield repo
                    return
        time.sleep(_WRITING_S)


def _state(path: Path) -> tuple[int, int] | None:
    try:
        return path.stat().st_mtime_ns, path.stat().st_size
    except FileNotFoundError:
        return None


def _is_steady(path: Path, before: tuple[int, int] | None) -> bool:
    """Whether nobody has written the file since `before`, nor just before that: DVC writes it in pieces."""
    return _state(path) == before and (before is None or time.time() - before[0] / 1e9 > _WRITING_S)


def _params(repo: Repo, root: Path) -> tuple[dict[str, Any], dict[str, None]]:
    """Return every file of params by absolute path, and what stage `code` will remove.

    Where a stage writes code.json, params.yaml is checked, and code.json taken as that stage will write it.
    """
    read = {
        dep.fs_path
        for stage in stages_in_order(repo)
        for dep in stage.deps
        if isinstance(dep, ParamsDependency)
    }
    code_file = str(Path(repo.root_dir) / paths.CODE)
    if all(out.fs_path != code_file for stage in repo.index.stages for out in stage.outs):
        return {path: _load(repo, path) for path in read}, {}
    document, checked = _checked_params(root)
    known = {code_file: code.all_digests(), str(Path(repo.root_dir) / paths.PARAMS): document}
    gone = dict.fromkeys(map(str, _gone(Path(repo.root_dir), checked)))
    return known | {path: _load(repo, path) for path in read - set(known)}, gone


def _gone(root: Path, params: Document) -> list[Path]:
    gone = code.gone_folders(root, set(params.experiments))
    with suppress(DataError):  # a stage writes those files just now
        if code.is_register_due(root):
            gone.append(root / paths.REGISTERED)
    return gone


def _checked_params(root: Path) -> tuple[dict[str, Any], Document]:
    path = root / paths.PARAMS
    document = read_yaml(path)
    return document, check(document, Document, where=str(path), section="")


def _load(repo: Repo, path: str) -> Any:
    return load_path(path, repo.fs) if repo.fs.exists(path) else None


def _wanted(repo: Repo, targets: Sequence[str]) -> list[Stage]:
    stages = stages_in_order(repo)
    if not targets:
        return stages
    named: dict[str, list[Stage]] = {}
    for stage in stages:
        for name in {stage.name, stage.name.partition("@")[0]}:
            named.setdefault(name, []).append(stage)
    if unknown := [target for target in targets if target not in named]:
        known = f"the stages are: {', '.join(stage.name for stage in stages)}"
        raise ParamsError(
            f"stage {unknown[0]}", "dvc.yaml has no such stage", did_you_mean(unknown[0], named) + known
        )
    graph = get_active_graph(repo.index.graph)
    waiting = [stage for target in targets for stage in named[target]]
    found: set[Stage] = set()
    while waiting:
        stage = waiting.pop()
        if stage not in found:
            found.add(stage)
            waiting.extend(graph.successors(stage))
    return [stage for stage in stages if stage in found]


def _look(repo: Repo, stages: Sequence[Stage], stores: Stores, values: Mapping[str, Any]) -> Now:
    edges = [edge for stage in stages for edge in (*stage.deps, *stage.outs)]
    files = [edge for edge in edges if edge.protocol == "local" and not isinstance(edge, ParamsDependency)]
    return Now(
        root=Path(repo.root_dir),
        stores=stores,
        contents=contents_now(repo, {edge.fs_path for edge in files}),
        values=values,
    )


def _pulled(repo: Repo, now: Now) -> dict[str, Content]:
    """Return what `dvc repro --pull` brings of data that is in DVC's care, as after `dvc add`."""
    missing = {
        out.fs_path: out.hash_info.value
        for stage in repo.index.stages
        for out in stage.outs
        if not stage.cmd and out.hash_info and now.contents.get(out.fs_path, out) is None
    }
    return {
        path: Content(
            md5=md5, files=plan_stores.files_behind(now.stores, md5) if md5.endswith(".dir") else None
        )
        for path, md5 in missing.items()
        if plan_stores.holds_all(now.stores, [md5])
    }
