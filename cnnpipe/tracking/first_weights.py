"""First weights from another training: those of its best epoch, as MLflow's store holds them."""

from typing import Final

from torch import nn

from cnnpipe.errors import ModelError
from cnnpipe.models.bundle import WEIGHTS_FILE
from cnnpipe.models.weights_file import load_first_weights
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
    with fetched_bundle(f"runs:/{run.run_id}/model", fix=_FIX) as folder:
        path = folder / WEIGHTS_FILE
        if not path.exists():
            raise ModelError(f"run {run.run_id}", f"holds no {WEIGHTS_FILE}", _FIX)
        load_first_weights(network, params.network, path, sha256=run.sha256, section="weights_run")
