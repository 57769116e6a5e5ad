"""What differs between dvc.lock and now, as reasons that a person understands."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from cnnpipe.orchestration.planning.contents import Content
from cnnpipe.orchestration.planning.records import FileChanges, Reason

_NUM_TOLD: Final = 3  # names in a text
_NUM_NAMED: Final = 20  # names in a record
_MAX_VALUE: Final = 60  # characters of a value in a text

ALWAYS: Final = Reason(kind="always", text="runs every time")
NEW: Final = Reason(kind="new", text="never run: dvc.lock has no entry for it")


def command_reason(old: str, new: str) -> Reason:
    """Return the reason that a stage is called otherwise."""
    return Reason(kind="command", text=f"command: {_value(old)} → {_value(new)}", old=old, new=new)


def param_reasons(name: str, old: Any, new: Any) -> Iterator[Reason]:
    """Yield one reason per value that differs; sections are gone through key by key.

    Args:
        name: e.g. experiments.lenet.
        old: value in dvc.lock; None: it has none.
        new: value now; None: there is none.
    """
    if old == new:
        return
    if isinstance(old, dict) and isinstance(new, dict):
        for key in dict.fromkeys([*old, *new]):
            yield from param_reasons(f"{name}.{key}", old.get(key), new.get(key))
        return
    told = f"{name} {_value(old)} → {_value(new)}"
    yield Reason(kind="param", text=told, name=name, old=old, new=new)


def code_reasons(
    old: str, new: str, old_files: Mapping[str, str] | None, new_files: Mapping[str, str]
) -> list[Reason]:
    """Return what differs between two digests of code.

    Args:
        old: as in dvc.lock: "<digest> numpy 2.4.6, torch 2.14.1".
        new: the same of the code as it is now.
        old_files: snapshot behind the old digest; None: not kept here.
        new_files: snapshot behind the new one.
    """
    old_modules, old_packages = _split_digest(old)
    new_modules, new_packages = _split_digest(new)
    reasons = []
    if old_modules != new_modules:
        changes = None if old_files is None else file_changes(old_files, new_files)
        known = "which files is known only where that code ran" if changes is None else _told(changes)
        reasons.append(Reason(kind="code", text=f"code: {known}", files=changes))
    for name in sorted(old_packages.keys() | new_packages.keys()):
        before, after = old_packages.get(name), new_packages.get(name)
        if before != after:
            text = f"package {name} {before or '(not used)'} → {after or '(not used)'}"
            reasons.append(Reason(kind="package", text=text, name=name, old=before, new=after))
    return reasons


def input_reason(
    path: str, old: Mapping[str, Any], old_files: Mapping[str, str] | None, new: Content
) -> Reason:
    """Return the reason that an input differs.

    Args:
        path: as dvc.yaml names it.
        old: `files` and `bytes` in dvc.lock, as far as they stand there.
        old_files: what the folder held; None: not known, or a file.
        new: what lies there.
    """
    if new.files is None:
        return Reason(kind="input", text=f"{path} changed", name=path)
    if old_files is not None:
        changes = file_changes(old_files, new.files)
        return Reason(kind="input", text=f"{path}: {_told(changes)}", name=path, files=changes)
    now = {"files": len(new.files)} | ({} if new.num_bytes is None else {"bytes": new.num_bytes})
    text = f"{path}: {old.get('files', '?')} → {now['files']} files, which ones is not known here"
    if old.get("files") == now["files"] and old.get("bytes") and "bytes" in now:
        text = f"{path}: {old['bytes']:,} → {now['bytes']:,} bytes, which files is not known here"
    return Reason(kind="input", text=text, name=path, old=dict(old), new=now)


def new_input_reason(path: str) -> Reason:
    """Return the reason that a stage reads what it did not read before."""
    return Reason(kind="input", text=f"{path} is a new input", name=path)


def missing_input_reason(path: str) -> Reason:
    """Return the reason that an input is not there, and that no stage writes it."""
    text = f"{path} is missing: put it there, or `dvc checkout` or `dvc pull` where DVC tracks it"
    return Reason(kind="input", text=text, name=path)


def upstream_reason(writers: Sequence[str], *, is_alone: bool) -> Reason:
    """Return the reason that inputs are not known before other stages have run.

    Args:
        writers: those stages.
        is_alone: nothing else has changed.
    """
    hope = ": may turn out unchanged" if is_alone else ""
    return Reason(
        kind="upstream", text=f"reads what {_names(writers)} will write{hope}", names=tuple(writers)
    )


def output_reasons(faults: Mapping[str, Sequence[str]]) -> list[Reason]:
    """Return one reason per fault of outputs, e.g. "missing" -> their paths."""
    return [
        Reason(kind="output", text=f"{fault}: {_names(faulty)}", names=tuple(faulty))
        for fault, faulty in faults.items()
    ]


def file_changes(old: Mapping[str, str], new: Mapping[str, str]) -> FileChanges:
    """Return how two lists of files, path -> digest, differ."""
    added = sorted(new.keys() - old.keys())
    removed = sorted(old.keys() - new.keys())
    changed = sorted(path for path in old.keys() & new.keys() if old[path] != new[path])
    return FileChanges(
        num_added=len(added),
        num_removed=len(removed),
        num_changed=len(changed),
        added=tuple(added[:_NUM_NAMED]),
        removed=tuple(removed[:_NUM_NAMED]),
        changed=tuple(changed[:_NUM_NAMED]),
    )


def _told(changes: FileChanges) -> str:
    kinds = (
        ("changed", changes.num_changed, changes.changed),
        ("added", changes.num_added, changes.added),
        ("removed", changes.num_removed, changes.removed),
    )
    return ", ".join(f"{num} {what} ({_names(names, num)})" for what, num, names in kinds if num)


def _names(names: Iterable[str], number: int | None = None) -> str:
    listed = list(names)
    number = len(listed) if number is None else number
    shown = listed if number <= _NUM_TOLD else listed[:_NUM_TOLD]
    more = [] if number == len(shown) else [f"{number - len(shown)} more"]
    return ", ".join([*shown, *more])


def _value(value: Any) -> str:
    text = "(none)" if value is None else str(value)
    return text if len(text) <= _MAX_VALUE else f"{text[: _MAX_VALUE - 1]}…"


def _split_digest(digest: str) -> tuple[str, dict[str, str]]:
    modules, _, packages = digest.partition(" ")
    pairs = (each.rpartition(" ") for each in packages.split(", ") if each)
    return modules, {name: version for name, _, version in pairs}
