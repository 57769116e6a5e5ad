"""What params know of networks without building one."""

import copy
import re
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from cnnpipe.errors import ParamsError
from cnnpipe.params.experiment import EXPERIMENT_KINDS, ClassifyParams
from cnnpipe.params.load import check, read_yaml
from cnnpipe.params.network_options import NetworkOptions
from cnnpipe.params.networks import (
    NETWORK_FACTS,
    auxiliary_weight_of,
    growth_fault,
    option_fault,
    side_fault,
)

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted((ROOT / "docs" / "networks").glob("*.md"))


def checked(**changes: Any) -> ClassifyParams:
    """Return experiment lenet of params.yaml, changed."""
    written = copy.deepcopy(read_yaml(ROOT / "params.yaml")["experiments"]["lenet"]) | changes
    return check(written, ClassifyParams, where="params.yaml", section="experiments.x")


@pytest.mark.parametrize("name", ["vgg11_bn", "timm/resnet10t", "mlp", "inception_v2"])
def test_networks_of_the_table_and_of_timm_are_accepted(name: str) -> None:
    assert checked(network=name).network == name


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"network": "vgg12"}, "did you mean 'vgg1"),
        ({"options": {"widths": "course"}}, "option widths is for zfnet"),
        ({"network": "alexnet"}, "an input of 48 px is too small for alexnet: it needs 63"),
        ({"network": "coatnet_0"}, "an input of 48 px does not fit coatnet_0: it needs a multiple of 32"),
        ({"network": "timm/resnet10t", "options": {"hidden": [3]}}, "option hidden is for mlp"),
        (
            {
                "network": "vgg16",
                "growth": [
                    {"network": "vgg13", "epochs": 1, "then_frozen_epochs": 0},
                    {"network": "vgg11", "epochs": 1, "then_frozen_epochs": 0},
                ],
            },
            "vgg13 → vgg11 → vgg16 is no growth",
        ),
    ],
)
def test_what_does_not_fit_a_network_is_told_before_training(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(ParamsError, match=told):
        checked(**changes)


@pytest.mark.parametrize(
    ("names", "is_growth"),
    [
        (("vgg11", "vgg16"), True),
        (("vgg11_bn", "vgg13_bn", "vgg19_bn"), True),
        (("vgg11", "vgg11"), False),
        (("vgg16", "vgg13"), False),
        (("vgg11", "vgg13_bn"), False),
        (("lenet", "vgg11"), False),
    ],
)
def test_growth_goes_to_deeper_networks_of_one_kind(names: tuple[str, ...], is_growth: bool) -> None:
    assert (growth_fault(names) is None) == is_growth


@pytest.mark.parametrize(
    ("name", "option", "expected"),
    [
        ("googlenet", None, 0.3),
        ("inception_v3", None, 0.4),
        ("googlenet", 0.1, 0.1),
        ("googlenet", 0.0, 0.0),
        ("resnet18", None, 0.0),
        ("timm/resnet10t", None, 0.0),
    ],
)
def test_auxiliary_losses_count_as_the_source_has_it(
    name: str, option: float | None, expected: float
) -> None:
    assert auxiliary_weight_of(name, NetworkOptions(auxiliary_weight=option)) == expected
    assert option is not None or auxiliary_weight_of(name, None) == expected


def test_networks_with_auxiliary_classifiers_take_the_option_and_have_a_weight() -> None:
    with_option = {name for name, facts in NETWORK_FACTS.items() if "auxiliary_weight" in facts.options}
    assert with_option == {
        name for name, facts in NETWORK_FACTS.items() if facts.auxiliary_weight is not None
    }


@pytest.mark.parametrize("name", sorted(NETWORK_FACTS))
def test_the_input_of_the_source_fits(name: str) -> None:
    facts = NETWORK_FACTS[name]
    assert option_fault(name, NetworkOptions()) is None
    assert facts.side_px is None or side_fault(name, facts.side_px) is None
    assert side_fault(name, facts.smallest_side_px) is None


@pytest.mark.parametrize("name", sorted(NETWORK_FACTS))
def test_every_family_has_a_page_that_names_its_networks(name: str) -> None:
    page = ROOT / "docs" / "networks" / f"{NETWORK_FACTS[name].family}.md"
    assert re.search(rf"`[^`\n]*\b{name}\b[^`\n]*`", page.read_text(encoding="utf-8"))


def recipes_of(page: Path) -> dict[str, Any]:
    """Return the experiments that a page tells its reader to write, by their names."""
    blocks = re.findall(r"^```yaml\n(  [\w-]+:\n.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S)
    return {name: recipe for block in blocks for name, recipe in YAML(typ="safe").load(block).items()}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_recipes_of_a_page_are_valid_and_trained_by_its_commands(page: Path) -> None:
    recipes = recipes_of(page)
    assert recipes
    for name, recipe in recipes.items():
        check(recipe, EXPERIMENT_KINDS[recipe["task"]], where=page.name, section=f"experiments.{name}")
    for name in re.findall(r"dvc repro train@([\w-]+)", page.read_text(encoding="utf-8")):
        assert name in recipes
