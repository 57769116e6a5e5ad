"""How long `cnnpipe init` takes on 10,000 pictures, beside plainly reading every file once.

    .venv/bin/python -m benchmarks.init_project [--pictures 10000] [--rounds 5] [--out FILE]

The pictures have 360 kB each, less than most photographs, and lie in folders whose names hold blanks. They
are hard-linked, so `init` reads their headers only. Both run in turn, as new processes, and begin by putting
the pictures out of the memory that the system keeps of files: a user's pictures lie on his disk. Bound: 3.
"""

import io
import json
import os
import shlex
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from benchmarks import side_by_side
from benchmarks.side_by_side import Contest, Runner

BOUND: Final = 3.0
_EACH: Final = """
import os, sys
for folder, _, names in os.walk(sys.argv[1]):
    for name in names:
        with open(os.path.join(folder, name), "rb") as file:
            {do}
"""
_READ: Final = _EACH.format(do="file.read()")
_FORGET: Final = _EACH.format(do="os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)")
_OBJECTS: Final = 3  # per picture
_PER_FOLDER: Final = 500


def main(arguments: Sequence[str]) -> int:
    """Run the benchmark; return 1 when the bound is passed."""
    parser = side_by_side.options(__doc__, "init_project", rounds=5)
    parser.add_argument("--pictures", type=int, default=10_000, help="how many")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="cnnpipe-init-") as folder:
        data = Path(folder, "my pictures")
        make_data(data, options.pictures)
        os.sync()  # only what is written can be forgotten
        read = shlex.join([sys.executable, "-c", _READ, str(data)])
        theirs = Runner("reading every file once", ("sh", "-c", f"{_forget(data)} && {read}"), Path(folder))
        init = ("sh", "-c", f"{_forget(data)} && {_init(data)}")
        ours = Runner("cnnpipe init", init, Path(folder))
        return side_by_side.hold(Contest(ours, theirs, BOUND), rounds=options.rounds, out=options.out)


def make_data(folder: Path, num_pictures: int) -> None:
    """Write pictures and one VIA file that names them; each picture differs in its last bytes only."""
    jpeg = _jpeg()
    entries = {}
    for number in range(num_pictures):
        name = f"batch {number // _PER_FOLDER:03d}/picture {number:06d}.jpg"
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(jpeg + str(number).encode())
        size = path.stat().st_size
        regions = [_region(number, each) for each in range(_OBJECTS)]
        entries[f"{name}{size}"] = {"filename": name, "size": size, "regions": regions, "file_attributes": {}}
    (folder / "via.json").write_text(json.dumps(entries), encoding="utf-8")


def _jpeg() -> bytes:
    rng = np.random.default_rng(0)
    noise = Image.fromarray(rng.integers(0, 256, (300, 400, 3), dtype=np.uint8)).resize((800, 600))
    buffer = io.BytesIO()
    noise.save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def _region(number: int, which: int) -> dict[str, object]:
    shape = {"name": "rect", "x": 10 + 200 * which, "y": 20, "width": 150, "height": 90 + number % 50}
    return {"shape_attributes": shape, "region_attributes": {"class": f"class {(number + which) % 5}"}}


def _forget(data: Path) -> str:
    return shlex.join([sys.executable, "-c", _FORGET, str(data)])


def _init(data: Path) -> str:
    """Return the command; the name of the project has the number of its shell, so that each makes another."""
    options = ["--annotations", str(data / "via.json"), "--images", str(data), "--task", "detect"]
    return f"{shlex.quote(sys.executable)} -m cnnpipe init project-$$ {shlex.join(options)}"


if __name__ == "__main__":
    os.environ.setdefault("GIT_CEILING_DIRECTORIES", tempfile.gettempdir())  # a project of its own
    sys.exit(main(sys.argv[1:]))
