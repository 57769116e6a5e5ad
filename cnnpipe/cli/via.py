"""The commands for VIA files alone, of any kind and version: no project is needed, and no network."""

import gc
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import typer

from cnnpipe.errors import CnnpipeError, DataError

if TYPE_CHECKING:
    from cnnpipe.projects.via_check import CheckRequest, Examined
    from cnnpipe.projects.via_convert import ConvertRequest

_REFUSED: Final = 3  # data refused, see cli/main.py

# The targets of formats.via.convert, which is imported only where it is needed; a test compares the two.
Target = Literal[
    "via1-json", "via2-json", "via2-project", "via2-csv", "via3-project", "coco", "coco-via", "yolo", "voc"
]
Files = Annotated[
    list[Path],
    typer.Argument(metavar="FILES...", help="VIA files of any kind and version, told by their content."),
]
Images = Annotated[
    Path | None, typer.Option(help="The folder of the pictures, looked up by name also below it.")
]
Label = Annotated[
    str | None, typer.Option(help="The attribute with the class, where the guess would be wrong.")
]
Labels = Annotated[
    Path | None,
    typer.Option(help="A YAML file of lines `spelling: class`; `spelling: null` leaves it out."),
]
LabelText = Annotated[
    Literal["id", "description"] | None,
    typer.Option(
        help="What an option is called: what regions hold, or what people see. By itself: what people see "
        "in VIA 3, which numbers the options; else what regions hold."
    ),
]
DefaultLabel = Annotated[
    str | None, typer.Option(help="The class of a region that says none; without it, it has none.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Force = Annotated[bool, typer.Option("--force", help="Write over OUT where it exists.")]

via = typer.Typer(
    name="via",
    help="Check, convert, merge, compare and count VIA files of any kind and version.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


def add_to(app: typer.Typer) -> None:
    """Register the commands below `cnnpipe via`."""
    for command in (check, convert, merge, diff, stats):
        if command.__name__ not in {each.name for each in via.registered_commands}:
            via.command(command.__name__)(command)
    app.add_typer(via)


def check(  # noqa: PLR0913, PLR0917 (one per option)
    files: Files,
    images: Images = None,
    label: Label = None,
    labels: Labels = None,
    label_text: LabelText = None,
    default_label: DefaultLabel = None,
    as_json: AsJson = False,
    html: Annotated[
        Path | None, typer.Option(help="A page to write, with pictures of what is wrong.")
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit 3 where there is an error.")] = False,
) -> None:
    """Look VIA files over: what they hold, what is wrong, where, and what to do about it.

    Exits 0 with findings, 3 where a file cannot be read. Without --images nothing is said of the pictures.

    Example: cnnpipe via check train.json val.json --images pictures --html check.html
    """
    from cnnpipe.cli.via_check_table import check_to_json, print_check
    from cnnpipe.projects.via_check import CheckRequest, examine

    with _running(as_json=as_json, empty={"kind": None, "images": 0, "regions": 0, "findings": []}):
        request = CheckRequest(
            paths=files,
            images_dir=images,
            label=label,
            label_map=_label_map(labels),
            label_text=label_text,
            default_label=default_label,
        )
        examined = examine(request)
        checked = examined.checked
        if html is not None:
            _write_page(html, examined, request)
    if as_json:
        _print_json(check_to_json(checked))
    else:
        print_check(checked)
    if checked.error is not None:
        if not as_json:
            error = checked.error
            typer.echo(f"error: {CnnpipeError(error.where, error.what, error.fix)}", err=True)
        raise typer.Exit(_REFUSED)
    if html is not None:
        typer.echo(f"check: {html}", err=True)
    raise typer.Exit(_REFUSED if strict and checked.num_errors else 0)


def convert(  # noqa: PLR0913, PLR0917 (one per option)
    files: Annotated[
        list[Path], typer.Argument(metavar="IN...", help="VIA files; several are merged to one.")
    ],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="A file; a folder for yolo and voc.")],
    to: Annotated[Target, typer.Option("--to", help="The kind to write.")],
    images: Images = None,
    label: Label = None,
    labels: Labels = None,
    label_text: LabelText = None,
    default_label: DefaultLabel = None,
    polyline_as_outline: Annotated[
        bool, typer.Option(help="Whether a polyline of three points or more counts as an outline.")
    ] = True,
    as_json: AsJson = False,
    force: Force = False,
    strict: Annotated[bool, typer.Option("--strict", help="Exit 3 where something was lost.")] = False,
) -> None:
    """Write VIA files as another kind, and list what that kind cannot hold.

    Exits 0 with losses. Formats with relative or clipped boxes need the pictures' sizes: --images.

    Example: cnnpipe via convert project.json coco.json --to coco --images pictures
    """
    from cnnpipe.projects.via_convert import ConvertRequest

    with _running(as_json=as_json):
        request = ConvertRequest(
            paths=files,
            out=out,
            target=to,
            images_dir=images,
            label=label,
            label_map=_label_map(labels),
            label_text=label_text,
            default_label=default_label,
            polyline_as_outline=polyline_as_outline,
            force=force,
        )
        _convert(request, as_json=as_json, strict=strict)


def merge(  # noqa: PLR0913, PLR0917 (one per option)
    files: Files,
    out: Annotated[Path, typer.Option("--out", "-o", help="The file to write.")],
    keep: Annotated[
        Literal["first", "last"] | None,
        typer.Option(help="Whose value stays where files contradict each other."),
    ] = None,
    to: Annotated[Target, typer.Option("--to", help="The kind to write.")] = "via2-project",
    images: Images = None,
    as_json: AsJson = False,
    force: Force = False,
) -> None:
    """Make one file of several: a picture that stands in several keeps the regions of all.

    Where they contradict each other (one region with two labels), all conflicts are listed, nothing is
    written, and it exits 3, unless --keep decides.

    Example: cnnpipe via merge train.json val.json -o all.json
    """
    from cnnpipe.projects.via_convert import ConvertRequest

    with _running(as_json=as_json):
        request = ConvertRequest(paths=files, out=out, target=to, images_dir=images, force=force, keep=keep)
        _convert(request, as_json=as_json, strict=False)


def diff(
    old: Annotated[Path, typer.Argument(metavar="A", help="The older VIA file.")],
    new: Annotated[Path, typer.Argument(metavar="B", help="The newer one, of any kind too.")],
    label: Label = None,
    as_json: AsJson = False,
    exit_code: Annotated[bool, typer.Option("--exit-code", help="Exit 1 if they differ.")] = False,
) -> None:
    """Show what differs: pictures and regions added and removed, regions moved and relabelled.

    Example: cnnpipe via diff yesterday.json now.json
    """
    from cnnpipe.cli.via_diff_table import diff_to_json, print_diff
    from cnnpipe.projects.via_diff import diff_files

    with _running(as_json=as_json):
        difference = diff_files(old, new, label)
    if as_json:
        _print_json(diff_to_json(difference))
    else:
        print_diff(difference)
    raise typer.Exit(1 if exit_code and not difference.is_same else 0)


def stats(
    files: Files,
    images: Images = None,
    label: Label = None,
    as_json: AsJson = False,
) -> None:
    """Count what VIA files hold: pictures, shapes, attributes and their use, labels, sizes of boxes.

    Example: cnnpipe via stats project.json --images pictures
    """
    from cnnpipe.cli.via_stats_table import print_stats
    from cnnpipe.projects.via_counts import count_files

    with _running(as_json=as_json):
        counted = count_files(files, images, label)
    if as_json:
        _print_json(counted)
    else:
        print_stats(counted)


def _write_page(path: Path, examined: "Examined", request: "CheckRequest") -> None:
    """Write the page of `check`, but never over a file that was read."""
    from cnnpipe.projects.via_files import is_same_file, shown
    from cnnpipe.reports.via_check import Seen, write_page

    if path.is_dir() or any(is_same_file(path, each) for each in request.paths):
        what = "is a folder" if path.is_dir() else "is one of the files that are looked over"
        raise DataError(shown(path), what, "name another file for the page with --html")
    seen = Seen(
        findings=examined.findings,
        place_of=examined.place_of,
        pictures=examined.pictures,
        shapes=examined.shapes,
        images_dir=request.images_dir,
    )
    write_page(path, examined.checked, seen)


def _convert(request: "ConvertRequest", *, as_json: bool, strict: bool) -> None:
    """Write the files; print what was written, what was lost, and what contradicts itself."""
    from cnnpipe.cli.via_convert_table import converted_to_json, print_converted
    from cnnpipe.projects.via_convert import convert_files

    converted = convert_files(request)
    if as_json:
        _print_json(converted_to_json(converted))
    else:
        print_converted(converted)
    if not converted.is_written or (strict and not converted.is_whole):
        raise typer.Exit(_REFUSED)


def _label_map(path: Path | None) -> Mapping[str, str | None]:
    from cnnpipe.formats.via.label_map import read_label_map

    return {} if path is None else read_label_map(path)


def _print_json(value: Any) -> None:
    from cnnpipe.cli.via_lines import encode

    typer.echo(encode(value))


@contextmanager
def _running(*, as_json: bool, empty: Mapping[str, Any] | None = None) -> Iterator[None]:
    """Print an error as the one JSON object where that is asked for, on top of what stderr says of it.

    The collector of garbage pauses: a large file makes millions of records, none of them garbage.
    """
    gc.disable()
    try:
        yield
    except CnnpipeError as error:
        if as_json:
            told = {"where": error.where, "what": error.what, "fix": error.fix}
            _print_json({**(empty or {}), "error": told})
        raise
    finally:
        gc.enable()
