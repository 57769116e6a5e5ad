"""A training as it is known before its first epoch, for tests of what records it."""

from cnnpipe.tracking.runs import Training

EPOCHS = [
    {"epoch": epoch, "step": 10 * epoch, "train/loss": 1 / epoch, "val/accuracy": epoch / 4, "lr/all": 1e-3}
    for epoch in (1, 2, 3)
]


def a_training(signature: str = "a" * 64, experiment: str = "lenet") -> Training:
    return Training(
        signature=signature,
        experiment=experiment,
        task="classify",
        network="lenet",
        num_parameters=61706,
        params={"input.side_px": 48, "early_stopping": None, "optimiser.name": "adamw", "nesterov": True},
        inputs={"data/augmented/classify/view.json": "b" * 64},
        code="c" * 64,
    )
