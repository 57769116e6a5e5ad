"""Broken VIA files by the ten thousand: each is read or refused in words, soon; nothing is written elsewhere.

    python -m benchmarks.via_fuzz [--cases 20000] [--files DIR]

Hypothesis draws the cases (always the same ones): files of every kind that is written, and those of `--files`
(VIA files of your own), each with changes in its bytes or in its values. Of every case the file is read,
written in each format, and read again. What is not as it should be is printed with the case, made small.
Large files are another benchmark: via_giants.
"""

import contextlib
import json
import platform
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, get_args

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from benchmarks import side_by_side
from cnnpipe import files
from cnnpipe.annotations import FINDING_CODES
from cnnpipe.errors import DataError
from cnnpipe.formats.via.convert import FOLDER_WRITERS, ConvertOptions, Target, convert
from cnnpipe.formats.via.read import parse_via
from cnnpipe.formats.via.records import ViaFile, all_findings

SECONDS_PER_CASE: Final = 2.0  # of the CPU; a file here has some kilobytes

# What tools and hand edits leave behind, as it stands in a file.
_TOKENS: Final = (
    *(b"null", b"NaN", b"-Infinity", b"1e308", b"1e999", b"-0", b"0.1", b"true", b"undefined", b'""', b'"x"'),
    *(
        b"{}",
        b"[]",
        b"[[",
        b"{",
        b"}",
        b"[",
        b"]",
        b",",
        b":",
        b'"',
        b'""',
        b"\\",
        b"\n",
        b"\r\n",
        b";",
        b"#",
    ),
    *(
        rb"\ud800",
        rb"\u0000",
        b"\0",
        b"\xff",
        "é".encode(),
        b"\xef\xbb\xbf",
        b"9" * 400,
        b"../../x",
        b"C:\\x",
    ),
)
_VALUES: Final = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats()
    | st.sampled_from(
        ["", "undefined", "rect", "../../up.jpg", "/etc/passwd", "a\0b", "C:\\a.jpg", "%2e%2e/x", "x" * 300]
    )
    | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=4,
)

# Formats that hold all that the records do of a picture, unless a loss says what is missing.
_SAME: Final = ("via1-json", "via2-json", "via2-project", "via2-csv")


@dataclass
class Tally:
    """What the cases came to."""

    cases: int = 0
    read: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    findings: Counter[str] = field(default_factory=Counter)
    longest_s: float = 0.0


def seeds(folder: Path | None) -> list[bytes]:
    """Return one file of each kind that is written, and the files of `folder` up to 100 kB."""
    made = [json.dumps(value).encode() for value in _documents()]
    file = parse_via(made[0], where="seed")
    sized = ConvertOptions(sizes={entry.key: (640, 480) for entry in file.entries})
    with tempfile.TemporaryDirectory() as scratch:
        for target in get_args(Target):
            if target not in FOLDER_WRITERS:
                convert(file, Path(scratch, target), target, sized)
                made.append(Path(scratch, target).read_bytes())
    others = sorted(folder.iterdir()) if folder is not None else []
    return made + [path.read_bytes() for path in others if path.is_file() and path.stat().st_size < 100_000]


@st.composite
def cases(draw: st.DrawFn, originals: Sequence[bytes]) -> bytes:
    """Draw a file: one of the originals, changed in a few places, mostly in its values: it stays JSON."""
    content = draw(st.sampled_from(originals))
    num_values, num_bytes = draw(st.sampled_from([(1, 0), (2, 0), (4, 0), (1, 1), (0, 1), (0, 3)]))
    with contextlib.suppress(ValueError, RecursionError):  # it is no JSON
        for _ in range(num_values):
            content = _with_other_values(draw, content)
    for _ in range(num_bytes):
        content = _with_other_bytes(draw, content)
    return content


def judge(content: bytes, folder: Path, tally: Tally) -> None:
    """Read the file, write it in each format and read it again.

    Raises:
        AssertionError: something is not as it should be; any other error but DataError: neither.
    """
    began = time.process_time()
    tally.cases += 1
    try:
        file = parse_via(content, where="case")
    except DataError as error:
        tally.refused[error.what[:30]] += 1
        is_told = error.where.startswith("case") and bool(error.fix)
        assert is_told, str(error)  # noqa: PT017 (hypothesis makes the case small)
    else:
        tally.read += 1
        _look_over(file)
        tally.findings.update(finding.code for finding in all_findings(file))
        for target in get_args(Target):
            _write_and_read(file, target, folder)
    tally.longest_s = max(tally.longest_s, time.process_time() - began)
    left = [path.name for path in folder.parent.iterdir() if path != folder]
    assert not left, f"written beside the folder: {left}"


def _look_over(file: ViaFile) -> None:
    assert {finding.code for finding in all_findings(file)} <= FINDING_CODES.keys()
    assert sum(len(entry.regions) for entry in file.entries) <= file.num_regions
    assert len(file.entries) <= file.num_images
    keys = [entry.key for entry in file.entries]
    assert sorted(file.image_order) == sorted(set(keys)), "the order names other pictures"


def _write_and_read(file: ViaFile, target: Target, folder: Path) -> None:
    out = folder / target
    sizes = {entry.key: (640, 480) for entry in file.entries}
    try:
        losses = convert(file, out, target, ConvertOptions(sizes=sizes))
    except DataError:
        assert not out.exists(), "refused, and written all the same"
        return
    if target in FOLDER_WRITERS:
        for path in out.rglob("*"):
            assert path.resolve().is_relative_to(out.resolve())
        _remove(out)
        return
    again = parse_via(out.read_bytes(), where="again")
    assert not [f for f in all_findings(again) if f.severity == "error"], "what was written is not read"
    if target in _SAME and not any(loss.where for loss in losses):
        assert _content(again) == _content(file), f"{target} holds something else, and no loss was told"
    out.unlink()


def _content(file: ViaFile) -> list[Any]:
    """Return what annotators have made, without the keys and numbers that a file gives it."""
    return [
        (
            entry.filename,
            entry.file_attributes,
            [(region.shape, region.attributes) for region in entry.regions],
        )
        for entry in file.entries
    ]


def _remove(folder: Path) -> None:
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    folder.rmdir()


def _with_other_bytes(draw: st.DrawFn, content: bytes) -> bytes:
    start = draw(st.integers(0, len(content)))
    end = min(len(content), start + draw(st.integers(0, 12)))
    token = draw(st.sampled_from(_TOKENS))
    change: Callable[[], bytes] = draw(
        st.sampled_from(
            [
                lambda: content[:start] + token + content[start:],
                lambda: content[:start] + token + content[end:],
                lambda: content[:start] + content[end:],
                lambda: content[:start],
                lambda: content[:end] + content[start:],
                lambda: content.replace(b"\n", b"\r\n"),
                lambda: content.replace(b",", b";"),
            ]
        )
    )
    return change()


def _with_other_values(draw: st.DrawFn, content: bytes) -> bytes:
    """Put another value in one place of a JSON file."""
    value = json.loads(content)
    places = list(_places(value))
    if places:
        holder, key = places[draw(st.integers(0, len(places) - 1))]
        if draw(st.integers(0, 4)):
            holder[key] = draw(_VALUES)
        else:
            del holder[key]
    return json.dumps(value, ensure_ascii=draw(st.booleans())).encode("utf-8", "replace")


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    keys: Sequence[Any] = (
        list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    )
    for key in keys:
        yield value, key
        yield from _places(value[key])


def _documents() -> Iterator[Mapping[str, Any]]:
    """Yield a VIA 2 project with every shape and every type of attribute, and COCO as VIA 2.0.9 wrote it."""
    shapes = [
        {"name": "rect", "x": 1, "y": 2, "width": 30, "height": 40},
        {"name": "circle", "cx": 50, "cy": 60, "r": 7.5},
        {"name": "ellipse", "cx": 50, "cy": 60, "rx": 7.5, "ry": 3, "theta": 0.5},
        {"name": "polygon", "all_points_x": [1, 20, 30], "all_points_y": [1, 30, 10]},
        {"name": "polyline", "all_points_x": [1, 20, 30, 4], "all_points_y": [1, 30, 10, 2]},
        {"name": "point", "cx": 5, "cy": 6},
    ]
    regions = [
        {
            "shape_attributes": shape,
            "region_attributes": {"class": f"{number % 2}", "seen": {"well": True}, "note": "x"},
        }
        for number, shape in enumerate(shapes)
    ]
    entries = {
        f"{name}{size}": {
            "filename": name,
            "size": size,
            "regions": regions[:count],
            "file_attributes": {"scene": "field"},
        }
        for name, size, count in (("a.jpg", 5, 6), ("b c.png", -1, 1), ("d/é.jpg", 700, 0))
    }
    options = {
        "type": "dropdown",
        "description": "",
        "options": {"0": "cat", "1": "dog"},
        "default_options": {},
    }
    yield {
        "_via_settings": {"ui": {}, "core": {"default_filepath": "x/"}, "project": {"name": "seed"}},
        "_via_img_metadata": entries,
        "_via_attributes": {
            "region": {"class": options, "seen": {**options, "type": "checkbox", "options": {"well": ""}}},
            "file": {"scene": {"type": "text", "description": "", "default_value": ""}},
        },
        "_via_data_format_version": "2.0.10",
        "_via_image_id_list": list(entries),
    }
    yield {
        "info": {"description": "Exported using VGG Image Annotator", "version": "1"},
        "images": [{"id": 0, "width": 640, "height": 480, "file_name": "a.jpg"}],
        "annotations": [
            {
                "id": 0,
                "image_id": "0",
                "segmentation": [1, 2, 30, 2, 30, 40],
                "bbox": [1, 2, 29, 38],
                "category_id": 1,
            }
        ],
        "categories": [{"id": 1, "name": "cat", "supercategory": "class"}] * 2,
    }


def main(arguments: Sequence[str]) -> int:
    """Run the benchmark; it ends with the error of the first case that is not as it should be.

    Returns 1 when a case took too long.
    """
    parser = side_by_side.options(__doc__, "via_fuzz", rounds=1)
    parser.add_argument("--cases", type=int, default=20_000)
    parser.add_argument("--files", type=Path, help="a folder of VIA files to change")
    options = parser.parse_args(arguments)
    tally, began = Tally(), time.perf_counter()
    run_cases(options.cases, seeds(options.files), tally)
    result = {
        "cases": tally.cases,
        "read": tally.read,
        "refused": dict(tally.refused.most_common()),
        "findings": dict(tally.findings.most_common()),
        "longest_seconds": tally.longest_s,
        "seconds": time.perf_counter() - began,
        "python": platform.python_version(),
        "machine": platform.machine(),
    }
    files.write_json(options.out, result)
    print(json.dumps(result, indent=2))
    return int(tally.longest_s > SECONDS_PER_CASE)


def run_cases(number: int, originals: Sequence[bytes], tally: Tally) -> None:
    """Judge so many cases; the first that fails is made small and raised."""
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent, "out")
        folder.mkdir()

        @settings(
            max_examples=number,
            deadline=None,
            database=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate, Phase.shrink],
        )
        @given(cases(originals))
        def judge_each(content: bytes) -> None:
            for path in folder.iterdir():  # of a case that failed
                path.unlink() if path.is_file() else _remove(path)
            judge(content, folder, tally)

        judge_each()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
