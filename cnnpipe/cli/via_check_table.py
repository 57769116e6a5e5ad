"""What `cnnpipe via check` prints."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

from rich.console import Console
from rich.text import Text

from cnnpipe.annotations import Severity
from cnnpipe.cli.via_lines import counted, line, print_table
from cnnpipe.reports.via_check import mapping_lines
from cnnpipe.reports.via_check_summary import Checked, CheckedFile, CodeFindings, Place

_STYLES: Final[Mapping[Severity, str]] = MappingProxyType(
    {"error": "bold red", "warning": "yellow", "info": "cyan"}
)
_MOST_PLACES: Final = 3  # of one code
_UNSEEN: Final = (
    "pictures: not looked at (no --images); their sizes are unknown, so what leaves them to the right or "
    "below is not seen"
)
_STATED: Final = "pictures: not looked at (no --images); their sizes are as the file states them"
_SUGGESTED: Final = (
    "\nIf these are one class each, save the lines as map.yaml and give it with --labels map.yaml:"
)


def check_to_json(checked: Checked) -> dict[str, Any]:
    """Return what `check --json` prints."""
    value = {
        "kind": checked.kind,
        "version": checked.version,
        "images": checked.images,
        "regions": checked.regions,
        "files": checked.files,
        "images_dir": checked.images_dir,
        "label_attribute": checked.label.attribute,
        "label_attribute_of": checked.label.of,
        "label_attribute_why": checked.label.why,
        "other_attributes": checked.label.others,
        "classes": checked.classes,
        "findings": checked.findings,
        "suggested_labels": checked.suggested_labels,
    }
    return value if checked.error is None else {**value, "error": checked.error}


def print_check(checked: Checked) -> None:
    """Print the files, the class, the findings by code, and the spellings that are likely meant."""
    console = Console()
    many_files = len(checked.files) > 1
    for each in checked.files:
        line(console, _describe_file(each))
    for told in _about_all(checked):
        line(console, told)
    _print_classes(console, checked)
    for code in checked.findings:
        _print_code(console, code, many_files=many_files)
    if not checked.findings and checked.error is None:
        line(console, "\nnothing to say: every region is as it should be")
    if checked.suggested_labels:
        line(console, _SUGGESTED)
        line(console, mapping_lines(checked.suggested_labels))


def _about_all(checked: Checked) -> Iterator[str]:
    """Yield what is to be said of all files before what was found in them."""
    if len(checked.files) > 1:
        yield f"together: {counted(checked.images, 'picture')}, {counted(checked.regions, 'region')}"
    if checked.images_dir is None and checked.images:
        yield _STATED if checked.are_sized else _UNSEEN
    label = checked.label
    if label.attribute is not None:
        yield f"class: {label.of} attribute {label.attribute!r}, {label.why}"
    elif checked.regions and checked.error is None:
        yield f"class: none, {label.why}"
    for part, others in label.others.items():
        if others:
            yield f"other {part} attributes: {', '.join(others)}"


def _describe_file(file: CheckedFile) -> str:
    if file.error is not None:
        return f"{file.file}: refused: {file.error.what}"
    counts = f"{counted(file.images, 'picture')}, {counted(file.regions, 'region')}"
    repeated = f"; the same as {file.repeats}, taken once" if file.repeats else ""
    return f"{file.file}: {file.kind}, version {file.version}, {counts}{repeated}"


def _print_classes(console: Console, checked: Checked) -> None:
    if not checked.classes:
        return
    line(console, "")
    rows = [(label, str(count.regions), str(count.images)) for label, count in checked.classes.items()]
    print_table(console, ("class", "regions", "pictures"), rows)


def _print_code(console: Console, code: CodeFindings, *, many_files: bool) -> None:
    heading = Text(f"\n{code.severity} ", style=_STYLES[code.severity])
    heading.append(f"{code.code}", style="bold").append(f" {code.count}")
    console.print(heading, soft_wrap=True, highlight=False)
    for place in code.places[:_MOST_PLACES]:
        line(console, f"  {_describe_place(place, many_files=many_files)}")
    more = code.more + max(len(code.places) - _MOST_PLACES, 0)
    if more:
        line(console, f"  … and {more} more")
    line(console, f"  fix: {code.fix}")


def _describe_place(place: Place, *, many_files: bool) -> str:
    parts = [place.file] if place.file is not None and (many_files or place.image is None) else []
    parts += [place.image] if place.image is not None else []
    parts += [f"region {place.region}"] if place.region is not None else []
    return f"{', '.join(parts)}: {place.what}" if parts else place.what
