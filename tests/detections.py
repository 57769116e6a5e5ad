"""Random pictures with objects and detections, and pycocotools' numbers of them."""

import contextlib
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from pycocotools.coco import COCO  # type: ignore[import-untyped]  # no stubs
from pycocotools.cocoeval import COCOeval  # type: ignore[import-untyped]  # no stubs

from cnnpipe.evaluation.detection import COCO_NAMES, Judged, xywh


def drawn_pictures(
    *,
    seed: int,
    num_pictures: int = 6,
    num_classes: int = 3,
    max_truths: int = 6,
    max_found: int = 12,
    score_steps: int = 8,
    mean_side_px: float = 40.0,
) -> list[Judged]:
    """Return pictures whose detections lie near objects: some twice, some of another class, many tie."""
    generator = np.random.default_rng(seed)
    return [
        _drawn(
            generator,
            num_classes,
            generator.integers((max_truths + 1, max_found + 1)),
            score_steps,
            mean_side_px,
        )
        for _ in range(num_pictures)
    ]


def _drawn(
    generator: np.random.Generator, num_classes: int, counts: Any, score_steps: int, mean_side_px: float
) -> Judged:
    num_truths, num_found = counts
    corners = generator.integers(0, 200, (num_truths, 2))
    sides = 1 + generator.exponential(mean_side_px, (num_truths, 2)).round()
    truth_class = generator.integers(0, num_classes, num_truths)
    truth_boxes = np.hstack([corners, corners + sides]).astype(np.float64)
    if num_truths:
        chosen = generator.integers(0, num_truths, num_found)
        shift = generator.normal(0, 0.12, (num_found, 4)) * np.tile(sides[chosen], 2)
        boxes = (truth_boxes[chosen] + shift * generator.integers(0, 2, (num_found, 1))).round(1)
        is_other = generator.random(num_found) < 0.2
        class_index = np.where(is_other, generator.integers(0, num_classes, num_found), truth_class[chosen])
    else:
        boxes = np.tile([10.0, 10.0, 40.0, 30.0], (num_found, 1))
        class_index = generator.integers(0, num_classes, num_found)
    boxes[:, 2:] = np.maximum(boxes[:, 2:], boxes[:, :2] + 0.5)
    return Judged(
        truth_boxes_N4=truth_boxes,
        truth_class_N=truth_class,
        boxes_M4=boxes,
        scores_M=generator.integers(1, score_steps + 1, num_found) / score_steps,
        class_M=class_index,
    )


def pycocotools_numbers(pictures: Sequence[Judged], *, num_classes: int) -> dict[str, float]:
    """Return the twelve numbers by pycocotools, undefined ones (-1) left out."""
    evaluation = run_pycocotools(*as_coco(pictures, num_classes=num_classes))
    values = zip(COCO_NAMES.values(), evaluation.stats, strict=True)
    return {name: float(value) for name, value in values if value > -1}


def as_coco(pictures: Sequence[Judged], *, num_classes: int) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return truth and results as COCO's files hold them."""
    annotations: list[dict[str, Any]] = []
    results: list[dict[str, Any]] = []
    for number, picture in enumerate(pictures, start=1):
        boxes, classes = xywh(picture.truth_boxes_N4).tolist(), picture.truth_class_N.tolist()
        for box, index in zip(boxes, classes, strict=True):
            annotation = {"image_id": number, "category_id": index + 1, "bbox": box, "area": box[2] * box[3]}
            annotations.append(annotation | {"id": len(annotations) + 1, "iscrowd": 0})
        found = zip(
            xywh(picture.boxes_M4).tolist(), picture.scores_M.tolist(), picture.class_M.tolist(), strict=True
        )
        results += [
            {"image_id": number, "category_id": index + 1, "bbox": box, "score": score}
            for box, score, index in found
        ]
    categories = [{"id": number, "name": str(number)} for number in range(1, num_classes + 1)]
    images = [{"id": number} for number in range(1, len(pictures) + 1)]
    return {"info": {}, "images": images, "annotations": annotations, "categories": categories}, results


def run_pycocotools(dataset: dict[str, Any], results: list[dict[str, Any]]) -> Any:
    """Return pycocotools' evaluation, summarised."""
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = dataset
        truth.createIndex()
        found = truth.loadRes(results) if results else _empty(dataset)  # loadRes refuses an empty list
        evaluation = COCOeval(truth, found, "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation


def _empty(dataset: dict[str, Any]) -> COCO:
    found = COCO()
    found.dataset = dataset | {"annotations": []}
    found.createIndex()
    return found
