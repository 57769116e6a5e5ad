"""What was asked for and is absent is an error."""

import pytest
import torch

from cnnpipe.errors import ParamsError
from cnnpipe.training.devices import make_accelerator


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


def test_precision_is_float32_whatever_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "bf16")
    assert make_accelerator("cpu").mixed_precision == "no"
