"""Large broken VIA files: read or refused in words, with a peak of memory of at most ten times the file.

    python -m benchmarks.via_giants

Files of 4 to 1,000 MB, each through `cnnpipe via check --json` in a process of its own: exit 0 or 3, no
traceback, and a peak of memory of at most ten times the file beyond that of a check of one picture.
"""

import json
import platform
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from benchmarks import side_by_side
from benchmarks.via_ingest import project
from cnnpipe import files

MEMORY_BOUND: Final = 10.0  # times the file


@dataclass(frozen=True)
class Giant:
    """One large file through `cnnpipe via check`."""

    name: str
    megabytes: float
    exit_code: int
    seconds: float
    memory_ratio: float  # peak beyond the program's own, over the size of the file
    is_well: bool


def giants(folder: Path) -> Iterator[tuple[str, Path]]:
    """Make large files one by one; each is gone before the next."""
    drawn = random.Random(0)  # noqa: S311 (no secret)

    def entry(regions: str, name: str = "a.jpg") -> str:
        return f'{{"{name}5":{{"filename":"{name}","size":5,"regions":[{regions}],"file_attributes":{{}}}}}}'

    def polygon(points: int, highest: int) -> str:
        xs, ys = (",".join(str(drawn.randint(0, highest)) for _ in range(points)) for _ in "xy")
        shape = f'{{"name":"polygon","all_points_x":[{xs}],"all_points_y":[{ys}]}}'
        return f'{{"shape_attributes":{shape},"region_attributes":{{"class":"a"}}}}'

    shape = '{"name":"rect","x":1,"y":2,"width":3,"height":4}'
    rect = f'{{"shape_attributes":{shape},"region_attributes":{{"class":"a"}}}}'
    made: dict[str, Callable[[], Iterator[str]]] = {
        "an ordinary project of 200,000 regions": lambda: iter([json.dumps(project(20_000))]),
        "300,000 pictures without a region": lambda: iter(
            ["{", ",".join(entry("", f"IMG_{n:07d}.jpg")[1:-1] for n in range(300_000)), "}"]
        ),
        "a polygon of a million points": lambda: iter([entry(polygon(1_000_000, 4000))]),
        "the same of one digit": lambda: iter([entry(polygon(1_000_000, 9))]),
        "half a million equal regions": lambda: iter([entry(",".join([rect] * 500_000))]),
        "one attribute of 100 MB": lambda: iter([entry(rect.replace('"a"', '"' + "a" * 100_000_000 + '"'))]),
        "nested 10 million deep": lambda: iter(["[" * 10_000_000]),
        "objects nested 5 million deep": lambda: iter(['{"a":' * 5_000_000]),
        "empty lists": lambda: iter(['{"filename":[', "[]," * 5_000_000, "[]]}"]),
        "a million keys": lambda: iter(["{", ",".join(f'"k{n}":0' for n in range(1_000_000)), "}"]),
        "a CSV row of 50 MB": lambda: iter(
            [
                "filename,file_size,file_attributes,region_count,region_id,region_shape_attributes,",
                "region_attributes\n",
                'a.jpg,5,"{}",1,0,"{""name"":""polygon"",""all_points_x"":[' + "1,2," * 6_000_000 + "3],",
                '""all_points_y"":[' + "1,2," * 6_000_000 + '3]}","{}"\n',
            ]
        ),
        "a gigabyte of blanks": lambda: (" " * 10_000_000 for _ in range(100)),
        "100 MB of line ends": lambda: (" \n" * 5_000_000 for _ in range(10)),
        "100 MB of commas": lambda: ("," * 10_000_000 for _ in range(10)),
        "100 MB of one line": lambda: ("x" * 10_000_000 for _ in range(10)),
    }
    for name, parts in made.items():
        path = folder / "giant.json"
        with path.open("w", encoding="utf-8") as file:
            file.writelines(parts())
        yield name, path
        path.unlink()


_CHECK: Final = """
import sys
from cnnpipe.cli.main import run
try:
    sys.exit(run(["via", "check", sys.argv[1], "--json"]))
finally:
    peak = int(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1])
    print(f"peak {peak}", file=sys.stderr)
"""


def _check(name: str, path: Path, program: int) -> Giant:
    began = time.perf_counter()
    code, said, peak = _run(path)
    seconds, size = time.perf_counter() - began, path.stat().st_size
    ratio = (peak - program) / size
    is_well = code in (0, 3) and "Traceback" not in said and ratio <= MEMORY_BOUND
    if not is_well:
        print(said[-2000:])
    return Giant(name, size / 1e6, code, seconds, ratio, is_well)


def _run(path: Path) -> tuple[int, str, int]:
    """Return exit code, standard error and peak memory in bytes of one check."""
    command = [sys.executable, "-c", _CHECK, str(path)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    peaks = [1024 * int(line.split()[1]) for line in ran.stderr.splitlines() if line.startswith("peak ")]
    return ran.returncode, ran.stderr, max(peaks, default=sys.maxsize)


def main(arguments: Sequence[str]) -> int:
    """Run the benchmark; return 1 when a file is neither read nor refused as it should be."""
    options = side_by_side.options(__doc__, "via_giants", rounds=1).parse_args(arguments)
    checked = []
    with tempfile.TemporaryDirectory() as folder:
        small = Path(folder, "small.json")
        small.write_text('{"a.jpg5": {"filename": "a.jpg", "size": 5, "regions": [], "file_attributes": {}}}')
        program = _run(small)[2]
        for name, path in giants(Path(folder)):
            checked.append(_check(name, path, program))
            print(checked[-1], flush=True)
    result = {
        "giants": [asdict(each) for each in checked],
        "bound": MEMORY_BOUND,
        "python": platform.python_version(),
        "machine": platform.machine(),
    }
    files.write_json(options.out, result)
    return int(not all(each.is_well for each in checked))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
