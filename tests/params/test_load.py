"""params.yaml is read as DVC reads it, and every fault of it is told at once."""

import copy
from pathlib import Path
from typing import Any

import pytest

from cnnpipe.errors import ParamsError
from cnnpipe.params.augment import DetectViewParams, load_view
from cnnpipe.params.document import Document
from cnnpipe.params.experiment import ClassifyParams, DetectParams, load_experiment
from cnnpipe.params.load import check, load_section, read_yaml
from cnnpipe.params.split import SplitParams

PARAMS = Path(__file__).resolve().parents[2] / "params.yaml"


def _faults(change: dict[str, Any]) -> str:
    """Return the message for params.yaml with "a.b.c" keys changed; None as a value takes the key away."""
    document = copy.deepcopy(read_yaml(PARAMS))
    for place, value in change.items():
        *parents, key = place.split("/")
        section = document
        for parent in parents:
            section = section[parent]
        if value is None:
            del section[key]
        else:
            section[key] = value
    with pytest.raises(ParamsError) as caught:
        check(document, Document, where="params.yaml", section="")
    return str(caught.value)


def test_params_of_the_repository_are_valid() -> None:
    check(read_yaml(PARAMS), Document, where="params.yaml", section="")


def test_document_has_a_section_for_every_key_and_no_more() -> None:
    fields = {field.alias or name for name, field in Document.model_fields.items()}
    assert fields == set(read_yaml(PARAMS))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"split/val_fraction": None, "split/val_fracton": 0.1}, "did you mean 'val_fraction'?"),
        ({"split/val_fraction": None}, "split.val_fraction is missing"),
        ({"spllit": {}}, "did you mean 'split'?"),
        ({"split/val_fraction": 1.5}, "split.val_fraction is 1.5: input should be less than 1"),
        ({"split/val_fraction": 0.6, "split/test_fraction": 0.5}, "must be below 1"),
        ({"split/given": "attribute"}, "given_attribute is set exactly when"),
        (
            {"experiments/lenet/epochs": "40"},
            "experiments.lenet.epochs is '40': input should be a valid integer",
        ),
        ({"experiments/lenet/epochs": 0}, "greater than or equal to 1"),
        ({"experiments/lenet/optimiser/learnin_rate": 1.0}, "did you mean 'learning_rate'?"),
        (
            {"experiments/lenet/optimiser/name": "adamm"},
            "experiments.lenet.optimiser.name is 'adamm': it should be 'sgd', 'adam'",
        ),
        ({"experiments/lenet/task": "detekt"}, "experiments.lenet.task is 'detekt'"),
        ({"experiments/fcos-lite0/decoding/nms_io": 0.5}, "did you mean 'nms_iou'?"),
        ({"experiments/fcos-lite0/network": "lenet"}, "network 'lenet' is not known for this task"),
        ({"experiments/lenet/weights": "package"}, "network 'lenet' has weights: none, or those of a file"),
        ({"experiments/lenet/weights": "file"}, "weights_file is set exactly when"),
        ({"experiments/fcos-lite0/transfer/frozen_epochs": 99}, "frozen_epochs must be below epochs"),
        ({"augment/detect": None}, "augment.detect is missing: experiment 'fcos-lite0' reads that view"),
        ({"compare/detect": None}, "compare.detect is missing"),
        ({"experiments/lenet/schedule/warmup_epochs": 40}, "warmup_epochs must be below epochs"),
        ({"experiments/v1.2": {}}, "experiments.v1.2"),
        ({"experiments": {}}, "experiments"),
        ({"validate/min_side_px": None}, "validate.min_side_px is missing"),
        ({"train/device": "gpu"}, "'auto', 'cpu' or 'cuda'"),
    ],
    ids=lambda value: "" if isinstance(value, str) else next(iter(value)),
)
def test_fault_is_named_with_its_place(change: dict[str, Any], told: str) -> None:
    assert told in _faults(change)


def test_experiment_is_of_the_kind_of_its_task() -> None:
    assert isinstance(load_experiment(PARAMS, "lenet"), ClassifyParams)
    assert isinstance(load_experiment(PARAMS, "fcos-lite0"), DetectParams)
    with pytest.raises(ParamsError, match=r"experiments\.lenett is missing\n.*did you mean 'lenet'"):
        load_experiment(PARAMS, "lenett")


def test_view_is_of_the_kind_of_its_name() -> None:
    assert isinstance(load_view(PARAMS, "detect"), DetectViewParams)
    with pytest.raises(ParamsError, match="did you mean 'classify'"):
        load_view(PARAMS, "clasify")


def test_all_faults_come_in_one_message() -> None:
    message = _faults({"split/seed": "x", "train/num_threads": 0, "compare/classify": "acuracy"})
    assert all(place in message for place in ("split.seed", "train.num_threads", "compare.classify"))


def test_unknown_keys_list_those_that_exist() -> None:
    message = _faults({"experiments/lenet/input/sidepx": 3})
    assert "the keys of 'experiments.lenet.input' are: channels, fit, normalisation, side_px" in message


def test_yaml_is_1_2_as_dvc_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text("a: {rate: 1e-3, switch: on}", encoding="utf-8")
    assert read_yaml(path) == {"a": {"rate": 0.001, "switch": "on"}}


@pytest.mark.parametrize(
    ("content", "told"),
    [(None, "file not found"), ("a: [", "not YAML"), ("- 1", "holds no sections"), ("", "holds no sections")],
)
def test_unusable_file_is_an_error_with_a_fix(tmp_path: Path, content: str | None, told: str) -> None:
    path = tmp_path / "params.yaml"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    with pytest.raises(ParamsError, match=told):
        read_yaml(path)


def test_bytes_that_are_not_utf8_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_bytes(b"a: \xff\xfe")
    with pytest.raises(ParamsError, match="not YAML"):
        read_yaml(tmp_path / "params.yaml")


def test_section_is_loaded_typed() -> None:
    assert load_section(PARAMS, "split", SplitParams).given == "folder"


def test_missing_experiment_suggests_the_nearest() -> None:
    with pytest.raises(ParamsError, match="did you mean 'lenet'"):
        load_section(PARAMS, "experiments.lennet", SplitParams)
