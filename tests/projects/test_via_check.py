"""What `via check` says of files, as records: spellings, places, and files of many findings."""

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from ruamel.yaml import YAML
from synthetic import entry, rect

from cnnpipe.params.load import load_section
from cnnpipe.params.validate import ValidateParams
from cnnpipe.projects.via_check import CheckRequest, examine, gate, suggest_labels
from cnnpipe.projects.via_label import ChosenLabel
from cnnpipe.reports.via_check import mapping_lines
from cnnpipe.reports.via_check_summary import MOST_PLACES, Checked, ClassCount


def check(*files: Path, **request: Any) -> Checked:
    return examine(CheckRequest(paths=files, **request)).checked


def write(path: Path, *entries: Any, attributes: Any = None) -> Path:
    metadata = {f"{each['filename']}{each['size']}": each for each in entries}
    project = {"_via_settings": {}, "_via_img_metadata": metadata, "_via_attributes": attributes or {}}
    path.write_text(json.dumps(project))
    return path


def counts(checked: Checked) -> dict[str, int]:
    return {each.code: each.count for each in checked.findings}


def box(x: float, label: str) -> Any:
    return rect(x, 0, 9, 9, **{"class": label})


def classes(**regions: int) -> dict[str, ClassCount]:
    return {label: ClassCount(regions=number, images=1) for label, number in regions.items()}


@pytest.mark.parametrize(
    ("found", "suggested"),
    [
        pytest.param(classes(sandwich=9, sandiwch=1), {"sandiwch": "sandwich"}, id="the rarer to the other"),
        pytest.param(
            classes(Cat=2, cat=5, CAT=1), {"CAT": "cat", "Cat": "cat"}, id="all to the most frequent"
        ),
        pytest.param(
            classes(letter=9, lettre=5, letre=1), {"letre": "letter", "lettre": "letter"}, id="in a chain"
        ),
        pytest.param(classes(cat=2, bat=5), {}, id="short words are meant"),
        pytest.param(classes(grade1=2, grade2=5), {}, id="so are numbers"),
        pytest.param(classes(abcde=1, abcdf=1), {"abcde": "abcdf"}, id="of equal ones, one way only"),
    ],
)
def test_suggested_spellings(found: dict[str, ClassCount], suggested: dict[str, str]) -> None:
    assert suggest_labels(found) == suggested


def test_lines_of_a_map_are_yaml() -> None:
    mapping = {"no": "No 1", "a: b": "x#y", "tab\t": "ü", "- x": "null", "plain text": "12"}
    assert YAML(typ="safe").load(mapping_lines(mapping)) == mapping


def test_without_pictures_only_the_upper_left_edge_is_known(tmp_path: Path) -> None:
    regions = [box(-5, "x"), box(100_000, "x"), rect(-50, 0, 9, 9, **{"class": "x"})]
    checked = check(write(tmp_path / "a.json", entry("p.png", *regions)))
    assert counts(checked) == {"box-outside": 1, "box-clipped": 1, "class-rare": 1}
    [outside] = [each for each in checked.findings if each.code == "box-outside"]
    assert outside.places[0].what == "lies outside the picture: -50, 0 to -41, 9"


def test_with_pictures_they_are_decoded(tmp_path: Path) -> None:
    Image.effect_noise((60, 40), 80).save(tmp_path / "p.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "p.png").read_bytes()[:-900])
    Image.new("RGB", (60, 40)).save(tmp_path / "black.png")
    file = write(tmp_path / "a.json", *(entry(f"{name}.png", box(0, "x")) for name in ("p", "cut", "black")))
    found = counts(check(file, images_dir=tmp_path))
    assert (found["picture-unreadable"], found["picture-blank"]) == (1, 1)


def test_options_are_called_by_what_people_see_where_that_is_wished(tmp_path: Path) -> None:
    attributes = {"region": {"class": {"type": "dropdown", "options": {"0": "cat", "1": "dog"}}}, "file": {}}
    file = write(tmp_path / "a.json", entry("p.png", box(0, "0"), box(20, "1")), attributes=attributes)
    assert list(check(file).classes) == ["0", "1"]
    assert list(check(file, label_text="description").classes) == ["cat", "dog"]


def test_the_class_of_pictures_is_found_where_regions_have_none(tmp_path: Path) -> None:
    pictures = [{**entry(f"{n}.png"), "file_attributes": {"scene": scene}} for n, scene in enumerate("ddn")]
    checked = check(write(tmp_path / "a.json", *pictures))
    assert (checked.label.attribute, checked.label.of) == ("scene", "file")
    assert checked.classes == {"d": ClassCount(regions=0, images=2), "n": ClassCount(regions=0, images=1)}


def test_very_many_findings_are_counted_and_the_first_told(tmp_path: Path) -> None:
    regions = [box(0, "x")] * 5000
    checked = check(write(tmp_path / "a.json", entry("p.png", *regions)))
    [repeated] = [each for each in checked.findings if each.code == "duplicate-region"]
    assert (repeated.count, len(repeated.places), repeated.more) == (4999, MOST_PLACES, 4999 - MOST_PLACES)


def test_the_gate_of_the_check_is_that_of_a_project() -> None:
    """The rules are those of params.yaml, but for what the file or the user says."""
    label = ChosenLabel(attribute="class", part="region", why="", others={})
    own = gate(label, CheckRequest(paths=[])).model_dump()
    written = load_section(Path(__file__).parents[2] / "params.yaml", "validate", ValidateParams).model_dump()
    differs = {key for key in own if own[key] != written[key]}
    assert differs <= {"image_label_attribute", "limits"}
