"""Weights of the hub: fetched once and only when asked by name, from a server of this machine."""

import logging
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import timm
import torch
from huggingface_hub import constants
from safetensors.torch import save
from torch import Tensor, nn

from cnnpipe.errors import ModelError, ParamsError, StorageError
from cnnpipe.files import sha256_of_file
from cnnpipe.models.heads import is_of_head
from cnnpipe.models.networks import build_network
from cnnpipe.models.shape import NetworkShape
from cnnpipe.models.weights_hub import load_hub_weights

NAME = "tf_efficientnet_lite0.in1k"
FILE_URL = f"/timm/{NAME}/resolve/main/model.safetensors"
COMMIT = "c0ffee" + 34 * "0"


@dataclass
class Hub:
    """What a server of this machine has, and what it was asked for."""

    files: dict[str, bytes]
    asked: list[str] = field(default_factory=list)
    address: str = ""


@pytest.fixture(scope="module")
def published() -> dict[str, Tensor]:
    torch.manual_seed(7)
    return dict(timm.create_model("tf_efficientnet_lite0", pretrained=False).state_dict())


@pytest.fixture
def hub(published: dict[str, Tensor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """Serve the weights as huggingface.co does, to a machine that has none yet."""
    served = Hub({FILE_URL: save(published)})

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self._answer(with_content=False)

        def do_GET(self) -> None:
            self._answer(with_content=True)

        def log_message(self, *_: object) -> None:
            pass

        def _answer(self, *, with_content: bool) -> None:
            served.asked.append(f"{self.command} {self.path}")
            content = served.files.get(self.path)
            self.send_response(404 if content is None else 200)
            if content is None:
                self.send_header("X-Error-Code", "RepoNotFound")
            else:
                self.send_header("ETag", '"1234"')
                self.send_header("X-Repo-Commit", COMMIT)
            self.send_header("Content-Length", str(len(content or b"")))
            self.end_headers()
            if with_content and content is not None:
                self.wfile.write(content)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=partial(server.serve_forever, poll_interval=0.02), daemon=True).start()
    served.address = f"http://127.0.0.1:{server.server_port}"
    point_to(served.address, tmp_path / "cache", monkeypatch)
    yield served
    server.shutdown()
    server.server_close()


def point_to(address: str, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Do what HF_ENDPOINT and HF_HOME do, which the hub's library reads when it is imported."""
    assert constants.HF_HUB_OFFLINE, "telemetry.turn_off has run"
    monkeypatch.setattr(constants, "ENDPOINT", address)
    template = address + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))


def lite0(*, channels: int = 3) -> nn.Module:
    shape = NetworkShape(num_classes=4, channels=channels, side_px=32, dropout=0.0)
    return build_network("lite0", shape, weights="none", seed=1)


def test_weights_fill_the_backbone_below_a_new_head(hub: Hub, published: dict[str, Tensor]) -> None:
    network, start = lite0(), lite0().state_dict()
    load_hub_weights(network, "lite0", NAME, sha256=None)
    for name, tensor in network.state_dict().items():
        expected = start if is_of_head("lite0", name) else published
        assert torch.equal(tensor, expected[name]), name


def test_weights_are_fetched_once(hub: Hub) -> None:
    load_hub_weights(lite0(), "lite0", NAME, sha256=None)
    assert f"GET {FILE_URL}" in hub.asked
    hub.asked.clear()
    load_hub_weights(lite0(), "lite0", NAME, sha256=None)
    assert hub.asked == []


def test_only_these_weights_may_be_fetched(hub: Hub) -> None:
    """Afterwards the hub's library is as `telemetry` has set it; torch's generator is, too."""
    state = torch.get_rng_state()
    load_hub_weights(lite0(), "lite0", NAME, sha256=None)
    assert constants.HF_HUB_OFFLINE
    assert torch.equal(torch.get_rng_state(), state)
    with pytest.raises(StorageError):
        load_hub_weights(lite0(), "lite0", "resnet18.a1_in1k", sha256=None)
    assert constants.HF_HUB_OFFLINE


def test_filters_for_colours_are_summed_for_grey(hub: Hub, published: dict[str, Tensor]) -> None:
    network = lite0(channels=1)
    load_hub_weights(network, "lite0", NAME, sha256=None)
    stem = published["conv_stem.weight"].sum(dim=1, keepdim=True)
    torch.testing.assert_close(network.state_dict()["conv_stem.weight"], stem)


def test_the_log_says_what_to_pin_and_how_they_were_trained(
    hub: Hub, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    (tmp_path / "given").write_bytes(hub.files[FILE_URL])
    digest = sha256_of_file(tmp_path / "given")
    with caplog.at_level(logging.INFO):
        load_hub_weights(lite0(), "lite0", NAME, sha256=digest)
    assert f"SHA-256 {digest}; trained with mean (0.5, 0.5, 0.5)" in caplog.text
    assert "at 224 px" in caplog.text


def test_other_weights_than_params_say_are_refused(hub: Hub) -> None:
    with pytest.raises(ModelError, match=r"has the SHA-256 .*, where params say 00") as caught:
        load_hub_weights(lite0(), "lite0", NAME, sha256="0" * 64)
    assert "weights_hub.sha256" in caught.value.fix


def test_a_damaged_file_is_refused(hub: Hub) -> None:
    hub.files[FILE_URL] = hub.files[FILE_URL][:-200]
    with pytest.raises(ModelError, match="cannot be read") as caught:
        load_hub_weights(lite0(), "lite0", NAME, sha256=None)
    assert caught.value.fix == "delete the file: it is fetched again"


def test_weights_of_another_network_are_refused_by_name(hub: Hub) -> None:
    shape = NetworkShape(num_classes=4, channels=3, side_px=32, dropout=0.0)
    network = build_network("resnet18", shape, weights="none", seed=1)
    with pytest.raises(ModelError, match=r"lacks .* of the backbone of resnet18: conv1\.weight") as caught:
        load_hub_weights(network, "resnet18", NAME, sha256=None)
    assert caught.value.exit_code == 4


def test_without_a_network_the_error_is_one_of_storage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    point_to("http://127.0.0.1:9", tmp_path, monkeypatch)
    with pytest.raises(StorageError, match=f"timm/{NAME} cannot be had") as caught:
        load_hub_weights(lite0(), "lite0", NAME, sha256=None)
    assert caught.value.exit_code == 7
    assert "or fetch the file elsewhere and set weights: file" in caught.value.fix


def test_a_hub_without_such_weights_is_told(hub: Hub) -> None:
    hub.files.clear()
    with pytest.raises(StorageError, match=f"timm/{NAME} cannot be had: .*404"):
        load_hub_weights(lite0(), "lite0", NAME, sha256=None)


@pytest.mark.parametrize(
    ("name", "fix"),
    [
        pytest.param("resnet18.a1_in2k", "choose one of: resnet18.a1_in1k, ", id="another tag"),
        pytest.param("resnet19.a1_in1k", "did you mean 'resnet", id="no such network"),
        pytest.param("", "the names are those of timm.list_pretrained()", id="no name"),
    ],
)
def test_a_name_that_timm_does_not_publish_is_refused(hub: Hub, name: str, fix: str) -> None:
    with pytest.raises(ParamsError, match=f"timm publishes no weights '{name}'") as caught:
        load_hub_weights(lite0(), "lite0", name, sha256=None)
    assert fix in caught.value.fix
    assert hub.asked == []
