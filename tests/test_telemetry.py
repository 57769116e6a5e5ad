"""None of the five libraries that phone home does so once `telemetry.turn_off` has run."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cnnpipe import telemetry

ROOT = Path(__file__).resolve().parents[1]

# Python imports this by itself in every process, and nothing gets out; where a library swallows the error,
# the host it asked for stands in the file. DVC sends from a daemon that Python starts without this, so
# starting one counts.
GUARD = """
import os, sys

def _refuse_the_world(event, args):
    host = {
        "socket.connect": lambda: args[1][0] if isinstance(args[1], tuple) else "",
        "socket.sendto": lambda: args[1][0] if isinstance(args[1], tuple) else "",
        "socket.getaddrinfo": lambda: args[0],
        "socket.gethostbyname": lambda: args[0],
        "subprocess.Popen": lambda: "daemon of dvc" if "daemon" in args[1] else "",
    }.get(event, str)()
    host = host.decode() if isinstance(host, bytes) else host or ""
    if host and host != "localhost" and not host.startswith("127.") and host != "::1":
        with open(os.environ["ASKED_FOR"], "a") as file:
            file.write(f"{host}\\n")
        raise OSError(f"a test may not reach {host}")

sys.addaudithook(_refuse_the_world)
"""

USES = {
    "mlflow": """
import mlflow
mlflow.set_tracking_uri("sqlite:///mlflow.db")
mlflow.set_experiment("telemetry")
with mlflow.start_run():
    mlflow.log_params({"epochs": 3})
    mlflow.log_metric("loss", 0.5)
""",
    "dvc": """
import pathlib, subprocess, sys
run = lambda *words: subprocess.run([sys.executable, "-m", "dvc", *words], check=True)
subprocess.run(["git", "init", "--quiet"], check=True)
run("init", "--quiet")
if OFF:  # the project's own settings: the search for updates has no environment variable
    pathlib.Path(".dvc/config").write_text(pathlib.Path(CONFIG).read_text())
pathlib.Path("data.txt").write_text("1")
run("add", "--quiet", "data.txt")
run("status")
run("version")
""",
    "prefect": """
import prefect
from prefect.settings import get_current_settings
assert get_current_settings().server.ephemeral.startup_timeout_seconds == 120
assert get_current_settings().server.analytics_enabled is False
prefect.flow(lambda: 1, name="one")
prefect.task(lambda: 1, name="one")
""",
    "albumentations": """
import albumentations
albumentations.Compose([albumentations.HorizontalFlip(p=1.0)])
""",
    "huggingface_hub": """
import huggingface_hub
from huggingface_hub.utils import send_telemetry
send_telemetry("cnnpipe", library_name="cnnpipe")
if OFF:
    import timm
    timm.create_model("tf_efficientnet_lite0", pretrained=False)
    try:
        timm.create_model("tf_efficientnet_lite0", pretrained=True)
    except huggingface_hub.errors.LocalEntryNotFoundError:
        pass
    else:
        raise AssertionError("weights came from somewhere")
""",
}
WAIT_FOR_THREADS = "\nimport time; time.sleep(3)\n"


def hosts_asked_for(use: str, folder: Path, *, off: bool) -> set[str]:
    """Run `use` in a new Python and return every host outside this machine that it tried to reach."""
    asked_for = folder / "asked_for.txt"
    asked_for.touch()
    (folder / "guard").mkdir()
    (folder / "guard" / "sitecustomize.py").write_text(GUARD, encoding="utf-8")
    # telemetry is off anyway under pytest and in CI, which would prove nothing
    kept = {
        name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR", "LD_LIBRARY_PATH") if name in os.environ
    }
    environment = {
        **kept,
        "HOME": str(folder / "home"),
        "PYTHONPATH": f"{folder / 'guard'}:{ROOT}",
        "ASKED_FOR": str(asked_for),
    }
    turn_off = "from cnnpipe import telemetry; telemetry.turn_off()" if off else ""
    code = f"{turn_off}\nOFF, CONFIG = {off}, {str(ROOT / '.dvc' / 'config')!r}\n{use}{WAIT_FOR_THREADS}"
    ran = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder / "work",
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0 or not off, ran.stderr
    return set(asked_for.read_text(encoding="utf-8").split())


def put_store(empty_store: Path, folder: Path) -> None:
    """Save MLflow the seconds that making its tables takes."""
    (folder / "work").mkdir()
    shutil.copyfile(empty_store, folder / "work" / "mlflow.db")


def hosts_of(libraries: Iterable[str], folder: Path, empty_store: Path, *, off: bool) -> dict[str, set[str]]:
    """Return the hosts that each library asked for; they run side by side, for they mostly wait."""

    def hosts(library: str) -> set[str]:
        own = folder / library
        (own / "work").mkdir(parents=True)
        # it saves MLflow the seconds that making its tables takes
        shutil.copyfile(empty_store, own / "work" / "mlflow.db")
        return hosts_asked_for(USES[library], own, off=off)

    names = list(libraries)
    with ThreadPoolExecutor() as pool:
        return dict(zip(names, pool.map(hosts, names), strict=True))


@pytest.mark.slow
def test_no_library_asks_a_host_outside_once_telemetry_is_off(tmp_path: Path, empty_store: Path) -> None:
    assert hosts_of(USES, tmp_path, empty_store, off=True) == {library: set() for library in USES}


@pytest.mark.slow
def test_the_guard_sees_the_libraries_that_phone_home(tmp_path: Path, empty_store: Path) -> None:
    found = hosts_of(USES.keys() - {"prefect"}, tmp_path, empty_store, off=False)
    assert [library for library, hosts in found.items() if not hosts] == []


def test_the_users_own_choice_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    monkeypatch.delenv("DO_NOT_TRACK")
    telemetry.turn_off()
    assert (os.environ["HF_HUB_OFFLINE"], os.environ["DO_NOT_TRACK"]) == ("0", "true")
