"""Device and precision: what is asked for and absent is an error; low precision is where it belongs."""

from typing import Literal

import pytest
import torch
from torch import Tensor, nn

from cnnpipe.errors import ParamsError
from cnnpipe.training.devices import (
    Capability,
    Precision,
    computing_in,
    make_accelerator,
    make_scaler,
    precision_of,
    precision_on,
    uses_cuda,
)

CPU = torch.device("cpu")


def test_cuda_that_is_absent_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ParamsError, match="cuda was asked for") as caught:
        make_accelerator("cuda")
    assert caught.value.where == "train.device"
    assert "set train.device: auto or cpu" in caught.value.fix


def test_the_cpu_is_taken_when_asked_for_or_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    assert make_accelerator("cpu").device == torch.device("cpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert make_accelerator("auto").device == torch.device("cpu")


def test_the_environment_does_not_choose_accelerates_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "bf16")
    assert make_accelerator("cpu").mixed_precision == "no"


def test_only_a_gpu_that_is_used_wants_pinned_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert not uses_cuda("auto")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert uses_cuda("auto")
    assert uses_cuda("cuda")
    assert not uses_cuda("cpu")


@pytest.mark.parametrize(
    ("asked", "capability", "expected"),
    [
        pytest.param("auto", None, "float32", id="CPU"),
        pytest.param("auto", (6, 1), "float32", id="Pascal"),
        pytest.param("auto", (7, 0), "float16", id="Volta"),
        pytest.param("auto", (7, 5), "float16", id="Turing"),
        pytest.param("auto", (8, 0), "bfloat16", id="Ampere"),
        pytest.param("auto", (12, 0), "bfloat16", id="Blackwell"),
        pytest.param("float32", (9, 0), "float32", id="float32 on Hopper"),
        pytest.param("float16", (9, 0), "float16", id="float16 on Hopper"),
        pytest.param("bfloat16", (8, 6), "bfloat16", id="bfloat16 on Ampere"),
        pytest.param("bfloat16", None, "bfloat16", id="bfloat16 on a CPU"),
        pytest.param("float16", None, "float16", id="float16 on a CPU"),
    ],
)
def test_precision_by_device(
    asked: Literal["auto", "float32", "bfloat16", "float16"], capability: Capability | None, expected: str
) -> None:
    assert precision_of(asked, capability) == expected


def test_a_precision_the_gpu_does_not_compute_in_is_refused() -> None:
    with pytest.raises(ParamsError, match=r"needs compute capability 8\.0, and this GPU has 7\.5") as caught:
        precision_of("bfloat16", (7, 5))
    assert caught.value.where == "train.precision"
    assert caught.value.exit_code == 2


def test_the_cpu_is_asked_for_no_capability() -> None:
    assert precision_on("auto", CPU) == "float32"


def test_only_float16_needs_its_gradients_scaled() -> None:
    assert make_scaler("float32", CPU) is None
    assert make_scaler("bfloat16", CPU) is None
    assert make_scaler("float16", CPU) is not None


class Spy(nn.Module):
    """Two layers; notes what the second is given and gives."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(4, 4), nn.Linear(4, 2)
        self.seen: list[torch.dtype] = []

    def forward(self, inputs_BC: Tensor) -> dict[str, list[Tensor]]:
        found_BC = self.first(inputs_BC)
        self.seen.append(found_BC.dtype)
        return {"found": [self.second(found_BC)]}


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_parts_compute_low_and_give_float32(precision: Precision) -> None:
    network, inputs = Spy(), torch.ones(3, 4)
    with computing_in(precision, [network], CPU):
        assert network(inputs)["found"][0].dtype == torch.float32
    assert network.seen == [getattr(torch, precision)]
    with computing_in(precision, [network.second], CPU):
        network(inputs)
    assert network.seen[1] == torch.float32  # the first is no part


def test_afterwards_all_is_float32_again_even_after_a_fault() -> None:
    network, inputs = Spy(), torch.ones(3, 4)
    before = network(inputs)["found"][0]
    with pytest.raises(ZeroDivisionError), computing_in("bfloat16", [network], CPU):
        raise ZeroDivisionError
    assert torch.equal(network(inputs)["found"][0], before)
    assert network.seen == [torch.float32, torch.float32]
    assert list(network.state_dict()) == ["first.weight", "first.bias", "second.weight", "second.bias"]
