"""Stage compare: ranks on val, differences on the same test samples, and a page of them."""

import re
import shutil
from collections.abc import Sequence
from pathlib import Path

import bundles
import judged_experiments
import msgspec
import pytest

from cnnpipe import files
from cnnpipe.datasets.packs import open_view, picture_at, positions_of
from cnnpipe.errors import DataError
from cnnpipe.evaluation.comparison import Comparison, PairedDifference
from cnnpipe.evaluation.predictions import Prediction
from cnnpipe.params.document import Document
from cnnpipe.params.evaluate import CompareParams
from cnnpipe.params.experiment import ExperimentParams
from cnnpipe.params.load import check, read_yaml
from cnnpipe.reports.thumbnails import thumbnail_uri
from cnnpipe.stages import compare as stage

CLASSES = ("<b>boot", "coat", "中文")
PARAMS = CompareParams(classify="accuracy", seed=3, bootstrap_samples=400, confidence=0.9)


@pytest.fixture(scope="module")
def recipe() -> ExperimentParams:
    params = Path(__file__).resolve().parents[2] / "params.yaml"
    return check(read_yaml(params), Document, where="params.yaml", section="").experiments["lenet"]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Three experiments on one view, of very different worth."""
    bundles.make_view(tmp_path / "views" / "classify", classes=CLASSES, pictures_per_split=30)
    for seed, (name, strength) in enumerate({"good": 0.9, "middling": 0.35, "poor": 0.0}.items()):
        add_experiment(tmp_path, name, strength=strength, seed=seed)
    return tmp_path


def add_experiment(project: Path, name: str, *, strength: float, seed: int = 0) -> None:
    view = project / "views" / "classify"
    judged_experiments.add_experiment(project, view, name, classes=CLASSES, strength=strength, seed=seed)


def run(
    project: Path, names: Sequence[str], recipe: ExperimentParams, params: CompareParams = PARAMS
) -> Comparison:
    inputs = stage.CompareInputs(
        results=project / "results", models=project / "models", views=project / "views"
    )
    return stage.compare(inputs, dict.fromkeys(names, recipe), project / "comparison", params)


def page_of(project: Path) -> str:
    return (project / "comparison" / "compare.html").read_text(encoding="utf-8")


def pair_of(comparison: Comparison, first: str, second: str) -> PairedDifference:
    return next(pair for pair in comparison.pairs if (pair.first, pair.second) == (first, second))


def test_experiments_are_ranked_by_the_metric_on_val(project: Path, recipe: ExperimentParams) -> None:
    comparison = run(project, ["poor", "good", "middling"], recipe)
    assert [(one.name, one.rank) for one in comparison.experiments] == [
        ("good", 1),
        ("middling", 2),
        ("poor", 3),
    ]
    metrics = files.read_json(project / "results/good/metrics.json", dict[str, float])
    best = comparison.experiments[0]
    assert best.val is not None
    assert best.test is not None
    assert (best.val.value, best.test.value) == (metrics["val/accuracy"], metrics["test/accuracy"])
    assert (best.test.ci_low, best.test.ci_high) == (
        metrics["test/accuracy/ci_low"],
        metrics["test/accuracy/ci_high"],
    )
    assert (best.network, best.best_epoch, best.stop_reason) == ("lenet", 2, "epochs")


def test_val_decides_even_where_test_says_otherwise(project: Path, recipe: ExperimentParams) -> None:
    path = project / "results/good/metrics.json"
    files.write_json(path, files.read_json(path, dict[str, float]) | {"val/accuracy": 0.1})
    assert run(project, ["good", "poor"], recipe).experiments[0].name == "poor"


def test_what_is_written_is_what_is_returned(project: Path, recipe: ExperimentParams) -> None:
    comparison = run(project, ["good", "poor"], recipe)
    assert files.read_json(project / "comparison/compare.json", Comparison) == comparison
    assert {path.name for path in (project / "comparison").iterdir()} == {"compare.json", "compare.html"}


@pytest.mark.parametrize("metric", ["accuracy", "f1_macro", "roc_auc_macro"])
def test_difference_is_that_of_the_metrics_and_its_interval_is_around_it(
    project: Path, recipe: ExperimentParams, metric: str
) -> None:
    params = PARAMS.model_copy(update={"classify": metric})
    pair = pair_of(run(project, ["good", "poor"], recipe, params), "good", "poor")
    good, poor = (
        files.read_json(project / f"results/{name}/metrics.json", dict[str, float])
        for name in ("good", "poor")
    )
    assert pair.difference.value == pytest.approx(good[f"test/{metric}"] - poor[f"test/{metric}"])
    assert pair.difference.ci_low is not None
    assert pair.difference.ci_high is not None
    assert 0 < pair.difference.ci_low < pair.difference.value < pair.difference.ci_high


def test_samples_only_one_has_right_are_counted(project: Path, recipe: ExperimentParams) -> None:
    pair = pair_of(run(project, ["good", "middling"], recipe), "good", "middling")
    right = {}
    for name in ("good", "middling"):
        predictions = files.read_jsonl(project / f"results/{name}/predictions.jsonl", Prediction)
        right[name] = [p.scores[p.label] == max(p.scores.values()) for p in predictions]
    both = list(zip(right["good"], right["middling"], strict=True))
    assert pair.only_first_right == both.count((True, False))
    assert pair.only_second_right == both.count((False, True))
    assert pair.difference.value == pytest.approx(
        (pair.only_first_right - pair.only_second_right) / len(both)
    )


def test_equal_experiments_share_a_rank_and_do_not_differ(project: Path, recipe: ExperimentParams) -> None:
    add_experiment(project, "twin", strength=0.9, seed=0)
    comparison = run(project, ["twin", "good", "poor"], recipe)
    assert [(one.name, one.rank) for one in comparison.experiments] == [("good", 1), ("twin", 1), ("poor", 3)]
    difference = pair_of(comparison, "good", "twin").difference
    assert (difference.value, difference.ci_low, difference.ci_high) == (0, 0, 0)
    assert "no more than chance may explain" in page_of(project)


def test_a_clear_lead_is_called_one(project: Path, recipe: ExperimentParams) -> None:
    run(project, ["good", "poor"], recipe)
    assert re.search(r"good is first on val .* Against poor.*: more than chance explains", page_of(project))


def test_single_experiment_needs_no_partner(project: Path, recipe: ExperimentParams) -> None:
    comparison = run(project, ["middling"], recipe)
    assert comparison.pairs == []
    assert comparison.experiments[0].rank == 1
    assert "Classification: 1 experiment by Accuracy" in page_of(project)


def test_folders_of_other_experiments_are_not_looked_at(project: Path, recipe: ExperimentParams) -> None:
    shutil.rmtree(project / "results" / "poor")
    (project / "models" / "poor" / "run.json").write_text("broken")
    assert len(run(project, ["good", "middling"], recipe).experiments) == 2


def test_experiments_on_different_data_are_not_paired(project: Path, recipe: ExperimentParams) -> None:
    bundles.make_view(project / "views" / "classify", classes=CLASSES, pictures_per_split=30, seed=1)
    add_experiment(project, "new", strength=0.9)
    comparison = run(project, ["good", "poor", "new"], recipe)
    assert [(pair.first, pair.second) for pair in comparison.pairs] == [("good", "poor")]
    assert len(comparison.notes) == 1
    assert "different data: good, poor; new." in comparison.notes[0]
    page = page_of(project)
    assert "different data" in page
    cards = page[page.index('id="classify-pictures"') : page.index('id="classify-definitions"')]
    assert "new:" in cards  # judged on the view as it is
    assert "good:" not in cards


def test_without_the_view_they_were_judged_on_no_picture_is_shown(
    project: Path, recipe: ExperimentParams
) -> None:
    bundles.make_view(project / "views" / "classify", classes=CLASSES, pictures_per_split=30, seed=1)
    comparison = run(project, ["good", "poor"], recipe)
    assert len(comparison.pairs) == 1
    assert "no experiment was judged on the view as it is now" in page_of(project)
    assert "data:image" not in page_of(project)


def test_metric_that_is_undefined_gives_no_rank_and_a_note(project: Path, recipe: ExperimentParams) -> None:
    path = project / "results/poor/metrics.json"
    metrics = files.read_json(path, dict[str, float])
    files.write_json(path, {name: value for name, value in metrics.items() if "accuracy" not in name})
    comparison = run(project, ["good", "poor"], recipe)
    assert [(one.name, one.rank) for one in comparison.experiments] == [("good", 1), ("poor", None)]
    assert comparison.pairs == []
    assert comparison.notes == [
        "poor has no accuracy on val, so it has no rank.",
        "poor has no accuracy on test, so it is in no pair.",
    ]


def test_pictures_show_disagreement_first(project: Path, recipe: ExperimentParams) -> None:
    run(project, ["good", "poor"], recipe)
    cards = page_of(project).split('class="card"')[1:]
    assert len(cards) == 24
    marks = ["".join(re.findall("[✓✗]", card)) for card in cards]
    kinds = ["both" if len(set(mark)) == 1 else "differ" for mark in marks]
    assert kinds[0] == "differ"
    assert kinds == sorted(kinds, reverse=True)
    opened = open_view(project / "views" / "classify")
    of_test = {thumbnail_uri(picture_at(opened, position)) for position in positions_of(opened, "test")}
    assert all(re.findall(r'src="([^"]+)"', card)[0] in of_test for card in cards)


def test_page_stands_alone_escapes_names_and_shows_settings_that_differ(
    project: Path, recipe: ExperimentParams
) -> None:
    run(project, ["good", "poor"], recipe)
    page = page_of(project)
    assert "<b>boot" not in page
    assert "&lt;b&gt;boot" in page
    assert {url for url in re.findall(r"https?://[^\s\"']+", page) if "w3.org" not in url} == set()
    settings = page[page.index('id="classify-settings"') : page.index('id="classify-definitions"')]
    assert "<code>seed</code>" in settings
    assert "input.side_px" not in settings


def test_same_inputs_same_bytes(project: Path, recipe: ExperimentParams) -> None:
    run(project, ["good", "poor"], recipe)
    first = {path.name: path.read_bytes() for path in (project / "comparison").iterdir()}
    run(project, ["poor", "good"], recipe)
    assert {path.name: path.read_bytes() for path in (project / "comparison").iterdir()} == first


@pytest.mark.parametrize(
    "missing",
    [
        "models/good/run.json",
        "models/good/model.json",
        "results/good/metrics.json",
        "results/good/predictions.jsonl",
    ],
)
def test_experiment_without_its_files_is_named_with_the_way_to_get_them(
    project: Path, recipe: ExperimentParams, missing: str
) -> None:
    (project / missing).unlink()
    with pytest.raises(DataError, match=rf"(?s){missing}: file not found.*fix: run the stage"):
        run(project, ["good", "poor"], recipe)
    assert not (project / "comparison").exists()


def test_cut_off_predictions_are_refused(project: Path, recipe: ExperimentParams) -> None:
    path = project / "results/good/predictions.jsonl"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match=r"predictions\.jsonl:60"):
        run(project, ["good"], recipe)


def test_comparison_is_a_plain_json_for_other_tools(project: Path, recipe: ExperimentParams) -> None:
    run(project, ["good", "poor"], recipe)
    content = msgspec.json.decode((project / "comparison/compare.json").read_bytes())
    assert content["experiments"][0]["test"].keys() == {"value", "ci_low", "ci_high"}
