"""DVC's graph as plain records: the only place where the order of stages is known."""

from pathlib import Path
from typing import Any

import msgspec
from dvc.exceptions import DvcException
from dvc.repo import Repo
from dvc.repo.reproduce import get_active_graph, plan_repro
from dvc.stage import Stage

from cnnpipe.errors import CnnpipeError


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """One stage of dvc.yaml."""

    name: str  # as a person would type it, e.g. train@lenet
    needs: tuple[str, ...]  # stages whose outputs it reads
    is_always_run: bool  # DVC runs it whatever its inputs
    has_cached_outputs: bool  # something of it can be in DVC's cache and on a remote
    needs_device: bool  # `meta: {device: true}`: it leases a GPU, or a slot of the processor


def read_graph(root: Path) -> list[Node]:
    """Return the stages of the project at `root`, each after all that it needs.

    Raises:
        CnnpipeError: dvc.yaml cannot be read.
    """
    try:
        with Repo(str(root)) as repo:
            return graph_of(repo)
    except DvcException as error:
        raise CnnpipeError(str(root / "dvc.yaml"), str(error), "mend it as `dvc repro` asks") from error


def graph_of(repo: Repo) -> list[Node]:
    """Return the stages of an open repository, each after all that it needs."""
    graph = get_active_graph(repo.index.graph)
    return [_node(stage, graph) for stage in stages_in_order(repo)]


def missing_data(root: Path) -> list[str]:
    """Return the .dvc files, as `dvc add` writes them, whose data is not in the folder."""
    with Repo(str(root)) as repo:
        return sorted(
            stage.relpath
            for stage in repo.index.stages
            if stage.is_data_source and any(not out.exists for out in stage.outs)
        )


def stages_in_order(repo: Repo) -> list[Stage]:
    """Return DVC's own stages, each after all that it needs; files of `dvc add` are no stages."""
    return [stage for stage in plan_repro(get_active_graph(repo.index.graph)) if stage.cmd]


def _node(stage: Stage, graph: Any) -> Node:
    return Node(
        name=stage.name,
        needs=tuple(sorted(each.name for each in graph.successors(stage) if each.cmd)),
        is_always_run=stage.always_changed,
        has_cached_outputs=any(out.use_cache for out in stage.outs),
        needs_device=bool((stage.meta or {}).get("device", False)),
    )
