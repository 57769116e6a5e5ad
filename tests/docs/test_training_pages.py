"""What the pages on training show is so: the table of rates, the recipes, the rates of parts."""

import re
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from toy_pictures import toy_params

from cnnpipe.models.networks import build_network
from cnnpipe.models.shape import NetworkShape
from cnnpipe.params.experiment import ClassifyParams, StopParams, WeightsHubParams
from cnnpipe.training.schedules import Course, rate_factor
from cnnpipe.training.transfer import learning_rates, transfer_of

STEPS = 20  # per epoch, of the example
DOCS = Path(__file__).resolve().parents[2] / "docs"
OPTIMISERS = (DOCS / "optimisers.md").read_text(encoding="utf-8")
TRANSFER = (DOCS / "transfer.md").read_text(encoding="utf-8")


def yaml(text: str) -> Any:
    return YAML(typ="safe").load(text)


def blocks(page: str) -> list[dict[str, Any]]:
    """Return the recipes of a page, whole or a few keys of one."""
    return [yaml(block) for block in re.findall(r"^```yaml\n(.*?)^```", page, re.M | re.S)]


@pytest.mark.parametrize("line", re.findall(r"^\| `(\{name.*?)\|$", OPTIMISERS, re.M))
def test_the_table_of_rates_is_right(line: str) -> None:
    schedule, *told = (cell.strip() for cell in line.split("|"))
    params = toy_params(schedule=yaml(schedule.rstrip("`")), epochs=10)
    course = Course.of(params.schedule, num_steps=1000, steps_per_epoch=100)
    assert told == [f"{rate_factor(100 * epoch - 1, course):.2f}" for epoch in range(1, 11)]


def test_the_recipes_of_the_page_on_optimisers_are_taken() -> None:
    for changes in blocks(OPTIMISERS):
        toy_params(**({"epochs": 12} | changes))


def test_what_the_page_shows_of_the_rarer_keys_is_taken() -> None:
    """Those in the table of keys, each in its own quotes."""
    shown = re.findall(r"^\| `((?:clip_norm|accumulation|ema|on_divergence): .*?)` \|", OPTIMISERS, re.M)
    assert len(shown) == 4
    for line in shown:
        toy_params(**yaml(line))


def test_every_stop_rule_is_told() -> None:
    for rule in StopParams.model_fields:
        assert f"| `stop.{rule}` |" in OPTIMISERS


def test_the_sources_of_weights_are_taken_once_their_digests_are_whole() -> None:
    shown = blocks(re.sub(r"[0-9a-f]{4}…", "a" * 64, TRANSFER))
    kinds = [block["weights"] for block in shown if "weights" in block]
    assert kinds == ["file", "run", "hub"]
    for block in shown:
        if "weights" in block:
            toy_params(network="resnet18", input=toy_params().input.model_dump() | {"side_px": 64}, **block)
    WeightsHubParams.model_validate(next(b["weights_hub"] for b in shown if set(b) == {"weights_hub"}))


def test_the_rates_that_the_example_shows_are_those_of_its_training() -> None:
    """At the last step of each epoch."""
    (recipe,) = (block["lite0-thawed"] for block in blocks(TRANSFER) if "lite0-thawed" in block)
    params = ClassifyParams.model_validate(recipe)
    shape = NetworkShape(num_classes=6, channels=3, side_px=96, dropout=0.2)
    network = build_network("lite0", shape, weights="none", seed=1)
    treated = transfer_of(network, "lite0", params.transfer, steps_per_epoch=STEPS)
    course = Course.of(params.schedule, num_steps=params.epochs * STEPS, steps_per_epoch=STEPS)
    told = re.findall(r"^epoch (\d)/6 … (.*)$", TRANSFER, re.M)
    assert len(told) == 3
    for epoch, line in told:
        last = int(epoch) * STEPS - 1
        rates = learning_rates(treated, params.optimiser.learning_rate * rate_factor(last, course), last)
        assert line == "  ".join(f"{name.replace('/', ' ')} {rate:.2e}" for name, rate in rates.items())
