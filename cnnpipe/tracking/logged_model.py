"""The bundle of a training as an MLflow model: its two files and the name of the module that reads them."""

import shutil
import tempfile
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path
from types import MappingProxyType
from typing import Final

from mlflow import pyfunc
from mlflow.entities import LoggedModelOutput, Run
from mlflow.models import Model, ModelSignature
from mlflow.types import ColSpec, DataType, Schema
from mlflow.types.schema import Array, Object, Property

from cnnpipe import files
from cnnpipe.models.bundle import MODEL_FILE, WEIGHTS_FILE, ModelSpec
from cnnpipe.tracking.store import Store

IMAGE: Final = "image"  # the input column: a picture as the bytes of a file
DETECTIONS: Final = "detections"  # the output column of a detector: a list per picture
VALUE: Final = "value"  # the output column of a regressor
_NAME: Final = "model"
_LOADER: Final = "cnnpipe.tracking.served"  # named, not imported: to log a model takes no torch


def log_bundle(store: Store, run: Run, model_dir: Path) -> None:
    """Log the bundle as the model of a run: `runs:/<run_id>/model` loads it with mlflow.pyfunc.

    Nothing in it is pickled. By id throughout: `log_model` would start a run where none is active.
    """
    client = store.client
    spec = files.read_json(model_dir / MODEL_FILE, ModelSpec)
    model = client.create_logged_model(
        store.experiment_id,
        _NAME,
        source_run_id=run.info.run_id,
        model_type=spec.task,
        params=run.data.params,
    )
    with tempfile.TemporaryDirectory(prefix="cnnpipe-") as folder:
        described = Model(
            artifact_path=model.artifact_location,
            run_id=run.info.run_id,
            model_uuid=model.model_id,
            model_id=model.model_id,
            signature=_signature(spec),  # given here: `save_model` would warn that there is no example
        )
        _save(model_dir, Path(folder), described)
        client.log_model_artifacts(model.model_id, str(Path(folder) / _NAME))
    client.finalize_logged_model(model.model_id, "READY")
    client.log_outputs(run.info.run_id, [LoggedModelOutput(model.model_id, step=0)])


def _save(model_dir: Path, folder: Path, described: Model) -> None:
    bundle = folder / "bundle"
    bundle.mkdir()
    for name in (MODEL_FILE, WEIGHTS_FILE):
        shutil.copyfile(model_dir / name, bundle / name)
    pyfunc.save_model(
        str(folder / _NAME),
        loader_module=_LOADER,
        data_path=str(bundle),
        mlflow_model=described,
        pip_requirements=[f"cnnpipe[train]=={metadata.version('cnnpipe')}"],
    )


def _signature(spec: ModelSpec) -> ModelSignature:
    outputs = _OUTPUTS[spec.task](spec)
    return ModelSignature(inputs=Schema([ColSpec(DataType.binary, IMAGE)]), outputs=outputs)


def _scores(spec: ModelSpec) -> Schema:
    return Schema([ColSpec(DataType.double, name) for name in spec.classes])


def _value(_spec: ModelSpec) -> Schema:
    return Schema([ColSpec(DataType.double, VALUE)])


def _detections(_spec: ModelSpec) -> Schema:
    """Return one column of lists, so that a picture without a detection has its row, too."""
    detection = Object(
        [
            Property("label", DataType.string),
            Property("score", DataType.double),
            Property("box", Array(DataType.double)),
        ]
    )
    return Schema([ColSpec(Array(detection), DETECTIONS)])


_OUTPUTS: Final[Mapping[str, Callable[[ModelSpec], Schema]]] = MappingProxyType(
    {"classify": _scores, "detect": _detections, "regress": _value}
)
