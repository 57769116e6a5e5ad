"""What reading a large VIA project costs, beside `json.loads`, orjson and two packages that read VIA files.

    python -m benchmarks.via_ingest [--pictures 10000] [--pictures 100000] [--rounds 3] [--peers PYTHON]

Each side runs in a process of its own, in turn: CPU seconds and peak memory from its first byte of the file
to its last result, without the start of Python and imports. Ours parses the project, checks every region and
writes one line per region, as stage `ingest` does; the others only read. Bounds: 1.0 of `json.loads` at
10,000 pictures, 0.6 at 100,000; peak memory 9 times the file; seconds per region at the larger size at most
1.3 times those at the smaller one.

`--peers` is a Python in which `pip install ethology==0.1.4 tomni==2.2.2` was run, the two packages found that
read VIA 2 files. Each reads 2,000 pictures of the only shapes it knows, beside ours; there is no bound. They
are not among our dependencies, so that without `--peers` they are left out.
"""

import json
import platform
import random
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks import side_by_side
from cnnpipe import files

REGIONS_PER_PICTURE: Final = 10
BOUNDS: Final[Mapping[int, float]] = {10_000: 1.0, 100_000: 0.6}  # by pictures: ours over json.loads
MEMORY_BOUND: Final = 9.0  # times the file
GROWTH_BOUND: Final = 1.3  # of the seconds per region, from the smallest size to the largest

_MEASURE: Final = """
import gc, json, resource, sys, time
def before():
    # the peak of a child begins with its parent's; VmHWM is its own
    return int(next(l for l in open("/proc/self/status") if l.startswith("VmHWM")).split()[1])
path, out = sys.argv[1], sys.argv[2]
{imports}
start_kib, began = before(), time.process_time()
{work}
print(json.dumps({{"seconds": time.process_time() - began, "peak_bytes": 1024 * (before() - start_kib)}}))
"""
_OURS: Final = (
    """
from pathlib import Path
from cnnpipe.files import write_jsonl
from cnnpipe.formats.via.merge import regions_of
from cnnpipe.formats.via.read import read_via
""",
    """
file = read_via(Path(path), where="project.json")
assert not file.findings
records = (record for entry in file.entries for record in regions_of(entry, entry.filename, "project.json"))
write_jsonl(Path(out), records)
""",
)
_OTHERS: Final[Mapping[str, tuple[str, str]]] = {
    "json.loads": ("", "value = json.loads(open(path, 'rb').read())"),
    "orjson": ("import orjson", "value = orjson.loads(open(path, 'rb').read())"),
}
# By name: the shapes that the package knows, whether it reads a project, and how it is called.
_PEERS: Final[Mapping[str, tuple[tuple[int, ...], bool, tuple[str, str]]]] = {
    "ethology": (
        (2,),
        True,
        (
            "from ethology.io.annotations import load_bboxes",
            "value = load_bboxes.from_files(path, format='VIA')",
        ),
    ),
    "tomni": (
        (0, 1),
        False,
        (
            "from tomni.transformers.vgg2json import vgg2json",
            "value = vgg2json(json.loads(open(path, 'rb').read()))",
        ),
    ),
}
PEER_PICTURES: Final = 2_000


@dataclass(frozen=True)
class Side:
    """One side at one size. Seconds are CPU time."""

    seconds: tuple[float, ...]
    peak_bytes: tuple[int, ...]

    @property
    def median_s(self) -> float:
        """Return the median of the seconds."""
        return statistics.median(self.seconds)


@dataclass(frozen=True)
class Size:
    """All sides on one file; ratios are of the medians."""

    pictures: int
    regions: int
    file_bytes: int
    sides: dict[str, Side]
    ratio: float  # ours over json.loads
    bound: float | None
    memory_ratio: float  # our peak over the size of the file


@dataclass(frozen=True)
class Result:
    """Every size, and how our seconds per region grow from the smallest to the largest."""

    sizes: tuple[Size, ...]
    growth: float
    peers: dict[str, dict[str, Side]]  # by peer: it and ours on the file that it can read
    python: str
    machine: str


def main(arguments: Sequence[str]) -> int:
    """Run the benchmark; return 1 when a bound is passed."""
    parser = side_by_side.options(__doc__, "via_ingest", rounds=3)
    parser.add_argument("--pictures", type=int, action="append", help="sizes; 10 regions in each picture")
    parser.add_argument("--peers", type=Path, help="a Python that has the two packages")
    options = parser.parse_args(arguments)
    pictures = sorted(options.pictures or BOUNDS)
    with tempfile.TemporaryDirectory() as folder:
        sizes = tuple(_measure(number, Path(folder), options.rounds) for number in pictures)
        peers = (
            {} if options.peers is None else _measure_peers(str(options.peers), Path(folder), options.rounds)
        )
    per_region = [size.sides["cnnpipe"].median_s / size.regions for size in sizes]
    result = Result(
        sizes=sizes,
        growth=per_region[-1] / per_region[0],
        peers=peers,
        python=platform.python_version(),
        machine=platform.machine(),
    )
    files.write_json(options.out, asdict(result))
    for size in sizes:
        _print(size)
    for name, sides in peers.items():
        ratio = sides["cnnpipe"].median_s / sides[name].median_s
        print(f"{PEER_PICTURES} pictures for {name}: {sides[name].median_s:.2f} s; ours over it: {ratio:.3f}")
    print(f"seconds per region, largest size over smallest: {result.growth:.2f}, bound {GROWTH_BOUND}")
    passed = [size.bound is not None and size.ratio > size.bound for size in sizes]
    return int(
        any(passed) or any(s.memory_ratio > MEMORY_BOUND for s in sizes) or result.growth > GROWTH_BOUND
    )


def project(num_pictures: int, kinds: Sequence[int] = (0, 1, 2, 2, 2)) -> dict[str, Any]:
    """Return a VIA 2 project as VIA saves it: polygons (0), turned ellipses (1) and rectangles (2)."""
    drawn = random.Random(0)  # noqa: S311 (no secret)
    entries = dict(_entries(num_pictures, kinds, drawn))
    options = {
        "type": "dropdown",
        "description": "",
        "options": {name: name for name in _CLASSES},
        "default_options": {},
    }
    return {
        "_via_settings": {
            "ui": {},
            "core": {"buffer_size": 18, "filepath": {}, "default_filepath": ""},
            "project": {"name": "large"},
        },
        "_via_img_metadata": entries,
        "_via_attributes": {"region": {"class": options}, "file": {}},
        "_via_data_format_version": "2.0.10",
        "_via_image_id_list": list(entries),
    }


_CLASSES: Final = ("cat", "dog", "bird", "horse")


def _entries(
    num_pictures: int, kinds: Sequence[int], drawn: random.Random
) -> Iterator[tuple[str, dict[str, Any]]]:
    for number in range(num_pictures):
        filename, size = f"IMG_{number:07d}.jpg", drawn.randint(50_000, 900_000)
        regions = [_region(kinds[place % len(kinds)], drawn) for place in range(REGIONS_PER_PICTURE)]
        attributes = {"scene": drawn.choice(("street", "field"))}
        yield (
            f"{filename}{size}",
            {"filename": filename, "size": size, "regions": regions, "file_attributes": attributes},
        )


def _region(kind: int, drawn: random.Random) -> dict[str, Any]:
    attributes = {"class": drawn.choice(_CLASSES), "occluded": {"yes": True} if drawn.random() < 0.2 else {}}
    return {"shape_attributes": _shape(kind, drawn), "region_attributes": attributes}


def _shape(kind: int, drawn: random.Random) -> dict[str, Any]:
    x, y = drawn.randint(0, 1900), drawn.randint(0, 1000)
    if kind == 0:
        outline = [(x + drawn.randint(0, 200), y + drawn.randint(0, 200)) for _ in range(41)]
        return {
            "name": "polygon",
            "all_points_x": [x for x, _ in outline],
            "all_points_y": [y for _, y in outline],
        }
    if kind == 1:
        radii = {name: round(drawn.uniform(3, 200), 3) for name in ("rx", "ry")}
        return {"name": "ellipse", "cx": x, "cy": y, **radii, "theta": round(drawn.uniform(-1, 1), 3)}
    return {"name": "rect", "x": x, "y": y, "width": drawn.randint(5, 400), "height": drawn.randint(5, 300)}


def _measure(num_pictures: int, folder: Path, rounds: int) -> Size:
    path = folder / "project.json"
    path.write_text(json.dumps(project(num_pictures), separators=(",", ":")), encoding="utf-8")
    codes = {"cnnpipe": (sys.executable, _OURS)}
    codes |= {name: (sys.executable, code) for name, code in _OTHERS.items()}
    sides = _race(codes, path, rounds)
    ours = sides["cnnpipe"]
    return Size(
        pictures=num_pictures,
        regions=num_pictures * REGIONS_PER_PICTURE,
        file_bytes=path.stat().st_size,
        sides=sides,
        ratio=ours.median_s / sides["json.loads"].median_s,
        bound=BOUNDS.get(num_pictures),
        memory_ratio=max(ours.peak_bytes) / path.stat().st_size,
    )


def _measure_peers(python: str, folder: Path, rounds: int) -> dict[str, dict[str, Side]]:
    measured = {}
    for name, (kinds, is_project, code) in _PEERS.items():
        value = project(PEER_PICTURES, kinds)
        path = folder / f"{name}.json"
        path.write_text(json.dumps(value if is_project else value["_via_img_metadata"]), encoding="utf-8")
        measured[name] = _race({"cnnpipe": (sys.executable, _OURS), name: (python, code)}, path, rounds)
    return measured


def _race(codes: Mapping[str, tuple[str, tuple[str, str]]], path: Path, rounds: int) -> dict[str, Side]:
    runs = [{name: _run(*side, path) for name, side in codes.items()} for _ in range(rounds)]
    return {
        name: Side(
            seconds=tuple(run[name]["seconds"] for run in runs),
            peak_bytes=tuple(int(run[name]["peak_bytes"]) for run in runs),
        )
        for name in codes
    }


def _run(python: str, code: tuple[str, str], path: Path) -> dict[str, float]:
    imports, work = code
    command = [
        python,
        "-c",
        _MEASURE.format(imports=imports, work=work),
        str(path),
        str(path.with_name("out.jsonl")),
    ]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    if ran.returncode:
        sys.exit(f"{python} ended with {ran.returncode}:\n{ran.stdout}{ran.stderr}")
    measured: dict[str, float] = json.loads(ran.stdout.splitlines()[-1])
    return measured


def _print(size: Size) -> None:
    print(f"{size.pictures} pictures, {size.regions} regions, {size.file_bytes / 1e6:.1f} MB")
    for name, side in size.sides.items():
        peak = max(side.peak_bytes) / size.file_bytes
        print(f"  {name:<12} {side.median_s:8.2f} s   peak {peak:5.1f} x the file")
    bound = "" if size.bound is None else f", bound {size.bound}"
    print(f"  over json.loads: {size.ratio:.2f}{bound}; memory bound {MEMORY_BOUND}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
