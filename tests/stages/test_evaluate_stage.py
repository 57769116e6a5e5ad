"""Stage evaluate: its files, its refusals, and its numbers recomputed from its files by scikit-learn."""

import csv
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bundles
import numpy as np
import numpy.typing as npt
import pytest
from detections import run_pycocotools
from sklearn import metrics  # type: ignore[import-untyped]  # no stubs

from cnnpipe import files
from cnnpipe.annotations import Split
from cnnpipe.datasets.packs import open_view, picture_at, positions_of
from cnnpipe.errors import DataError, ModelError
from cnnpipe.evaluation.predictions import Prediction
from cnnpipe.inference.classifier import Classifier
from cnnpipe.params.evaluate import EvaluateParams
from cnnpipe.reports.thumbnails import thumbnail_uri
from cnnpipe.stages import evaluate as stage
from cnnpipe.tasks.classify import judgement

Floats = npt.NDArray[np.float64]
CLASSES = ("50%", "_hidden", "c++", "عربى", "中文", "a,<b>")
PARAMS = EvaluateParams(seed=7, bootstrap_samples=200, confidence=0.9, worst_samples=5)


@pytest.fixture(scope="module")
def recorded() -> Iterator[list[tuple[Path, Path]]]:
    """Keep MLflow out, and see what it would have been told."""
    calls: list[tuple[Path, Path]] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "cnnpipe.tracking.projection.ensure_run_if_reachable",
            lambda model, results: calls.append((model, results)),
        )
        yield calls


@pytest.fixture
def good_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the network be as good as a trained one."""
    monkeypatch.setattr(judgement, "predict_view", _predict)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, recorded: object) -> Path:
    """A view, a bundle, and results/ of it; not to be changed."""
    folder = tmp_path_factory.mktemp("project")
    bundles.make_view(folder / "view", classes=CLASSES, pictures_per_split=40)
    bundles.make_bundle(folder / "model", folder / "view", classes=CLASSES)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(judgement, "predict_view", _predict)
        run(folder)
    return folder


def _predict(classifier: Classifier, view: Path, split: Split) -> Floats:
    return drawn_scores(view, split)


def drawn_scores(view: Path, split: Split) -> Floats:
    """Return scores that prefer the truth; many tie, as they are rounded to tenths."""
    opened = open_view(view)
    truth = np.array([opened.samples[position].class_index for position in positions_of(opened, split)], int)
    num_classes = len(opened.view.classes)
    scores = np.random.default_rng(len(split)).dirichlet(np.full(num_classes, 0.5), size=len(truth))
    scores[np.arange(len(truth)), truth] += 0.4
    scores = scores.round(1) + 0.01
    return np.asarray(scores / scores.sum(axis=1, keepdims=True))


def run(folder: Path) -> Path:
    inputs = stage.EvaluateInputs(model=folder / "model", view=folder / "view")
    stage.evaluate("lenet", inputs, folder / "results", PARAMS)
    return folder / "results"


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_writes_every_file_that_the_graph_declares(project: Path, recorded: list[tuple[Path, Path]]) -> None:
    out = project / "results"
    graph = (Path(__file__).resolve().parents[2] / "dvc.yaml").read_text(encoding="utf-8")
    declared = set(re.findall(r"results/\$\{key\}/([\w.]+)", graph))
    assert {path.name for path in out.iterdir()} == declared
    assert {path.stem for path in (out / "plots").iterdir()} == {
        "confusion_matrix",
        "pr_curve",
        "roc_curve",
        "reliability",
        "f1",
        "learning_curve",
    }
    assert (project / "model", out) in recorded


def test_same_inputs_same_bytes_wherever_they_lie(project: Path, tmp_path: Path, good_scores: None) -> None:
    for folder in ("model", "view"):
        shutil.copytree(project / folder, tmp_path / folder)
    first, second = project / "results", run(tmp_path)
    names = sorted(path.relative_to(first) for path in first.rglob("*") if path.is_file())
    assert names == sorted(path.relative_to(second) for path in second.rglob("*") if path.is_file())
    assert [name for name in names if (first / name).read_bytes() != (second / name).read_bytes()] == []


def test_every_metric_can_be_recomputed_from_the_files_by_scikit_learn(project: Path) -> None:
    out = project / "results"
    written = json.loads((out / "metrics.json").read_text(encoding="utf-8"))
    expected: dict[str, float] = {}
    for split, name in (("val", "predictions_val.jsonl"), ("test", "predictions.jsonl")):
        lines = [json.loads(line) for line in (out / name).read_text(encoding="utf-8").splitlines()]
        expected |= {f"{split}/{metric}": value for metric, value in recomputed(lines).items()}
    values = {name: value for name, value in written.items() if not name.endswith(("/ci_low", "/ci_high"))}
    assert values.keys() == expected.keys()
    assert values == pytest.approx(expected, abs=1e-6)


def recomputed(lines: list[dict[str, Any]]) -> dict[str, float]:
    classes = list(lines[0]["scores"])
    truth = np.array([line["label"] for line in lines])
    scores = np.array([[line["scores"][label] for label in classes] for line in lines])
    predicted = np.array(classes)[scores.argmax(axis=1)]
    found = {
        "accuracy": metrics.accuracy_score(truth, predicted),
        "log_loss": metrics.log_loss([classes.index(label) for label in truth], scores),
        "calibration_error": expected_calibration_error(truth == predicted, scores.max(axis=1)),
    }
    for average in ("micro", "macro", "weighted"):
        precision, recall, f1, _ = metrics.precision_recall_fscore_support(truth, predicted, average=average)
        found |= {f"precision_{average}": precision, f"recall_{average}": recall, f"f1_{average}": f1}
    for index, label in enumerate(classes):
        of_class = against_the_rest(truth == label, predicted == label, scores[:, index])
        found |= {f"{name}/{label}": value for name, value in of_class.items()}
    for name in ("average_precision", "average_precision_interpolated", "break_even", "roc_auc"):
        found[f"{name}_macro"] = float(np.mean([found[f"{name}/{label}"] for label in classes]))
    assert found["roc_auc_macro"] == pytest.approx(
        metrics.roc_auc_score([classes.index(label) for label in truth], scores, multi_class="ovr")
    )
    return found


def against_the_rest(
    positive: npt.NDArray[np.bool_], predicted: npt.NDArray[np.bool_], scores: Floats
) -> dict[str, float]:
    precision_T, recall_T, _ = metrics.precision_recall_curve(positive, scores)
    envelope = np.maximum.accumulate(precision_T[:-1])  # recall falls along the curve
    # precision = recall: as many taken as there are positives, tied samples in any order
    order = np.argsort(-scores, kind="stable")
    taken = int(positive.sum())
    cut = scores[order[taken - 1]]
    sure, tied = positive[scores > cut], positive[scores == cut]
    return {
        "precision": metrics.precision_score(positive, predicted),
        "recall": metrics.recall_score(positive, predicted),
        "f1": metrics.f1_score(positive, predicted),
        "specificity": metrics.recall_score(positive, predicted, pos_label=False),
        "negative_precision": metrics.precision_score(positive, predicted, pos_label=False),
        "average_precision": metrics.average_precision_score(positive, scores),
        "average_precision_interpolated": float(np.sum(-np.diff(recall_T) * envelope)),
        "break_even": (sure.sum() + (taken - len(sure)) * tied.mean()) / taken,
        "roc_auc": metrics.roc_auc_score(positive, scores),
    }


def expected_calibration_error(is_right: npt.NDArray[np.bool_], confidence: Floats) -> float:
    error = 0.0
    for index in range(15):
        inside = (confidence > index / 15) & (confidence <= (index + 1) / 15)
        if inside.any():
            error += inside.mean() * abs(is_right[inside].mean() - confidence[inside].mean())
    return error


def test_curves_in_the_files_have_the_areas_of_the_metrics(project: Path) -> None:
    out = project / "results"
    written = json.loads((out / "metrics.json").read_text(encoding="utf-8"))
    roc, pr = read_csv(out / "roc_curve.csv"), read_csv(out / "pr_curve.csv")
    for label in CLASSES:
        rates = np.array([[float(row["fpr"]), float(row["tpr"])] for row in roc if row["class"] == label])
        assert metrics.auc(*rates.T) == pytest.approx(written[f"test/roc_auc/{label}"], abs=1e-6)
        precision, recall = np.array(
            [[float(row["precision"]), float(row["recall"])] for row in pr if row["class"] == label]
        ).T
        area = -np.sum(np.diff(recall) * precision[:-1])
        assert area == pytest.approx(written[f"test/average_precision/{label}"], abs=1e-6)


def test_confusion_matrix_and_labels_agree_with_the_predictions(project: Path) -> None:
    out = project / "results"
    predictions = files.read_jsonl(out / "predictions.jsonl", Prediction)
    pairs = [(prediction.label, predicted_of(prediction)) for prediction in predictions]
    assert [(row["actual"], row["predicted"]) for row in read_csv(out / "labels.csv")] == pairs
    rows = read_csv(out / "confusion_matrix.csv")
    for row in rows:
        for predicted in CLASSES:
            assert int(row[predicted]) == pairs.count((row["truth"], predicted))


def predicted_of(prediction: Prediction) -> str:
    """The class of the highest score; of equal ones the first."""
    return max(prediction.scores.items(), key=lambda item: item[1])[0]


def test_coco_files_hold_each_crop_as_a_picture_with_one_object(project: Path) -> None:
    out = project / "results"
    predictions = files.read_jsonl(out / "predictions.jsonl", Prediction)
    truth = json.loads((out / "truth.coco.json").read_text(encoding="utf-8"))
    results = json.loads((out / "predictions.coco.json").read_text(encoding="utf-8"))
    assert [one["name"] for one in truth["categories"]] == list(CLASSES)
    names = {one["id"]: one["name"] for one in truth["categories"]}
    assert [one["file_name"] for one in truth["images"]] == [f"{p.image_id}#{p.region}" for p in predictions]
    assert [names[one["category_id"]] for one in truth["annotations"]] == [p.label for p in predictions]
    assert [names[one["category_id"]] for one in results] == [predicted_of(p) for p in predictions]
    assert [one["score"] for one in results] == [max(p.scores.values()) for p in predictions]
    for image, annotation, result in zip(truth["images"], truth["annotations"], results, strict=True):
        assert annotation["bbox"] == result["bbox"] == [0, 0, image["width"], image["height"]]
    share_right = np.mean([predicted_of(p) == p.label for p in predictions])
    stats = run_pycocotools(truth, results).eval["recall"][0, :, 0, 2]  # at an IoU of 0.5, by class
    sizes = np.array([sum(p.label == label for p in predictions) for label in CLASSES])
    assert (stats * sizes).sum() / sizes.sum() == pytest.approx(share_right)


def test_predictions_name_their_samples_in_the_order_of_the_view(project: Path) -> None:
    predictions = files.read_jsonl(project / "results" / "predictions_val.jsonl", Prediction)
    opened = open_view(project / "view")
    samples = [opened.samples[position] for position in positions_of(opened, "val")]
    assert [(p.image_id, p.region, p.group, p.label) for p in predictions] == [
        (s.image_id, s.region, s.group, s.label) for s in samples
    ]
    assert [list(p.scores.values()) for p in predictions] == drawn_scores(project / "view", "val").tolist()


def test_intervals_enclose_their_metric(project: Path) -> None:
    written = json.loads((project / "results" / "metrics.json").read_text(encoding="utf-8"))
    with_interval = [name.removesuffix("/ci_low") for name in written if name.endswith("/ci_low")]
    assert {"test/accuracy", "test/f1_macro", "test/roc_auc_macro", "val/accuracy", "test/f1/c++"} <= set(
        with_interval
    )
    for name in with_interval:
        assert written[f"{name}/ci_low"] <= written[name] <= written[f"{name}/ci_high"], name


def test_report_shows_the_surest_mistakes_with_their_pictures(project: Path) -> None:
    out = project / "results"
    page = (out / "report.html").read_text(encoding="utf-8")
    predictions = files.read_jsonl(out / "predictions.jsonl", Prediction)
    wrong = [p for p in predictions if predicted_of(p) != p.label]
    surest = max(wrong, key=lambda p: max(p.scores.values()))
    assert page.count("data:image/jpeg;base64,") == PARAMS.worst_samples
    assert f"{PARAMS.worst_samples} of {len(wrong)} mistakes" in page
    first_card = page.split('class="card"')[1]
    assert f"{surest.image_id} · region {surest.region}" in first_card
    opened = open_view(project / "view")
    ids = [(sample.image_id, sample.region) for sample in opened.samples]
    shown = thumbnail_uri(picture_at(opened, ids.index((surest.image_id, surest.region))))
    assert shown in first_card


def test_report_stands_alone_and_escapes_names(project: Path) -> None:
    page = (project / "results" / "report.html").read_text(encoding="utf-8")
    assert "<b>" not in page
    assert "a,&lt;b&gt;" in page
    assert all(f"<bdi>{name}" in page for name in ("50%", "_hidden", "c++", "عربى", "中文"))
    assert re.findall(r"<(?:script|link|img src=\"http)", page) == []
    assert {url for url in re.findall(r"https?://[^\s\"']+", page) if "w3.org" not in url} == set()
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'(?:href="#|url\(#)([^")]+)', page)) <= set(ids)


def test_untrained_network_goes_all_the_way(tmp_path: Path, recorded: object) -> None:
    bundles.make_view(tmp_path / "view")
    bundles.make_bundle(tmp_path / "model", tmp_path / "view")
    predictions = files.read_jsonl(run(tmp_path) / "predictions.jsonl", Prediction)
    sums = [sum(prediction.scores.values()) for prediction in predictions]
    assert len(sums) == 40
    assert sums == pytest.approx([1.0] * 40)


@pytest.mark.parametrize(
    ("classes", "pictures", "splits", "note"),
    [
        pytest.param(("a", "b"), 10, ("train", "test"), "On val: there is no sample", id="no val"),
        pytest.param(
            tuple(f"<i>{letter}" for letter in "abcdefghij"),
            2,
            ("train", "val", "test"),
            "On test: no sample of",
            id="class missing",
        ),
        pytest.param(("a",), 5, ("train", "val", "test"), "all samples are of one class", id="one class"),
        pytest.param(
            ("a", "b"), 1, ("train", "val", "test"), "all samples belong to one group", id="one group"
        ),
    ],
)
def test_what_cannot_be_measured_is_absent_and_noted(
    tmp_path: Path,
    recorded: object,
    classes: tuple[str, ...],
    pictures: int,
    splits: tuple[Split, ...],
    note: str,
) -> None:
    bundles.make_view(tmp_path / "view", classes=classes, pictures_per_split=pictures, splits=splits)
    bundles.make_bundle(tmp_path / "model", tmp_path / "view", classes=classes)
    out = run(tmp_path)
    page = (out / "report.html").read_text(encoding="utf-8")
    assert note in page
    assert "<i>" not in page
    text = (out / "metrics.json").read_text(encoding="utf-8")
    assert "NaN" not in text
    assert "null" not in text
    assert "test/accuracy" in json.loads(text)


def test_model_of_another_view_is_refused_before_anything_is_written(project: Path, tmp_path: Path) -> None:
    bundles.make_view(tmp_path / "other", classes=CLASSES, seed=1)
    inputs, out = stage.EvaluateInputs(model=project / "model", view=tmp_path / "other"), tmp_path / "results"
    with pytest.raises(ModelError, match=r"(?s)another view.*fix: train it again"):
        stage.evaluate("lenet", inputs, out, PARAMS)
    assert not out.exists()


def test_view_without_test_samples_is_refused(tmp_path: Path, recorded: object) -> None:
    bundles.make_view(tmp_path / "view", splits=("train", "val"))
    bundles.make_bundle(tmp_path / "model", tmp_path / "view")
    with pytest.raises(
        DataError, match=r"(?s)no sample is in the split test.*fix: raise split.test_fraction"
    ):
        run(tmp_path)
    assert not (tmp_path / "results").exists()
