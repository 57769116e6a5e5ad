"""Stage evaluate on a detector: its numbers recomputed from its files by pycocotools and scikit-learn."""

import csv
import json
import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import bundles
import msgspec
import numpy as np
import pytest
import toy_views
from detections import run_pycocotools
from sklearn import metrics  # type: ignore[import-untyped]  # no stubs

from cnnpipe import files
from cnnpipe.annotations import Split
from cnnpipe.datasets.packs import open_detect_view, positions_of
from cnnpipe.errors import DataError, ModelError
from cnnpipe.evaluation.detection import COCO_NAMES
from cnnpipe.evaluation.predictions import DetectPrediction
from cnnpipe.inference.detector import Detector, Found
from cnnpipe.models.bundle import MODEL_FILE, ModelSpec
from cnnpipe.params.evaluate import EvaluateParams
from cnnpipe.stages import evaluate as stage
from cnnpipe.tasks.detect import judgement

CLASSES = ("c++", "<i>bee", "中文")
PARAMS = EvaluateParams(seed=7, bootstrap_samples=200, confidence=0.9, worst_samples=5)
SPLITS: tuple[Split, ...] = ("train", "val", "test")


@pytest.fixture(scope="module", autouse=True)
def recorded() -> Iterator[list[tuple[Path, Path]]]:
    """Keep MLflow out, and see what it would have been told."""
    calls: list[tuple[Path, Path]] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "cnnpipe.tracking.projection.ensure_run_if_reachable",
            lambda model, results: calls.append((model, results)),
        )
        yield calls


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A view, a bundle of a detector that finds a good part, and results/ of it; not to be changed."""
    folder = tmp_path_factory.mktemp("project")
    toy_views.make_detect_view(folder / "view", splits=SPLITS, num_samples=60, classes=CLASSES)
    make_bundle(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(judgement, "detect_view", drawn_detections)
        run(folder)
    return folder


def make_bundle(folder: Path, *, threshold: float = 0.4) -> None:
    bundles.make_detect_bundle(folder / "model", folder / "view", classes=CLASSES)
    path = folder / "model" / MODEL_FILE
    spec = files.read_json(path, ModelSpec)
    files.write_json(path, msgspec.structs.replace(spec, thresholds=dict.fromkeys(CLASSES, threshold)))


def drawn_detections(detector: Detector, view: Path, split: Split) -> list[Found]:
    """Return boxes near most objects, a few twice or of a wrong class, one on nothing; in original pixels."""
    opened, generator, found = open_detect_view(view), np.random.default_rng(5), []
    for position in positions_of(opened, split):
        sample = opened.samples[position]
        corners = np.array([msgspec.structs.astuple(box) for box in sample.boxes]).reshape(-1, 4) * 2
        chosen = generator.random(len(corners)) < 0.8
        near = corners[chosen] + generator.normal(0, 3, (int(chosen.sum()), 4))
        class_index = np.array(sample.class_index, np.int64)[chosen]
        is_wrong = generator.random(len(near)) < 0.15
        boxes = np.concatenate([near, near[:1] + 1, [[1.0, 1.0, 20.0, 30.0]]]).clip(0, None)
        size = np.array([sample.original_width, sample.original_height] * 2)
        classes = np.concatenate(
            [np.where(is_wrong, (class_index + 1) % 3, class_index), class_index[:1], [0]]
        )
        order = np.argsort(-(scores := generator.uniform(0.1, 1, len(boxes)).round(2)), kind="stable")
        found.append(Found(np.minimum(boxes, size)[order], scores[order], classes[order]))
    return found


def run(folder: Path) -> Path:
    inputs = stage.EvaluateInputs(model=folder / "model", view=folder / "view")
    stage.evaluate("fcos", inputs, folder / "results", PARAMS)
    return folder / "results"


def read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_writes_every_file_that_the_graph_declares(project: Path, recorded: list[tuple[Path, Path]]) -> None:
    out = project / "results"
    graph = (Path(__file__).resolve().parents[2] / "dvc.yaml").read_text(encoding="utf-8")
    declared = set(re.findall(r"results/\$\{key\}/([\w.]+)", graph))
    assert {path.name for path in out.iterdir()} == declared
    assert {path.stem for path in (out / "plots").iterdir()} == {
        *("confusion_matrix", "pr_curve", "roc_curve", "ap_50", "learning_curve"),
    }
    assert (project / "model", out) in recorded


def test_coco_numbers_can_be_recomputed_from_the_files_by_pycocotools(project: Path) -> None:
    out = project / "results"
    written = read_json(out / "metrics.json")
    evaluation = run_pycocotools(read_json(out / "truth.coco.json"), read_json(out / "predictions.coco.json"))
    for name, value in zip(COCO_NAMES.values(), evaluation.stats, strict=True):
        if value > -1:
            assert written[f"test/{name}"] == pytest.approx(value, abs=1e-6), name
        else:
            assert f"test/{name}" not in written
    for index, label in enumerate(CLASSES):
        of_class = evaluation.eval["precision"][:, :, index, 0, 2]
        assert written[f"test/ap_50/{label}"] == pytest.approx(of_class[0].mean(), abs=1e-6)
        assert written[f"test/ap_50_95/{label}"] == pytest.approx(of_class.mean(), abs=1e-6)


def test_coco_files_and_predictions_say_the_same_in_pixels_of_the_originals(project: Path) -> None:
    out = project / "results"
    truth, results = read_json(out / "truth.coco.json"), read_json(out / "predictions.coco.json")
    predictions = files.read_jsonl(out / "predictions.jsonl", DetectPrediction)
    opened = open_detect_view(project / "view")
    samples = [opened.samples[position] for position in positions_of(opened, "test")]
    assert [(one["file_name"], one["width"], one["height"]) for one in truth["images"]] == [
        (sample.image_id, sample.original_width, sample.original_height) for sample in samples
    ]
    assert [one["id"] for one in truth["images"]] == list(range(1, len(samples) + 1))
    assert [one["id"] for one in truth["annotations"]] == list(range(1, len(truth["annotations"]) + 1))
    assert [one["name"] for one in truth["categories"]] == list(CLASSES)
    boxes = [
        [2 * value for value in msgspec.structs.astuple(box)] for sample in samples for box in sample.boxes
    ]
    assert [xyxy(one["bbox"]) for one in truth["annotations"]] == boxes
    assert [xyxy(one["bbox"]) for one in results] == [
        list(msgspec.structs.astuple(found.box)) for of in predictions for found in of.detections
    ]
    assert [one["score"] for one in results] == [found.score for of in predictions for found in of.detections]
    assert {one["iscrowd"] for one in truth["annotations"]} == {0}
    drawn = np.concatenate([found.boxes_N4 for found in drawn_detections(None, project / "view", "test")])  # type: ignore[arg-type]
    assert np.abs(np.array([xyxy(one["bbox"]) for one in results]) - drawn).max() <= 1e-3


def xyxy(box: Sequence[float]) -> list[float]:
    left, top, width, height = box
    return [left, top, left + width, top + height]


def test_metrics_at_the_thresholds_follow_from_labels_and_matrix(project: Path) -> None:
    out = project / "results"
    written = read_json(out / "metrics.json")
    pairs = [(row["actual"], row["predicted"]) for row in read_csv(out / "labels.csv")]
    actual, predicted = zip(*pairs, strict=True)
    for average in ("micro", "macro"):
        precision, recall, f1, _ = metrics.precision_recall_fscore_support(
            actual, predicted, average=average, labels=list(CLASSES)
        )
        expected = {"precision": precision, "recall": recall, "f1": f1}
        for name, value in expected.items():
            assert written[f"test/{name}_{average}"] == pytest.approx(value, abs=1e-6)
    columns = metrics.precision_recall_fscore_support(actual, predicted, labels=list(CLASSES))
    for name, values in zip(("precision", "recall", "f1"), columns[:3], strict=True):
        for label, value in zip(CLASSES, values, strict=True):
            assert written[f"test/{name}/{label}"] == pytest.approx(value, abs=1e-6)
    names = [*CLASSES, "background"]
    rows = read_csv(out / "confusion_matrix.csv")
    assert [row["truth"] for row in rows] == names
    for row in rows:
        assert [int(row[name]) for name in names] == [pairs.count((row["truth"], name)) for name in names]


def test_presence_can_be_recomputed_from_the_predictions_by_scikit_learn(project: Path) -> None:
    out = project / "results"
    written, roc = read_json(out / "metrics.json"), read_csv(out / "roc_curve.csv")
    for split, file in (("val", "predictions_val.jsonl"), ("test", "predictions.jsonl")):
        lines = [json.loads(line) for line in (out / file).read_text(encoding="utf-8").splitlines()]
        for label in CLASSES:
            is_there = [any(one["label"] == label for one in line["objects"]) for line in lines]
            scores = [
                max((one["score"] for one in line["detections"] if one["label"] == label), default=0.0)
                for line in lines
            ]
            area = metrics.roc_auc_score(is_there, scores)
            assert written[f"{split}/presence_roc_auc/{label}"] == pytest.approx(area, abs=1e-6)
    for label in CLASSES:
        rates = np.array([[float(row["fpr"]), float(row["tpr"])] for row in roc if row["class"] == label])
        assert metrics.auc(*rates.T) == pytest.approx(written[f"test/presence_roc_auc/{label}"], abs=1e-6)


def test_curve_in_the_file_has_the_areas_of_the_metrics(project: Path) -> None:
    out = project / "results"
    written, rows = read_json(out / "metrics.json"), read_csv(out / "pr_curve.csv")
    for label in CLASSES:
        precision, recall = np.array(
            [[float(row["precision"]), float(row["recall"])] for row in rows if row["class"] == label]
        )[::-1].T
        best = np.maximum.accumulate(precision[:0:-1])[::-1]
        eleven = np.mean([max(precision[1:][recall[1:] >= step / 10], default=0) for step in range(11)])
        assert np.sum(np.diff(recall) * best) == pytest.approx(
            written[f"test/ap_50_all_points/{label}"], abs=1e-6
        )
        assert eleven == pytest.approx(written[f"test/ap_50_11_points/{label}"], abs=1e-6)


def test_same_inputs_same_bytes_wherever_they_lie(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judgement, "detect_view", drawn_detections)
    for folder in ("model", "view"):
        shutil.copytree(project / folder, tmp_path / folder)
    first, second = project / "results", run(tmp_path)
    names = sorted(path.relative_to(first) for path in first.rglob("*") if path.is_file())
    assert [name for name in names if (first / name).read_bytes() != (second / name).read_bytes()] == []


def test_intervals_enclose_their_metric(project: Path) -> None:
    written = read_json(project / "results" / "metrics.json")
    with_interval = [name.removesuffix("/ci_low") for name in written if name.endswith("/ci_low")]
    assert {"test/map_50", "test/map_50_95", "val/map_50", "test/recall_micro", "test/f1/c++"} <= set(
        with_interval
    )
    for name in with_interval:
        assert written[f"{name}/ci_low"] <= written[name] <= written[f"{name}/ci_high"], name


def test_report_shows_the_worst_pictures_with_every_box(project: Path) -> None:
    page = (project / "results" / "report.html").read_text(encoding="utf-8")
    assert page.count("data:image/jpeg;base64,") == PARAMS.worst_samples
    scenes = page.split('<section class="scene">')[1:]
    assert len(scenes) == PARAMS.worst_samples
    faults = [
        sum(
            int(number)
            for number in re.findall(
                r"(\d+) (?:missed|wrong class|false alarm)", scene.split('class="id"')[1]
            )
        )
        for scene in scenes
    ]
    assert faults == sorted(faults, reverse=True)
    assert faults[0] > 0
    predictions = files.read_jsonl(project / "results" / "predictions.jsonl", DetectPrediction)
    for scene in scenes:
        of = next(one for one in predictions if f"{one.image_id} ·" in scene)
        reported = [one for one in of.detections if one.score >= 0.4]
        assert scene.count('class="under"') == len(of.objects) + len(reported)
        assert all(f"{one.score:.2f}</text>" in scene for one in reported)


def test_report_stands_alone_and_escapes_names(project: Path) -> None:
    page = (project / "results" / "report.html").read_text(encoding="utf-8")
    assert "<i>bee" not in page
    assert "&lt;i&gt;bee" in page
    assert {url for url in re.findall(r"https?://[^\s\"']+", page) if "w3.org" not in url} == set()
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'(?:href="#|url\(#)([^")]+)', page)) <= set(ids)


def test_untrained_network_goes_all_the_way(tmp_path: Path) -> None:
    toy_views.make_detect_view(tmp_path / "view", splits=SPLITS, num_samples=12)
    bundles.make_detect_bundle(tmp_path / "model", tmp_path / "view")
    out = run(tmp_path)
    evaluation = run_pycocotools(read_json(out / "truth.coco.json"), read_json(out / "predictions.coco.json"))
    written = read_json(out / "metrics.json")
    assert written["test/map_50"] == pytest.approx(evaluation.stats[1], abs=1e-6)
    predictions = files.read_jsonl(out / "predictions.jsonl", DetectPrediction)
    for of in predictions:
        for found in of.detections:
            assert 0 <= found.box.x_min < found.box.x_max <= of.width
            assert 0 <= found.box.y_min < found.box.y_max <= of.height


@pytest.mark.parametrize(
    ("splits", "num_samples", "note"),
    [
        pytest.param(("train", "test"), 12, "On val: there is no picture, so no metric.", id="no val"),
        pytest.param(("test", "val"), 2, "On test: all pictures belong to one group", id="one picture"),
        pytest.param(("val", "val", "val", "val", "val", "test"), 6, "On test: no object of", id="no object"),
    ],
)
def test_what_cannot_be_measured_is_absent_and_noted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, splits: tuple[Split, ...], num_samples: int, note: str
) -> None:
    monkeypatch.setattr(judgement, "detect_view", drawn_detections)
    toy_views.make_detect_view(tmp_path / "view", splits=splits, num_samples=num_samples, classes=CLASSES)
    make_bundle(tmp_path)
    out = run(tmp_path)
    assert note in (out / "report.html").read_text(encoding="utf-8")
    text = (out / "metrics.json").read_text(encoding="utf-8")
    assert "NaN" not in text
    assert "null" not in text


def test_nothing_found_at_all_is_no_fault_of_the_pipeline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nothing = Found(np.empty((0, 4)), np.empty(0), np.empty(0, np.int64))
    monkeypatch.setattr(
        judgement,
        "detect_view",
        lambda detector, view, split: [nothing] * len(positions_of(open_detect_view(view), split)),
    )
    toy_views.make_detect_view(tmp_path / "view", splits=SPLITS, num_samples=30, classes=CLASSES)
    make_bundle(tmp_path)
    out = run(tmp_path)
    written = read_json(out / "metrics.json")
    assert written["test/map_50"] == written["test/recall_micro"] == written["test/f1_macro"] == 0
    assert "test/precision_micro" not in written
    assert read_json(out / "predictions.coco.json") == []
    assert "On test: never detected: c++" in (out / "report.html").read_text(encoding="utf-8")


def test_model_of_another_view_is_refused_before_anything_is_written(project: Path, tmp_path: Path) -> None:
    toy_views.make_detect_view(tmp_path / "other", splits=SPLITS, seed=1)
    inputs = stage.EvaluateInputs(model=project / "model", view=tmp_path / "other")
    with pytest.raises(ModelError, match=r"(?s)another view.*fix: train it again"):
        stage.evaluate("fcos", inputs, tmp_path / "results", PARAMS)
    assert not (tmp_path / "results").exists()


def test_view_without_test_pictures_is_refused(tmp_path: Path) -> None:
    toy_views.make_detect_view(tmp_path / "view", splits=("train", "val"), num_samples=6, classes=CLASSES)
    make_bundle(tmp_path)
    with pytest.raises(
        DataError, match=r"(?s)no sample is in the split test.*fix: raise split.test_fraction"
    ):
        run(tmp_path)


def test_bundle_without_its_model_file_is_refused(project: Path, tmp_path: Path) -> None:
    inputs = stage.EvaluateInputs(model=tmp_path, view=project / "view")
    with pytest.raises(ModelError, match=r"(?s)model.json: file not found.*fix: restore the folder"):
        stage.evaluate("fcos", inputs, tmp_path / "results", PARAMS)
