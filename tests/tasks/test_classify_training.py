"""What the training of a classifier refuses before it begins, and what it is made of."""

from pathlib import Path
from typing import Any

import pytest
import torch
from bundles import make_bundle, make_view
from toy_pictures import toy_params

from cnnpipe import files
from cnnpipe.datasets.packs import open_view
from cnnpipe.errors import CnnpipeError, DataError, ModelError, ParamsError
from cnnpipe.models.bundle import WEIGHTS_FILE
from cnnpipe.params.experiment import TrainParams
from cnnpipe.tasks.classify.training import prepare
from cnnpipe.training.job import Job

MACHINE = TrainParams(device="cpu", precision="float32", num_threads=1, num_workers=0)
CROSS_ENTROPY = {"name": "cross_entropy", "label_smoothing": 0.1}
SHA = "0" * 64


@pytest.fixture(scope="module")
def view(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("views")
    make_view(folder / "view", pictures_per_split=6)
    make_bundle(folder / "teacher", folder / "view")
    make_bundle(folder / "stranger", folder / "view", classes=("ant", "bee"))
    return folder / "view"


def prepared(view: Path, **changes: Any) -> Job:
    return prepare(view, toy_params(**changes), MACHINE)


def taught_by(folder: Path, *, sha256: str | None = None) -> dict[str, Any]:
    own = files.sha256_of_file(folder / WEIGHTS_FILE) if folder.exists() else SHA
    return {"model": str(folder), "weights_sha256": sha256 or own, "temperature": 2.0, "share": 0.5}


@pytest.mark.parametrize(
    ("changes", "error", "said"),
    [
        pytest.param({"watch": "recall/boots"}, ParamsError, "did you mean 'boot'", id="watch"),
        pytest.param(
            {"loss": CROSS_ENTROPY | {"class_weights": {"coats": 2.0}}},
            ParamsError,
            "did you mean 'coat'",
            id="class weight",
        ),
        pytest.param({"distillation": "nowhere"}, ModelError, "no such folder", id="no teacher"),
        pytest.param({"distillation": "stranger"}, ModelError, "knows the classes ant, bee", id="classes"),
    ],
)
def test_what_does_not_fit_the_view_is_refused_before_training(
    view: Path, changes: dict[str, Any], error: type[CnnpipeError], said: str
) -> None:
    if "distillation" in changes:
        changes = {"distillation": taught_by(view.parent / changes["distillation"])}
    with pytest.raises(error, match=said):
        prepared(view, **changes)


def test_a_class_that_val_lacks_cannot_be_watched(tmp_path: Path) -> None:
    # of two pictures with two regions each, some draw has all classes in train and not in val
    for seed in range(50):
        make_view(tmp_path / str(seed), pictures_per_split=2, seed=seed)
        samples = open_view(tmp_path / str(seed)).samples
        train, val = ({s.label for s in samples if s.split == split} for split in ("train", "val"))
        if len(train) == 3 and (lacking := train - val):
            break
    watch = f"recall/{min(lacking)}"
    with pytest.raises(DataError, match=f"{watch} is undefined on the pictures of val"):
        prepared(tmp_path / str(seed), watch=watch)


def test_everything_at_once_makes_one_loss(view: Path) -> None:
    """Weights, smoothing, mixing and a teacher, watching a class: a step and a judgement."""
    params = toy_params(
        watch="recall/boot",
        loss=CROSS_ENTROPY | {"class_weights": "balanced"},
        mix={"mixup_alpha": 0.2, "cutmix_alpha": 1.0, "probability": 1.0},
        distillation=taught_by(view.parent / "teacher"),  # of 32 px and colours; the student has 16 and grey
    )
    job = prepare(view, params, MACHINE)
    network, data, cpu = job.first_network(params), job.data(), torch.device("cpu")
    batch = next(iter(data.train(1, 0)))
    parts = data.objective.losses(network.train(), batch, cpu)
    assert list(parts) == ["cross_entropy", "distillation"]
    torch.stack(list(parts.values())).sum().backward()  # type: ignore[no-untyped-call]
    assert all(w.grad is not None and w.grad.isfinite().all() for w in network.parameters())
    found = data.objective.judge(network, data.val, cpu)
    assert 0.0 <= found["recall/boot"] <= 1.0
