"""Which trained model a person means: an experiment of this project, or the folder of a bundle."""

from pathlib import Path

from cnnpipe import paths
from cnnpipe.errors import ModelError, ParamsError
from cnnpipe.models.bundle import MODEL_FILE
from cnnpipe.params.load import did_you_mean, read_yaml


def find_bundle(model: str) -> Path:
    """Return the folder of model.json and weights.safetensors.

    Args:
        model: an experiment of the project in the current folder, or the path of such a folder.

    Raises:
        ModelError: the experiment is not trained yet, or the folder holds no model.
        ParamsError: it is neither.
    """
    trained = sorted(path.parent.name for path in paths.MODELS.glob(f"*/{MODEL_FILE}"))
    if model in trained:
        return paths.MODELS / model
    if (Path(model) / MODEL_FILE).is_file():
        return Path(model)
    if model in _experiments():
        raise ModelError(f"experiment {model}", "is not trained yet", f"run `dvc repro train@{model}`")
    if Path(model).is_dir():
        fix = "name a folder with model.json and weights.safetensors, e.g. models/<experiment>"
        raise ModelError(model, f"holds no {MODEL_FILE}", fix)
    known = f"those of this project: {', '.join(trained)}" if trained else "this folder has none"
    fix = f"{did_you_mean(model, trained)}experiments that are trained are {known}"
    raise ParamsError(model, "is neither a trained experiment nor the folder of a model", fix)


def _experiments() -> set[str]:
    if not paths.PARAMS.exists():
        return set()
    experiments = read_yaml(paths.PARAMS).get("experiments")
    return set(experiments) if isinstance(experiments, dict) else set()
