"""What `cnnpipe via convert` and `cnnpipe via merge` print."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from rich.console import Console

from cnnpipe.annotations import Finding
from cnnpipe.cli.via_lines import counted, encode, line
from cnnpipe.formats.via.merge_files import Conflict
from cnnpipe.formats.via.records import Loss
from cnnpipe.projects.via_convert import Converted

_MOST_PLACES: Final = 3  # of one loss


def converted_to_json(converted: Converted) -> dict[str, Any]:
    """Return what `convert --json` and `merge --json` print."""
    value = {
        "out": converted.out,
        "to": converted.to,
        "written": converted.is_written,
        "images": converted.images,
        "regions": converted.regions,
        "shared_images": converted.merged.num_shared,
        "sizes_known": converted.sizes_known,
        "label_attribute": converted.label_attribute,
        "keep": converted.keep,
        "relabelled": converted.relabelled,
        "conflicts": converted.conflicts,
        "findings": converted.findings,
        "losses": converted.losses,
    }
    if converted.is_written:
        return value
    return {**value, "error": msgspec.to_builtins(_refusal(converted))}


def print_converted(converted: Converted) -> None:
    """Print what was written, what was rewritten and lost; or the conflicts because of which nothing was."""
    console = Console()
    _print_merged(console, converted)
    if not converted.is_written:
        error = _refusal(converted)
        line(Console(stderr=True), f"error: {error['where']}: {error['what']}\n  fix: {error['fix']}")
        return
    for each in converted.relabelled:
        meant = "taken out" if each.after is None else f"now {each.after!r}"
        before = repr(each.before) if each.before else "no value"
        line(console, f"relabelled: {before} is {meant}, {each.count} times")
    _print_losses(console, converted.losses)
    counts = f"{counted(converted.images, 'picture')}, {counted(converted.regions, 'region')}"
    line(console, f"written: {converted.to}, {counts} -> {converted.out}")


def _print_merged(console: Console, converted: Converted) -> None:
    by_code: dict[str, list[Finding]] = {}
    for finding in converted.findings:
        by_code.setdefault(finding.code, []).append(finding)
    for code, those in by_code.items():
        places = "; ".join(map(_describe_finding, those[:_MOST_PLACES]))
        more = f"; and {len(those) - _MOST_PLACES} more" if len(those) > _MOST_PLACES else ""
        line(console, f"read with {those[0].severity}: {len(those)} × {code} ({places}{more})")
    if converted.merged.num_shared:
        line(console, f"in several files: {counted(converted.merged.num_shared, 'picture')}, merged")
    for conflict in converted.conflicts:
        kept = f"; kept: the {converted.keep}" if converted.keep else ""
        line(console, f"conflict: {_describe_conflict(conflict)}{kept}")


def _describe_finding(finding: Finding) -> str:
    number = "" if finding.region is None else f" region {finding.region}"
    return f"{finding.where}{number}: {finding.what}"


def _describe_conflict(conflict: Conflict) -> str:
    where = conflict.image if conflict.region is None else f"{conflict.image}, region {conflict.region}"
    told = [f"{encode(value)} in {file}" for value, file in zip(conflict.values, conflict.files, strict=True)]
    return f"{where}: {conflict.attribute!r} is {told[0]}, {told[1]}"


def _refusal(converted: Converted) -> dict[str, str]:
    number = len(converted.conflicts)
    return {
        "where": converted.out,
        "what": f"not written: the files contradict each other in {counted(number, 'value')}",
        "fix": "mend them in VIA, or decide with `cnnpipe via merge --keep first` or `--keep last`",
    }


def _print_losses(console: Console, losses: Sequence[Loss]) -> None:
    """Print the losses by what is lost, with the first places."""
    by_what: dict[str, list[Loss]] = {}
    for loss in losses:
        by_what.setdefault(loss.what, []).append(loss)
    for what, those in sorted(by_what.items(), key=lambda item: -len(item[1])):
        places = "; ".join(filter(None, map(_describe_loss, those[:_MOST_PLACES])))
        more = f"; and {len(those) - _MOST_PLACES} more" if len(those) > _MOST_PLACES else ""
        line(console, f"lost: {len(those)} × {what}{f' ({places}{more})' if places else ''}")


def _describe_loss(loss: Loss) -> str:
    parts = [loss.where] if loss.where else []
    parts += [f"region {loss.region}"] if loss.region is not None else []
    place = " ".join(parts)
    return f"{place}: {loss.detail}" if place and loss.detail else place or loss.detail
