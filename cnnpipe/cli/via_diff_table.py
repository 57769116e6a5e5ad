"""What `cnnpipe via diff` prints."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, TypeVar

from rich.console import Console

from cnnpipe.cli.via_lines import encode, line
from cnnpipe.formats.via.file_changes import ChangedRegion, FileDifference, OneRegion, PictureDifference

_MOST_REGIONS: Final = 12  # of one picture and kind of change

_Region = TypeVar("_Region")


def diff_to_json(difference: FileDifference) -> dict[str, Any]:
    """Return what `diff --json` prints."""
    return {
        "label_attribute": difference.label_attribute,
        "same": difference.is_same,
        "totals": difference.totals(),
        "pictures": difference.pictures,
    }


def print_diff(difference: FileDifference) -> None:
    """Print each picture that differs, with the numbers of its regions, then the totals."""
    console = Console()
    for each in difference.pictures:
        line(console, each.image if each.state == "changed" else f"{each.image}: {each.state}")
        for told in _difference_lines(each):
            line(console, f"  {told}")
    for what, counts in difference.totals().items():
        told = ", ".join(f"{number} {state}" for state, number in counts.items() if number)
        if told or what != "other values":
            line(console, f"{what}: {told or 'none differs'}")


def _difference_lines(picture: PictureDifference) -> Iterable[str]:
    yield from _several("added", picture.added, _one)
    yield from _several("removed", picture.removed, _one)
    yield from _several("moved", picture.moved, _moved)
    yield from _several("relabelled", picture.relabelled, _relabelled)
    for value in picture.values[:_MOST_REGIONS]:
        where = "picture" if value.region is None else f"region {value.region}"
        yield f"{where}: {value.attribute!r} was {encode(value.before)}, is {encode(value.after)}"
    if len(picture.values) > _MOST_REGIONS:
        yield f"… and {len(picture.values) - _MOST_REGIONS} more values"


def _several(what: str, regions: Sequence[_Region], describe: Callable[[_Region], str]) -> Iterable[str]:
    if regions:
        told = ", ".join(describe(each) for each in regions[:_MOST_REGIONS])
        more = f", … {len(regions) - _MOST_REGIONS} more" if len(regions) > _MOST_REGIONS else ""
        yield f"{what}: {told}{more}"


def _one(region: OneRegion) -> str:
    return f"region {region.region}{_in_brackets(region.label)}"


def _moved(changed: ChangedRegion) -> str:
    overlap = "" if changed.iou is None else f", IoU {changed.iou:.2f}"
    return f"{_number(changed)}{_in_brackets(changed.label_after)}{overlap}"


def _relabelled(changed: ChangedRegion) -> str:
    before, after = (
        ", ".join(labels) or "no label" for labels in (changed.label_before, changed.label_after)
    )
    return f"{_number(changed)} {before!r} -> {after!r}"


def _number(changed: ChangedRegion) -> str:
    return (
        f"region {changed.after}"
        if changed.before == changed.after
        else (f"region {changed.before} -> {changed.after}")
    )


def _in_brackets(labels: Sequence[str]) -> str:
    return f" ({', '.join(labels)})" if labels else ""
