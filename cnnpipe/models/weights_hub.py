"""First weights from the hub that timm's come from: all that cnnpipe downloads, and only what params name."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

import timm
from huggingface_hub import constants, get_hf_file_metadata, hf_hub_download, hf_hub_url
from huggingface_hub.errors import LocalEntryNotFoundError
from timm.models import get_pretrained_cfg
from torch import Tensor, nn

from cnnpipe import files
from cnnpipe.errors import ModelError, ParamsError, StorageError
from cnnpipe.models.building import build_seeded
from cnnpipe.models.weights_file import fill_backbone, refuse_other
from cnnpipe.params.load import did_you_mean

log = logging.getLogger(__name__)

_FILE: Final = "model.safetensors"  # in each of timm's repositories
_WHERE: Final = "weights_hub.name"
_ANSWER_S: Final = 10.0


def load_hub_weights(network: nn.Module, name: str, hub_name: str, *, sha256: str | None) -> None:
    """Give `network` the weights that timm publishes under a name; its backbone must be covered whole.

    They are fetched once; from then on the hub's library has them on this machine, and no network is needed.

    Args:
        network: with its first weights.
        name: of the network, key of `heads.HEADS`.
        hub_name: of the weights, with their tag: resnet18.a1_in1k.
        sha256: what the hub's file must hash to; None: whatever is published there.

    Raises:
        ParamsError: timm knows no weights of that name.
        StorageError: they are not on this machine yet and the hub cannot be reached, or does not have them.
        ModelError: the file is damaged or another one, or lacks a part of the backbone.
    """
    config = _config(hub_name)
    path = _fetched(str(config.hf_hub_id))
    digest = files.sha256_of_file(path)
    refuse_other(digest, sha256 or digest, where=hub_name, section="weights_hub")
    log.info(
        "weights %s of the hub, SHA-256 %s; trained with mean %s and standard deviation %s at %d px",
        *(hub_name, digest, config.mean, config.std, config.input_size[-1]),
    )
    fill_backbone(network, name, _state(hub_name, path), where=hub_name)


def _config(hub_name: str) -> Any:
    try:
        config = get_pretrained_cfg(hub_name)
    except RuntimeError:  # of a network that is known with a tag that is not
        config = None
    if config is None or not config.hf_hub_id:
        known = timm.list_pretrained()
        of_network = [each for each in known if each.partition(".")[0] == hub_name.partition(".")[0]]
        fix = f"{did_you_mean(hub_name, known)}the names are those of timm.list_pretrained()"
        if of_network:
            fix = f"choose one of: {', '.join(of_network)}"
        raise ParamsError(_WHERE, f"timm publishes no weights {hub_name!r}", fix)
    return config


def _fetched(repository: str) -> Path:
    """Return the file of a repository as the hub's library keeps it, downloaded where it is not there yet."""
    repository, _, revision = repository.partition("@")
    fetch = partial(hf_hub_download, repository, _FILE, revision=revision or None)
    try:
        return Path(fetch(local_files_only=True))
    except LocalEntryNotFoundError:
        log.info("fetching %s from %s", repository, constants.ENDPOINT)
    try:
        with _online():
            # says at once that there is no way, where a download tries again for 20 s
            get_hf_file_metadata(hf_hub_url(repository, _FILE, revision=revision or None), timeout=_ANSWER_S)
            return Path(fetch())
    except Exception as error:  # of the hub's library, of what it sends requests with, of the disk
        what = f"{repository} cannot be had: {' '.join(str(error.__cause__ or error).split())[:200]}"
        fix = "look whether this machine reaches the hub; or fetch the file elsewhere and set weights: file"
        raise StorageError(constants.ENDPOINT, what, fix) from error


@contextmanager
def _online() -> Iterator[None]:
    """Lift what `telemetry` sets for the hub's library, for the block; its telemetry stays off."""
    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = False
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before


def _state(hub_name: str, path: Path) -> Mapping[str, Tensor]:
    """Return the weights by the names that timm's network has: the file may still have older ones."""
    make = partial(timm.create_model, hub_name, pretrained=True, pretrained_cfg_overlay={"file": str(path)})
    try:
        return build_seeded(make, seed=0).state_dict()
    except Exception as error:  # timm promises no kind of exception for a damaged file
        what = f"cannot be read: {' '.join(str(error).split())[:200]}"
        raise ModelError(str(path), what, "delete the file: it is fetched again") from error
