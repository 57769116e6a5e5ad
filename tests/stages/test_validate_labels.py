"""What the gate takes for the class: options by name, spellings, several ticks, and no region at all."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from surveys import a_gate
from synthetic import entry, noise_picture, rect, write_via

from cnnpipe.annotations import Finding, LabelledObject, LabelledPicture
from cnnpipe.errors import DataError, ParamsError
from cnnpipe.files import read_jsonl
from cnnpipe.params.ingest import IngestParams
from cnnpipe.params.load import load_section
from cnnpipe.params.validate import ValidateParams
from cnnpipe.stages.ingest import ingest
from cnnpipe.stages.validate import validate

OPTIONS = {"0": "hen", "1": " fox\n", "2": ""}


@pytest.fixture(autouse=True)
def _state_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CNNPIPE_STATE", str(tmp_path / "state"))


class Gate:
    """A project that went through `ingest`, and what `validate` makes of it."""

    def __init__(self, folder: Path, entries: Sequence[Mapping[str, Any]], *, declared: Any = None) -> None:
        self.folder = folder
        raw = folder / "raw"
        raw.mkdir()
        for number, each in enumerate(entries):
            noise_picture(number).save(raw / each["filename"])
        write_via(raw / "via.json", entries)
        if declared is not None:
            value = json.loads((raw / "via.json").read_text())
            value["_via_attributes"] = declared
            (raw / "via.json").write_text(json.dumps(value))
        wanted = IngestParams(raw_dir=str(raw), annotations=["via.json"], images_dir=".", max_pixels=10**6)
        ingest(folder / "ingested", wanted)

    def run(self, **changes: Any) -> None:
        validate(self.folder / "ingested", self.folder / "raw", self.folder / "out", a_gate(**changes))

    @property
    def labels(self) -> list[str]:
        return [each.label for each in read_jsonl(self.folder / "out/objects.jsonl", LabelledObject)]

    @property
    def pictures(self) -> list[LabelledPicture]:
        return read_jsonl(self.folder / "out/images.jsonl", LabelledPicture)

    def findings(self, code: str) -> list[Finding]:
        summaries = json.loads((self.folder / "out/report.json").read_text())["findings"]
        return [
            Finding(**place)
            for summary in summaries
            if summary["code"] == code
            for place in summary["places"]
        ]


def boxes(*values: Any) -> list[dict[str, Any]]:
    return [rect(0, 0, 9, 5 + 3 * n, **{"class": value}) for n, value in enumerate(values)]


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("radio", ["0", "1", "2", "3"]),
        ("dropdown", ["0", " 1", "2 ", "3"]),
        ("checkbox", [{"0": True}, {"1": True, "0": False}, {"2": True}, {"3": True}]),
    ],
)
@pytest.mark.parametrize(
    ("text", "expected"), [("id", ["0", "1", "2", "3"]), ("description", ["hen", "fox", "2", "3"])]
)
def test_an_option_is_called_by_its_id_or_by_what_people_see(
    tmp_path: Path, kind: str, values: list[Any], text: str, expected: list[str]
) -> None:
    declared = {"region": {"class": {"type": kind, "options": OPTIONS, "default_options": {}}}, "file": {}}
    gate = Gate(tmp_path, [entry("a.png", *boxes(*values))], declared=declared)
    gate.run(label_text=text)
    assert gate.labels == expected


def test_a_text_has_no_description(tmp_path: Path) -> None:
    declared = {"region": {"class": {"type": "text", "options": OPTIONS}}, "file": {}}
    gate = Gate(tmp_path, [entry("a.png", *boxes("0"))], declared=declared)
    gate.run(label_text="description")
    assert gate.labels == ["0"]


def test_options_of_whole_pictures_have_names_too(tmp_path: Path) -> None:
    declared = {"region": {}, "file": {"scene": {"type": "radio", "options": {"1": "day"}}}}
    gate = Gate(tmp_path, [entry("a.png", scene="1"), entry("b.png", scene="2")], declared=declared)
    gate.run(image_label_attribute="scene", label_text="description", label_map={"2": "night"})
    assert [picture.label for picture in gate.pictures] == ["day", "night"]


def test_the_map_says_what_spellings_mean_after_options_got_their_names(tmp_path: Path) -> None:
    declared = {"region": {"class": {"type": "radio", "options": OPTIONS}}, "file": {}}
    gate = Gate(tmp_path, [entry("a.png", *boxes("0", "1", "hen ", "cock"))], declared=declared)
    gate.run(label_text="description", label_map={"cock": "hen", "0": "never seen", "fox": None})
    assert gate.labels == ["hen", "hen", "hen"]
    [finding] = gate.findings("label-left-out")
    assert (finding.where, finding.region, finding.severity) == ("a.png", 1, "info")
    assert finding.what == "'class' is 1, which validate.label_map leaves out"
    assert gate.findings("label-missing") == []


def test_a_left_out_label_is_no_error_however_many_have_it(tmp_path: Path) -> None:
    gate = Gate(tmp_path, [entry("a.png", *boxes("x", "x", "x", "a"))])
    gate.run(label_map={"x": None}, limits={"label-missing": 0.0})
    assert gate.labels == ["a"]
    with pytest.raises(DataError, match=r"label-left-out: 3 of 4 regions \(75\.0 %\)"):
        gate.run(label_map={"x": None}, limits={"label-left-out": 0.7})
    with pytest.raises(DataError, match=r"no object with a class is left of 4 regions \(4 label-left-out\)"):
        gate.run(label_map={"x": None, "a": None})


def test_a_picture_whose_label_is_left_out_has_none(tmp_path: Path) -> None:
    gate = Gate(tmp_path, [entry("a.png", scene="day"), entry("b.png", scene="?")])
    gate.run(image_label_attribute="scene", label_map={"?": None})
    assert [picture.label for picture in gate.pictures] == ["day", None]
    [finding] = gate.findings("image-label-missing")
    assert "'scene' is ?, which validate.label_map leaves out" in finding.what


@pytest.mark.parametrize(
    ("value", "left", "each"),
    [
        pytest.param({"a": True, "b": True}, [], ["a", "b"], id="two ticks"),
        pytest.param({"a": True, "A": True}, ["a"], ["a"], id="two spellings of one class"),
        pytest.param({"a": True, "none": True}, ["a"], ["a"], id="one of them is left out"),
        pytest.param({"a": True}, ["a"], ["a"], id="one tick"),
        pytest.param({}, [], [], id="no tick"),
    ],
)
def test_several_ticks_are_left_out_or_an_object_each(
    tmp_path: Path, value: Any, left: list[str], each: list[str]
) -> None:
    gate = Gate(tmp_path, [entry("a.png", *boxes("kept", value))])
    mapping = {"A": "a", "none": None}
    gate.run(several_labels="leave_out", label_map=mapping)
    assert gate.labels == ["kept", *left]
    codes = "label-several" if len(value) == 2 and not left else "label-missing" if not value else None
    if codes:
        assert [finding.region for finding in gate.findings(codes)] == [1]
    gate.run(several_labels="one_object_each", label_map=mapping)
    assert gate.labels == ["kept", *each]
    assert gate.findings("label-several") == []
    # its objects lie on one spot, and that is no fault
    assert gate.findings("box-contested") == gate.findings("duplicate-region") == []


def test_of_several_classes_those_that_are_new_at_their_place_are_kept(tmp_path: Path) -> None:
    first, second = {"a": True, "b": True}, {"b": True, "c": True}
    regions = [rect(0, 0, 9, 9, **{"class": value}) for value in (first, second)]
    gate = Gate(tmp_path, [entry("a.png", *regions)])
    gate.run(several_labels="one_object_each")
    assert gate.labels == ["a", "b", "c"]
    assert [(f.region, f.what) for f in gate.findings("duplicate-region")] == [
        (1, "the same shape and class 'b' as region 0; left out")
    ]


def bare_project(tmp_path: Path) -> Gate:
    return Gate(
        tmp_path,
        [
            entry("a.png", *boxes("a"), scene="day"),
            entry("bare.png", scene="day"),
            entry("checked.png", scene="night", cnnpipe_review="checked"),
            entry("refused.png", *boxes("")),
        ],
    )


@pytest.mark.parametrize(
    ("means", "empty", "unannotated"),
    [
        ("negative", ["bare.png", "checked.png"], []),
        # whom a person has checked shows nothing, whatever the others mean
        ("unannotated", ["checked.png"], ["bare.png"]),
    ],
)
def test_a_picture_without_regions_shows_nothing_or_is_yet_to_be_annotated(
    tmp_path: Path, means: str, empty: list[str], unannotated: list[str]
) -> None:
    gate = bare_project(tmp_path)
    gate.run(without_regions=means, image_label_attribute="scene")
    assert [finding.where for finding in gate.findings("picture-empty")] == empty
    assert [finding.where for finding in gate.findings("picture-unannotated")] == unannotated
    assert [picture.image_id for picture in gate.pictures if picture.is_pending] == unannotated
    # all of them may be classified as whole pictures
    assert [picture.label for picture in gate.pictures] == ["day", "day", "night", None]


def test_pictures_that_wait_can_be_limited(tmp_path: Path) -> None:
    gate = bare_project(tmp_path)
    gate.run(without_regions="unannotated", limits={"picture-unannotated": 0.25})
    with pytest.raises(DataError, match=r"picture-unannotated: 1 of 4 pictures \(25\.0 %\)"):
        gate.run(without_regions="unannotated", limits={"picture-unannotated": 0.2})


@pytest.mark.parametrize(
    ("value", "label"),
    [
        (" a", "a"),
        ("a\n", "a"),
        ("\ta ", "a"),
        ("a\u00a0", "a"),
        ({"a ": True, "b ": False}, "a"),
    ],
    ids=["blank", "line end", "tab", "hard blank", "ticked option"],
)
def test_untidy_values_are_named_as_they_stand(tmp_path: Path, value: Any, label: str) -> None:
    gate = Gate(
        tmp_path,
        [entry("b.png", *boxes(value, "a")), entry("a.png", *boxes("tidy in\nside", value, value))],
    )
    gate.run()
    assert sorted(set(gate.labels)) == [label, "tidy in\nside"]
    [finding] = gate.findings("label-untidy")
    text = next(iter(value)) if isinstance(value, dict) else value
    assert (finding.where, finding.region) == ("a.png", None)
    assert finding.what == f"'class' is {text!r} on 3 regions; taken as 'a'"


@pytest.mark.parametrize("value", ["a", "", "  ", " undefined\n", None, 3, {"a ": False}])
def test_tidy_and_missing_values_are_not_untidy(tmp_path: Path, value: Any) -> None:
    gate = Gate(tmp_path, [entry("a.png", *boxes("a", value))])
    gate.run()
    assert gate.findings("label-untidy") == []


def test_untidy_labels_of_pictures_are_named_too(tmp_path: Path) -> None:
    gate = Gate(tmp_path, [entry("a.png", scene="day "), entry("b.png", scene="day", other="x ")])
    gate.run(image_label_attribute="scene")
    [finding] = gate.findings("label-untidy")
    assert finding.what == "'scene' is 'day ' on 1 picture; taken as 'day'"


def test_the_fix_of_a_spelling_is_a_line_that_mends_it(tmp_path: Path) -> None:
    names = ("a.png", "b.png", "c.png")
    entries = [entry(name, *boxes("sand-wich: x")) for name in names]
    gate = Gate(tmp_path, [*entries, entry("d.png", *boxes("sand-wihc: x"))])
    gate.run()
    [finding] = gate.findings("label-spelling")
    line = '"sand-wihc: x": "sand-wich: x"'
    assert f"write under validate.label_map: {line};" in finding.fix
    path = tmp_path / "params.yaml"
    text = json.dumps({"validate": a_gate().model_dump()}).replace(
        '"label_map": {}', f'"label_map": {{{line}}}'
    )
    path.write_text(text, encoding="utf-8")
    gate.run(label_map=load_section(path, "validate", ValidateParams).label_map)
    assert gate.labels == ["sand-wich: x"] * 4
    assert gate.findings("label-spelling") == []


@pytest.mark.parametrize(
    ("yaml", "expected"),
    [
        ("{}", {}),
        ("{3: pen, true: tick}", {"3": "pen", "true": "tick"}),
        ("{a: null, b: ~}", {"a": None, "b": None}),
        ('{" a": "b\\n"}', {"a": "b"}),
    ],
)
def test_a_map_in_params_holds_texts(tmp_path: Path, yaml: str, expected: Any) -> None:
    assert load_map(tmp_path, yaml) == expected


@pytest.mark.parametrize("yaml", ["{a: ' '}", "{a: [b]}", "[a, b]", "a"])
def test_a_map_that_is_none_is_refused(tmp_path: Path, yaml: str) -> None:
    with pytest.raises(ParamsError, match=r"validate\.label_map"):
        load_map(tmp_path, yaml)


def load_map(folder: Path, yaml: str) -> Mapping[str, str | None]:
    section = json.dumps({"validate": a_gate().model_dump()})
    text = section.replace('"label_map": {}', f'"label_map": {yaml}')
    (folder / "params.yaml").write_text(text, encoding="utf-8")
    return load_section(folder / "params.yaml", "validate", ValidateParams).label_map


def unlabelled(tmp_path: Path) -> Gate:
    """Return pictures whose regions say nothing: no attribute was ever made."""
    return Gate(tmp_path, [entry("a.png", rect(0, 0, 9, 9)), entry("b.png", rect(1, 1, 9, 9))])


def test_without_any_class_the_way_out_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no region attribute has a value"):
        unlabelled(tmp_path).run(label_attribute="auto")


@pytest.mark.parametrize("attribute", ["auto", "kind"])
def test_a_default_is_the_class_of_regions_that_say_none(tmp_path: Path, attribute: str) -> None:
    gate = unlabelled(tmp_path)
    gate.run(label_attribute=attribute, default_label="car")
    assert gate.labels == ["car", "car"]
    assert gate.findings("label-missing") == []


def test_a_default_leaves_alone_what_has_a_class_or_is_left_out(tmp_path: Path) -> None:
    gate = Gate(tmp_path, [entry("a.png", *boxes("van", "", "dirt"))])
    gate.run(default_label="car", label_map={"dirt": None})
    assert gate.labels == ["van", "car"]
    gate.run(default_label=None, label_map={"dirt": None})
    assert gate.labels == ["van"]
    [finding] = gate.findings("label-missing")
    assert finding.fix.endswith("validate.default_label")


@pytest.mark.parametrize("wrong", ["", "  ", 3])
def test_a_default_that_is_no_class_is_refused(wrong: Any) -> None:
    with pytest.raises(ValueError, match="default_label"):
        a_gate(default_label=wrong)
