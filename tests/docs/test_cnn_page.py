"""The page about networks of one's own: its blocks are experiments that fit, its keys those of the layers."""

import re
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from cnnpipe.params.experiment import ClassifyParams
from cnnpipe.params.layers import LayerParams
from cnnpipe.params.load import check, read_yaml

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/networks/cnn.md").read_text(encoding="utf-8")
BLOCKS: list[dict[str, Any]] = [
    YAML(typ="safe").load(block) for block in re.findall(r"^```yaml\n(.*?)^```", PAGE, re.M | re.S)
]
EXPERIMENTS = {name: recipe for block in BLOCKS[1:] for name, recipe in block.items()}


@pytest.mark.parametrize("name", ["small-vgg", "small-mobile"])
def test_the_experiments_of_the_page_are_whole(name: str) -> None:
    check(EXPERIMENTS[name], ClassifyParams, where="docs/networks/cnn.md", section=f"experiments.{name}")


def test_the_first_block_is_a_part_of_an_experiment_that_fits() -> None:
    recipe = read_yaml(ROOT / "params.yaml")["experiments"]["lenet"] | BLOCKS[0]
    check(recipe, ClassifyParams, where="docs/networks/cnn.md", section="experiments.first")


def test_every_kind_and_key_of_a_layer_is_explained() -> None:
    rows = re.findall(r"^\| `(\w+)` \|(.*)\|$", PAGE, re.M)
    assert {kind for kind, _ in rows} == set(LayerParams.model_fields)
    for kind, field in LayerParams.model_fields.items():
        (settings,) = [part for part in getattr(field.annotation, "__args__", ()) if part is not type(None)]
        told = " ".join(row for name, row in rows if name == kind)
        if kind == "depthwise_separable":
            assert "the same without `groups`" in told
            continue
        keys = getattr(settings, "model_fields", {})
        assert [key for key in keys if not re.search(rf"`{key}\b", told)] == []
