"""Scenes: names that can be read, and a page that stays small, however crowded a picture is."""

import base64
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnnpipe.evaluation.detection import judged_of
from cnnpipe.evaluation.detection_faults import (
    Kind,
    detection_kinds,
    faults_by_picture,
    object_kinds,
    worst_first,
)
from cnnpipe.evaluation.detection_suite import judge_detections
from cnnpipe.evaluation.predictions import Detection, DetectPrediction, TrueObject
from cnnpipe.geometry.boxes import Box
from cnnpipe.reports.judged_scenes import answers_of, said_of
from cnnpipe.reports.scenes import MEANINGS, STROKES, Marked, Scene, draw_scene, that_fit

PICTURE = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)


def scene_of(marks: Sequence[Marked], *, num_panels: int = 2, size: tuple[int, int] = (800, 600)) -> Scene:
    panels = [(f"panel {number}", marks) for number in range(num_panels)]
    return draw_scene(PICTURE, panels, title="a.png", said="", size=size)


def mark(left: float, *, kind: Kind = "found", label: str = "ant", top: float = 100.0) -> Marked:
    return Marked(kind=kind, label=label, box=Box(left, top, left + 50, top + 40), score=0.5)


def test_names_of_boxes_at_the_same_place_do_not_cover_each_other() -> None:
    boxes = scene_of([mark(100), mark(100, label="bee"), mark(100, label="cat")]).panels[0].boxes
    assert len({(box.name_x, box.name_y) for box in boxes}) == 3


@given(left=st.floats(0, 799), top=st.floats(0, 599), label=st.text(min_size=1, max_size=30))
def test_a_name_begins_inside_the_picture(left: float, top: float, label: str) -> None:
    scene = scene_of([mark(left, top=top, label=label)])
    (box,) = scene.panels[0].boxes
    assert 0 <= box.name_x < scene.width
    assert box.name_y >= 0


def test_faults_lie_above_what_is_found_and_keep_their_names_in_a_crowd() -> None:
    crowd = [mark(float(number)) for number in range(500)] + [mark(5.0, kind="missed")]
    boxes = scene_of(crowd[::-1]).panels[0].boxes
    assert boxes[-1].told == "missed: ant 0.50"
    assert [box.name for box in boxes if box.name] == ["ant 0.50"]
    hopeless = [mark(float(number), kind="missed") for number in range(500)]
    assert not any(box.name for box in scene_of(hopeless).panels[0].boxes)


@pytest.mark.parametrize("size", [(1, 1), (8000, 10), (10, 8000), (8000, 6000)])
def test_pictures_of_any_proportions_fit_the_page(size: tuple[int, int]) -> None:
    scene = scene_of([mark(0)], size=size)
    assert 1 <= scene.shown_width <= 485
    assert 1 <= scene.shown_height <= 440


def test_three_panels_stand_side_by_side() -> None:
    assert 3 * scene_of([], num_panels=3).shown_width <= 990


def test_scenes_stop_before_the_page_grows_too_large() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (640, 640, 3), dtype=np.uint8)
    endless = (draw_scene(noise, [("truth", [])], title="", said="", size=(640, 640)) for _ in range(500))
    scenes = that_fit(endless, limit=500)
    assert sum(len(scene.picture) for scene in scenes) < 4_000_000
    assert base64.b64decode(scenes[0].picture.split(",")[1])[:2] == b"\xff\xd8"
    assert len(that_fit((scene_of([]) for _ in range(9)), limit=4)) == 4


def test_every_kind_has_a_stroke_and_a_meaning() -> None:
    assert STROKES.keys() == MEANINGS.keys() == {"found", "missed", "wrong class", "false alarm"}


def test_kinds_of_a_picture_are_drawn_and_told() -> None:
    first, second, third, nowhere = (Box(x, 0, x + 10, 10) for x in (0, 100, 200, 300))
    predictions = [
        prediction("clean.png", objects=[("ant", first)], detections=[("ant", first)]),
        prediction(
            "bad.png",
            objects=[("ant", first), ("bee", second), ("bee", third)],
            detections=[("ant", first), ("ant", second), ("bee", nowhere)],
        ),
    ]
    classes = ["ant", "bee"]
    judged = judge_detections(
        judged_of(predictions, classes), classes, dict.fromkeys(classes, 0.5), ["a", "b"]
    )
    assert object_kinds(judged.said) == ["found", "found", "wrong class", "missed"]
    assert detection_kinds(judged.said) == ["found", "found", "wrong class", "false alarm"]
    assert faults_by_picture(judged.said).tolist() == [0, 3]
    assert worst_first([faults_by_picture(judged.said)]) == [1, 0]
    answers = answers_of(predictions, judged.said)
    assert [(one.label, one.kind, one.truth) for one in answers.reported[1]] == [
        ("ant", "found", None),
        ("ant", "wrong class", "bee"),
        ("bee", "false alarm", None),
    ]
    said = said_of(answers.truths[1], answers.reported[1])
    assert said == "1 of 3 objects found, 1 missed, 1 wrong class, 1 false alarm"
    assert said_of(answers.truths[0], answers.reported[0]) == "1 of 1 object found"
    assert said_of([], [mark(0, kind="false alarm")] * 2) == "no object, 2 false alarms"


def prediction(
    image_id: str, *, objects: list[tuple[str, Box]], detections: list[tuple[str, Box]]
) -> DetectPrediction:
    return DetectPrediction(
        image_id=image_id,
        group=image_id,
        width=400,
        height=100,
        objects=[TrueObject(region=0, label=label, box=box) for label, box in objects],
        detections=[Detection(label=label, score=0.9, box=box) for label, box in detections],
    )
