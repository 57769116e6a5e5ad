"""What a meter writes down of each epoch, and that it changes nothing of what is trained on."""

from typing import Any

import pytest
import torch
from torch import nn

from benchmarks.checkpoint_cost import added_share
from benchmarks.loader_wait import BOUND, median_share
from benchmarks.meters import Meter, MeteredEpoch, Seconds, metered
from cnnpipe.training.fit import FitData
from cnnpipe.training.objective import Objective

CPU = torch.device("cpu")


def data_of(judged: list[Any]) -> FitData[Any]:
    def judge(_network: nn.Module, val: Any, _device: torch.device) -> dict[str, float]:
        judged.append(val)
        return {"loss": 2.0}

    objective = Objective[Any](losses=lambda *_: {}, judge=judge)
    return FitData(
        train=lambda epoch, first: [(epoch, each) for each in range(first, 3)],
        batch_sizes=[2, 2, 1],
        val="val",
        objective=objective,
    )


def test_metered_data_are_the_same_data_with_a_line_for_each_epoch() -> None:
    judged, meter = list[Any](), Meter()
    data = metered(data_of(judged), meter)
    for epoch in (1, 2):
        assert list(data.train(epoch, 1)) == [(epoch, 1), (epoch, 2)]
        assert data.objective.judge(nn.Identity(), data.val, CPU) == {"loss": 2.0}
    assert judged == ["val", "val"]
    assert len(meter.epochs) == 2
    assert all(0.0 < epoch.waited_share < 1.0 for epoch in meter.epochs)
    assert data.batch_sizes == [2, 2, 1]


def test_val_is_left_out_where_its_judgement_is_said() -> None:
    judged, meter = list[Any](), Meter()
    data = metered(data_of(judged), meter, judgement={"loss": 1.0})
    list(data.train(1, 0))
    assert data.objective.judge(nn.Identity(), data.val, CPU) == {"loss": 1.0}
    assert (judged, len(meter.epochs)) == ([], 1)


def test_the_share_of_waiting_is_the_median_without_the_first_epoch() -> None:
    waited = [9.0, 0.5, 3.0, 1.0]
    epochs = [MeteredEpoch(Seconds(wall=10.0, cpu=20.0), waited_s) for waited_s in waited]
    assert median_share(epochs) == pytest.approx(0.1)
    assert median_share(epochs) <= BOUND


def test_what_is_added_is_a_share_of_the_bare_loop() -> None:
    assert added_share([10.0, 10.6, 10.3], [10.0, 10.0, 10.0]) == pytest.approx(0.03)
    assert added_share([9.0], [10.0]) == pytest.approx(-0.1)
