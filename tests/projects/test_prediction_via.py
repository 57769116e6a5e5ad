"""The VIA project of a prediction: what VIA takes, what a person's work is, and what reads back."""

import json
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from bundles import make_bundle, make_detect_bundle, make_view
from PIL import Image

from cnnpipe import files
from cnnpipe.errors import DataError, ParamsError
from cnnpipe.formats.picture_files import find_pictures
from cnnpipe.formats.via.read import read_via
from cnnpipe.formats.via.review import is_unchecked
from cnnpipe.geometry.shapes import Rect
from cnnpipe.models.bundle import MODEL_FILE, ModelSpec
from cnnpipe.projects.predict import PredictJob, predict
from cnnpipe.projects.prediction_lines import read_predictions
from cnnpipe.projects.prediction_records import PredictSettings

CLASSES = ("ant", "<b>", "靴")


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    make_view(folder / "view", pictures_per_split=1)
    for name in ("lenet", "whole"):
        make_bundle(folder / name, folder / "view")
    spec = files.read_json(folder / "whole" / MODEL_FILE, ModelSpec)
    files.write_json(
        folder / "whole" / MODEL_FILE,
        msgspec.structs.replace(spec, source="pictures", label_attribute="kind"),
    )
    make_detect_bundle(folder / "fcos", folder / "view", classes=CLASSES)
    return folder


@pytest.fixture(autouse=True)
def pictures(project_dir: Path) -> Path:
    for number in range(3):
        path = Path(f"shots/{number} #/a b.png")
        path.parent.mkdir(parents=True)
        pixels = np.random.default_rng(number).integers(0, 256, (40, 60 + number, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path)
    Path("shots/broken.jpg").write_text("no picture")
    return Path("shots")


def run(bundle: Path, via: str = "project.json") -> dict[str, Any]:
    settings = PredictSettings(threshold=None, max_pixels=10_000, drawn=False)
    found = find_pictures(["shots"], leave_out=Path("out"))
    job = PredictJob(bundle=bundle, pictures=found, out=Path("out"), settings=settings, via=Path(via))
    predict(job, lambda *_: None)
    project: dict[str, Any] = json.loads(Path(via).read_text(encoding="utf-8"))
    return project


@pytest.mark.parametrize("name", ["lenet", "whole", "fcos"])
def test_via_takes_the_project(bundles: Path, pictures: Path, name: str) -> None:
    """The rules by which VIA 2 opens a project: what breaks one of them stops it half way."""
    project = run(bundles / name)
    assert set(project["_via_settings"]) <= {"ui", "core", "project"}
    assert project["_via_settings"]["core"]["default_filepath"] == f"{pictures.absolute()}/"
    assert project["_via_settings"]["project"]["name"] == "project"
    assert project["_via_image_id_list"] == list(project["_via_img_metadata"])
    assert [entry["filename"] for entry in project["_via_img_metadata"].values()] == [
        f"{number} #/a b.png" for number in range(3)
    ]
    for key, entry in project["_via_img_metadata"].items():
        assert set(entry) == {"filename", "size", "regions", "file_attributes"}
        assert entry["size"] == (pictures / entry["filename"]).stat().st_size
        assert key == f"{entry['filename']}{entry['size']}"
        assert isinstance(entry["regions"], list)
        assert entry["file_attributes"]["cnnpipe_review"] == "machine"
    for of in ("region", "file"):
        for attribute in project["_via_attributes"][of].values():
            assert attribute["type"] == "text" or {"options", "default_options"} <= set(attribute)
    review = project["_via_attributes"]["file"]["cnnpipe_review"]
    assert (review["type"], list(review["options"])) == ("radio", ["machine", "checked"])


def test_detections_are_regions_with_class_and_score(bundles: Path) -> None:
    project = run(bundles / "fcos")
    label = project["_via_attributes"]["region"]["kind"]
    assert (label["type"], label["options"]) == ("dropdown", {name: name for name in CLASSES})
    assert list(project["_via_attributes"]["region"]) == ["kind", "score"]
    predicted = [line for line in read_predictions(Path("out/predictions.jsonl")) if line.error is None]
    assert any(line.detections for line in predicted)
    for line, entry in zip(predicted, read_via(Path("project.json"), where="p").entries, strict=True):
        assert entry.filename == line.picture
        assert is_unchecked(entry.file_attributes)
        for found, region in zip(line.detections or (), entry.regions, strict=True):
            assert isinstance(region.shape, Rect)
            box = (region.shape.x, region.shape.y, region.shape.width, region.shape.height)
            corners = (box[0], box[1], box[0] + box[2], box[1] + box[3])
            assert corners == pytest.approx(msgspec.structs.astuple(found.box))
            assert region.attributes == {"kind": found.label, "score": f"{found.score:.3f}"}


def test_a_classifier_of_objects_marks_the_whole_picture(bundles: Path) -> None:
    run(bundles / "lenet")
    predicted = [line for line in read_predictions(Path("out/predictions.jsonl")) if line.error is None]
    for line, entry in zip(predicted, read_via(Path("project.json"), where="p").entries, strict=True):
        [region] = entry.regions
        assert region.shape == Rect(0, 0, float(line.width or 0), float(line.height or 0))
        assert region.attributes == {"class": line.label, "score": f"{line.score:.3f}"}


def test_a_classifier_of_pictures_fills_in_a_file_attribute(bundles: Path) -> None:
    project = run(bundles / "whole")
    assert project["_via_attributes"]["region"] == {}
    assert list(project["_via_attributes"]["file"]) == ["kind", "cnnpipe_review"]
    predicted = [line for line in read_predictions(Path("out/predictions.jsonl")) if line.error is None]
    for line, entry in zip(predicted, project["_via_img_metadata"].values(), strict=True):
        assert entry["regions"] == []
        assert entry["file_attributes"] == {"kind": line.label, "cnnpipe_review": "machine"}


def test_a_class_in_an_attribute_called_score_keeps_its_place(bundles: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    for path in (bundles / "fcos").iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    spec = files.read_json(folder / MODEL_FILE, ModelSpec)
    files.write_json(folder / MODEL_FILE, msgspec.structs.replace(spec, label_attribute="score"))
    project = run(folder)
    assert project["_via_attributes"]["region"]["score"]["type"] == "dropdown"
    for entry in project["_via_img_metadata"].values():
        assert all(region["region_attributes"]["score"] in CLASSES for region in entry["regions"])


def test_our_own_project_is_written_again(bundles: Path, pictures: Path) -> None:
    before = run(bundles / "fcos")
    assert run(bundles / "fcos") == before
    (pictures / "0 #/a b.png").unlink()
    assert len(run(bundles / "fcos")["_via_img_metadata"]) == 2


def test_the_work_of_a_person_is_never_written_over(bundles: Path) -> None:
    project = run(bundles / "fcos")
    key = project["_via_image_id_list"][0]
    project["_via_img_metadata"][key]["file_attributes"]["cnnpipe_review"] = "checked"
    Path("project.json").write_text(json.dumps(project), encoding="utf-8")
    with pytest.raises(DataError, match=r"was changed since; it is left as it is\n  fix: give --via another"):
        run(bundles / "fcos")
    assert json.loads(Path("project.json").read_text(encoding="utf-8")) == project
    assert run(bundles / "fcos", "another.json") != project


def test_a_file_of_somebody_else_is_refused_before_the_work(bundles: Path) -> None:
    Path("project.json").write_text("mine")
    with pytest.raises(DataError, match=r"project\.json: was not written by this prediction"):
        run(bundles / "fcos")
    assert Path("project.json").read_text() == "mine"
    assert not Path("out/predictions.jsonl").exists()


def test_a_folder_is_no_project(bundles: Path) -> None:
    Path("project.json").mkdir()
    with pytest.raises(ParamsError, match="is a folder"):
        run(bundles / "fcos")
