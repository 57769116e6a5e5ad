"""The log of a flow whose reader, a worker, is gone."""

import subprocess
import sys
from pathlib import Path

from tiny_projects import environment

_FLOW = """
import logging, os, sys
from cnnpipe import telemetry
telemetry.turn_off()
from prefect.logging.configuration import setup_logging
from cnnpipe.orchestration.flow.log import go_on_without_a_reader
setup_logging()
if "mended" in sys.argv:
    go_on_without_a_reader()
log = logging.getLogger("prefect.anything")
reader, writer = os.pipe()
os.dup2(writer, 2)
os.close(writer)
os.close(reader)
for number in range(3):
    log.error("line %d", number)
open("end", "w").close()
"""


def test_a_flow_goes_on_when_nobody_reads_its_log(tmp_path: Path) -> None:
    for words in ([], ["mended"]):
        command = [sys.executable, "-c", _FLOW, *words]
        done = subprocess.run(
            command,
            cwd=tmp_path,
            env=environment(PREFECT_HOME=str(tmp_path)),
            capture_output=True,
            check=False,
        )
        # the first half guards the cause: without it, this has become needless
        assert (tmp_path / "end").exists() == bool(words), done.stderr
