"""From what a network says of a picture to its line of predictions.jsonl, and back."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from cnnpipe.inference.annotator import Answer
from cnnpipe.inference.picture_batches import LoadedPicture
from cnnpipe.projects.prediction_records import PicturePrediction, shown_name

_SCORE_DIGITS: Final = 6  # more differ from batch to batch


def line_of(picture: LoadedPicture, answer: Answer | None) -> PicturePrediction:
    """Return the line of one picture.

    Args:
        picture: as it was loaded.
        answer: of the network; None where there are no pixels.
    """
    name = shown_name(picture.name)
    if picture.pixels is None or answer is None:
        return PicturePrediction(picture=name, size_bytes=picture.size_bytes, error=picture.error)
    label = None if answer.scores is None else max(answer.scores, key=answer.scores.__getitem__)
    scores = None if answer.scores is None else {key: _rounded(score) for key, score in answer.scores.items()}
    return PicturePrediction(
        picture=name,
        width=picture.pixels.shape[1],
        height=picture.pixels.shape[0],
        size_bytes=picture.size_bytes,
        sha256=picture.sha256,
        label=label,
        score=None if scores is None or label is None else scores[label],
        scores=scores,
        detections=None
        if answer.detections is None
        else [msgspec.structs.replace(each, score=_rounded(each.score)) for each in answer.detections],
        value=None if answer.value is None else _in_short(answer.value),
    )


def read_predictions(path: Path) -> Iterator[PicturePrediction]:
    """Yield the lines of a predictions.jsonl one by one; it may be larger than memory."""
    decoder = msgspec.json.Decoder(PicturePrediction)
    with path.open("rb") as file:
        for line in file:
            yield decoder.decode(line)


def _in_short(value: float) -> float:
    """Return a number of any unit with six digits that count: more differ from batch to batch."""
    return float(f"{value:.{_SCORE_DIGITS}g}")


def _rounded(score: float) -> float:
    return round(score, _SCORE_DIGITS)
