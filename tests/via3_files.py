"""Projects and CSV as VIA 3 writes them, for tests of what reads them."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from cnnpipe.annotations import Finding
from cnnpipe.formats.via.read import parse_via
from cnnpipe.formats.via.records import ViaFile, all_findings

ATTRIBUTES: Mapping[str, Any] = {
    "1": {
        "aname": "class",
        "anchor_id": "FILE1_Z0_XY1",
        "type": 4,
        "desc": "what it is",
        "options": {"0": "cat", "1": "dog"},
        "default_option_id": "1",
    },
    "2": {
        "aname": "marks",
        "anchor_id": "FILE1_Z0_XY1",
        "type": 2,
        "desc": "",
        "options": {"0": "big", "1": "wet", "2": "old"},
        "default_option_id": "",
    },
    "3": {
        "aname": "caption",
        "anchor_id": "FILE1_Z0_XY0",
        "type": 1,
        "desc": "",
        "options": {},
        "default_option_id": "",
    },
}
VIA = "# Exported using VGG Image Annotator (http://www.robots.ox.ac.uk/~vgg/software/via)"
COLUMNS = "metadata_id,file_list,flags,temporal_coordinates,spatial_coordinates,metadata"


def file(name: str, *, kind: Any = 2, loc: Any = 1, src: str = "") -> dict[str, Any]:
    return {"fid": "1", "fname": name, "type": kind, "loc": loc, "src": src}


def row(vid: Any = "1", z: Any = (), xy: Any = (), av: Any = None) -> dict[str, Any]:
    return {
        "vid": vid,
        "flg": 0,
        "z": list(z),
        "xy": list(xy) if isinstance(xy, tuple) else xy,
        "av": av or {},
    }


def project(
    files: Mapping[str, Any] | None = None,
    rows: Sequence[Any] = (),
    *,
    attributes: Any = ATTRIBUTES,
    **more: Any,
) -> dict[str, Any]:
    """Build a project as VIA 3.0.10 writes it: one view for each file."""
    files = {"1": file("a.jpg")} if files is None else files
    value = {
        "project": {
            "pid": "__VIA_PROJECT_ID__",
            "rev": "__VIA_PROJECT_REV_ID__",
            "rev_timestamp": "__VIA_PROJECT_REV_TIMESTAMP__",
            "pname": "Our project",
            "creator": "VGG Image Annotator (http://www.robots.ox.ac.uk/~vgg/software/via)",
            "created": 1700000000000,
            "vid_list": list(files),
        },
        "config": {"file": {"loc_prefix": {"1": "", "2": "", "3": "", "4": ""}}, "ui": {}},
        "attribute": attributes,
        "file": files,
        "metadata": {f"{number}_x": each for number, each in enumerate(rows)},
        "view": {fid: {"fid_list": [fid]} for fid in files},
    }
    return value | more


def read(value: Mapping[str, Any]) -> ViaFile:
    return parse_via(json.dumps(value).encode(), where="via3.json")


def cell(value: Any) -> str:
    return '"' + json.dumps(value, ensure_ascii=False, separators=(",", ":")).replace('"', '""') + '"'


def line(name: str, xy: Any = (2, 1, 2, 3, 4), av: Any = None, *, z: Any = ()) -> str:
    """Write a row as `export_to_via3_csv` does."""
    return f'"1_abc",{cell([name])},0,{cell(list(z))},{cell(list(xy))},{cell(av or {})}'


def head(attributes: Any = ATTRIBUTES, columns: str = COLUMNS) -> list[str]:
    return [
        VIA,
        "# Notes:",
        '# - metadata of {""1"":""3""} indicates attribute with id "1" set to an option with id "3"',
        '# SHAPE_ID = {"POINT":1,"RECTANGLE":2}',
        "# ATTRIBUTE = " + json.dumps(attributes, separators=(",", ":")),
        "# CSV_HEADER = " + columns,
    ]


def read_lines(*lines: str, end: str = "\n", prefix: str = "") -> ViaFile:
    return parse_via((prefix + end.join(lines)).encode(), where="via3.csv")


def codes(read_file: ViaFile) -> Sequence[str]:
    return [finding.code for finding in all_findings(read_file)]


def the_finding(read_file: ViaFile) -> Finding:
    [finding] = all_findings(read_file)
    return finding
