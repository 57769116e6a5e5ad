"""Task regress from records to a champion: a network learns how large a bright square is."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd  # type: ignore[import-untyped]
import pytest
import torch
from mlflow import MlflowClient
from PIL import Image

from cnnpipe import files, paths
from cnnpipe.annotations import LabelledObject, LabelledPicture, Split, SplitRow
from cnnpipe.datasets.packs import open_regress_view, positions_of
from cnnpipe.datasets.records import SAMPLES_FILE, VIEW_FILE, RegressSample, View
from cnnpipe.errors import DataError, ModelError
from cnnpipe.evaluation.comparison import Comparison
from cnnpipe.evaluation.predictions import ValuePrediction
from cnnpipe.evaluation.promotion import Contest, Decision, TaskDecision
from cnnpipe.formats.picture_files import find_pictures
from cnnpipe.formats.via.read import read_via
from cnnpipe.inference.annotator import open_annotator
from cnnpipe.inference.classifier import load_classifier
from cnnpipe.inference.regressor import load_regressor, predict_values
from cnnpipe.models.bundle import MODEL_FILE, ModelSpec
from cnnpipe.params.augment import RegressViewParams
from cnnpipe.params.evaluate import CompareParams, EvaluateParams
from cnnpipe.params.experiment import RegressParams, TrainParams
from cnnpipe.params.register import RegisterParams
from cnnpipe.projects.predict import PredictJob, predict
from cnnpipe.projects.prediction_lines import read_predictions
from cnnpipe.projects.prediction_records import PredictSettings
from cnnpipe.stages import augment, compare, evaluate, register, train
from cnnpipe.tasks.regress.contest import contest
from cnnpipe.tasks.regress.training import prepare
from cnnpipe.tracking.fetched_bundle import fetched_bundle
from cnnpipe.tracking.projection import ensure_runs
from cnnpipe.tracking.registry import champion_of, settle
from cnnpipe.tracking.served import ServedModel
from cnnpipe.training.records import Epoch

VIEW, MODEL = Path("data/augmented/regress"), "project-regress"
MACHINE = TrainParams(device="cpu", precision="float32", num_threads=1, num_workers=0)
JUDGED = EvaluateParams(seed=1, bootstrap_samples=100, confidence=0.9, worst_samples=5)
COMPARED = CompareParams(regress="mae", seed=1, bootstrap_samples=100, confidence=0.9)
SPLITS: tuple[Split, ...] = ("train", "train", "train", "val", "test")
VIEW_PARAMS = {
    "source": "pictures",
    "attribute": "side_mm",
    "margin_fraction": 0.0,
    "square": True,
    "max_side_px": 32,
    "min_side_px": 8,
    "channels": 1,
    "seed": 1,
    "copies": 0,
    "copy_transform": {"crop_scale": 1.0, "flip_horizontal": 0.5, "flip_vertical": 0.5},
}


def recipe(**changes: Any) -> RegressParams:
    still = ("flip_horizontal", "flip_vertical", "brightness", "contrast", "saturation")
    params = {
        "task": "regress",
        "network": "lenet",
        "weights": "none",
        "dropout": 0.0,
        "seed": 1,
        "input": {"side_px": 32, "channels": 1, "fit": "letterbox", "normalisation": "dataset"},
        "augmentation": {"crop_scale": 1.0, "translate_fraction": 0.0} | dict.fromkeys(still, 0.0),
        "epochs": 10,
        "batch_size": 8,
        "loss": {"name": "smooth_l1", "beta": 1.0, "reduction": "mean"},
        "optimiser": {"name": "adam", "learning_rate": 0.002, "weight_decay": 0.0},
        "schedule": {"name": "cosine", "warmup_epochs": 0.0},
        "watch": "mae",
        "early_stopping": None,
        "transfer": None,
    }
    return RegressParams.model_validate(params | changes)


def draw(folder: Path, *, num_pictures: int = 80) -> augment.AugmentInputs:
    """Write grey pictures of 32 px with a bright square of 4 to 24 px, a tenth of a millimetre each."""
    rng = np.random.default_rng(2)
    pictures, rows = [], []
    for number in range(num_pictures):
        image_id, side = f"{number:03d}.png", int(rng.integers(4, 25))
        pixels = rng.integers(0, 60, (32, 32), dtype=np.uint8)
        x, y = rng.integers(0, 33 - side, 2)
        pixels[y : y + side, x : x + side] = 220
        path = folder / "raw" / image_id
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
        picture = LabelledPicture(
            image_id=image_id,
            width=32,
            height=32,
            sha256=files.sha256_of_file(path),
            perceptual_hash="0" * 16,
            label=None,
            is_annotated=False,
            file_attributes={"side_mm": f"{side / 10}"},
        )
        pictures.append(picture)
        split = SPLITS[number % len(SPLITS)]
        rows.append(SplitRow(image_id=image_id, split=split, group=image_id, reason="given"))
    validated = folder / "validated"
    files.write_jsonl(validated / "images.jsonl", pictures)
    files.write_jsonl(validated / "objects.jsonl", list[LabelledObject]())
    decisions = {"label_attribute": None, "image_label_attribute": None}
    files.write_json(validated / "report.json", {"decisions": decisions})
    files.write_jsonl(folder / "splits.jsonl", rows)
    return augment.AugmentInputs(validated=validated, splits=folder / "splits.jsonl", raw_dir=folder / "raw")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Iterator[Path]:
    """Stand in a project with a regressor that learnt, `good`, and one of a single epoch, `poor`."""
    folder = tmp_path_factory.mktemp("regress") / "project"
    folder.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("GIT_CEILING_DIRECTORIES", str(folder.parent))
        (folder / "mlflow.db").write_bytes(empty_store.read_bytes())
        files.write_json(paths.CODE, {"train": {"regress": "ab torch 2"}})
        augment.augment(draw(Path("data")), VIEW, RegressViewParams.model_validate(VIEW_PARAMS))
        for name, params in {"good": recipe(), "poor": recipe(epochs=1, seed=2)}.items():
            train.train(name, VIEW, Path("models", name), params, MACHINE)
            inputs = evaluate.EvaluateInputs(Path("models", name), VIEW)
            evaluate.evaluate(name, inputs, Path("results", name), JUDGED)
        yield folder


def metrics_of(name: str) -> dict[str, float]:
    return files.read_json(Path("results", name, "metrics.json"), dict[str, float])


def compared() -> Comparison:
    inputs = compare.CompareInputs(results=Path("results"), models=Path("models"), views=VIEW.parent)
    return compare.compare(inputs, {"poor": recipe(), "good": recipe()}, Path("comparison"), COMPARED)


def decided(*, margin: float = 0.0, promote: str | None = None) -> TaskDecision:
    """Run compare and register, and return what was decided."""
    compared()
    places = register.RegisterFiles(
        models=Path("models"),
        results=Path("results"),
        comparison=Path("comparison"),
        views=VIEW.parent,
        registered=Path("registered.json"),
        decision=Path("decision.json"),
    )
    doors = register.Doors(
        ensure_runs, champion_of, fetched_bundle, lambda _task, *rest: contest(*rest), settle
    )
    params = register.GateParams(RegisterParams(margin=margin), COMPARED)
    decision: Decision = register.register(places, params, doors, promote=promote)
    return decision.tasks["regress"]


def test_a_small_network_learns_the_size_in_its_unit(project: Path) -> None:
    good, poor = metrics_of("good"), metrics_of("poor")
    assert good["test/r2"] > 0.8
    assert good["val/r2"] > 0.8
    assert good["test/mae"] < 0.3 < poor["test/mae"]  # of 0.4 to 2.4 mm
    assert good["test/rmse"] == pytest.approx(good["test/mse"] ** 0.5)
    assert good["test/mae/ci_low"] < good["test/mae"] < good["test/mae/ci_high"]


def test_the_bundle_knows_its_target_and_needs_nothing_else(project: Path) -> None:
    spec = files.read_json(Path("models/good") / MODEL_FILE, ModelSpec)
    samples = files.read_jsonl(VIEW / SAMPLES_FILE, RegressSample)
    in_train = [sample.value for sample in samples if sample.split == "train"]
    assert spec.target is not None
    assert spec.target.attribute == spec.label_attribute == "side_mm"
    assert (spec.target.mean, spec.target.std) == pytest.approx((np.mean(in_train), np.std(in_train)))
    assert (spec.task, spec.decoder, spec.classes, spec.num_outputs) == ("regress", "value", [], 1)


def test_the_history_has_the_numbers_that_evaluate_finds(project: Path) -> None:
    history = files.read_jsonl(Path("models/good/history.jsonl"), Epoch)
    best = min(history, key=lambda row: row["val/mae"])
    for name in ("mae", "mse", "rmse", "r2"):
        assert best[f"val/{name}"] == pytest.approx(metrics_of("good")[f"val/{name}"], rel=1e-4)
    assert {"train/loss", "val/loss"} <= set(best)


def test_predictions_are_those_of_the_network_in_the_order_of_the_view(project: Path) -> None:
    lines = files.read_jsonl(Path("results/good/predictions.jsonl"), ValuePrediction)
    opened = open_regress_view(VIEW)
    samples = [opened.samples[position] for position in positions_of(opened, "test")]
    assert [(line.image_id, line.truth) for line in lines] == [(one.image_id, one.value) for one in samples]
    found = predict_values(load_regressor(Path("models/good")), VIEW, "test")
    assert [line.value for line in lines] == found.tolist()


def test_files_about_classes_have_their_heads_alone(project: Path) -> None:
    results = Path("results/good")
    heads = {"confusion_matrix": "truth", "labels": "actual,predicted"}
    heads |= {"pr_curve": "class,threshold,precision,recall", "roc_curve": "class,threshold,fpr,tpr"}
    for name, head in heads.items():
        assert (results / f"{name}.csv").read_text(encoding="utf-8") == f"{head}\n"
    truth = files.read_json(results / "truth.coco.json", dict[str, Any])
    assert (len(truth["images"]), truth["annotations"], truth["categories"]) == (16, [], [])
    assert "no object" in truth["info"]["description"]
    assert files.read_json(results / "predictions.coco.json", list[Any]) == []


def test_the_page_shows_figures_and_the_largest_errors(project: Path) -> None:
    page = Path("results/good/report.html").read_text(encoding="utf-8")
    assert {path.stem for path in Path("results/good/plots").iterdir()} == {
        *("predicted", "residuals", "learning_curve")
    }
    for told in ("Predicted and true", "R²", "side_mm, predicted − truth", "mean error", "val/rmse"):
        assert told in page
    assert "Confusion" not in page
    errors = [float(each) for each in re.findall(r'<span class="wrong">([^<]+)</span>', page)]
    assert len(errors) == JUDGED.worst_samples
    assert [abs(error) for error in errors] == sorted((abs(error) for error in errors), reverse=True)


def test_the_smallest_error_is_first_and_its_lead_is_told(project: Path) -> None:
    comparison = compared()
    assert [(one.name, one.rank) for one in comparison.experiments] == [("good", 1), ("poor", 2)]
    (pair,) = comparison.pairs
    assert (pair.first, pair.second) == ("good", "poor")
    assert pair.difference.value == metrics_of("good")["test/mae"] - metrics_of("poor")["test/mae"] < 0
    good, poor = (
        files.read_jsonl(Path("results", name, "predictions.jsonl"), ValuePrediction)
        for name in ("good", "poor")
    )
    pairs = zip(good, poor, strict=True)
    nearer = sum(abs(one.value - one.truth) < abs(two.value - two.truth) for one, two in pairs)
    assert pair.only_first_right == nearer
    page = Path("comparison/compare.html").read_text(encoding="utf-8")
    assert "good is first on val" in page
    assert "Smaller is better." in page
    assert "the first errs less" in page
    assert 'id="regress-classes"' not in page


def test_the_gate_promotes_whose_error_is_surely_smaller(project: Path) -> None:
    by_hand = decided(promote="poor")
    assert (by_hand.champion.experiment, by_hand.by) == ("poor", "person")
    refused = decided(margin=10.0)
    assert (refused.decision, refused.champion.experiment) == ("refused", "poor")
    assert "good leads by" in refused.reason
    promoted = decided()
    assert (promoted.decision, promoted.champion.experiment) == ("promoted", "good")
    assert "surpasses the margin 0.0" in promoted.reason
    assert promoted.challenger is not None
    assert promoted.challenger.experiment == "poor"
    client = MlflowClient(f"sqlite:///{Path.cwd()}/mlflow.db")
    version = client.get_model_version_by_alias(MODEL, "champion")
    recorded = client.get_run(str(version.run_id)).data.metrics
    assert recorded["test/mae"] == pytest.approx(metrics_of("good")["test/mae"])
    assert recorded["val_best/r2"] == pytest.approx(metrics_of("good")["val/r2"])


def test_an_older_champion_is_judged_on_today_s_view(project: Path) -> None:
    found: Contest = contest(Path("models/poor"), Path("results/good"), VIEW, COMPARED)
    assert found.val is not None
    assert found.test is not None
    assert found.difference is not None
    assert found.test.value == pytest.approx(metrics_of("poor")["test/mae"])
    assert found.difference.value == pytest.approx(metrics_of("good")["test/mae"] - found.test.value)


@pytest.mark.parametrize("source", ["pictures", "objects"])
def test_a_prediction_is_a_line_and_an_attribute_in_via(project: Path, tmp_path: Path, source: Any) -> None:
    bundle = tmp_path / "bundle"
    for name in ("model.json", "weights.safetensors"):
        files.write_bytes(bundle / name, Path("models/good", name).read_bytes())
    spec = files.read_json(bundle / MODEL_FILE, ModelSpec)
    files.write_json(bundle / MODEL_FILE, msgspec.structs.replace(spec, source=source))
    settings = PredictSettings(threshold=None, max_pixels=10_000, drawn=True)
    job = PredictJob(
        bundle=bundle,
        pictures=find_pictures(["data/raw/00[0-3].png"], leave_out=tmp_path),
        out=tmp_path / "out",
        settings=settings,
        via=tmp_path / "via.json",
    )
    predicted = predict(job, lambda *_: None)
    assert (predicted.num_pictures, predicted.num_detections) == (4, None)
    lines = list(read_predictions(tmp_path / "out/predictions.jsonl"))
    truths = [
        float(one.file_attributes["side_mm"])
        for one in files.read_jsonl(Path("data/validated/images.jsonl"), LabelledPicture)[:4]
    ]
    assert [line.value for line in lines] == pytest.approx(truths, abs=0.8)
    assert len(list((tmp_path / "out/drawn").iterdir())) == 4
    via = read_via(tmp_path / "via.json", where="via.json")
    held = (
        [entry.file_attributes["side_mm"] for entry in via.entries]
        if source == "pictures"
        else [region.attributes["side_mm"] for entry in via.entries for region in entry.regions]
    )
    assert [float(text) for text in held] == [line.value for line in lines]


def test_the_served_model_says_the_number(project: Path) -> None:
    annotator = open_annotator(Path("models/good"))
    content = Path("data/raw/000.png").read_bytes()
    table = ServedModel(annotator).predict(pd.DataFrame({"image": [content, content]}))
    assert list(table.columns) == ["value"]
    with Image.open("data/raw/000.png") as picture:
        pixels = np.asarray(picture)[:, :, None]
    assert table["value"].tolist() == pytest.approx([annotator.annotate([pixels])[0].value] * 2)
    assert annotator.annotate([]) == []


def test_training_again_ends_in_the_same_weights(project: Path, tmp_path: Path) -> None:
    first = files.read_json(Path("models/poor") / MODEL_FILE, ModelSpec)
    train.train("poor", VIEW, tmp_path / "again", recipe(epochs=1, seed=2), MACHINE)
    assert files.read_json(tmp_path / "again" / MODEL_FILE, ModelSpec) == first


def test_a_regressor_is_no_classifier_and_the_other_way_round(project: Path, tmp_path: Path) -> None:
    spec = files.read_json(Path("models/good") / MODEL_FILE, ModelSpec)
    files.write_bytes(tmp_path / "weights.safetensors", Path("models/good/weights.safetensors").read_bytes())
    files.write_json(
        tmp_path / MODEL_FILE,
        msgspec.structs.replace(spec, task="classify", target=None, classes=["a"], decoder="softmax"),
    )
    with pytest.raises(ModelError, match="it predicts no number"):
        load_regressor(tmp_path)
    assert load_classifier(tmp_path).spec.classes == ["a"]


def view_with(folder: Path, **values: list[float]) -> Path:
    """Copy the view, its numbers of a split replaced."""
    samples = files.read_jsonl(VIEW / SAMPLES_FILE, RegressSample)
    changed = [
        msgspec.structs.replace(one, value=values[one.split][number % len(values[one.split])])
        if one.split in values
        else one
        for number, one in enumerate(samples)
    ]
    files.write_jsonl(folder / SAMPLES_FILE, changed)
    view = files.read_json(VIEW / VIEW_FILE, View)
    digest = files.sha256_of_file(folder / SAMPLES_FILE)
    files.write_json(folder / VIEW_FILE, msgspec.structs.replace(view, samples_sha256=digest))
    files.write_bytes(folder / "pixels.bin", (VIEW / "pixels.bin").read_bytes())
    return folder


@pytest.mark.parametrize(
    ("values", "changes", "what"),
    [
        ({"train": [2.0]}, {}, "'side_mm' is 2 to 2 in train"),
        ({"train": [1e200, 2e200]}, {}, "'side_mm' is 1e+200 to 2e+200 in train"),
        ({"val": [2.0]}, {"watch": "r2"}, "'side_mm' is 2 all over val, where R² is then undefined"),
    ],
    ids=["one-number", "too-large", "no-r2"],
)
def test_numbers_that_cannot_be_learnt_are_refused(
    project: Path, tmp_path: Path, values: dict[str, list[float]], changes: dict[str, Any], what: str
) -> None:
    view = view_with(tmp_path / "view", **values)
    with pytest.raises(DataError) as caught:
        prepare(view, recipe(**changes), MACHINE)
    assert caught.value.what == what


def test_a_large_common_part_is_learnt_as_well(project: Path, tmp_path: Path) -> None:
    """float32 has no digits left of 1e9 + 0.1: numbers are standardised before."""
    view = view_with(tmp_path / "view", train=[1e9, 1e9 + 0.1])
    job = prepare(view, recipe(), MACHINE)
    spec = job.spec({}, "0" * 64)
    assert spec.target is not None
    assert spec.target.mean == pytest.approx(1e9 + 0.05, abs=1e-6)
    assert spec.target.std == pytest.approx(0.05, rel=1e-3)
    data = job.data()
    batch = next(iter(data.train(1, 0)))
    linear = torch.nn.Linear(32 * 32, 1)
    torch.nn.init.zeros_(linear.weight)
    torch.nn.init.zeros_(linear.bias)
    network = torch.nn.Sequential(torch.nn.Flatten(), linear)
    # outputs of 0 are all one standard deviation off: smooth L1 of 1 is 0.5
    (loss,) = data.objective.losses(network, batch, torch.device("cpu")).values()
    assert float(loss.detach()) == pytest.approx(0.5, rel=1e-2)
