"""Stage compare with detectors, alone and beside classifiers: each task is ranked and paired for itself."""

import json
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

import bundles
import msgspec
import numpy as np
import pytest
import toy_views

from cnnpipe import files
from cnnpipe.annotations import Split
from cnnpipe.cli.results import print_table
from cnnpipe.datasets.packs import open_detect_view, positions_of
from cnnpipe.errors import DataError
from cnnpipe.evaluation.comparison import Comparison
from cnnpipe.evaluation.detection import judged_of
from cnnpipe.evaluation.detection_suite import detection_metrics, judge_detections
from cnnpipe.evaluation.predictions import Detection, DetectPrediction, Prediction, TrueObject
from cnnpipe.geometry.boxes import Box
from cnnpipe.models.bundle import MODEL_FILE, ModelSpec
from cnnpipe.params.document import Document
from cnnpipe.params.evaluate import CompareParams
from cnnpipe.params.experiment import ExperimentParams
from cnnpipe.params.load import check, read_yaml
from cnnpipe.stages import compare as stage

CLASSES = ("<b>ant", "bee", "中文")
PARAMS = CompareParams(classify="accuracy", detect="map_50", seed=3, bootstrap_samples=300, confidence=0.9)
THRESHOLD = 0.5


@pytest.fixture(scope="module")
def recipes() -> dict[str, ExperimentParams]:
    params = Path(__file__).resolve().parents[2] / "params.yaml"
    experiments = check(read_yaml(params), Document, where="params.yaml", section="").experiments
    return {experiments[name].task: experiments[name] for name in ("lenet", "fcos-lite0")}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three detectors on one view, of very different worth; not to be changed."""
    folder = tmp_path_factory.mktemp("made")
    splits: tuple[Split, ...] = ("train", "val", "test")
    toy_views.make_detect_view(folder / "views" / "detect", splits=splits, num_samples=75, classes=CLASSES)
    bundles.make_detect_bundle(folder / "models" / "good", folder / "views" / "detect", classes=CLASSES)
    path = folder / "models" / "good" / MODEL_FILE
    spec = msgspec.structs.replace(
        files.read_json(path, ModelSpec), thresholds=dict.fromkeys(CLASSES, THRESHOLD)
    )
    files.write_json(path, spec)
    for seed, (name, share) in enumerate({"good": 0.9, "middling": 0.6, "poor": 0.2}.items()):
        if name != "good":
            shutil.copytree(folder / "models" / "good", folder / "models" / name)
        judge(folder, name, spec, share=share, seed=seed)
    return folder


def judge(folder: Path, name: str, spec: ModelSpec, *, share: float, seed: int) -> None:
    """Write results/<name> of a detector that finds a share of the objects."""
    metrics: dict[str, float] = {}
    splits: dict[Split, str] = {"val": "predictions_val.jsonl", "test": "predictions.jsonl"}
    for split, file in splits.items():
        predictions = predict(folder / "views" / "detect", split, share=share, seed=seed)
        files.write_jsonl(folder / "results" / name / file, predictions)
        groups = [prediction.group for prediction in predictions]
        judged = judge_detections(judged_of(predictions, CLASSES), CLASSES, spec.thresholds, groups)
        found = detection_metrics(judged, seed=1, num_resamples=100, confidence=0.9)
        metrics |= {f"{split}/{metric}": value for metric, value in found.items()}
    files.write_json(folder / "results" / name / "metrics.json", metrics)


def predict(view: Path, split: Split, *, share: float, seed: int) -> list[DetectPrediction]:
    opened, generator, predictions = open_detect_view(view), np.random.default_rng(seed), []
    for position in positions_of(opened, split):
        sample = opened.samples[position]
        boxes = [Box(*(2.0 * value for value in msgspec.structs.astuple(box))) for box in sample.boxes]
        labels = [CLASSES[index] for index in sample.class_index]
        detections = [
            Detection(label=label, score=round(float(generator.uniform(0.55, 1)), 3), box=box)
            for label, box in zip(labels, boxes, strict=True)
            if generator.random() < share
        ]
        alarm = Detection(
            label="bee", score=round(float(generator.uniform(0.05, 0.6)), 3), box=Box(0, 0, 9, 9)
        )
        predictions.append(
            DetectPrediction(
                image_id=sample.image_id,
                group=sample.group,
                width=sample.original_width,
                height=sample.original_height,
                objects=[
                    TrueObject(region=region, label=label, box=box)
                    for region, (label, box) in enumerate(zip(labels, boxes, strict=True))
                ],
                detections=[*detections, alarm],
            )
        )
    return predictions


@pytest.fixture
def project(made: Path, tmp_path: Path) -> Path:
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    return tmp_path


def run(
    project: Path,
    names: Sequence[str],
    recipes: dict[str, ExperimentParams],
    *,
    classifiers: Sequence[str] = (),
    params: CompareParams = PARAMS,
) -> Comparison:
    inputs = stage.CompareInputs(
        results=project / "results", models=project / "models", views=project / "views"
    )
    experiments = dict.fromkeys(names, recipes["detect"]) | dict.fromkeys(classifiers, recipes["classify"])
    return stage.compare(inputs, experiments, project / "comparison", params)


def page_of(project: Path) -> str:
    return (project / "comparison" / "compare.html").read_text(encoding="utf-8")


def add_classifier(project: Path, name: str) -> None:
    view = project / "views" / "classify"
    if not view.exists():
        bundles.make_view(view, pictures_per_split=5)
    bundles.make_bundle(project / "models" / name, view)
    predictions = [
        Prediction(
            image_id=f"{number}.png",
            region=number,
            group=str(number),
            label="boot",
            scores={"boot": 0.5, "coat": 0.3, "dress": 0.2},
        )
        for number in range(10)
    ]
    files.write_jsonl(project / "results" / name / "predictions.jsonl", predictions)
    files.write_json(project / "results" / name / "metrics.json", {"val/accuracy": 1.0, "test/accuracy": 1.0})


@pytest.mark.parametrize("metric", ["map_50", "map_50_95"])
def test_detectors_are_ranked_on_val_and_paired_on_test(
    project: Path, recipes: dict[str, ExperimentParams], metric: str
) -> None:
    params = PARAMS.model_copy(update={"detect": metric})
    comparison = run(project, ["poor", "middling", "good"], recipes, params=params)
    assert [(one.name, one.task, one.metric, one.rank) for one in comparison.experiments] == [
        ("good", "detect", metric, 1),
        ("middling", "detect", metric, 2),
        ("poor", "detect", metric, 3),
    ]
    pair = next(one for one in comparison.pairs if (one.first, one.second) == ("good", "poor"))
    good, poor = (
        json.loads((project / f"results/{name}/metrics.json").read_text(encoding="utf-8"))
        for name in ("good", "poor")
    )
    assert pair.difference.value == pytest.approx(good[f"test/{metric}"] - poor[f"test/{metric}"])
    assert pair.difference.ci_low is not None
    assert pair.difference.ci_high is not None
    assert 0 < pair.difference.ci_low < pair.difference.value < pair.difference.ci_high


def test_objects_only_one_finds_are_counted(project: Path, recipes: dict[str, ExperimentParams]) -> None:
    pair = run(project, ["good", "poor"], recipes).pairs[0]
    found = {}
    for name in ("good", "poor"):
        predictions = files.read_jsonl(project / f"results/{name}/predictions.jsonl", DetectPrediction)
        found[name] = [
            any((one.box, one.label) == (thing.box, thing.label) for one in of.detections)
            for of in predictions
            for thing in of.objects
        ]
    both = list(zip(found["good"], found["poor"], strict=True))
    assert (pair.only_first_right, pair.only_second_right) == (
        both.count((True, False)),
        both.count((False, True)),
    )


def test_tasks_stand_beside_each_other_and_are_not_mixed(
    project: Path, recipes: dict[str, ExperimentParams], capsys: pytest.CaptureFixture[str]
) -> None:
    add_classifier(project, "lenet")
    add_classifier(project, "other")
    comparison = run(project, ["good", "poor"], recipes, classifiers=["lenet", "other"])
    assert [(one.name, one.task, one.rank) for one in comparison.experiments] == [
        ("lenet", "classify", 1),
        ("other", "classify", 1),
        ("good", "detect", 1),
        ("poor", "detect", 2),
    ]
    assert [(pair.task, pair.first, pair.second) for pair in comparison.pairs] == [
        ("classify", "lenet", "other"),
        ("detect", "good", "poor"),
    ]
    assert comparison.notes == []  # that tasks have different views is no matter of different data
    assert files.read_json(project / "comparison/compare.json", Comparison) == comparison
    page = page_of(project)
    assert "<h1>4 experiments</h1>" in page
    assert page.index("Classification: 2 experiments by Accuracy") < page.index(
        "Detection: 2 experiments by mAP 50"
    )
    print_table(comparison, {})
    table = capsys.readouterr().out
    assert re.search(r"lenet +classify .*accuracy", table)
    assert re.search(r"good +detect .*map_50", table)


def test_every_picture_has_the_truth_and_a_panel_per_detector(
    project: Path, recipes: dict[str, ExperimentParams]
) -> None:
    run(project, ["good", "poor"], recipes)
    scenes = page_of(project).split('<section class="scene">')[1:]
    assert len(scenes) == 12
    for scene in scenes:
        assert scene.count('class="panel"') == 3
        assert scene.count("data:image/jpeg;base64,") == 1
    assert "of 3 objects found" in scenes[0]


def test_page_stands_alone_and_escapes_names(project: Path, recipes: dict[str, ExperimentParams]) -> None:
    add_classifier(project, "lenet")
    run(project, ["good", "poor"], recipes, classifiers=["lenet"])
    page = page_of(project)
    assert "<b>ant" not in page
    assert "&lt;b&gt;ant" in page
    assert {url for url in re.findall(r"https?://[^\s\"']+", page) if "w3.org" not in url} == set()
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'(?:href="#|url\(#)([^")]+)', page)) <= set(ids)


def test_pictures_of_another_view_are_not_shown(project: Path, recipes: dict[str, ExperimentParams]) -> None:
    toy_views.make_detect_view(
        project / "views" / "detect", splits=("train", "test"), classes=CLASSES, seed=4
    )
    assert len(run(project, ["good", "poor"], recipes).pairs) == 1
    assert "no experiment was judged on the view as it is now" in page_of(project)
    assert "data:image" not in page_of(project)


def test_same_inputs_same_bytes(project: Path, recipes: dict[str, ExperimentParams]) -> None:
    run(project, ["good", "poor"], recipes)
    first = {path.name: path.read_bytes() for path in (project / "comparison").iterdir()}
    run(project, ["poor", "good"], recipes)
    assert {path.name: path.read_bytes() for path in (project / "comparison").iterdir()} == first


def test_predictions_of_other_classes_are_refused(
    project: Path, recipes: dict[str, ExperimentParams]
) -> None:
    path = project / "models" / "good" / MODEL_FILE
    spec = files.read_json(path, ModelSpec)
    files.write_json(path, msgspec.structs.replace(spec, classes=["bee"], thresholds={"bee": 0.5}))
    with pytest.raises(DataError, match=r"(?s)does not fit the classes bee.*fix: run evaluate again"):
        run(project, ["good"], recipes)
    assert not (project / "comparison").exists()
