"""Which GPUs a flow may use, from CUDA_VISIBLE_DEVICES and a stand-in for nvidia-smi."""

import os
import shlex
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnnpipe.errors import ParamsError
from cnnpipe.orchestration import gpus
from cnnpipe.orchestration.gpus import Gpu, chosen_gpus, parse_gpus, visible_gpus

A, B, C = (
    "GPU-8932f937-d72c-4106-c12f-20bd9faed9f6",
    "GPU-0aeb8eb5-72e2-4f3c-a7a2-4d0f9d5a7a31",
    "GPU-0aff1c2d-5b1e-41fb-9b54-0d9d6c1c7b0e",
)
TWO = f"0, {A}, Tesla T4\n1, {B}, Tesla T4\n"
MIXED = f"0, {A}, Tesla T4\n1, {C}, NVIDIA A100-SXM4-40GB\n"
THREE = tuple(Gpu(str(index), uuid, "T4") for index, uuid in enumerate((A, B, C)))


@pytest.fixture
def smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the file of a program nvidia-smi, still to be written, on a path that holds nothing else."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.delenv("CUDA_DEVICE_ORDER", raising=False)
    return tmp_path / "nvidia-smi"


def says(smi: Path, answer: str, *, code: int = 0, seconds: float = 0.0) -> None:
    """Write a program that answers so; sys.executable, for the path has no shell's programs."""
    program = f"import sys, time\ntime.sleep({seconds})\nsys.stdout.write({answer!r})\nsys.exit({code})\n"
    smi.with_suffix(".py").write_text(program, encoding="utf-8")
    call = shlex.join([sys.executable, str(smi.with_suffix(".py"))])
    smi.write_text(f"#!/bin/sh\nexec {call}\n", encoding="utf-8")  # the folder of Python may have a blank
    smi.chmod(0o755)


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        pytest.param(TWO, [A, B], id="two"),
        pytest.param(TWO.replace("\n", "\r\n"), [A, B], id="other line ends"),
        pytest.param(f"0, {A}, NVIDIA H100, made up\n", [A], id="comma in the name"),
        pytest.param("", [], id="nothing"),
        pytest.param("No devices were found\n", [], id="none"),
        pytest.param(
            "Unable to determine the device handle for GPU0000:01:00.0: GPU is lost.  Reboot the system\n"
            f"1, {B}, Tesla T4\n",
            [B],
            id="one is lost",
        ),
        pytest.param('Field "uuid" is not a valid field to query.\n', [], id="old"),
    ],
)
def test_rows_are_read_and_all_else_is_passed_over(answer: str, found: list[str]) -> None:
    assert [gpu.uuid for gpu in parse_gpus(answer)] == found


@given(st.text())
def test_no_answer_breaks_the_reading(answer: str) -> None:
    assert all(gpu.number.isdecimal() and gpu.uuid.startswith("GPU-") for gpu in parse_gpus(answer))


@given(st.lists(st.tuples(st.uuids(), st.from_regex(r"[A-Za-z0-9][\w /,-]*[A-Za-z0-9]", fullmatch=True))))
def test_what_is_written_is_read(rows: list[tuple[object, str]]) -> None:
    expected = [Gpu(str(index), f"GPU-{uuid}", model) for index, (uuid, model) in enumerate(rows)]
    assert list(parse_gpus("".join(f"{', '.join(gpu)}\n" for gpu in expected))) == expected


@pytest.mark.parametrize(
    ("named", "found"),
    [
        pytest.param("0,2", [A, C], id="numbers"),
        pytest.param("2, 0", [C, A], id="order and blanks"),
        pytest.param(B, [B], id="identifier"),
        pytest.param("GPU-89", [A], id="beginning"),
        pytest.param("GPU-0a,0", [], id="beginning of two"),
        pytest.param("0,-1,1", [A], id="-1 hides the rest"),
        pytest.param("1,7,0", [B], id="unknown number hides the rest"),
        pytest.param("0,,1", [A], id="nothing between commas"),
        pytest.param("0,0", [A], id="twice"),
        pytest.param("NoDevFiles", [], id="none, as batch systems write it"),
        pytest.param("MIG-c6d4f1ef", ["MIG-c6d4f1ef"], id="a part of a GPU"),
    ],
)  # fmt: skip
def test_named_gpus_are_those_of_the_host(named: str, found: list[str]) -> None:
    assert list(chosen_gpus(named, THREE)) == found


@given(st.text(alphabet="0123GPU-MIGaf, ", max_size=40), st.booleans())
def test_named_gpus_are_distinct_and_words_of_the_value_or_of_the_host(named: str, is_known: bool) -> None:
    found = chosen_gpus(named, THREE if is_known else ())
    assert len(set(found)) == len(found)
    assert set(found) <= {A, B, C} | {word.strip() for word in named.split(",")}
    assert "" not in found


def test_without_the_variable_all_of_the_host(smi: Path) -> None:
    assert visible_gpus() == ()  # there is no nvidia-smi
    says(smi, TWO)
    assert visible_gpus() == (A, B)


def test_a_driver_that_fails_is_told_and_gives_none(smi: Path, caplog: pytest.LogCaptureFixture) -> None:
    says(smi, "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.\n", code=9)
    assert visible_gpus() == ()
    assert "no GPU is used: NVIDIA-SMI has failed because it couldn't communicate" in caplog.text


def test_a_driver_that_hangs_is_not_waited_for(
    smi: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    says(smi, TWO, seconds=30.0)
    monkeypatch.setattr(gpus, "_ANSWER_S", 0.2)
    assert visible_gpus() == ()
    assert "did not answer" in caplog.text


@pytest.mark.parametrize("value", ["", " "])
def test_an_empty_variable_hides_all(smi: Path, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    says(smi, TWO)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", value)
    assert visible_gpus() == ()


def test_a_number_and_its_identifier_are_one_gpu(smi: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else two workers, one told by number, one by identifier, would share a GPU."""
    says(smi, TWO)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    assert visible_gpus() == (B,)


def test_where_nvidia_smi_is_missing_words_are_taken_as_they_stand(
    smi: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not smi.exists()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", f"1,{A}")
    assert visible_gpus() == ("1", A)


def test_numbers_of_different_models_are_refused_unless_the_order_is_given(
    smi: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    says(smi, MIXED)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    with pytest.raises(ParamsError, match="by number, and CUDA counts the fastest first") as caught:
        visible_gpus()
    assert "CUDA_DEVICE_ORDER=PCI_BUS_ID" in caught.value.fix
    monkeypatch.setenv("CUDA_DEVICE_ORDER", "PCI_BUS_ID")
    assert visible_gpus() == (A,)
    monkeypatch.delenv("CUDA_DEVICE_ORDER")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", C)
    assert visible_gpus() == (C,)
    assert os.environ["CUDA_VISIBLE_DEVICES"] == C
