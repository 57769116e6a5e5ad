"""`python -m cnnpipe` and the command `cnnpipe`."""

import sys

from cnnpipe import telemetry

telemetry.turn_off()  # before anything that could phone home is imported

from cnnpipe.cli.main import run  # noqa: E402


def main() -> None:
    """Run the command line and exit with its code."""
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
