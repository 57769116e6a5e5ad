"""What the data decides, and the reason beside it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from surveys import a_gate, a_survey

from cnnpipe.annotations import found
from cnnpipe.projects import sizing


@pytest.mark.parametrize(
    ("object_px", "side_px", "expected"),
    [
        pytest.param(500, 1000, "256", id="big objects"),
        pytest.param(105, 1000, "256", id="a tenth of the side"),
        pytest.param(80, 1000, "256", id="a twelfth"),
        pytest.param(70, 1000, "320", id="a fourteenth"),
        pytest.param(50, 1000, "416", id="a twentieth"),
        pytest.param(5, 1000, "512", id="tiny: as large as is affordable"),
        pytest.param(10, 300, "320", id="no larger than the pictures"),
        pytest.param(4, 60, "160", id="small pictures"),
    ],
)
def test_the_side_of_a_detector(object_px: float, side_px: int, expected: str) -> None:
    sized = sizing.detect(a_survey(object_px=object_px, side_px=side_px))["side_px"]
    assert sized.value == expected
    assert "the median object spans" in sized.why


def test_few_pictures_are_shown_often_and_many_seldom() -> None:
    few, many = (sizing.detect(a_survey(num_pictures=number))["epochs"] for number in (50, 10_000))
    assert (few.value, few.why) == (
        "100",
        "about 30 training pictures: 3,000 seen in all, 10 min on one core",
    )
    assert (many.value, many.why) == (
        "6",
        "about 7,000 training pictures: 42,000 seen in all, 138 min on one core",
    )


@given(st.integers(3, 5000), st.floats(4, 990))
def test_training_stays_within_its_budget_or_at_a_bound(num_pictures: int, object_px: float) -> None:
    sized = sizing.detect(a_survey(num_pictures=num_pictures, object_px=object_px))
    pace, epochs = sizing.PACES["fcos-lite0"], int(sized["epochs"].value)
    per_second = pace.per_second * (pace.side_px / int(sized["side_px"].value)) ** 2
    held_out = 0.4 if num_pictures < 100 else 0.3
    num_training = max(round(num_pictures * (1 - held_out)), 1)
    fewest, most = pace.epochs
    assert fewest <= epochs <= most
    assert 0 < float(sized["warmup_epochs"].value) <= epochs / 4
    if fewest < epochs < most:
        assert abs(epochs * num_training / per_second - pace.budget_s) <= num_training / per_second


@pytest.mark.parametrize("means", ["negative", "unannotated"])
def test_what_pictures_without_regions_mean_is_said_with_its_reason(means: str) -> None:
    survey = a_survey(num_empty=26, gate=a_gate(without_regions=means))
    sized = sizing.gate(survey)["without_regions"]
    assert (sized.value, sized.why) == (means, "26 of 50 pictures have no region")
    assert ("validate.without_regions" in sizing.unusual(survey)) == (means == "unannotated")


@pytest.mark.parametrize(
    ("number", "expected", "why"),
    [
        (0, "0.05", "found: 0 of 100 pictures"),
        (5, "0.05", "found: 5 of 100 pictures"),
        (6, "0.10", "found: 6 of 100 pictures, 6.0 %: look at them"),
        (40, "0.40", "found: 40 of 100 pictures, 40.0 %: look at them"),
        (41, "0.45", "found: 41 of 100 pictures, 41.0 %: look at them"),
    ],
)
def test_a_limit_lets_pass_what_was_found(number: int, expected: str, why: str) -> None:
    findings = [found("picture-missing", f"via.json: {n}.png", "gone", "fix") for n in range(number)]
    survey = a_survey(num_pictures=100, findings=findings)
    sized = sizing.limits(survey)["picture-missing"]
    assert (sized.value, sized.why) == (expected, why)
    assert ("validate.limits.picture-missing" in sizing.unusual(survey)) == (number > 5)


def test_regions_have_no_limit_where_pictures_are_classified() -> None:
    limits = sizing.limits(a_survey("classify", source="pictures"))
    assert limits["label-missing"].value == "1.0"
    assert limits["picture-missing"].value == "0.05"
    assert sizing.unusual(a_survey("classify", source="pictures")) == {}


@pytest.mark.parametrize(
    ("folders", "given"),
    [
        (("",), "none"),
        (("train/", "val/"), "folder"),
        (("x/Train/", "x/test/"), "folder"),
        (("train/",), "none"),
        (("val/", "test/"), "none"),
    ],
)
def test_a_split_by_folders_is_honoured_where_there_is_one(folders: tuple[str, ...], given: str) -> None:
    assert sizing.split(a_survey(folders=folders))["given"].value == given


@pytest.mark.parametrize(("num_pictures", "fraction"), [(20, "0.2"), (99, "0.2"), (100, "0.15")])
def test_a_small_set_holds_out_a_larger_share(num_pictures: int, fraction: str) -> None:
    sized = sizing.split(a_survey(num_pictures=num_pictures))
    assert sized["val_fraction"].value == sized["test_fraction"].value == fraction


def test_whole_pictures_are_seen_larger_than_crops() -> None:
    crops = sizing.classify(a_survey("classify"))
    pictures = sizing.classify(a_survey("classify", source="pictures"))
    assert (crops["source"].value, pictures["source"].value) == ("objects", "pictures")
    assert int(crops["side_px"].value) < int(pictures["side_px"].value)
    for sized in (crops, pictures):
        assert int(sized["side_px"].value) <= int(sized["max_side_px"].value)


def test_classes_are_counted_the_largest_first() -> None:
    assert sizing.class_counts(a_survey("classify")) == {"a": 50, "b": 50}
    assert sizing.class_counts(a_survey("classify", source="pictures", num_pictures=5)) == {"a": 3, "b": 2}
