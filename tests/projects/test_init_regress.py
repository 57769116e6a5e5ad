"""A project for task regress from a VIA file: which attribute, what params, and what the gate says."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from synthetic import entry, noise_picture, rect, write_via

from cnnpipe.annotations import LabelledObject, LabelledPicture
from cnnpipe.cli.main import run
from cnnpipe.errors import DataError
from cnnpipe.files import read_jsonl
from cnnpipe.params.document import Document
from cnnpipe.params.load import check, read_yaml
from cnnpipe.projects.init import Request, init


def annotate(folder: Path, regions: Sequence[dict[str, Any]], **of_files: Sequence[Any]) -> Path:
    """Write six pictures, each with one region that has the next attributes of `regions`."""
    entries = []
    for number in range(6):
        name = f"{number}.png"
        (folder / "pictures").mkdir(parents=True, exist_ok=True)
        noise_picture(number).save(folder / "pictures" / name)
        drawn = [rect(4, 4, 20, 20, **regions[number % len(regions)])] if regions else []
        entries.append(
            entry(name, *drawn, **{key: values[number % len(values)] for key, values in of_files.items()})
        )
    write_via(folder / "via.json", entries, project=False)
    return folder / "via.json"


def made(folder: Path, annotations: Path, label: str | None = None) -> Document:
    request = Request(
        directory=folder / "plums",
        annotations=[annotations],
        images_dir=folder / "pictures",
        task="regress",
        label=label,
    )
    init(request, lambda _line: None)
    return check(read_yaml(folder / "plums/params.yaml"), Document, where="", section="")


WEIGHTS = [{"weight_g": str(10 + number), "note": "ripe"} for number in range(6)]


def test_the_only_attribute_with_numbers_is_taken(tmp_path: Path) -> None:
    params = made(tmp_path, annotate(tmp_path, WEIGHTS))
    assert params.augment.regress is not None
    assert (params.augment.regress.attribute, params.augment.regress.source) == ("weight_g", "objects")
    assert (params.augment.regress.window_px, params.augment.regress.copy_transform.crop_scale) == (None, 1.0)
    assert (params.validate_.label_attribute, params.validate_.default_label) == ("class", "object")
    assert {experiment.task for experiment in params.experiments.values()} == {"regress"}
    assert params.compare.regress == "mae"
    readme = (tmp_path / "plums/README.md").read_text(encoding="utf-8")
    assert "become regressors" in readme
    assert "the number is the region attribute `weight_g`" in readme


def test_numbers_of_whole_pictures_need_no_region(tmp_path: Path) -> None:
    params = made(tmp_path, annotate(tmp_path, [], total=["1", "2", "3,5"]))
    assert params.augment.regress is not None
    assert (params.augment.regress.attribute, params.augment.regress.source) == ("total", "pictures")
    assert params.validate_.image_label_attribute is None


@pytest.mark.parametrize("is_of_regions", [True, False])
def test_the_gate_lets_numbers_pass_without_a_class(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_of_regions: bool
) -> None:
    annotations = annotate(tmp_path, WEIGHTS if is_of_regions else [], total=[str(n) for n in range(6)])
    made(tmp_path, annotations, "weight_g" if is_of_regions else None)
    monkeypatch.chdir(tmp_path / "plums")
    for stage in ("code", "ingest", "validate", "split"):
        with pytest.raises(SystemExit) as ended:
            run([stage])
        assert ended.value.code == 0
    objects = read_jsonl(Path("data/validated/objects.jsonl"), LabelledObject)
    assert [each.label for each in objects] == (["object"] * 6 if is_of_regions else [])
    pictures = read_jsonl(Path("data/validated/images.jsonl"), LabelledPicture)
    assert [each.file_attributes["total"] for each in pictures] == [str(n) for n in range(6)]


@pytest.mark.parametrize(
    ("regions", "label", "what"),
    [
        ([{"a": "1", "b": "2"}, {"a": "3", "b": "4"}], None, "several attributes hold numbers: a, b"),
        ([{"a": "1,5"}], None, "no attribute holds numbers"),
        (WEIGHTS, "weight", "no region or picture has a number as 'weight'"),
        (WEIGHTS, "note", "no region or picture has a number as 'note'"),
        ([{"a": "7"}], None, "'a' is 7 everywhere"),
    ],
    ids=["several", "none", "misspelt", "words", "one-number"],
)
def test_what_cannot_be_meant_is_told(
    tmp_path: Path, regions: list[dict[str, Any]], label: str | None, what: str
) -> None:
    with pytest.raises(DataError) as caught:
        made(tmp_path, annotate(tmp_path, regions), label)
    assert caught.value.what == what
    assert not (tmp_path / "plums").exists()
    assert json.loads((tmp_path / "via.json").read_text(encoding="utf-8"))
