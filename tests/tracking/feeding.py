"""A stand-in for a training: a process that feeds a run every quarter of a second until it is told to end.

python feeding.py SIGNATURE continue|fail FOLDER [HOST]: it ends when FOLDER/end exists, and tells on stdout,
as JSON, how long the store made it wait. HOST: what it takes its machine's name to be.
"""

import json
import signal
import socket
import sys
import time
from pathlib import Path
from types import FrameType

from tracking.trainings import a_training

from cnnpipe.errors import CnnpipeError
from cnnpipe.tracking.active_run import start_run

EPOCH_S = 0.25


def terminate(_signal: int, _frame: FrameType | None) -> None:
    raise SystemExit(143)


def main(signature: str, when_unreachable: str, folder: Path) -> None:
    signal.signal(signal.SIGTERM, terminate)
    began = time.monotonic()
    waits = {}
    longest, step = 0.0, 0
    with start_run(a_training(signature), device="cpu", when_unreachable=when_unreachable) as run:  # type: ignore[arg-type]
        waits["start"] = time.monotonic() - began
        while not (folder / "end").exists():
            time.sleep(EPOCH_S)
            step += 1
            (folder / "step").write_text(str(step), encoding="utf-8")
            asked = time.monotonic()
            run.log_epoch(
                {"epoch": step, "step": step, "loss": 1 / step, "time/epoch_seconds": EPOCH_S}, step
            )
            longest = max(longest, time.monotonic() - asked)
        asked = time.monotonic()
        run.finish("FINISHED", stop_reason="epochs")
        waits |= {"epoch": longest, "end": time.monotonic() - asked}
    print(json.dumps({"steps": step, "waits": waits}))


if __name__ == "__main__":
    if len(sys.argv) > 4:
        socket.gethostname = lambda: sys.argv[4]
    try:
        main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
    except CnnpipeError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
