"""`dvc repro` as a child: the environment it needs, and its end."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from cnnpipe.errors import BusyError, CnnpipeError
from cnnpipe.orchestration.dvc_locks import forget_dead_holders, living_holders


def repro(arguments: Sequence[str]) -> None:
    """Run `dvc repro` with this interpreter's `python` first on the path, and wait for its end.

    Its output goes to stderr: progress, not result. What dead processes have left in DVC's list of who reads
    and writes is no hindrance.

    Raises:
        CnnpipeError: a stage failed; its own message stands above.
        BusyError: the same, or something was busy, while another dvc is at work in the project.
        KeyboardInterrupt: the user pressed Ctrl-C; dvc and the stage have ended before.
    """
    forget_dead_holders(Path())
    command = [sys.executable, "-m", "dvc", "--wait-for-lock", "repro", *arguments]
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    with subprocess.Popen(command, env={**os.environ, "PATH": path}, stdout=sys.stderr.fileno()) as child:
        try:
            code = child.wait()
        except BaseException:  # Ctrl-C reached the whole group: dvc and the stage are ending
            child.terminate()
            child.wait()
            raise
    if code == 0:
        return
    mend = "mend what the stage named above, then run it again"
    others = living_holders(Path())
    if others:
        pid, other = min(others.items())
        what = f"ended with exit code {code}; process {pid} is at work in this project: {other}"
        raise BusyError("dvc repro", what, f"where something is busy, wait for the end of {pid}; else {mend}")
    raise CnnpipeError("dvc repro", f"ended with exit code {code}", mend)
