"""The table of networks: each builds, learns from a step, and is what its facts say."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models import get_model_weights  # type: ignore[import-untyped]  # no stubs

from cnnpipe.errors import ParamsError
from cnnpipe.models.building import num_parameters
from cnnpipe.models.networks import NETWORKS, PACKAGE_WEIGHTS, build_network
from cnnpipe.models.outputs import WithAuxiliaries
from cnnpipe.models.shape import NetworkShape
from cnnpipe.params.network_options import NetworkOptions
from cnnpipe.params.networks import NETWORK_FACTS, NETWORK_WEIGHTS, NetworkFacts

SHAPE = NetworkShape(num_classes=4, channels=3, side_px=32, dropout=0.1)
LAYERS = [{"conv": {"out": 4, "kernel": 3}}, {"activation": "relu"}, {"flatten": {}}]
KNOWN = sorted(name for name, facts in NETWORK_FACTS.items() if facts.num_parameters)
GREY = [(name, 1) for name in sorted(NETWORKS)]
COLOUR = [(name, 3) for name in KNOWN if (NETWORK_FACTS[name].num_parameters or 0) < 6_000_000]


def shape_of(name: str, *, channels: int = 1, **options: Any) -> NetworkShape:
    """Return the smallest input of a network, with dropout off."""
    written = {"layers": LAYERS} if name == "cnn" else {}
    return NetworkShape(
        num_classes=4,
        channels=channels,
        side_px=NETWORK_FACTS[name].smallest_side_px,
        dropout=0.0,
        options=NetworkOptions.model_validate(written | options),
    )


def built(name: str, shape: NetworkShape, *, seed: int = 1) -> nn.Module:
    return build_network(name, shape, weights="none", seed=seed)


def on_meta(name: str, shape: NetworkShape) -> nn.Module:
    """Return a network of shapes without numbers."""
    with torch.device("meta"):
        return NETWORKS[name](shape)


def all_logits(output: Tensor | WithAuxiliaries) -> list[Tensor]:
    return [output] if isinstance(output, Tensor) else [output.logits, *output.auxiliaries]


def tensors_of(network: nn.Module) -> Mapping[str, torch.Size]:
    return {name: tensor.shape for name, tensor in network.state_dict().items()}


def test_params_know_the_same_networks_and_weights() -> None:
    assert set(NETWORK_FACTS) == set(NETWORKS)
    assert {name for name, weights in NETWORK_WEIGHTS.items() if "package" in weights} == set(PACKAGE_WEIGHTS)


@pytest.mark.parametrize(("name", "channels"), GREY + COLOUR)
def test_every_network_takes_a_step_at_its_smallest_input(name: str, channels: int) -> None:
    shape = shape_of(name, channels=channels)
    network = built(name, shape).train()
    optimiser = torch.optim.SGD(network.parameters(), lr=1e-3)
    generator = torch.Generator().manual_seed(0)
    outputs = all_logits(network(torch.rand(2, channels, shape.side_px, shape.side_px, generator=generator)))
    assert all(logits.shape == (2, 4) for logits in outputs)
    assert len(outputs) == {"googlenet": 3, "inception_v3": 2}.get(name, 1)
    losses = [functional.cross_entropy(logits, torch.tensor([0, 3])) for logits in outputs]
    torch.autograd.backward(losses)
    assert [n for n, p in network.named_parameters() if p.grad is None or not p.grad.isfinite().all()] == []
    last = list(network.parameters())[-1]
    before = last.detach().clone()
    optimiser.step()
    assert not torch.equal(last, before)


@pytest.mark.parametrize("name", KNOWN)
def test_the_facts_are_those_of_the_network(name: str) -> None:
    facts = NETWORK_FACTS[name]
    assert facts.channels is not None
    assert facts.side_px is not None
    assert facts.num_classes is not None
    shape = NetworkShape(
        num_classes=facts.num_classes, channels=facts.channels, side_px=facts.side_px, dropout=0.0
    )
    network = on_meta(name, shape).eval()
    assert num_parameters(network) == facts.num_parameters
    with FlopCounterMode(display=False) as counter:
        network(torch.empty(1, facts.channels, facts.side_px, facts.side_px, device="meta"))
    assert counter.get_total_flops() == facts.flops
    _check_head(tensors_of(network), facts)


@pytest.mark.parametrize("name", [name for name in KNOWN if NETWORK_FACTS[name].origin == "torchvision"])
def test_facts_agree_with_what_torchvision_tells(name: str) -> None:
    """Its list is made by others: multiply-adds in 10^9, to three digits, with biases; parameters."""
    facts, listed = NETWORK_FACTS[name], get_model_weights(name).DEFAULT.meta
    assert facts.flops == pytest.approx(2e9 * listed["_ops"], rel=0.01, abs=2e6)
    auxiliary = {"googlenet": 13_004_888 - 6_624_904}.get(name, 0)  # not in its list
    assert facts.num_parameters == listed["num_params"] + auxiliary


@pytest.mark.parametrize(
    "name", ["mlp", "lenet", "cnn", "zfnet", "vgg11_bn", "googlenet", "inception_v3", "resnet18"]
)
def test_options_written_to_a_bundle_make_the_same_tensors(name: str) -> None:
    """As model.json holds them: dumped, and read from JSON again."""
    chosen: dict[str, Any] = {
        "activation": "scaled_sigmoid",
        "start": "xavier_normal",
        "auxiliary_weight": 0.0,
    }
    chosen |= {"widths": "course", "hidden": [7, 5]}
    first = shape_of(name, **{option: chosen[option] for option in chosen if option in _options(name)})
    dumped = json.loads(json.dumps(first.options.model_dump(exclude_none=True)))
    again = shape_of(name, **dumped)
    assert again.options == first.options
    assert tensors_of(on_meta(name, again)) == tensors_of(on_meta(name, first))


@pytest.mark.parametrize("name", ["lenet", "googlenet", "resnet18", "lite0", "coatnet_nano"])
def test_first_weights_are_a_function_of_the_seed(name: str) -> None:
    generator = torch.get_rng_state()
    first, same, other = (built(name, shape_of(name), seed=seed) for seed in (7, 7, 8))
    assert torch.equal(torch.get_rng_state(), generator)
    assert _numbers(first).equal(_numbers(same))
    assert not _numbers(first).equal(_numbers(other))


@pytest.mark.parametrize("name", ["mlp", "googlenet", "resnet18", "se_resnet18", "mobilenet_v2", "lite0"])
def test_the_dropout_of_the_recipe_is_the_networks(name: str) -> None:
    """With almost all features dropped, the logits of two passes differ; without dropout they agree."""
    pictures = torch.rand(2, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    for dropout, agree in ((0.9, False), (0.0, True)):
        network = built(name, NetworkShape(num_classes=4, channels=1, side_px=64, dropout=dropout)).train()
        first, second = (all_logits(network(pictures))[0] for _ in range(2))
        assert torch.equal(first, second) == agree


@pytest.mark.parametrize(
    "name", ["mobilenet_v1", "mobilenet_v2", "mobilenet_v3_small", "lite1", "inception_v3"]
)
def test_batch_norm_keeps_pace_with_short_trainings(name: str) -> None:
    norms = [m for m in on_meta(name, shape_of(name)).modules() if isinstance(m, nn.BatchNorm2d)]
    assert norms
    assert {norm.momentum for norm in norms} == {0.1}


def test_an_unknown_network_is_met_with_the_nearest_name() -> None:
    with pytest.raises(ParamsError, match="'resnet8' is not known") as caught:
        built("resnet8", SHAPE)
    assert caught.value.fix.startswith("did you mean 'resnet18'? the networks are: alexnet, alexnet2012, ")


def test_weights_that_no_package_holds_are_refused() -> None:
    with pytest.raises(ParamsError, match="no package holds weights of 'lenet'") as caught:
        build_network("lenet", SHAPE, weights="package", seed=1)
    assert "lite0" in caught.value.fix


@pytest.mark.parametrize(
    ("name", "options", "told"),
    [
        ("lenet", {"widths": "course"}, "option widths is for zfnet"),
        ("resnet18", {"auxiliary_weight": 0.3}, "option auxiliary_weight is for googlenet, inception_v3"),
        ("timm/resnet10t", {"hidden": [3]}, "option hidden is for mlp"),
    ],
)
def test_an_option_of_another_network_is_refused(name: str, options: dict[str, Any], told: str) -> None:
    shape = NetworkShape(
        num_classes=4, channels=1, side_px=32, dropout=0.0, options=NetworkOptions.model_validate(options)
    )
    with pytest.raises(ParamsError, match=told):
        built(name, shape)


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_a_smaller_input_is_refused_with_the_number(name: str) -> None:
    smallest = NETWORK_FACTS[name].smallest_side_px
    shape = NetworkShape(num_classes=4, channels=1, side_px=smallest - 1, dropout=0.0)
    with pytest.raises(
        ParamsError, match=f"{smallest - 1} px is too small for {name}: it needs {smallest}\n"
    ):
        built(name, shape)


def test_a_coatnet_says_which_sides_it_takes() -> None:
    with pytest.raises(ParamsError, match="48 px does not fit coatnet_nano: it needs a multiple of 32"):
        built("coatnet_nano", NetworkShape(num_classes=4, channels=1, side_px=48, dropout=0.0))


def _check_head(tensors: Mapping[str, torch.Size], facts: NetworkFacts) -> None:
    """Check that every part of the head is there, ends in the classes, and is not the whole network."""
    for head in facts.head:
        assert [size for tensor, size in tensors.items() if tensor.startswith(head)][-1] == (
            facts.num_classes,
        )
    assert any(not tensor.startswith(facts.head) for tensor in tensors) or not facts.head


def _options(name: str) -> tuple[str, ...]:
    return NETWORK_FACTS[name].options


def _numbers(network: nn.Module) -> Tensor:
    return torch.cat([p.detach().flatten() for p in network.parameters()])
