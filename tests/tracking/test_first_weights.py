"""The weights of a training, fetched from the store as the start of another one."""

import shutil
from pathlib import Path

import pytest
import torch
from bundles import SIDE_PX, make_bundle, make_view
from safetensors.torch import load_file
from torch import nn
from toy_pictures import toy_params

from cnnpipe import files
from cnnpipe.errors import ModelError, StorageError
from cnnpipe.models.bundle import WEIGHTS_FILE
from cnnpipe.models.networks import build_network
from cnnpipe.models.shape import NetworkShape
from cnnpipe.tracking.first_weights import fill_from_run
from cnnpipe.tracking.projection import ensure_run

MODEL_DIR = Path("models/lenet")
CHANNELS = 3  # of the bundles


@pytest.fixture
def run_id(project_with_store: Path) -> str:
    """Leave a LeNet-5 of three classes that was trained and judged, and its run."""
    make_view(Path("view"), pictures_per_split=2)
    make_bundle(MODEL_DIR, Path("view"))
    files.write_json(Path("results/lenet/metrics.json"), {"test/accuracy": 0.5})
    return str(ensure_run(MODEL_DIR, Path("results/lenet")))


def network_of(name: str) -> nn.Module:
    shape = NetworkShape(num_classes=3, channels=CHANNELS, side_px=SIDE_PX, dropout=0.0)
    return build_network(name, shape, weights="none", seed=5)


def fill(network: nn.Module, name: str, run_id: str, sha256: str = "0" * 64) -> None:
    weights_run = {"run_id": run_id, "sha256": sha256}
    fill_from_run(network, toy_params(network=name, weights="run", weights_run=weights_run))


def test_a_training_starts_where_another_one_ended(run_id: str) -> None:
    """Its files need not be on this machine."""
    trained = load_file(MODEL_DIR / WEIGHTS_FILE)
    digest, network = files.sha256_of_file(MODEL_DIR / WEIGHTS_FILE), network_of("lenet")
    shutil.rmtree("models")
    fill(network, "lenet", run_id, digest)
    assert all(torch.equal(tensor, trained[name]) for name, tensor in network.state_dict().items())


def test_other_weights_than_params_say_are_refused(run_id: str) -> None:
    with pytest.raises(ModelError, match=r"has the SHA-256 .*, where params say 00") as caught:
        fill(network_of("lenet"), "lenet", run_id)
    assert "weights_run.sha256" in caught.value.fix
    assert caught.value.where == f"run {run_id}"


def test_weights_of_another_network_are_refused(run_id: str) -> None:
    digest = files.sha256_of_file(MODEL_DIR / WEIGHTS_FILE)
    with pytest.raises(ModelError, match="of the backbone of lite0") as caught:
        fill(network_of("lite0"), "lite0", run_id, digest)
    assert caught.value.exit_code == 4


@pytest.mark.parametrize("unknown", ["0" * 32, "", "../x"])
def test_a_run_that_is_not_there_is_told(run_id: str, unknown: str) -> None:
    with pytest.raises(ModelError, match=f"runs:/{unknown}/model: ") as caught:
        fill(network_of("lenet"), "lenet", unknown)
    assert caught.value.exit_code == 4
    assert caught.value.fix.startswith("give the id of a training in this store that was evaluated")


def test_a_training_that_was_not_evaluated_has_no_weights_there(project_with_store: Path) -> None:
    make_view(Path("view"), pictures_per_split=2)
    make_bundle(MODEL_DIR, Path("view"))
    run_id = ensure_run(MODEL_DIR, None)
    with pytest.raises(ModelError, match=f"runs:/{run_id}/model: ") as caught:
        fill(network_of("lenet"), "lenet", str(run_id))
    assert "that was evaluated" in caught.value.fix


def test_a_store_that_does_not_answer_is_an_error_of_storage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    with pytest.raises(StorageError, match="does not answer") as caught:
        fill(network_of("lenet"), "lenet", "0" * 32)
    assert caught.value.exit_code == 7


def test_a_project_without_a_store_is_told(project_dir: Path) -> None:
    with pytest.raises(StorageError, match="there is no such MLflow store"):
        fill(network_of("lenet"), "lenet", "0" * 32)
    assert not list(project_dir.iterdir())


def test_without_a_run_in_params_the_store_is_not_asked(project_dir: Path) -> None:
    network = network_of("lenet")
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    fill_from_run(network, toy_params())
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
