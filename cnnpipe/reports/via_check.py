"""The page of `cnnpipe via check`: what the files hold, and what is wrong, with pictures."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from cnnpipe.annotations import Finding, Picture
from cnnpipe.files import write_text
from cnnpipe.reports.environment import page_environment
from cnnpipe.reports.validation import Shapes, see, shown_findings
from cnnpipe.reports.via_check_summary import Checked, CodeFindings, Place

_MOST_CLASSES: Final = 200
_PLAIN: Final = re.compile(r"[A-Za-z][A-Za-z0-9 _-]*[A-Za-z0-9]|[A-Za-z]")
_WORDS: Final = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})  # of YAML


class _SeenPlace(msgspec.Struct, frozen=True):
    place: Place
    pictures: Sequence[str]


class _Section(msgspec.Struct, frozen=True):
    """What the page says of one code."""

    code: CodeFindings
    sights: Sequence[_SeenPlace]


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What is needed to draw a finding."""

    findings: Sequence[Finding]
    place_of: Callable[[Finding], Place]
    pictures: Mapping[str, Picture]
    shapes: Shapes
    images_dir: Path | None  # None: nothing can be drawn


def write_page(path: Path, checked: Checked, seen: Seen) -> None:
    """Write the page, whole and in one file."""
    environment = page_environment()
    classes = list(checked.classes.items())[:_MOST_CLASSES]
    page = environment.get_template("via_check.html").render(
        checked=checked,
        classes=classes,
        most=max((count.regions or count.images for _, count in classes), default=1),
        yaml=mapping_lines(checked.suggested_labels),
        sections=_sections(checked, seen),
        many_files=len(checked.files) > 1,
    )
    write_text(path, page.encode("utf-8", "backslashreplace").decode())


def mapping_lines(mapping: Mapping[str, str]) -> str:
    """Return lines of YAML, `spelling: class`."""
    return "\n".join(f"{_scalar(spelling)}: {_scalar(label)}" for spelling, label in mapping.items())


def _scalar(text: str) -> str:
    is_plain = _PLAIN.fullmatch(text) is not None and text.lower() not in _WORDS
    return text if is_plain else json.dumps(text, ensure_ascii=not text.isprintable())


def _sections(checked: Checked, seen: Seen) -> list[_Section]:
    by_code: dict[str, list[Finding]] = {}
    if seen.images_dir is not None:
        for finding in seen.findings:
            by_code.setdefault(finding.code, []).append(finding)
    return [_Section(code, _sights(by_code.get(code.code, ()), seen)) for code in checked.findings]


def _sights(findings: Sequence[Finding], seen: Seen) -> list[_SeenPlace]:
    if seen.images_dir is None:
        return []
    sights = [
        see(each, seen.pictures, seen.shapes, seen.images_dir)
        for each in shown_findings(findings, seen.pictures)
    ]
    return [_SeenPlace(seen.place_of(each.finding), each.pictures) for each in sights if each.pictures]
