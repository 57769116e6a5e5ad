"""Pictures that a small network learns in seconds: bright on the left, on the right, or nowhere."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from cnnpipe.models.networks import build_network
from cnnpipe.models.shape import NetworkShape
from cnnpipe.params.experiment import ClassifyParams
from cnnpipe.params.losses import CrossEntropyParams
from cnnpipe.training.classification import Batch, classification_objective
from cnnpipe.training.fit import FitData

CROSS_ENTROPY = CrossEntropyParams(name="cross_entropy", label_smoothing=0.0)
BATCH_SIZE = 16
NUM_TRAIN = 48
STEPS_PER_EPOCH = 3


def toy_params(**changes: object) -> ClassifyParams:
    """Return a recipe for LeNet-5 on 16 px, grey; `changes` replace its keys."""
    augmentation = {"crop_scale": 1.0, "translate_fraction": 0.0}
    augmentation |= dict.fromkeys(("flip_horizontal", "flip_vertical"), 0.0)
    augmentation |= dict.fromkeys(("brightness", "contrast", "saturation"), 0.0)
    recipe = {
        "task": "classify",
        "network": "lenet",
        "weights": "none",
        "dropout": 0.2,
        "seed": 3,
        "input": {"side_px": 16, "channels": 1, "fit": "stretch", "normalisation": "half"},
        "augmentation": augmentation,
        "epochs": 4,
        "batch_size": BATCH_SIZE,
        "loss": {"name": "cross_entropy", "label_smoothing": 0.0},
        "optimiser": {"name": "adamw", "learning_rate": 0.005, "weight_decay": 0.01},
        "schedule": {"name": "cosine", "warmup_epochs": 1.0},
        "watch": "accuracy",
        "early_stopping": None,
        "transfer": None,
    }
    return ClassifyParams.model_validate(recipe | changes)


def toy_network(*, seed: int = 3, dropout: float = 0.2) -> nn.Module:
    """Return LeNet-5 for the toy pictures."""
    shape = NetworkShape(num_classes=3, channels=1, side_px=16, dropout=dropout)
    return build_network("lenet", shape, weights="none", seed=seed)


def toy_data() -> FitData[Batch]:
    """Return the data of a training; the order of train depends on the epoch alone."""
    return FitData(
        train=toy_epoch,
        batch_sizes=[BATCH_SIZE] * STEPS_PER_EPOCH,
        val=[toy_pictures(24, seed=99)],
        objective=classification_objective(half, CROSS_ENTROPY),
    )


def toy_epoch(epoch: int, first: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the batches of one epoch from a number on."""
    pictures, targets = toy_pictures(NUM_TRAIN, seed=0)
    order = torch.randperm(NUM_TRAIN, generator=torch.Generator().manual_seed(epoch))
    for chosen in torch.split(order, BATCH_SIZE)[first:]:
        yield pictures[chosen], targets[chosen]


def toy_pictures(number: int, *, seed: int) -> tuple[Tensor, Tensor]:
    """Return pictures (N, 1, 16, 16) uint8 and their classes: 0 left, 1 right, 2 nowhere."""
    generator = torch.Generator().manual_seed(seed)
    pictures = torch.randint(0, 60, (number, 1, 16, 16), dtype=torch.uint8, generator=generator)
    targets = torch.arange(number) % 3
    pictures[targets == 0, :, :, :8] += 150
    pictures[targets == 1, :, :, 8:] += 150
    return pictures, targets


def half(pictures: Tensor) -> Tensor:
    """Normalise with mean = std = 0.5."""
    return pictures.float() / 127.5 - 1.0
