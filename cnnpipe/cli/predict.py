"""The command that predicts on new pictures."""

import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

if TYPE_CHECKING:
    from cnnpipe.projects.predict import Predicted

_ADDRESS: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")  # two letters at least: C:/ is a drive
_TELL_EVERY_S: Final = 10.0


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(predict)


def predict(  # noqa: PLR0913, PLR0917 (one per option)
    model: Annotated[
        str,
        typer.Argument(
            metavar="EXPERIMENT|MODEL",
            help="A trained experiment of this project, the folder of a model, or an address of MLflow "
            "(runs:/…, models:/…).",
        ),
    ],
    pictures: Annotated[
        list[str],
        typer.Argument(
            metavar="PICTURES",
            help="Files, folders, patterns in quotes, or @list.txt with a path per line.",
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder of the results; the same command goes on there.")],
    via: Annotated[Path | None, typer.Option(help="A VIA 2 project to write, to correct by hand.")] = None,
    threshold: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Score from which a box counts, in place of the model's, per class."),
    ] = None,
    drawn: Annotated[bool, typer.Option(help="Draw what was found into copies of the pictures.")] = True,
    max_pixels: Annotated[int, typer.Option(min=1, help="A larger picture is not read.")] = 100_000_000,
) -> None:
    """Predict on new pictures: JSON lines, drawn pictures, a VIA project."""
    from cnnpipe.formats.picture_files import find_pictures
    from cnnpipe.projects.prediction_records import DRAWN_FOLDER, PredictSettings

    found = find_pictures(pictures, leave_out=out / DRAWN_FOLDER)
    for note in found.notes:
        typer.echo(f"predict: {note}", err=True)
    with _bundle_of(model) as bundle:
        from cnnpipe.projects import predict as prediction  # with torch: a mistake above is told at once

        settings = PredictSettings(threshold=threshold, max_pixels=max_pixels, drawn=drawn)
        job = prediction.PredictJob(bundle=bundle, pictures=found, out=out, settings=settings, via=via)
        typer.echo(_summary(prediction.predict(job, _teller()), out, via))


@contextmanager
def _bundle_of(model: str) -> Iterator[Path]:
    if _ADDRESS.match(model):
        from cnnpipe.tracking.fetched_bundle import fetched_bundle  # with MLflow, 3 s: only where it is asked

        with fetched_bundle(model) as folder:
            yield folder
    else:
        from cnnpipe.projects.bundles import find_bundle

        yield find_bundle(model)


def _teller() -> Callable[[int, int], None]:
    """Return what tells the progress on stderr, now and then."""
    started = told = time.monotonic()
    first: int | None = None

    def tell(done: int, total: int) -> None:
        nonlocal told, first
        first = done if first is None else first  # the first batch, and what a former run had done
        now = time.monotonic()
        if now - told < _TELL_EVERY_S or done == first:
            return
        told = now
        rate = (done - first) / (now - started)
        print(f"predict: {done} of {total} pictures, {(total - done) / rate:.0f} s left", file=sys.stderr)

    return tell


def _summary(predicted: "Predicted", out: Path, via: Path | None) -> str:
    parts = [_counted(predicted.num_pictures, "picture", "pictures")]
    if predicted.num_detections is not None:
        parts.append(_counted(predicted.num_detections, "box", "boxes"))
    if predicted.num_taken_over:
        parts.append(f"{predicted.num_taken_over} from a former run")
    if predicted.num_failed and predicted.first_error is not None:
        first = predicted.first_error
        parts.append(f"{predicted.num_failed} could not be read ({first.picture}: {first.error})")
    places = f"{out}, {via}" if via else str(out)
    return f"predict: {', '.join(parts)} -> {places}"


def _counted(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"
