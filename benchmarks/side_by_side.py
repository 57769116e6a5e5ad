"""Two commands run in turn, their medians compared, the result written as JSON."""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

RESULTS = Path(__file__).resolve().parent / "results"


@dataclass(frozen=True)
class Runner:
    """A command in a folder, under the name it has in the result."""

    name: str
    command: tuple[str, ...]
    cwd: Path

    def seconds(self) -> float:
        """Run the command once; return its wall time."""
        began = time.perf_counter()
        self.output()
        return time.perf_counter() - began

    def output(self) -> str:
        """Run the command once; return what it printed. What it starts as `python` is this Python."""
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        environment = {**os.environ, "PATH": path}
        ran = subprocess.run(
            self.command, cwd=self.cwd, env=environment, capture_output=True, text=True, check=False
        )
        if ran.returncode:
            sys.exit(f"{self.name} ended with {ran.returncode}:\n{ran.stdout}{ran.stderr}")
        return ran.stdout + ran.stderr


@dataclass(frozen=True)
class Contest:
    """Ours over theirs must not pass `bound`."""

    ours: Runner
    theirs: Runner
    bound: float


@dataclass(frozen=True)
class Result:
    """Seconds are wall time; ratio is of the medians."""

    ours: str
    theirs: str
    ours_seconds: tuple[float, ...]
    theirs_seconds: tuple[float, ...]
    ratio: float
    bound: float
    python: str
    machine: str


def options(description: str | None, name: str, *, rounds: int) -> argparse.ArgumentParser:
    """Return the parser of a benchmark's arguments."""
    parser = argparse.ArgumentParser(description=(description or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=rounds, help="runs of each, in turn")
    parser.add_argument("--out", type=Path, default=RESULTS / f"{name}.json", help="file of the result")
    return parser


def hold(contest: Contest, *, rounds: int, out: Path) -> int:
    """Run both in turn, write the result, print it; return 1 when the bound is passed."""
    contest.ours.seconds()  # the first run of each reads files that are not in memory yet
    contest.theirs.seconds()
    pairs = [(contest.ours.seconds(), contest.theirs.seconds()) for _ in range(rounds)]
    ours, theirs = zip(*pairs, strict=True)
    ratio = statistics.median(ours) / statistics.median(theirs)
    result = Result(
        ours=contest.ours.name,
        theirs=contest.theirs.name,
        ours_seconds=ours,
        theirs_seconds=theirs,
        ratio=ratio,
        bound=contest.bound,
        python=platform.python_version(),
        machine=platform.machine(),
    )
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(asdict(result), indent=2) + "\n", encoding="utf-8")
    print(
        f"{result.ours}: {statistics.median(ours):.3f} s; {result.theirs}: {statistics.median(theirs):.3f} s"
    )
    print(f"ratio {ratio:.2f}, bound {contest.bound}")
    return int(ratio > contest.bound)
