"""`cnnpipe models` as a user meets it: the list, the layers of one network, its exit codes."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from cnnpipe.cli import main, models_table
from cnnpipe.models import layer_report
from cnnpipe.params.networks import DETECTOR_WEIGHTS, NETWORK_FACTS

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.setenv("NO_COLOR", "1")


def run(*arguments: str) -> int:
    try:
        return main.run(["models", *arguments])
    except SystemExit as ended:
        return int(ended.code or 0)


def test_the_list_has_every_network_with_its_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    assert run() == 0
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    named = {line.split()[0] for line in lines if line}
    assert named >= {*NETWORK_FACTS, *DETECTOR_WEIGHTS}
    (vgg16,) = (line.split("  ") for line in lines if line.startswith("vgg16 "))
    assert [cell.strip() for cell in vgg16 if cell] == [
        *("vgg16", "2015", "138 M", "30.9 G", "3x224x224", "32"),
        *("Simonyan and Zisserman 2015", "activation, start"),
    ]
    assert next(line for line in lines if line.startswith("lite0 ")).split()[8] == "package"


def test_a_narrow_terminal_is_told_what_is_left_out(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert run() == 0
    told = capsys.readouterr().out
    assert max(map(len, told.splitlines())) <= 80
    assert "left out: year, smallest px, options" in told
    assert run("show", "lenet") == 0
    told = capsys.readouterr().out
    assert "left out: unshared, full" in told
    assert "16 x 10 x 10" in told


def test_json_holds_the_facts(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--json") == 0
    told = json.loads(capsys.readouterr().out)
    by_name = {network["name"]: network for network in told["classifiers"]}
    assert list(by_name) == list(NETWORK_FACTS)
    assert by_name["lenet"]["num_parameters"] == 61_706
    assert by_name["lite0"]["weights"] == ["none", "package"]
    assert [detector["name"] for detector in told["detectors"]] == list(DETECTOR_WEIGHTS)


def test_the_list_needs_no_torch() -> None:
    code = (
        "import sys; from cnnpipe.cli.main import run\n"
        "try: run(['models'])\n"
        "except SystemExit: pass\n"
        "sys.exit('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_layers_of_lenet(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("show", "lenet", "--input", "1x32x32", "--classes", "10") == 0
    lines = capsys.readouterr().out.splitlines()
    cells = [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in lines if line]
    assert cells[0] == ["layer", "kind", "output", "parameters", "unshared", "full", "field px", "FLOPs"]
    assert cells[4] == ["c3", "conv", "16 x 10 x 10", "2,416", "240 k", "1.88 M", "14", "480 k"]
    assert cells[9][:4] == ["c5", "fc", "120", "48,120"]
    assert cells[9][-2:] == ["whole", "96 k"]
    assert lines[-2:] == [
        "61,706 parameters, 833 k FLOPs for one picture",
        "output sizes by formula and as run agree in all 15 layers",
    ]


def test_what_is_used_in_training_alone_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("show", "googlenet") == 0
    told = capsys.readouterr().out
    assert "13,004,888 parameters, 3 G FLOPs for one picture\n6,379,984 of them in training alone" in told


def test_json_of_a_networks_layers(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("show", "lenet", "--input", "3x28x28", "--classes", "4", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["input"], told["classes"], told["agrees"]) == ([3, 28, 28], 4, True)
    assert told["layers"][0] == {
        "name": "c1",
        "kind": "conv",
        "input": [3, 28, 28],
        "output_by_formula": [6, 24, 24],
        "output": [6, 24, 24],
        "parameters": 456,
        "fully_connected": 3 * 28 * 28 * 6 * 24 * 24,
        "unshared": 75 * 6 * 24 * 24,
        "receptive_field_px": [5, 5],
        "sees_all": False,
        "flops": 2 * 75 * 6 * 24 * 24,
    }


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with an experiment `mine` of a network of its own, of 1 channel and 24 px."""
    params: dict[str, Any] = YAML(typ="safe").load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    mine = params["experiments"]["lenet"] | {
        "network": "cnn",
        "options": {
            "layers": [{"conv": {"out": 4, "kernel": 5}}, {"pool": {"kind": "global_max"}}, "flatten"]
        },
        "input": {"side_px": 24, "channels": 1, "fit": "letterbox", "normalisation": "dataset"},
    }
    with (tmp_path / "params.yaml").open("w", encoding="utf-8") as file:
        YAML(typ="safe").dump({"experiments": {"mine": mine}}, file)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.usefixtures("project")
def test_an_experiment_says_its_layers_and_its_input(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("show", "cnn", "--experiment", "mine", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["input"] == [1, 24, 24]
    kinds = [layer["kind"] for layer in told["layers"]]
    assert kinds == ["conv", "global max pool", "flatten", "dropout", "fc"]
    assert told["options"]["layers"][1] == {"pool": {"kind": "global_max", "padding": 0, "ceil": False}}


@pytest.mark.usefixtures("project")
def test_an_input_that_its_layers_do_not_fit_is_told_with_the_arithmetic(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run("show", "cnn", "--experiment", "mine", "--input", "3x8x8") == 0
    assert run("show", "cnn", "--experiment", "mine", "--input", "3x4x4") == 2
    assert "too small" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["lenett"], "did you mean 'lenet'?"),
        (["fcos-lite0"], "a detector"),
        (["cnn"], "cnnpipe models show cnn --experiment NAME"),
        (["cnn", "--experiment", "none"], "experiments.none is missing"),
        (["lenet", "--experiment", "mine"], "its network is cnn, not lenet"),
        (["lenet", "--input", "3x32"], "'3x32' is not CxHxW"),
        (["lenet", "--input", "2x32x32"], "2 channels: a picture has 1 (grey) or 3 (colour)"),
        (["lenet", "--input", "3x32x48"], "32 x 48 px: networks take squares"),
        (["lenet", "--input", "3x0x0"], "0 x 0 px"),
        (["lenet", "--input", "3x12x12"], "--input: an input of 12 px is too small for lenet"),
        (["lenet", "--classes", "1"], "Invalid value for '--classes'"),
        (["timm/no_such_network"], "no_such_network"),
    ],
    ids=" ".join,
)
@pytest.mark.usefixtures("project")
def test_wrong_usage_exits_2(arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("show", *arguments) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert told in shown.err


def test_a_formula_that_is_wrong_exits_1(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layer_report, "output_by_formula", lambda _call: [1])
    assert run("show", "lenet") == 1
    shown = capsys.readouterr()
    assert "6 x 28 x 28 (by formula 1)" in shown.out
    assert "agree" not in shown.out
    assert "lenet, layer c1: [6, 28, 28] as run, and [1] by formula" in shown.err


def test_short_numbers_have_three_digits_and_a_unit() -> None:
    told = [models_table.short(number) for number in (None, 0, 999, 1_000, 61_706, 999_600, 138_357_544)]
    assert told == ["", "0", "999", "1 k", "61.7 k", "1000 k", "138 M"]
