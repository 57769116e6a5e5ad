"""How long `cnnpipe --help` takes, beside `python -c "import typer"`: the price of every command.

    python -m benchmarks.startup [--rounds 15] [--out FILE]

Both run in turn, as new processes; medians are compared. Bound: 2.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from benchmarks import side_by_side
from benchmarks.side_by_side import Contest, Runner

ROOT: Final = Path(__file__).resolve().parent.parent
BOUND: Final = 2.0


def main(arguments: Sequence[str]) -> int:
    """Run the benchmark; return 1 when the bound is passed."""
    options = side_by_side.options(__doc__, "startup", rounds=15).parse_args(arguments)
    contest = Contest(
        ours=Runner("cnnpipe --help", (sys.executable, "-m", "cnnpipe", "--help"), ROOT),
        theirs=Runner('python -c "import typer"', (sys.executable, "-c", "import typer"), ROOT),
        bound=BOUND,
    )
    return side_by_side.hold(contest, rounds=options.rounds, out=options.out)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
