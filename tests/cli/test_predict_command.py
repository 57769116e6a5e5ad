"""`cnnpipe predict` as a user meets it: real processes, their exit codes, what a killed one leaves."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from bundles import make_bundle, make_detect_bundle, make_view
from PIL import Image

from cnnpipe.cli.main import run

# slow enough to be stopped on the way: each batch of three waits a little
_SLOWLY = """
import sys, time
from cnnpipe.inference import picture_batches
load = picture_batches.load_picture
picture_batches.BATCH_SIZE = 3
def slowly(name, reading):
    time.sleep(0.15)
    return load(name, reading)
picture_batches.load_picture = slowly
from cnnpipe.cli.main import run
sys.exit(run(sys.argv[1:]))
"""
_NUM_PICTURES = 60


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    make_view(folder / "view", pictures_per_split=1)
    make_bundle(folder / "lenet", folder / "view")
    make_detect_bundle(folder / "fcos", folder / "view")
    return folder


@pytest.fixture
def project(tmp_path: Path, models: Path) -> Path:
    """A folder with trained models and pictures."""
    (tmp_path / "models").symlink_to(models)
    (tmp_path / "shots").mkdir()
    for number in range(_NUM_PICTURES):
        pixels = np.random.default_rng(number).integers(0, 256, (40, 60, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"shots/{number:02d}.png")
    return tmp_path


def predict(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "cnnpipe", "predict", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture(autouse=True)
def term_as_it_was() -> Iterator[None]:
    """Put back what `run` does to this process."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


def predict_here(*arguments: str) -> int:
    """Run the command in this process and return its exit code."""
    try:
        return run(["predict", *arguments])
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0


def start_slowly(folder: Path, *arguments: str) -> "subprocess.Popen[str]":
    """Start a prediction and return when its first lines are written."""
    command = [sys.executable, "-c", _SLOWLY, "predict", *arguments]
    started = subprocess.Popen(
        command,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # the tests may run where Ctrl-C is ignored, which a process inherits
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler) and None,  # noqa: PLW1509
    )
    part = folder / "out/predictions.jsonl.part"
    assert within(60, lambda: part.exists() and part.stat().st_size > 0), started.communicate()
    return started


def within(seconds: float, is_so: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if is_so():
            return True
        time.sleep(0.02)
    return False


@pytest.mark.slow
def test_a_detector_predicts_into_every_form(project: Path) -> None:
    (project / "shots/text.jpg").write_text("no picture")
    shown = predict(project, "fcos", "shots", "--out", "out", "--via", "corrected/project.json")
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.startswith(f"predict: {_NUM_PICTURES + 1} pictures, ")
    assert "boxes, 1 could not be read (text.jpg: cannot be read as a picture: no known" in shown.stdout
    assert shown.stdout.endswith("-> out, corrected/project.json\n")
    assert len((project / "out/predictions.jsonl").read_text().splitlines()) == _NUM_PICTURES + 1
    assert len(list((project / "out/drawn").iterdir())) == _NUM_PICTURES
    written = json.loads((project / "corrected/project.json").read_text())
    assert len(written["_via_image_id_list"]) == _NUM_PICTURES


@pytest.mark.slow
@pytest.mark.parametrize(
    ("how", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -9)], ids=["ctrl-c", "kill -9"]
)
def test_a_stopped_prediction_goes_on_with_the_same_command(
    project: Path,
    how: signal.Signals,
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(project)
    command = ("lenet", "shots", "--out", "out", "--no-drawn")
    with start_slowly(project, *command) as started:
        assert predict_here(*command) == 75
        assert f"out: process {started.pid} predicts into it now" in capsys.readouterr().err
        started.send_signal(how)
        _, told = started.communicate(timeout=30)
    assert started.returncode == code
    assert "Traceback" not in told
    num_done = Path("out/predictions.jsonl.part").read_bytes().count(b"\n")
    assert 0 < num_done < _NUM_PICTURES
    assert predict_here(*command) == 0
    shown = capsys.readouterr().out
    assert shown == f"predict: {_NUM_PICTURES} pictures, {num_done} from a former run -> out\n"
    names = [json.loads(line)["picture"] for line in Path("out/predictions.jsonl").read_text().splitlines()]
    assert names == sorted(path.name for path in Path("shots").iterdir())


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        pytest.param(("lennet", "shots"), 2, "did you mean 'lenet'", id="model"),
        pytest.param(("lenet", "shotz"), 3, "shotz: no such file or folder", id="pictures"),
        pytest.param(("lenet", "models"), 3, "models: no picture in there", id="no picture"),
        pytest.param(("models", "shots"), 4, "models: holds no model.json", id="folder"),
        pytest.param(("lenet", "shots", "--threshold", "0.5"), 2, "is for detectors", id="threshold"),
    ],
)
def test_a_mistake_is_told_in_two_lines(
    project: Path,
    arguments: tuple[str, ...],
    code: int,
    told: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(project)
    assert predict_here(*arguments, "--out", "out") == code
    shown = capsys.readouterr().err
    assert told in shown
    assert len(shown.splitlines()) == 2


def test_a_mistyped_name_is_told_before_torch_is_loaded(project: Path) -> None:
    code = """
import sys
from cnnpipe.cli.main import run
assert run(["predict", "lennet", "shots", "--out", "out"]) == 2
assert "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], cwd=project, check=True, capture_output=True)
