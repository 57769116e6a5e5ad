"""The experiments that the pages show are taken, and so are the parts of one and the sections of params."""

import re
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from toy_pictures import toy_params

from cnnpipe.params.experiment import EXPERIMENT_KINDS, ClassifyParams, TrainParams
from cnnpipe.params.load import check, read_yaml

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
# docs/networks is looked at by tests/params/test_network_facts.py, the other two by test_training_pages.py
PARTS_ELSEWHERE = ("optimisers.md", "transfer.md")


def blocks() -> list[tuple[str, Any]]:
    """Return page and content of each yaml block; digests that are cut short there are whole here."""
    pages = {page.name: page.read_text(encoding="utf-8") for page in sorted(DOCS.glob("*.md"))}
    found = [(name, text) for name, page in pages.items() for text in _texts(page)]
    return [(name, YAML(typ="safe").load(re.sub(r"[0-9a-f]{4}…", "a" * 64, text))) for name, text in found]


def _texts(page: str) -> list[str]:
    return re.findall(r"^```yaml\n(.*?)^```", page, re.M | re.S)


BLOCKS = blocks()
EXPERIMENTS = [
    pytest.param(page, name, recipe, id=f"{page}-{name}")
    for page, block in BLOCKS
    for name, recipe in block.items()
    if isinstance(recipe, dict) and "task" in recipe and "epochs" in recipe
]
PARTS = [
    pytest.param(page, block, id=f"{page}-{next(iter(block))}")
    for page, block in BLOCKS
    if page not in PARTS_ELSEWHERE and set(block) <= set(ClassifyParams.model_fields)
]
MACHINES = [pytest.param(page, block["train"], id=page) for page, block in BLOCKS if "train" in block]


@pytest.mark.parametrize(("page", "name", "recipe"), EXPERIMENTS)
def test_the_experiments_of_the_pages_are_taken(page: str, name: str, recipe: dict[str, Any]) -> None:
    check(recipe, EXPERIMENT_KINDS[recipe["task"]], where=page, section=f"experiments.{name}")


@pytest.mark.parametrize(("page", "changes"), PARTS)
def test_parts_of_an_experiment_are_taken(page: str, changes: dict[str, Any]) -> None:
    assert toy_params(**changes).task == "classify", page


@pytest.mark.parametrize(("page", "changes"), MACHINES)
def test_what_the_pages_say_of_the_machine_is_taken(page: str, changes: dict[str, Any]) -> None:
    written = read_yaml(ROOT / "params.yaml")["train"] | changes
    check(written, TrainParams, where=page, section="train")


def test_there_is_something_to_look_at() -> None:
    assert {"experiments.md", "losses.md", "transfer.md"} <= {each.values[0] for each in EXPERIMENTS}
    assert {"augmentation.md", "losses.md", "training.md"} <= {each.values[0] for each in PARTS}
    assert {"training.md", "gpu-machine.md"} <= {each.values[0] for each in MACHINES}
