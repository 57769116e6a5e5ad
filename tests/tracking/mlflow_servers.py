"""A real MLflow server of a test: started, killed, stopped in its tracks, and always ended."""

import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path

from cnnpipe.tracking import ui

START_S = 120.0  # 8 s on an idle machine


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


class MlflowServer:
    """One address and one store; the process behind it comes and goes.

    Args:
        folder: of the store mlflow.db, the artifacts and the log.
        more_words: of the command, beside those of `cnnpipe ui`.
        environment: more of it.
    """

    def __init__(
        self,
        folder: Path,
        *,
        more_words: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.port = free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self.database = folder / "mlflow.db"
        self._folder = folder
        self._elsewhere = folder / "elsewhere"  # MLflow's own default is a database in the working folder
        self._elsewhere.mkdir()
        self._command = [*ui.command(self.port), *more_words]
        self._environment = {
            **os.environ,
            "MLFLOW_BACKEND_STORE_URI": f"sqlite:///{self.database}",
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            **(environment or {}),
        }
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> str:
        """What it said so far."""
        return (self._folder / "server.log").read_text(encoding="utf-8")

    def start(self) -> None:
        """Start it where it does not run, and wait until it answers."""
        if self._process is not None:
            return
        with (self._folder / "server.log").open("a", encoding="utf-8") as log:
            self._process = subprocess.Popen(
                self._command,
                cwd=self._elsewhere,
                env=self._environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        end = time.monotonic() + START_S
        while not self._answers():
            assert self._process.poll() is None, self.log
            assert time.monotonic() < end, self.log
            time.sleep(0.2)

    def kill(self) -> None:
        """End it as `kill -9` does."""
        self._signal(signal.SIGKILL)
        if self._process is not None:
            self._process.wait()
        self._process = None

    def freeze(self) -> None:
        """Let it accept and never answer."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def processes(self) -> list[int]:
        """Return the ids of the server's processes."""
        if self._process is None:
            return []
        found = subprocess.run(
            ["ps", "-o", "pid=", "-g", str(self._process.pid)], capture_output=True, text=True, check=False
        )
        return [int(pid) for pid in found.stdout.split()]

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.poll() is None:
            os.killpg(self._process.pid, number)

    def _answers(self) -> bool:
        try:
            urllib.request.urlopen(f"{self.address}/health", timeout=5).close()  # noqa: S310 (on this machine)
        except urllib.error.HTTPError:
            return True
        except OSError:
            return False
        return True
