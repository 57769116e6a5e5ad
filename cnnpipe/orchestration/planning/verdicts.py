"""Unchanged, restorable or to run: each stage judged as DVC will judge it, after all that it needs.

The outputs of a restorable stage are known by their hashes, so the stages below it are judged by them; what a
stage that is to run will write is not known.

Source: dvc 3.67, stage/__init__.py (`changed`, `reproduce`, `run`) and stage/cache.py (`restore`).
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
from dvc.dependency import ParamsDependency
from dvc.output import Output
from dvc.stage import Stage
from dvc.utils.serialize import load_yaml

from cnnpipe import files, paths
from cnnpipe.errors import DataError
from cnnpipe.orchestration.planning import listings as plan_listings
from cnnpipe.orchestration.planning import reasons as plan_reasons
from cnnpipe.orchestration.planning import stores as plan_stores
from cnnpipe.orchestration.planning.contents import Content, Later, Unknown, content_later
from cnnpipe.orchestration.planning.records import PlannedStage, Reason
from cnnpipe.orchestration.planning.stores import Stores
from cnnpipe.stages import code

_LOCK: Final = "dvc.lock"


class Now(msgspec.Struct, frozen=True, kw_only=True):
    """The project as it is."""

    root: Path
    stores: Stores
    contents: Mapping[str, Content | None]  # absolute path of every input and output -> what lies there
    values: Mapping[str, Any]  # absolute path of every file of params -> its content; None: no such file

    @property
    def code_file(self) -> str:
        """Absolute path of code.json, where a stage writes it."""
        return str(self.root / paths.CODE)


class _Inputs(msgspec.Struct, frozen=True, kw_only=True):
    """What a stage will read."""

    params: dict[str, dict[str, Any]]  # file -> name -> value; without names that are not there
    contents: dict[str, Content | Unknown | None]  # path -> what will lie there


def judge_all(stages: Sequence[Stage], now: Now, later: Later) -> list[PlannedStage]:
    """Return the verdict on each stage.

    Args:
        stages: each after all that it needs.
        now: the project as it is.
        later: what will have changed before the first of them.
    """
    planned = []
    for stage in stages:
        judged, outputs = _judge(stage, now, later)
        planned.append(judged)
        later = {**later, **outputs}
    return planned


def _judge(stage: Stage, now: Now, later: Later) -> tuple[PlannedStage, Later]:
    """Return the verdict, and what will lie at the outputs where that is not what lies there now."""
    if stage.is_callback or stage.always_changed:
        return _to_run(stage, [plan_reasons.ALWAYS])
    if stage.frozen:  # DVC looks at none of its inputs
        return _unchanged(stage)
    inputs = _inputs(stage, now, later)
    of_inputs = _reasons_of_inputs(stage, inputs, now)
    of_outputs = [] if plan_reasons.NEW in of_inputs else _reasons_of_outputs(stage, now, later)
    upstream = _reasons_upstream(inputs, is_alone=not (of_inputs or of_outputs))
    reasons = [*of_inputs, *upstream, *of_outputs]
    if not reasons:
        return _unchanged(stage)
    run = _kept_run(stage, inputs, now.stores, is_input_changed=bool(of_inputs or upstream))
    if run is None or not plan_stores.holds_all(now.stores, run.values()):
        return _to_run(stage, reasons)
    restored = {out.fs_path: _restored(run[out.def_path], now.stores) for out in stage.outs}
    return PlannedStage(stage=stage.name, verdict="restorable", reasons=tuple(reasons)), restored


def _unchanged(stage: Stage) -> tuple[PlannedStage, Later]:
    return PlannedStage(stage=stage.name, verdict="unchanged"), {}


def _to_run(stage: Stage, reasons: Sequence[Reason]) -> tuple[PlannedStage, Later]:
    unknown = Unknown((stage.name,))
    planned = PlannedStage(stage=stage.name, verdict="to run", reasons=tuple(reasons))
    return planned, {out.fs_path: unknown for out in stage.outs}


def _restored(md5: str, stores: Stores) -> Content:
    return Content(md5=md5, files=plan_stores.files_behind(stores, md5) if md5.endswith(".dir") else None)


def _inputs(stage: Stage, now: Now, later: Later) -> _Inputs:
    params: dict[str, dict[str, Any]] = {}
    contents: dict[str, Content | Unknown | None] = {}
    for dep in stage.deps:
        if isinstance(dep, ParamsDependency):
            if dep.fs_path != now.code_file and isinstance(later.get(dep.fs_path), Unknown):
                contents[dep.def_path] = later[dep.fs_path]
            params[dep.def_path] = _values(now.values[dep.fs_path], dep.params)
        elif dep.protocol == "local":
            contents[dep.def_path] = content_later(dep.fs_path, now.contents, later)
    return _Inputs(params=params, contents=contents)


def _values(document: Any, names: Sequence[str]) -> dict[str, Any]:
    """Return the values of these names; no names: all of the document."""
    if not names:
        return dict(document or {})
    found = {name: _value(document, name.split(".")) for name in names}
    return {name: value[0] for name, value in found.items() if value}


def _value(document: Any, keys: Sequence[str]) -> list[Any]:
    """Return the value in a list; an empty one where there is none, for null is a value."""
    for key in keys:
        if isinstance(document, Mapping) and key in document:
            document = document[key]
        elif isinstance(document, list) and key.isdigit() and int(key) < len(document):
            document = document[int(key)]
        else:
            return []
    return [document]


def _reasons_of_inputs(stage: Stage, inputs: _Inputs, now: Now) -> list[Reason]:
    if not any(edge.hash_info for edge in (*stage.deps, *stage.outs)):
        missing = [path for path, content in inputs.contents.items() if content is None]
        return [plan_reasons.NEW, *map(plan_reasons.missing_input_reason, missing)]
    command = [_command_reason(stage, now.root)] if stage.cmd_changed else []
    changed = [reason for dep in stage.deps for reason in _reasons_of_one(dep, inputs, now)]
    return [*command, *changed]


def _reasons_upstream(inputs: _Inputs, *, is_alone: bool) -> list[Reason]:
    unknown = [each for each in inputs.contents.values() if isinstance(each, Unknown)]
    writers = sorted({writer for each in unknown for writer in each.writers})
    return [plan_reasons.upstream_reason(writers, is_alone=is_alone)] if writers else []


def _command_reason(stage: Stage, root: Path) -> Reason:
    old = load_yaml(str(root / _LOCK))["stages"][stage.name]["cmd"]
    return plan_reasons.command_reason(str(old), str(stage.cmd))


def _reasons_of_one(dep: Output, inputs: _Inputs, now: Now) -> Iterator[Reason]:
    if isinstance(dep, ParamsDependency):
        yield from _reasons_of_params(dep, inputs.params[dep.def_path], now)
        return
    content = inputs.contents.get(dep.def_path)
    if content is None:
        yield plan_reasons.missing_input_reason(dep.def_path)
    elif isinstance(content, Content) and not dep.hash_info:
        yield plan_reasons.new_input_reason(dep.def_path)
    elif isinstance(content, Content) and dep.hash_info.value != content.md5:
        old_md5 = dep.hash_info.value
        old_files = plan_stores.files_behind(plan_stores.local_part(now.stores), old_md5)
        old = {"files": dep.meta.nfiles, "bytes": dep.meta.size}
        yield plan_reasons.input_reason(
            dep.def_path,
            {name: number for name, number in old.items() if number is not None},
            old_files or plan_listings.kept_listing(now.root, old_md5),
            content,
        )


def _reasons_of_params(dep: ParamsDependency, values: Mapping[str, Any], now: Now) -> Iterator[Reason]:
    locked = dep.hash_info.value or {}
    for name in dep.params or dict.fromkeys([*values, *locked]):
        old, new = locked.get(name), values.get(name)
        if name in locked and name in values and old == new:
            continue
        if dep.fs_path == now.code_file and isinstance(old, str) and isinstance(new, str):
            yield from plan_reasons.code_reasons(old, new, _old_code(now.root, old), _new_code(name))
        else:
            yield from plan_reasons.param_reasons(name, old, new)


def _old_code(root: Path, digest: str) -> dict[str, str] | None:
    try:
        return files.read_json(code.snapshot_file(root, digest), dict[str, str])
    except DataError:
        return None


def _new_code(name: str) -> dict[str, str]:
    stage, _, task = name.partition(".")
    return code.snapshot(stage, task or None)


def _reasons_of_outputs(stage: Stage, now: Now, later: Later) -> list[Reason]:
    faults: dict[str, list[str]] = {}
    for out in stage.outs:
        if fault := _fault(out, now, later):
            faults.setdefault(fault, []).append(out.def_path)
    return plan_reasons.output_reasons(faults)


def _fault(out: Output, now: Now, later: Later) -> str:
    """Return what is wrong with an output as it is; "": nothing."""
    content = now.contents[out.fs_path]
    if content is None:
        return "missing"
    if out.fs_path in later:
        return "stage code will remove"
    if out.hash_info.value != content.md5:
        return "not as in dvc.lock"
    if out.use_cache and not plan_stores.holds_all(plan_stores.local_part(now.stores), [content.md5]):
        return "not in DVC's cache"
    return ""


def _kept_run(
    stage: Stage, inputs: _Inputs, stores: Stores, *, is_input_changed: bool
) -> dict[str, str] | None:
    """Return what the run wrote that DVC would restore, path -> md5; None: it would run the stage."""
    if not plan_stores.is_kept(stage):
        return None
    if not is_input_changed and all(out.hash_info for out in stage.outs):
        return {out.def_path: out.hash_info.value for out in stage.outs}
    known = {path: each for path, each in inputs.contents.items() if isinstance(each, Content)}
    names = {dep.def_path: dep.params for dep in stage.deps if isinstance(dep, ParamsDependency)}
    is_whole = all(name in inputs.params[path] for path, wanted in names.items() for name in wanted)
    num_contents = sum(not isinstance(dep, ParamsDependency) for dep in stage.deps)
    if not is_whole or len(known) != num_contents or len(known) != len(inputs.contents):
        return None
    return plan_stores.newest_run(stores, plan_stores.run_key(stage, inputs.params, known))
