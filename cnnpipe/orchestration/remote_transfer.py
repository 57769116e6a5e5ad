"""Program of one process: push stages to the default DVC remote, or ask whether one answers.

    python -m cnnpipe.orchestration.remote_transfer push train@lenet
    python -m cnnpipe.orchestration.remote_transfer ask            # or: ask NAME

A process of its own, because DVC does not lock between threads. Not `dvc push --run-cache`, because that
sends the whole run cache each time, before the outputs: a kill in between leaves entries on the remote
whose outputs are not there; and it makes a new folder where the disk of the remote is not mounted.
"""

import logging
import os
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from http.client import HTTPException
from pathlib import Path
from typing import Any, Final, NoReturn
from urllib.error import URLError
from urllib.request import urlopen

from dvc.fs import generic
from dvc.repo import Repo
from dvc.utils import dict_sha256
from dvc.utils.serialize import load_yaml

from cnnpipe.errors import CnnpipeError, StorageError
from cnnpipe.orchestration.remote import Remote, find_remote
from cnnpipe.tracking.place import shown

_ANSWER_S: Final = 20.0
_WATCH_S: Final = 10.0
_SILENCES: Final = 2  # in a row, and a server in the middle of a push is given up
_READ_S: Final = 30  # seconds without a byte, for servers like S3; `dvc remote modify` may say other
_CONNECT_S: Final = 10
_TRIES: Final = 2  # botocore tries 5 times, s3fs each of them 5 times: a quarter of an hour
_FIX: Final = "nothing is lost here; look at address, network and credentials, then run it again"
_NOT_IN_KEY: Final = ("size", "nfiles")  # as DVC: they say nothing that the hash does not
# Settings of a remote that no message may show.
_SECRETS: Final = (
    *("access_key_id", "secret_access_key", "session_token", "sse_customer_key"),
    *("password", "passphrase", "token", "account_key", "sas_token", "client_secret", "connection_string"),
    *("oss_key_id", "oss_key_secret", "custom_auth_header", "gdrive_client_secret"),
)
_SECRET_VARIABLES: Final = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")


def main(arguments: Sequence[str]) -> int:
    """Do what the arguments say in the project of the working folder; return the exit code."""
    verb, *names = arguments  # stages to push, or a remote to ask
    os.environ.setdefault("AWS_MAX_ATTEMPTS", str(_TRIES))
    try:
        remote = _settled(Path.cwd(), names[0] if verb == "ask" and names else None)
        sent = _transfer(remote, names if verb == "push" else ())
    except CnnpipeError as error:
        sys.stdout.write(f"error: {error}\n")
        return error.exit_code
    sys.stdout.write(f"{remote.name}: {sent} files pushed\n" if verb == "push" else "")
    return 0


def _transfer(remote: Remote, stages: Sequence[str]) -> int:
    """Ask the remote, then push `stages`; return the number of files sent.

    Raises:
        StorageError: it does not answer, or did not take it all.
    """
    complaints, secrets = _kept_complaints(), _variables()
    try:
        with Repo(_wait_for_lock=True) as repo:
            secrets += _limit_patience(repo, remote.name)
            _ask(repo, remote)
            _watch(repo.config["remote"][remote.name].get("endpointurl"), remote)
            return _push(repo, remote, stages) if stages else 0
    except CnnpipeError:
        raise
    except Exception as error:  # each kind of remote has errors of its own
        what = _without(secrets, "; ".join([*complaints[:1], str(error) or type(error).__name__]))
        raise StorageError(_place(remote), what, _FIX) from None


def _settled(root: Path, name: str | None) -> Remote:
    """Return a remote by its name, or the default one.

    Raises:
        StorageError: there is none.
    """
    remote = find_remote(root, name)
    if remote is None:
        fix = "dvc remote add --default NAME URL: docs/remotes.md"
        raise StorageError("the DVC remote", "none is set", fix)
    return remote


def _limit_patience(repo: Repo, name: str) -> list[str]:
    """Have S3 give up within minutes where the user did not say other; return the remote's secrets."""
    settings = repo.config["remote"][name]
    if str(settings["url"]).startswith("s3:"):
        settings.setdefault("read_timeout", _READ_S)
        settings.setdefault("connect_timeout", _CONNECT_S)
    return [str(settings[key]) for key in _SECRETS if settings.get(key)]


def _variables() -> list[str]:
    """Return the secrets of the environment."""
    return [os.environ[name] for name in _SECRET_VARIABLES if os.environ.get(name)]


def _ask(repo: Repo, remote: Remote) -> None:
    """See that the remote answers.

    Raises:
        StorageError: there is no such folder, or nothing answered in time.
    """
    if remote.is_folder:
        _look_at(Path(repo.config["remote"][remote.name]["url"]), remote)
        return
    answer: list[Exception | None] = []

    def ask() -> None:
        try:
            _list_top(repo, remote)
            answer.append(None)
        except Exception as error:  # told by the thread that waits
            answer.append(error)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(_ANSWER_S)
    if not answer:
        _leave(remote, f"no answer within {_ANSWER_S:.0f} s")
    if answer[0] is not None:
        raise answer[0]


def _watch(endpoint: str | None, remote: Remote) -> None:
    """End this process when a server falls silent in the middle: s3fs would wait for many minutes."""
    if endpoint is None or not endpoint.startswith(("http://", "https://")):
        return

    def watch() -> None:
        silences = 0
        while silences < _SILENCES:
            time.sleep(_WATCH_S)
            silences = silences + 1 if _is_silent(endpoint) else 0
        _leave(remote, f"it took a connection, and no answer came within {_WATCH_S:.0f} s, twice")

    threading.Thread(target=watch, daemon=True).start()


def _is_silent(endpoint: str) -> bool:
    """Whether a server takes a connection and says nothing; a refusal is an answer."""
    try:
        with urlopen(endpoint, timeout=_WATCH_S):  # noqa: S310 - http, checked where it is called
            return False
    except TimeoutError:
        return True
    except URLError as error:  # HTTPError, too: it answered
        return isinstance(error.reason, TimeoutError)
    except (OSError, ValueError, HTTPException):  # told by the push itself
        return False


def _leave(remote: Remote, what: str) -> NoReturn:
    """End this process now: a thread that waits for a server cannot be ended."""
    sys.stdout.write(f"error: {_place(remote)}: {what}\n  fix: {_FIX}\n")
    sys.stdout.flush()
    os._exit(StorageError.exit_code)


def _list_top(repo: Repo, remote: Remote) -> None:
    store = repo.cloud.get_remote_odb(remote.name, "push", hash_name="md5")
    if hasattr(store.fs.fs, "retries"):  # s3fs
        store.fs.fs.retries = _TRIES
    top = repo.cloud.get_remote(remote.name, "push").path
    try:
        store.fs.ls(top)
    except FileNotFoundError:  # nothing was pushed yet; or there is no such bucket
        store.fs.ls(top.strip("/").partition("/")[0]) if store.fs.protocol == "s3" else None


def _look_at(folder: Path, remote: Remote) -> None:
    if not folder.is_dir():
        fix = f"mount its disk, or make the folder: mkdir -p {folder}"
        raise StorageError(_place(remote), "there is no such folder", fix)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise StorageError(_place(remote), "it cannot be written", "give yourself the right to write there")


def _push(repo: Repo, remote: Remote, stages: Sequence[str]) -> int:
    """Push outputs first, what refers to them last; return the number of files sent."""
    sent: int = repo.push(targets=list(stages), remote=remote.name)
    with repo.lock:  # nobody writes dvc.lock meanwhile
        lock = Path(repo.root_dir, "dvc.lock")
        recorded = load_yaml(str(lock))["stages"] if lock.exists() else {}
    runs = repo.cloud.get_remote_odb(remote.name, "push", hash_name="md5-dos2unix")
    return sent + sum(
        _push_runs(repo.cache.legacy, runs, recorded[name]) for name in stages if name in recorded
    )


def _push_runs(cache: Any, remote: Any, recorded: Mapping[str, Any]) -> int:
    """Push the runs that DVC keeps under the inputs of a stage, as dvc.lock has recorded them.

    Source: dvc 3.67, stage/cache.py, `_get_cache_hash`.
    """
    inputs = {**recorded, "outs": [out["path"] for out in recorded.get("outs", [])]}
    key = dict_sha256(inputs, exclude=_NOT_IN_KEY)
    folder = Path(cache.path) / "runs" / key[:2] / key
    sent = 0
    for run in sorted(folder.iterdir()) if folder.is_dir() else []:
        target = remote.fs.join(remote.path, "runs", key[:2], key, run.name)
        if not remote.fs.exists(target):
            generic.copy(cache.fs, str(run), remote.fs, target)
            sent += 1
    return sent


def _kept_complaints() -> list[str]:
    """Return the list into which DVC's warnings and errors go: an upload's reason is only logged."""
    said: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(" - ".join(filter(None, [record.getMessage(), _cause(record)])))

    logging.getLogger().addHandler(Keep(logging.WARNING))
    return said


def _cause(record: logging.LogRecord) -> str:
    return str(record.exc_info[1]) if record.exc_info and record.exc_info[1] else ""


def _place(remote: Remote) -> str:
    return f"DVC remote {remote.name} ({remote.address})"


def _without(secrets: Sequence[str], text: str) -> str:
    """Return a text in one line, without what nobody may read."""
    line = " ".join(shown(text).split())
    for secret in secrets:
        line = line.replace(secret, "***")
    return line


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
