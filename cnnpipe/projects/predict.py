"""Predict on any number of pictures: lines of JSON, drawn pictures, and a VIA project to correct.

A run that was stopped, however hard, goes on where it was: the lines of a batch are written at once, after
its pictures were drawn, and nothing about a picture is kept in memory longer.
"""

from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any, Final

import msgspec

from cnnpipe import files
from cnnpipe.errors import DataError
from cnnpipe.formats.picture_files import PictureFiles
from cnnpipe.inference.annotator import Annotator, open_annotator
from cnnpipe.inference.picture_batches import LoadedPicture, Reading, picture_batches
from cnnpipe.inference.torch_settings import repeatable_torch
from cnnpipe.models.bundle import MODEL_FILE, ModelSpec
from cnnpipe.projects.prediction_lines import line_of, read_predictions
from cnnpipe.projects.prediction_records import (
    LINES_FILE,
    PART_FILE,
    PicturePrediction,
    PredictModel,
    PredictRun,
    PredictSettings,
    shown_name,
)
from cnnpipe.projects.prediction_state import (
    check_own,
    drawn_path,
    note_written,
    only_one,
    resume,
    take_up,
)
from cnnpipe.projects.prediction_via import write_predictions
from cnnpipe.reports.drawn_pictures import Mark, draw_marks

Tell = Callable[[int, int], None]  # how many pictures are done, of how many
_Lines = list[PicturePrediction]
_NUM_PAINTERS: Final = 2  # threads; JPEG encoding runs beside the network


class PredictJob(msgspec.Struct, frozen=True, kw_only=True):
    """What is predicted, by what, and where it goes."""

    bundle: Path  # folder with model.json and weights.safetensors
    pictures: PictureFiles
    out: Path
    settings: PredictSettings
    via: Path | None = None  # the VIA project to write


class Predicted(msgspec.Struct, frozen=True, kw_only=True):
    """What came out."""

    num_pictures: int
    num_taken_over: int  # from a former run
    num_failed: int
    num_detections: int | None  # None: not of a detector
    first_error: PicturePrediction | None


def predict(job: PredictJob, tell: Tell) -> Predicted:
    """Write predictions.jsonl, drawn/ and run.json below `job.out`, and the VIA project; return the counts.

    Runs on one thread of the CPU, so that every machine finds the same numbers; others decode and draw.

    Args:
        job: what to do.
        tell: called after each batch.

    Raises:
        ModelError: the bundle cannot be used.
        ParamsError: an option does not suit the model.
        DataError: not one picture could be read; or the folder or the VIA project hold something else.
        BusyError: another process predicts into the folder.
    """
    annotator = open_annotator(job.bundle, threshold=job.settings.threshold)
    via = None if job.via is None else job.via.absolute()
    with only_one(job.out):
        run = take_up(job.out, _run_of(job, annotator.spec))
        if via is not None:
            check_own(via, run)
        done = resume(job.out, job.pictures)
        _predict_rest(job, annotator, done, tell)
        predicted = _count(job.out / LINES_FILE, num_taken_over=done)
        if predicted.num_failed == predicted.num_pictures:
            raise _none_worked(job.out / LINES_FILE, predicted)
        if via is not None:
            _write_via(via, job, annotator.spec, run)
    return predicted


def _run_of(job: PredictJob, spec: ModelSpec) -> PredictRun:
    if shown_name(str(job.pictures.root)) != str(job.pictures.root):
        raise DataError(shown_name(str(job.pictures.root)), "its name is not Unicode", "rename the folder")
    return PredictRun(
        model=PredictModel(
            task=spec.task,
            network=spec.network,
            weights_sha256=spec.weights_sha256,
            model_sha256=files.sha256_of_file(job.bundle / MODEL_FILE),
        ),
        settings=job.settings,
        root=str(job.pictures.root),
    )


def _predict_rest(job: PredictJob, annotator: Annotator, done: int, tell: Tell) -> None:
    encoder = msgspec.json.Encoder()
    part, names = job.out / PART_FILE, job.pictures.names
    with part.open("ab") as file, closing(_lines(job, annotator, names[done:])) as batches:
        for lines in batches:
            file.write(b"".join(encoder.encode(line) + b"\n" for line in lines))
            file.flush()
            done += len(lines)
            tell(done, len(names))
    part.replace(job.out / LINES_FILE)


def _lines(job: PredictJob, annotator: Annotator, names: Iterable[str]) -> Generator[_Lines, None, None]:
    channels: Any = annotator.spec.preprocessing.channels
    reading = Reading(root=job.pictures.root, channels=channels, max_pixels=job.settings.max_pixels)
    with closing(picture_batches(names, reading)) as batches, repeatable_torch(num_threads=1):
        answered = (_answer(annotator, batch) for batch in batches)
        if job.settings.drawn:
            yield from _drawn(answered, annotator.spec, job.out)
        else:
            yield from (lines for _, lines in answered)


def _answer(annotator: Annotator, batch: list[LoadedPicture]) -> tuple[list[LoadedPicture], _Lines]:
    answers = iter(annotator.annotate([each.pixels for each in batch if each.pixels is not None]))
    return batch, [line_of(each, None if each.pixels is None else next(answers)) for each in batch]


def _drawn(
    answered: Iterator[tuple[list[LoadedPicture], _Lines]], spec: ModelSpec, out: Path
) -> Iterator[_Lines]:
    """Yield the lines of each batch when its pictures are drawn: while the next one is with the network."""
    marks_of = partial(_marks, spec)
    with ThreadPoolExecutor(_NUM_PAINTERS, thread_name_prefix="draw") as pool:
        waiting: tuple[_Lines, list[Future[None]]] | None = None
        try:
            for batch, lines in answered:
                pairs = zip(batch, lines, strict=True)
                drawing = [
                    pool.submit(_draw, *pair, marks_of, out) for pair in pairs if pair[0].pixels is not None
                ]
                if waiting is not None:
                    yield _finished(*waiting)
                waiting = lines, drawing
            if waiting is not None:
                yield _finished(*waiting)
        finally:
            pool.shutdown(cancel_futures=True)


def _finished(lines: _Lines, drawing: list[Future[None]]) -> _Lines:
    for future in drawing:
        future.result()
    return lines


def _draw(
    picture: LoadedPicture,
    line: PicturePrediction,
    marks_of: Callable[[PicturePrediction], list[Mark]],
    out: Path,
) -> None:
    if picture.pixels is not None:
        content = draw_marks(picture.pixels, marks_of(line))
        files.write_bytes(drawn_path(out, picture.name), content)


def _marks(spec: ModelSpec, line: PicturePrediction) -> list[Mark]:
    if line.value is not None:
        return [Mark(text=f"{spec.label_attribute} {line.value:.4g}", colour=0)]
    colours = {label: number for number, label in enumerate(spec.classes)}
    if line.label is not None:
        return [Mark(text=f"{line.label} {line.score:.2f}", colour=colours[line.label])]
    return [
        Mark(text=f"{each.label} {each.score:.2f}", colour=colours[each.label], box=each.box)
        for each in line.detections or ()
    ]


def _count(path: Path, *, num_taken_over: int) -> Predicted:
    num_pictures = num_failed = num_detections = 0
    is_detector, first_error = False, None
    for line in read_predictions(path):
        num_pictures += 1
        if line.error is not None:
            num_failed += 1
            first_error = first_error or line
        if line.detections is not None:
            is_detector = True
            num_detections += len(line.detections)
    return Predicted(
        num_pictures=num_pictures,
        num_taken_over=num_taken_over,
        num_failed=num_failed,
        num_detections=num_detections if is_detector else None,
        first_error=first_error,
    )


def _none_worked(path: Path, predicted: Predicted) -> DataError:
    first = predicted.first_error
    told = "" if first is None else f"; the first, {first.picture!r}, {first.error}"
    what = f"none of {predicted.num_pictures} pictures could be read{told}"
    return DataError(str(path), what, "every line says why; mend the files, then run the same command again")


def _write_via(path: Path, job: PredictJob, spec: ModelSpec, run: PredictRun) -> None:
    """Write the project beside its place, note it for ours, and only then put it there."""
    new = path.with_name(f"{path.name}.new")
    lines = read_predictions(job.out / LINES_FILE)
    write_predictions(new, lines, spec, root=job.pictures.root, name=path.stem)
    check_own(path, run)  # a person may have saved their corrections meanwhile
    note_written(job.out, run, path, new)
    new.replace(path)
