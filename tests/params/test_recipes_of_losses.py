"""What a recipe may watch, mix and weigh, as params know it."""

import pytest
from pydantic import ValidationError
from toy_pictures import toy_params

from cnnpipe.params.watching import check_watched, is_better_when_smaller

MIX = {"mixup_alpha": 0.2, "cutmix_alpha": 1.0, "probability": 0.5}
HINGE = {"name": "hinge", "margin": 1.0, "power": 1}


@pytest.mark.parametrize("watch", ["loss", "accuracy", "roc_auc_macro", "recall/cat", "f1/cats/small"])
def test_metrics_of_the_suite_can_be_watched(watch: str) -> None:
    assert toy_params(watch=watch).watch == watch


@pytest.mark.parametrize(
    ("watch", "meant"),
    [
        pytest.param("acuracy", "did you mean 'accuracy'", id="misspelt"),
        pytest.param("recal/cat", "did you mean 'recall'", id="misspelt, of a class"),
        pytest.param("recall", "recall/<class>", id="without a class"),
        pytest.param("recall/", "recall/<class>", id="of an empty class"),
        pytest.param("map_50", "what can be watched: loss, accuracy", id="a detector's"),
    ],
)
def test_others_are_refused_with_what_there_is(watch: str, meant: str) -> None:
    with pytest.raises(ValidationError, match=meant):
        toy_params(watch=watch)


def test_a_metric_of_no_class_has_no_class() -> None:
    check_watched("map_50", ("loss", "map_50"))
    with pytest.raises(ValueError, match=r"watch is 'map_50/cat'.*what can be watched: loss, map_50$"):
        check_watched("map_50/cat", ("loss", "map_50"))


def test_errors_are_better_when_smaller_and_shares_when_larger() -> None:
    assert all(map(is_better_when_smaller, ("loss", "log_loss", "calibration_error", "mae", "mse", "rmse")))
    assert not any(map(is_better_when_smaller, ("accuracy", "recall/loss", "map_50", "r2")))


def test_hinge_takes_no_mixed_labels() -> None:
    toy_params(loss=HINGE)
    toy_params(mix=MIX)
    with pytest.raises(ValidationError, match="mix makes soft labels, and loss hinge needs one true class"):
        toy_params(loss=HINGE, mix=MIX)


def test_rare_classes_are_raised_once() -> None:
    balanced = {"name": "cross_entropy", "label_smoothing": 0.0, "class_weights": "balanced"}
    toy_params(loss=balanced)
    toy_params(loss=balanced | {"class_weights": {"cat": 2.0}}, sampling="class_balanced")
    with pytest.raises(ValidationError, match="class_balanced and class_weights balanced do the same"):
        toy_params(loss=balanced, sampling="class_balanced")


def test_a_weight_of_nothing_is_refused() -> None:
    with pytest.raises(ValidationError, match="class_weights"):
        toy_params(loss={"name": "focal", "gamma": 2.0, "class_weights": {"cat": 0.0}})
