"""Predicting on many pictures: every one has its line, and a run that was stopped goes on."""

import errno
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bundles import make_bundle, make_detect_bundle, make_view
from PIL import Image

from cnnpipe import files
from cnnpipe.errors import BusyError, DataError, ModelError, ParamsError
from cnnpipe.formats.picture_files import find_pictures
from cnnpipe.inference import picture_batches
from cnnpipe.models.bundle import MODEL_FILE, WEIGHTS_FILE
from cnnpipe.projects.bundles import find_bundle
from cnnpipe.projects.predict import Predicted, PredictJob, predict
from cnnpipe.projects.prediction_lines import read_predictions
from cnnpipe.projects.prediction_records import PredictRun, PredictSettings
from cnnpipe.projects.prediction_state import drawn_path, only_one

CLASSES = ("ant", "b ee", "靴")
ODD_NAMES = ("with blank.jpg", "hash#.jpg", "per%20cent.jpg", "new\nline.jpg", "über 靴.jpg")


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a bundle of each task."""
    folder = tmp_path_factory.mktemp("models")
    make_view(folder / "view", pictures_per_split=1)
    make_bundle(folder / "lenet", folder / "view")
    make_detect_bundle(folder / "fcos", folder / "view", classes=CLASSES)
    return folder


@pytest.fixture
def pictures(project_dir: Path) -> Path:
    """Stand in a folder with ten pictures below `shots`."""
    for number in range(10):
        write_picture(Path("shots") / f"{number % 2}/{number}.png", seed=number)
    return Path("shots")


def write_picture(path: Path, *, seed: int = 0, width: int = 60, height: int = 40) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


def run(
    bundle: Path,
    *arguments: str,
    via: str | None = None,
    tell: Callable[[int, int], None] = lambda *_: None,
    **settings: Any,
) -> Predicted:
    chosen = {"threshold": None, "max_pixels": 1_000_000, "drawn": False, **settings}
    job = PredictJob(
        bundle=bundle,
        pictures=find_pictures(arguments or ["shots"], leave_out=Path("out/drawn")),
        out=Path("out"),
        settings=PredictSettings(**chosen),
        via=None if via is None else Path(via),
    )
    return predict(job, tell)


def lines() -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path("out/predictions.jsonl").read_text().split("\n")[:-1]]


def test_every_picture_has_its_line_in_order(bundles: Path, pictures: Path) -> None:
    predicted = run(bundles / "lenet")
    assert (predicted.num_pictures, predicted.num_failed, predicted.num_detections) == (10, 0, None)
    assert [line["picture"] for line in lines()] == [
        *(f"0/{number}.png" for number in (0, 2, 4, 6, 8)),
        *(f"1/{number}.png" for number in (1, 3, 5, 7, 9)),
    ]
    for line in lines():
        assert list(line) == [
            "picture",
            "width",
            "height",
            "size_bytes",
            "sha256",
            "label",
            "score",
            "scores",
        ]
        assert (line["width"], line["height"]) == (60, 40)
        assert line["sha256"] == files.sha256_of_file(pictures / line["picture"])
        assert line["score"] == line["scores"][line["label"]] == max(line["scores"].values())
    made = files.read_json(Path("out/run.json"), PredictRun)
    assert made.model.weights_sha256 == files.sha256_of_file(bundles / "lenet" / WEIGHTS_FILE)
    assert made.root == str(pictures.absolute())
    assert {path.name for path in Path("out").iterdir()} == {"predictions.jsonl", "run.json", ".predict.lock"}


def test_a_detector_lists_its_boxes_and_draws_them(bundles: Path, pictures: Path) -> None:
    write_picture(pictures / "0/0.png", width=1, height=1)
    predicted = run(bundles / "fcos", drawn=True)
    assert predicted.num_detections == sum(len(line["detections"]) for line in lines())
    assert predicted.num_detections
    for line in lines():
        for each in line["detections"]:
            assert list(each) == ["label", "score", "box"]
            assert each["label"] in CLASSES
            assert each["score"] >= 0.07  # the threshold of model.json
            assert 0 <= each["box"][0] < each["box"][2] <= line["width"]
        assert Path(f"out/drawn/{line['picture']}.jpg").read_bytes()[:3] == b"\xff\xd8\xff"


def test_the_threshold_can_be_chosen(bundles: Path, pictures: Path) -> None:
    assert run(bundles / "fcos", threshold=0.9).num_detections == 0
    assert all(line["detections"] == [] for line in lines())


def test_any_form_and_any_name_is_a_picture(bundles: Path, pictures: Path) -> None:
    with Image.open(pictures / "0/0.png") as stored:
        rgb = stored.convert("RGB")
    forms = {"grey.png": "L", "rgba.png": "RGBA", "cmyk.jpg": "CMYK", "palette.gif": "P", "bits.png": "1"}
    folder = Path("odd")
    folder.mkdir()
    for name, mode in forms.items():
        rgb.convert(mode).save(folder / name)
    for name in ODD_NAMES:
        rgb.save(folder / name)
    Image.fromarray(np.full((40, 60), 60_000, dtype=np.uint16)).save(folder / "sixteen.png")
    turned = Image.Exif()
    turned[0x0112] = 6
    rgb.save(folder / "turned.jpg", exif=turned)
    write_picture(folder / "large.png", width=1200, height=800)
    predicted = run(bundles / "fcos", "odd", via="project.json", drawn=True)
    assert (predicted.num_pictures, predicted.num_failed) == (len(forms) + len(ODD_NAMES) + 3, 0)
    by_name = {line["picture"]: line for line in lines()}
    assert set(ODD_NAMES) <= set(by_name)
    assert (by_name["turned.jpg"]["width"], by_name["turned.jpg"]["height"]) == (40, 60)
    assert all(drawn_path(Path("out"), name).exists() for name in by_name)


def test_a_bad_picture_is_a_line_and_not_the_end(bundles: Path, pictures: Path) -> None:
    (pictures / "0/2.png").write_text("no picture")
    (pictures / "0/4.png").write_bytes((pictures / "0/4.png").read_bytes()[:50])
    write_picture(pictures / "0/6.png", width=200, height=200)
    predicted = run(bundles / "fcos", "shots", "shots/gone.png", max_pixels=10_000, drawn=True, via="v.json")
    assert (predicted.num_pictures, predicted.num_failed) == (11, 4)
    errors = {line["picture"]: line["error"] for line in lines() if "error" in line}
    assert errors["0/2.png"] == "cannot be read as a picture: no known format"
    assert errors["0/6.png"] == "has 200 x 200 = 40000 pixels, more than 10000"
    assert errors["gone.png"] == "file not found"
    assert set(errors) == {"0/2.png", "0/4.png", "0/6.png", "gone.png"}
    assert predicted.first_error is not None
    assert predicted.first_error.picture == "0/2.png"
    drawn = {path.name for path in Path("out/drawn").rglob("*.jpg")}
    assert drawn == {f"{Path(line['picture']).name}.jpg" for line in lines() if "error" not in line}
    assert len(files.read_json(Path("v.json"), dict)["_via_img_metadata"]) == 7


def test_a_picture_that_vanishes_meanwhile_is_a_line(bundles: Path, pictures: Path) -> None:
    job_pictures = find_pictures(["shots"], leave_out=Path("out"))
    (pictures / "1/9.png").unlink()
    settings = PredictSettings(threshold=None, max_pixels=10_000, drawn=False)
    job = PredictJob(bundle=bundles / "lenet", pictures=job_pictures, out=Path("out"), settings=settings)
    assert predict(job, lambda *_: None).num_failed == 1
    assert lines()[-1] == {"picture": "1/9.png", "error": "file not found"}


def test_no_readable_picture_is_an_error_that_names_one(bundles: Path, project_dir: Path) -> None:
    for name in ("a.jpg", "b.jpg"):
        Path(name).write_text("no picture")
    with pytest.raises(
        DataError, match=r"none of 2 pictures could be read; the first, 'a\.jpg', cannot be"
    ) as e:
        run(bundles / "lenet", "a.jpg", "b.jpg", via="v.json")
    assert e.value.exit_code == 3
    assert len(lines()) == 2
    assert not Path("v.json").exists()


def test_batches_and_former_runs_change_nothing(
    bundles: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(bundles / "fcos", threshold=0.05)
    whole = lines()
    Path("out/run.json").unlink()
    Path("out/predictions.jsonl").unlink()
    monkeypatch.setattr(picture_batches, "BATCH_SIZE", 3)
    run(bundles / "fcos", threshold=0.05)
    for one, other in zip(whole, lines(), strict=True):
        assert [each["label"] for each in one["detections"]] == [
            each["label"] for each in other["detections"]
        ]
        for found, again in zip(one["detections"], other["detections"], strict=True):
            assert found["score"] == pytest.approx(again["score"], abs=1e-5)
            assert found["box"] == pytest.approx(again["box"], abs=0.011)  # rounded to 0.01


def stop_after(number: int) -> Callable[[int, int], None]:
    def tell(done: int, _total: int) -> None:
        if done >= number:
            raise KeyboardInterrupt

    return tell


@pytest.fixture
def half_done(bundles: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Press Ctrl-C after six of ten pictures; return the part file."""
    monkeypatch.setattr(picture_batches, "BATCH_SIZE", 3)
    with pytest.raises(KeyboardInterrupt):
        run(bundles / "lenet", tell=stop_after(6), drawn=True)
    part = Path("out/predictions.jsonl.part")
    assert part.read_bytes().count(b"\n") == 6
    assert not Path("out/predictions.jsonl").exists()
    return part


def test_a_stopped_run_goes_on_where_it_was(bundles: Path, half_done: Path) -> None:
    before = half_done.read_bytes()
    told: list[tuple[int, int]] = []
    predicted = run(bundles / "lenet", tell=lambda *at: told.append(at), drawn=True)
    assert (predicted.num_pictures, predicted.num_taken_over) == (10, 6)
    assert told == [(9, 10), (10, 10)]
    assert Path("out/predictions.jsonl").read_bytes().startswith(before)
    assert not half_done.exists()
    assert len(list(Path("out/drawn").rglob("*.jpg"))) == 10


@pytest.mark.parametrize("rest", [b"", b'{"picture":"0/8.p', b"\0\0\0\0", b"no json\n"])
def test_a_line_that_was_not_written_whole_is_written_again(
    bundles: Path, half_done: Path, rest: bytes
) -> None:
    content = half_done.read_bytes().splitlines(keepends=True)
    half_done.write_bytes(b"".join(content[:4]) + rest)
    assert run(bundles / "lenet", drawn=True).num_taken_over == 4
    assert len(lines()) == 10


@pytest.mark.parametrize(
    ("change", "num_left"),
    [
        pytest.param(lambda: Path("shots/0/4.png").unlink(), 2, id="removed"),
        pytest.param(lambda: write_picture(Path("shots/0/1.png")), 1, id="added"),
        pytest.param(lambda: write_picture(Path("shots/0/6.png"), width=50), 3, id="changed"),
    ],
)
def test_lines_count_up_to_the_first_picture_that_is_another_now(
    bundles: Path, half_done: Path, change: Callable[[], None], num_left: int
) -> None:
    change()
    predicted = run(bundles / "lenet", drawn=True)
    assert predicted.num_taken_over == num_left
    assert [line["picture"] for line in lines()] == list(
        find_pictures(["shots"], leave_out=Path("out")).names
    )


def test_a_picture_of_the_same_size_that_was_written_since_is_read_again(
    bundles: Path, half_done: Path
) -> None:
    path = Path("shots/0/2.png")
    path.write_bytes(path.read_bytes())
    assert run(bundles / "lenet", drawn=True).num_taken_over == 1


def test_a_finished_run_has_nothing_left_to_do(bundles: Path, pictures: Path) -> None:
    (pictures / "0/0.png").write_text("no picture")
    run(bundles / "lenet")
    whole = Path("out/predictions.jsonl").read_bytes()
    told: list[int] = []
    assert run(bundles / "lenet", tell=lambda done, _: told.append(done), via="v.json").num_taken_over == 10
    assert told == []
    assert Path("out/predictions.jsonl").read_bytes() == whole
    assert Path("v.json").exists()


def test_a_bad_picture_that_was_mended_is_read_again(bundles: Path, pictures: Path) -> None:
    (pictures / "1/7.png").write_text("no picture")
    assert run(bundles / "lenet").num_failed == 1
    write_picture(pictures / "1/7.png")
    predicted = run(bundles / "lenet")
    assert (predicted.num_failed, predicted.num_taken_over) == (0, 8)


def test_a_full_disk_leaves_what_a_next_run_takes_up(
    bundles: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(picture_batches, "BATCH_SIZE", 3)
    write, written = files.write_bytes, []

    def write_some(path: Path, content: bytes) -> None:
        written.append(path)
        if len(written) > 6:
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        write(path, content)

    with monkeypatch.context() as patch:
        patch.setattr(files, "write_bytes", write_some)
        with pytest.raises(OSError, match="No space left"):
            run(bundles / "lenet", drawn=True)
    predicted = run(bundles / "lenet", drawn=True)
    assert 0 < predicted.num_taken_over <= 6
    assert len(list(Path("out/drawn").rglob("*.jpg"))) == predicted.num_pictures == 10


def test_a_line_is_written_only_when_its_picture_is_drawn(bundles: Path, half_done: Path) -> None:
    told = [line.picture for line in read_predictions(half_done)]
    assert all(drawn_path(Path("out"), name).exists() for name in told)


@pytest.mark.parametrize(
    ("other", "told"),
    [
        pytest.param(
            {"bundle": "fcos"}, "another model: task classify, not detect, network lenet", id="model"
        ),
        pytest.param({"max_pixels": 5_000}, "other settings: max_pixels 1000000, not 5000", id="settings"),
        pytest.param({"drawn": True}, "other settings: drawn False, not True", id="drawn"),
        pytest.param({"pictures": "shots/0"}, "other pictures: .*shots, not .*shots/0", id="root"),
    ],
)
def test_a_folder_of_other_predictions_is_refused(
    bundles: Path, pictures: Path, other: dict[str, Any], told: str
) -> None:
    run(bundles / "lenet")
    before = Path("out/predictions.jsonl").read_bytes()
    bundle, where = bundles / other.pop("bundle", "lenet"), other.pop("pictures", "shots")
    with pytest.raises(DataError, match=f"out: holds predictions of {told}(.|\n)*fix: give another --out"):
        run(bundle, where, **other)
    assert Path("out/predictions.jsonl").read_bytes() == before


@pytest.mark.parametrize("name", ["predictions.jsonl", "drawn", "predictions.jsonl.part"])
def test_a_folder_with_files_of_nobody_knows_what_is_refused(
    bundles: Path, pictures: Path, name: str
) -> None:
    Path("out").mkdir()
    (Path("out") / name).write_text("mine")
    with pytest.raises(DataError, match=rf"out/{name}: is there, and no run\.json"):
        run(bundles / "lenet")
    assert (Path("out") / name).read_text() == "mine"


def test_a_broken_state_is_refused(bundles: Path, pictures: Path) -> None:
    run(bundles / "lenet")
    Path("out/run.json").write_text("{")
    with pytest.raises(DataError, match=r"out/run\.json: .*\n  fix: give another --out"):
        run(bundles / "lenet")


def test_a_file_as_folder_is_refused(bundles: Path, pictures: Path) -> None:
    Path("out").write_text("a file")
    with pytest.raises(ParamsError, match="out: is a file, not a folder"):
        run(bundles / "lenet")


def test_two_at_once_are_refused(bundles: Path, pictures: Path) -> None:
    with only_one(Path("out")), pytest.raises(BusyError, match=r"out: process \d+ predicts into it now"):
        run(bundles / "lenet")
    assert run(bundles / "lenet").num_pictures == 10


@pytest.mark.parametrize("name", ["lenet", "fcos"])
def test_two_files_are_enough_on_another_machine(
    bundles: Path, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    run(bundles / name)
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "model").mkdir(parents=True)
    for file in (MODEL_FILE, WEIGHTS_FILE):
        (elsewhere / "model" / file).write_bytes((bundles / name / file).read_bytes())
    expected, folder = lines(), str(pictures.absolute())
    monkeypatch.chdir(elsewhere)
    run(find_bundle("./model"), folder)
    assert lines() == expected
    assert {path.name for path in elsewhere.iterdir()} == {"model", "out"}


def test_long_names_are_drawn_under_short_ones() -> None:
    long = drawn_path(Path("out"), f"a/{'é' * 125}.jpg")
    assert long.parent == Path("out/drawn/a")
    assert len(str(long.name).encode()) <= 245
    assert long != drawn_path(Path("out"), f"a/{'é' * 124}x.jpg")
    assert drawn_path(Path("out"), "a/b.png") == Path("out/drawn/a/b.png.jpg")
    assert drawn_path(Path("out"), "a/b.JPG") == Path("out/drawn/a/b.JPG")


def test_an_experiment_is_found_by_name_and_a_model_by_its_folder(bundles: Path, project_dir: Path) -> None:
    Path("models").symlink_to(bundles)
    assert find_bundle("lenet") == Path("models/lenet")
    assert find_bundle("models/fcos") == Path("models/fcos")
    with pytest.raises(ParamsError, match="did you mean 'lenet'"):
        find_bundle("lennet")
    with pytest.raises(ModelError, match=r"models/view: holds no model\.json"):
        find_bundle("models/view")


def test_an_experiment_that_is_not_trained_yet_says_how(project_dir: Path) -> None:
    Path("params.yaml").write_text("experiments: {lite0: {}}\n")
    with pytest.raises(ModelError, match=r"lite0: is not trained yet\n  fix: run `dvc repro train@lite0`"):
        find_bundle("lite0")
    with pytest.raises(ParamsError, match="this folder has none"):
        find_bundle("lite1")
