"""The numbers in a new params.yaml that depend on the data, each with its reason, which stands beside it.

What the numbers aim at: objects that a network can see, and a first `dvc repro` that ends within 10 to 20
minutes on two cores. They are where to begin, not what is best.
"""

import json
import math
import statistics
from collections import Counter
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

import msgspec

from cnnpipe.annotations import FINDING_CODES
from cnnpipe.datasets.split_names import split_of_folder
from cnnpipe.projects.survey import Survey

DEFAULT_LIMIT: Final = 0.05  # of pictures or regions
_LIMITED: Final = (
    "picture-missing",
    "picture-unreadable",
    "picture-outside",
    "picture-ambiguous",
    "label-missing",
    "box-outside",
    "box-degenerate",
)
_SMALL_SET: Final = 100  # pictures; of fewer, 15 % are too few to judge by
_DETECT_SIDES_PX: Final = (160, 192, 256, 320, 416, 512)
# for larger pictures, whatever their objects: on 50 photographs 192 px did worse (one seed, val of 10)
_LEAST_SIDE_PX: Final = 256
_SEEN_SIDE_PX: Final = 20  # of the median object, in what a detector sees: 2.5 cells of its finest grid
_PICTURE_SIDE_PX: Final = 160  # of a whole picture to be classified; a crop around an object needs less
_PACKED_WHY: Final = "pixels; what is larger is shrunk; a third above side_px, for random crops look closer"


class Sized(msgspec.Struct, frozen=True):
    """A value as YAML, and why it is that."""

    value: str
    why: str


class Pace(msgspec.Struct, frozen=True):
    """How fast a recipe trains on one CPU core, and how far it is worth going."""

    side_px: int  # at which `per_second` was measured; time goes with its square
    per_second: float  # samples, forward and backward
    budget_s: float
    epochs: tuple[int, int]  # fewest and most
    batch_size: int  # of the recipe
    warmup_steps: int  # of a rising rate: in few pictures, a share of the epochs would be too few


# Speeds were measured on one core of a machine without a GPU.
PACES: Final[Mapping[str, Pace]] = MappingProxyType(
    {
        "fcos-lite0": Pace(160, 13.0, 900.0, (6, 100), batch_size=4, warmup_steps=60),
        "lite0": Pace(96, 60.0, 480.0, (3, 25), batch_size=32, warmup_steps=30),
        "lenet": Pace(48, 500.0, 120.0, (10, 60), batch_size=64, warmup_steps=10),
    }
)


def limits(survey: Survey) -> dict[str, Sized]:
    """Return the largest share of each fault that the gate lets pass, by code of finding."""
    return {code: _limit(survey, code) for code in _LIMITED}


def gate(survey: Survey) -> dict[str, Sized]:
    """Return what section `validate` says of pictures without regions."""
    return {"without_regions": Sized(survey.gate.without_regions, survey.bare_why)}


def split(survey: Survey) -> dict[str, Sized]:
    """Return `given` and the fractions of section `split`."""
    given = {split_of_folder(picture.image_id) for picture in survey.pictures} - {None}
    folders = " and ".join(sorted(str(each) for each in given))
    has_split = "train" in given and len(given) > 1
    is_small = len(survey.pictures) < _SMALL_SET
    fraction = "0.2" if is_small else "0.15"
    number = _count(len(survey.pictures), "picture")
    why = f"of groups; {number} are few, so a larger share" if is_small else f"of groups; {number}"
    return {
        "given": Sized("folder", f"the pictures lie in folders for {folders}")
        if has_split
        else Sized("none", "no folders called train, val or test were found"),
        "val_fraction": Sized(fraction, why),
        "test_fraction": Sized(fraction, "of groups; where folders give no test, it is drawn from train"),
    }


def detect(survey: Survey) -> dict[str, Sized]:
    """Return what view and experiment of task `detect` get."""
    side, why = _detect_side(survey)
    return {
        "max_side_px": Sized(str(4 * side // 3), _PACKED_WHY),
        "side_px": Sized(str(side), why),
        **_length("fcos-lite0", side, _num_training(survey, len(survey.pictures)), "picture"),
    }


def classify(survey: Survey) -> dict[str, Sized]:
    """Return what view and experiments of task `classify` get."""
    is_objects = survey.label.source == "objects"
    number = len(survey.objects) if is_objects else sum(p.label is not None for p in survey.pictures)
    return _crops(survey, number, "with a class")


def regress(survey: Survey) -> dict[str, Sized]:
    """Return what view and experiments of task `regress` get."""
    attribute = {"attribute": Sized(json.dumps(survey.label.attribute, ensure_ascii=False), survey.label.why)}
    return attribute | _crops(survey, len(survey.numbers), "with a number")


def _crops(survey: Survey, number: int, having: str) -> dict[str, Sized]:
    is_objects = survey.label.source == "objects"
    num_training = _num_training(survey, number)
    side = PACES["lite0"].side_px if is_objects else _PICTURE_SIDE_PX
    what = "crop" if is_objects else "picture"
    return {
        "source": Sized(
            survey.label.source, f"{_count(number, 'object' if is_objects else 'picture')} {having}"
        ),
        "max_side_px": Sized(str(4 * side // 3), _PACKED_WHY),
        "side_px": Sized(str(side), "pixels, of the square that the network sees"),
        **_length("lite0", side, num_training, what),
        **{
            f"lenet_{name}": sized
            for name, sized in _length("lenet", PACES["lenet"].side_px, num_training, what).items()
        },
    }


def unusual(survey: Survey) -> dict[str, Sized]:
    """Return the params that a user should look at, for the data made them differ from what is usual."""
    looked_at = {
        f"validate.limits.{code}": sized
        for code, sized in limits(survey).items()
        if float(sized.value) > DEFAULT_LIMIT and "found" in sized.why
    }
    if survey.task == "detect":
        without = gate(survey)["without_regions"]
        if without.value != "negative":
            looked_at["validate.without_regions"] = without
    return looked_at


def class_counts(survey: Survey) -> dict[str, int]:
    """Return how many objects, or whole pictures, there are of each class, the largest first.

    Where there are numbers in place of classes there are none.
    """
    if survey.task == "regress":
        return {}
    labels: Iterable[str | None] = (
        [each.label for each in survey.objects]
        if survey.label.source == "objects"
        else [picture.label for picture in survey.pictures]
    )
    return dict(Counter(label for label in labels if label is not None).most_common())


def _limit(survey: Survey, code: str) -> Sized:
    _, unit = FINDING_CODES[code]
    if survey.label.source == "pictures" and unit == "region":
        return Sized("1.0", "what is learnt is of whole pictures")
    places = [finding for finding in survey.findings if finding.code == code]
    number = len({finding.where for finding in places}) if unit == "picture" else len(places)
    total = survey.num_named if unit == "picture" else survey.num_regions
    share = number / max(total, 1)
    found = f"found: {number} of {_count(total, unit)}"
    if share <= DEFAULT_LIMIT:
        return Sized(str(DEFAULT_LIMIT), found)
    return Sized(f"{math.ceil(20 * share) / 20:.2f}", f"{found}, {100 * share:.1f} %: look at them")


def _detect_side(survey: Survey) -> tuple[int, str]:
    longer = {picture.image_id: max(picture.width, picture.height) for picture in survey.pictures}
    relative = statistics.median(math.sqrt(each.box.area) / longer[each.image_id] for each in survey.objects)
    wide_enough = [
        side for side in _DETECT_SIDES_PX if side >= _LEAST_SIDE_PX and relative * side >= _SEEN_SIDE_PX
    ]
    stored = statistics.median(longer.values())
    # beyond the pixels that there are, nothing more is to be seen
    useful = [side for side in _DETECT_SIDES_PX if side >= stored]
    side = min([*wide_enough[:1], *useful[:1], _DETECT_SIDES_PX[-1]])
    spans = f"{100 * relative:.0f} % of its picture's longer side, {relative * side:.0f} px"
    why = f"the median object spans {spans} of this"
    return side, why


def _num_training(survey: Survey, number: int) -> int:
    held_out = 2 * (0.2 if len(survey.pictures) < _SMALL_SET else 0.15)
    return max(round(number * (1 - held_out)), 1)


def _length(recipe: str, side_px: int, num_training: int, what: str) -> dict[str, Sized]:
    """Return the epochs that fit the budget of time, within bounds, and those of them that warm up."""
    pace = PACES[recipe]
    per_second = pace.per_second * (pace.side_px / side_px) ** 2
    fewest, most = pace.epochs
    epochs = min(max(round(pace.budget_s * per_second / num_training), fewest), most)
    minutes = math.ceil(epochs * num_training / per_second / 60)
    seen = f"{epochs * num_training:,} seen in all"
    # in tenths, and never more than a quarter of all
    warmup = min(math.ceil(10 * pace.warmup_steps * pace.batch_size / num_training) / 10, epochs / 4)
    return {
        "epochs": Sized(
            str(epochs),
            f"about {_count(num_training, f'training {what}')}: {seen}, {minutes} min on one core",
        ),
        "warmup_epochs": Sized(f"{warmup:.1f}", f"about {pace.warmup_steps} steps of a rising rate"),
    }


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
