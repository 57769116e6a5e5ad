"""What `update` took in, or would, for a person or a program."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import typer

from cnnpipe.projects.changes import PictureChanges
from cnnpipe.projects.incoming import Incoming
from cnnpipe.projects.update import Updated

_OF_REGIONS = ("added", "removed", "moved", "relabelled", "renumbered")


def print_changes(updated: Updated, *, as_json: bool) -> None:
    """Print every picture that is not the same, then the totals of each file."""
    if as_json:
        typer.echo(msgspec.json.encode(_to_json(updated)).decode())
        return
    for incoming in updated.files:
        how = f"replaces {incoming.replaces}" if incoming.replaces else f"is added as {incoming.target}"
        typer.echo(f"{incoming.path} {how}")
        for each in incoming.changes:
            if each.state != "same":
                typer.echo(f"  {each.image_id}: {_describe(each)}")
        for filename in incoming.lost:
            typer.echo(f"  {filename}: no such picture")
        typer.echo(f"pictures: {_told(_of_pictures(incoming.changes))}")
        typer.echo(f"regions: {_told(_of_regions(incoming.changes))}")
    if updated.pinned:
        typer.echo(f"pinned before, so that they stay where they are: {_told(updated.pinned)}")


def _describe(changes: PictureChanges) -> str:
    told = {"added": ["new picture"], "removed": ["no longer named; its file stays on disk"]}
    parts = list(told.get(changes.state, []))
    parts += [f"{number} {what}" for what, number in _counts(changes).items() if number]
    parts += ["the picture relabelled"] if changes.relabelled else []
    parts += ["the picture renumbered"] if changes.renumbered else []
    parts += ["unchecked: nothing of it counts yet"] if changes.unchecked else []
    return ", ".join(parts) or "checked or unchecked, else the same"


def _counts(changes: PictureChanges) -> dict[str, int]:
    return {what: getattr(changes.regions, what) for what in _OF_REGIONS}


def _of_pictures(changes: Sequence[PictureChanges]) -> Counter[str]:
    counts = Counter(each.state for each in changes)
    return Counter(
        {
            **{state: counts[state] for state in ("added", "removed", "changed", "same")},
            "relabelled": sum(each.relabelled for each in changes),
            "renumbered": sum(each.renumbered for each in changes),
            "unchecked": sum(each.unchecked for each in changes),
        }
    )


def _of_regions(changes: Sequence[PictureChanges]) -> Counter[str]:
    counts: Counter[str] = Counter(dict.fromkeys(_OF_REGIONS, 0))
    for each in changes:
        counts.update(_counts(each))
    return counts


def _told(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{number} {what}" for what, number in counts.items() if number) or "none changed"


def _to_json(updated: Updated) -> dict[str, Any]:
    return {"files": [_file_to_json(each) for each in updated.files], "pinned": dict(updated.pinned)}


def _file_to_json(incoming: Incoming) -> dict[str, Any]:
    return {
        "file": str(incoming.path),
        "target": incoming.target,
        "replaces": incoming.replaces,
        "pictures": [each for each in incoming.changes if each.state != "same"],
        "totals": {"pictures": _of_pictures(incoming.changes), "regions": _of_regions(incoming.changes)},
        "lost": incoming.lost,
    }
