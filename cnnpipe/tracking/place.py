"""Where the runs of this project are kept; imports no MLflow, so asking costs nothing."""

import os
import re
import subprocess
from pathlib import Path, PurePosixPath
from typing import Final

# Tags by which runs are found.
SIGNATURE: Final = "cnnpipe.signature"
EXPERIMENT: Final = "cnnpipe.experiment"  # key of `experiments` in params.yaml; not MLflow's experiment
ORIGIN: Final = "cnnpipe.origin"  # trained, or restored: rebuilt from files
STOP_REASON: Final = "cnnpipe.stop_reason"
INCIDENTS: Final = "cnnpipe.incidents"  # what went wrong in the training and was mended
PROJECTED: Final = "cnnpipe.projected"  # digest of the results that the run holds
DOUBLE_OF: Final = "cnnpipe.double_of"  # id of the run that stayed, on one that went to MLflow's bin
# Aliases of a task's model in the registry.
CHAMPION: Final = "champion"
CHALLENGER: Final = "challenger"

_SQLITE: Final = "sqlite:///"
# what stands before the host; also where the password holds a slash, which makes the address a wrong one
_USER: Final = re.compile(r"//(?:[^\s/]*@|[^\s/:]*:(?!\d+(?:[/\s?#]|$))\S*@)")


def tracking_uri() -> str:
    """Return the address of the store: MLFLOW_TRACKING_URI, else mlflow.db in the folder of the project."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"{_SQLITE}{Path.cwd() / 'mlflow.db'}"


def shown(uri: str) -> str:
    """Return an address, or a text with some, as it may be shown or kept: without user and password.

    >>> shown("http://me:secret@server:5000/store")
    'http://server:5000/store'
    >>> shown("nothing answers at http://me:se/cr@t@server (refused)")
    'nothing answers at http://server (refused)'
    """
    return _USER.sub("//", uri)


def project() -> str:
    """Return the name of the project, which is the name of its MLflow experiment.

    MLFLOW_EXPERIMENT_NAME, else the name of git's remote `origin`, so that every clone has the same
    one, else the name of the folder.
    """
    return os.environ.get("MLFLOW_EXPERIMENT_NAME") or _name_of_origin() or Path.cwd().name or "cnnpipe"


def sqlite_file(uri: str) -> Path | None:
    """Return the database file of an sqlite address; None for a store of another kind."""
    return Path(uri.removeprefix(_SQLITE)).absolute() if uri.startswith(_SQLITE) else None


def _name_of_origin() -> str:
    try:
        found = subprocess.run(
            ["git", "config", "--get", "remote.origin.url"], capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        return ""
    # also scp's form, host:name; what stands before an @ may be a password
    path = shown(found.stdout.strip()).rpartition("@")[2].replace(":", "/")
    return PurePosixPath(path).name.removesuffix(".git")
