"""A network written in params.yaml: what can be written, and what is said of a slip."""

import json
from pathlib import Path
from typing import Any

import pytest

from cnnpipe.errors import ParamsError
from cnnpipe.params.experiment import ClassifyParams
from cnnpipe.params.load import check, read_yaml
from cnnpipe.params.network_options import NetworkOptions

PARAMS = Path(__file__).resolve().parents[2] / "params.yaml"
CONV = {"conv": {"out": 8, "kernel": 3}}


def recipe_of(*layers: Any, **options: Any) -> dict[str, Any]:
    lenet = read_yaml(PARAMS)["experiments"]["lenet"]
    return {**lenet, "network": "cnn", "options": {"layers": list(layers), **options}}


def check_recipe(recipe: dict[str, Any]) -> ClassifyParams:
    return check(recipe, ClassifyParams, where="params.yaml", section="experiments.x")


def test_shorthands_are_layers_without_settings() -> None:
    recipe = check_recipe(recipe_of(CONV, "batch_norm", {"activation": "relu"}, {"flatten": None}))
    assert recipe.options is not None
    assert recipe.options.layers is not None
    assert [layer.kind for layer in recipe.options.layers] == ["conv", "batch_norm", "activation", "flatten"]


def test_options_come_back_from_what_a_model_holds() -> None:
    pair = {"conv": {"out": 8, "kernel": [3, 1], "padding": "same", "padding_mode": "reflect"}}
    pool = {"pool": {"kind": "global_avg"}}
    written = NetworkOptions.model_validate({"axes": 2, "layers": [pair, pool, {"dropout": 0.5}, "flatten"]})
    held = json.loads(json.dumps(written.model_dump(exclude_none=True)))
    assert NetworkOptions.model_validate(held) == written


@pytest.mark.parametrize(
    ("layer", "told"),
    [
        (
            {"conv": {"out": 8, "kernal": 3}},
            "experiments.x.options.layers.1.conv.kernal is not a known key\n.*did you mean 'kernel'",
        ),
        ({"cnov": {"out": 8}}, "options.layers.1.cnov is not a known key\n.*did you mean 'conv'"),
        ("flaten", "options.layers.1.flaten is not a known key\n.*did you mean 'flatten'"),
        ({"conv": {"out": 8}}, "options.layers.1.conv.kernel is missing"),
        ({"conv": {"out": 8, "kernel": 0}}, "kernel: 0 should be a whole number of at least 1, or a pair"),
        ({"conv": {"out": 8, "kernel": [3, 3, 3]}}, r"\[3, 3, 3\] should be a whole number"),
        ({"conv": {"out": 8, "kernel": 3, "padding": "smae"}}, "'smae' should be valid, same, a whole"),
        (
            {**CONV, "flatten": {}},
            "options.layers.1: a layer is of one kind, and this names conv and flatten",
        ),
        ({}, "this names none"),
        ({"activation": "rleu"}, "options.layers.1.activation is 'rleu': input should be 'relu'"),
        ({"dropout": 1.0}, "options.layers.1.dropout is 1.0: input should be less than 1"),
        ({"pool": {"kind": "max"}}, "options.layers.1.pool: a pooling of kind max needs a kernel"),
        ({"pool": {"kind": "global_avg", "kernel": 2}}, "takes the whole map: leave out all but kind"),
    ],
    ids=str,
)
def test_a_slip_is_told_with_its_place(layer: Any, told: str) -> None:
    with pytest.raises(ParamsError, match=f"(?s){told}"):
        check_recipe(recipe_of(CONV, layer, "flatten"))


def test_a_network_that_does_not_fit_is_refused_before_anything_runs() -> None:
    with pytest.raises(ParamsError) as caught:
        check_recipe(recipe_of(CONV, {"conv": {"out": 8, "kernel": 99}}, "flatten"))
    assert "experiments.x: options.layers.1, layer 2 (conv): input 8 x 46 x 46, kernel 99" in str(
        caught.value
    )
    assert "floor((46 − 99 + 0)/1) + 1 = −52" in str(caught.value)


def test_a_written_network_needs_layers() -> None:
    with pytest.raises(ParamsError, match=r"list its layers below options\.layers"):
        check_recipe({**recipe_of(), "options": None})
