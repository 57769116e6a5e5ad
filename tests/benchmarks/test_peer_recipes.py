"""The peers' loops: the rates that their scripts would have, and nothing left behind in torch."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from benchmarks.peer_recipes import Peer, Schedule, accuracy_of, torchvision_scheduler, train_epoch


def rates_of(schedule: Schedule, epochs: int) -> list[float]:
    optimiser = torch.optim.SGD(nn.Linear(1, 1).parameters(), lr=1.0)
    scheduler = torchvision_scheduler(optimiser, epochs, schedule)
    rates = []
    for _ in range(epochs):
        rates.append(float(optimiser.param_groups[0]["lr"]))
        optimiser.step()
        scheduler.step()
    return rates


@pytest.mark.parametrize(
    ("schedule", "epochs", "rates"),
    [
        pytest.param("steplr", 6, [1.0, 1.0, 0.1, 0.1, 0.01, 0.01], id="a tenth after each third"),
        pytest.param("steplr", 2, [1.0, 0.1], id="steps of one epoch at least"),
        pytest.param("cosineannealinglr", 4, [1.0, 0.85355, 0.5, 0.14645], id="half a cosine"),
    ],
)
def test_the_rate_of_torchvision_falls_in_proportion(
    schedule: Schedule, epochs: int, rates: list[float]
) -> None:
    assert rates_of(schedule, epochs) == pytest.approx(rates, abs=1e-5)


def loader_of(pictures: Tensor, targets: Tensor) -> DataLoader[tuple[Tensor, Tensor]]:
    dataset: Any = TensorDataset(pictures, targets)  # torch's stub promises tuples of any length
    return DataLoader(dataset, batch_size=2)


@pytest.fixture
def batches() -> DataLoader[tuple[Tensor, Tensor]]:
    return loader_of(torch.eye(4), torch.tensor([0, 1, 0, 1]))


def test_an_epoch_steps_through_every_batch_and_leaves_torch_as_it_was(
    batches: DataLoader[tuple[Tensor, Tensor]],
) -> None:
    network, steps, epochs = nn.Sequential(nn.Linear(4, 2), nn.Dropout(0.5)), list[int](), list[str]()
    optimiser = torch.optim.SGD(network.parameters(), lr=1.0)
    loaders = (batches, batches, batches)
    peer = Peer(
        network, optimiser, nn.CrossEntropyLoss(), *loaders, steps.append, lambda: epochs.append("told")
    )
    state = torch.get_rng_state()
    torch.use_deterministic_algorithms(True)
    try:
        losses = [train_epoch(peer, epoch, seed=1) for epoch in range(1, 41)]
        assert torch.are_deterministic_algorithms_enabled()
    finally:
        torch.use_deterministic_algorithms(False)
    assert torch.equal(torch.get_rng_state(), state)
    assert (steps, len(epochs)) == (list(range(1, 81)), 40)
    assert losses[-1] < losses[0]
    assert accuracy_of(network, batches) == 1.0


def test_accuracy_is_the_share_of_pictures_and_not_of_batches() -> None:
    network = nn.Identity()
    logits, targets = torch.tensor([[2.0, 1.0]] * 3), torch.tensor([0, 0, 1])
    assert accuracy_of(network, loader_of(logits, targets)) == pytest.approx(2 / 3)
