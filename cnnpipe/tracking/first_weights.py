"""First weights from another training: those of its best epoch, as MLflow's store holds them."""

from typing import Final

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from cnnpipe import files
from cnnpipe.errors import ModelError
from cnnpipe.models.bundle import WEIGHTS_FILE
from cnnpipe.models.weights_file import fill_backbone, refuse_other
from cnnpipe.params.experiment import ExperimentParams
from cnnpipe.tracking.fetched_bundle import fetched_bundle

_FIX: Final = (
    "give the id of a training in this store that was evaluated, as the MLflow UI shows it; "
    "`evaluate` puts the weights there"
)


def fill_from_run(network: nn.Module, params: ExperimentParams) -> None:
    """Give `network` the weights of `params.weights_run`; where params name no run, it stays as it is.

    Raises:
        StorageError: there is no store, or it does not answer.
        ModelError: it knows no such run or has no weights of it, or those are other ones than params say, or
            do not cover the backbone.
    """
    run = params.weights_run
    if run is None:
        return
    where = f"run {run.run_id}"
    with fetched_bundle(f"runs:/{run.run_id}/model", fix=_FIX) as folder:
        path = folder / WEIGHTS_FILE
        if not path.exists():
            raise ModelError(where, f"holds no {WEIGHTS_FILE}", _FIX)
        refuse_other(files.sha256_of_file(path), run.sha256, where=where, section="weights_run")
        try:
            found = load_file(path)
        except SafetensorError as error:
            raise ModelError(where, f"{WEIGHTS_FILE} cannot be read: {error}", _FIX) from error
        fill_backbone(network, params.network, found, where=where)
