"""No secret in anything that is kept or shown; nothing in a model file is run."""

import ast
import base64
import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
from bundles import make_bundle, make_view
from safetensors.torch import save_file
from tiny_projects import ROOT, environment, git, make_tiny_project, tiny_params, write_params
from tracking.mlflow_servers import MlflowServer, free_port

from cnnpipe import files
from cnnpipe.errors import ModelError
from cnnpipe.inference.annotator import open_annotator
from cnnpipe.models.bundle import MODEL_FILE, WEIGHTS_FILE, ModelSpec
from cnnpipe.models.weights import read_weights
from cnnpipe.tracking import rest
from cnnpipe.tracking.fetched_bundle import fetched_bundle
from cnnpipe.tracking.projection import ensure_run
from cnnpipe.tracking.store import open_store
from cnnpipe.training.checkpoints import CHECKPOINT_FILE, load_checkpoint
from cnnpipe.training.devices import make_accelerator

MODULES = sorted([*(ROOT / "cnnpipe").rglob("*.py"), *(ROOT / "flows").rglob("*.py")])
SECRET = "s3cret-Zq7"  # noqa: S105 (planted to be looked for)
WITHIN_S = 120.0

# ---- what no module may do ------------------------------------------------------------------------------

# yaml: its plain `load` makes any object; ours is ruamel's
REFUSED = {"pickle", "cPickle", "joblib", "dill", "cloudpickle", "shelve", "marshal", "yaml"}
RUNNING = {"os.system", "os.popen", "eval", "exec", "subprocess.getoutput", "subprocess.getstatusoutput"}


def dangers(source: str) -> list[str]:
    """Return what in a module can run what a file or an argument holds."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names if alias.name.partition(".")[0] in REFUSED]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in REFUSED:
            found.append(str(node.module))
        elif isinstance(node, ast.Call):
            found += dangers_of_call(node)
    return found


def dangers_of_call(call: ast.Call) -> list[str]:
    name = ast.unparse(call.func)
    named = {each.arg: ast.unparse(each.value) for each in call.keywords}
    found = [name] if name in RUNNING else []
    if name == "torch.load" and named.get("weights_only") != "True":
        found.append("torch.load")
    if name == "YAML" and named.get("typ") == "'unsafe'":
        found.append(name)
    if named.get("shell", "False") != "False":
        found.append("shell")
    if named.get("allow_pickle", "False") != "False":
        found.append("allow_pickle")
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_module_runs_what_a_file_holds(path: Path) -> None:
    assert dangers(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from joblib import load",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "import yaml",
        "YAML(typ='unsafe')",
        "subprocess.run(words, shell=True)",
        "subprocess.Popen(words, shell=is_wanted)",
        "os.system(words)",
        "np.load(path, allow_pickle=True)",
        "eval(text)",
    ],
)
def test_the_check_sees_what_it_is_to_see(source: str) -> None:
    assert dangers(source) != []


# ---- files that want to run something -------------------------------------------------------------------


class Malicious:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (self._folder,)


def pickled(path: Path) -> None:
    path.write_bytes(pickle.dumps(Malicious("run")))


def in_torchs_zip(path: Path) -> None:
    torch.save({"network": Malicious("run")}, path)


MALICIOUS = pytest.mark.parametrize("write", [pickled, in_torchs_zip])


def test_the_files_below_would_run_something(project_dir: Path) -> None:
    pickled(Path("a.pkl"))
    pickle.loads(Path("a.pkl").read_bytes())  # noqa: S301
    Path("run").rmdir()
    in_torchs_zip(Path("a.pt"))
    torch.load("a.pt", weights_only=False)
    Path("run").rmdir()


@MALICIOUS
def test_a_checkpoint_runs_nothing(write: Callable[[Path], None], project_dir: Path) -> None:
    write(Path(CHECKPOINT_FILE))
    with pytest.raises(ModelError, match="training then starts anew"):
        load_checkpoint(Path(), cast(Any, SimpleNamespace(accelerator=make_accelerator("cpu"))))
    assert not Path("run").exists()


@MALICIOUS
def test_weights_run_nothing(write: Callable[[Path], None], project_dir: Path) -> None:
    path = Path(WEIGHTS_FILE)
    write(path)
    with pytest.raises(ModelError, match="cannot be read"):
        read_weights(path, torch.nn.Linear(1, 1), sha256=files.sha256_of_file(path))
    assert not Path("run").exists()


@MALICIOUS
def test_a_model_out_of_mlflow_runs_nothing(write: Callable[[Path], None], project_with_store: Path) -> None:
    make_view(Path("view"), pictures_per_split=2)
    make_bundle(Path("models/lenet"), Path("view"))
    bundle = Path("models/lenet")
    write(bundle / WEIGHTS_FILE)
    write(bundle / "python_model.pkl")
    spec = files.read_json(bundle / MODEL_FILE, ModelSpec)
    changed = json.loads((bundle / MODEL_FILE).read_text(encoding="utf-8"))
    changed["weights_sha256"] = files.sha256_of_file(bundle / WEIGHTS_FILE)
    assert spec.weights_sha256 != changed["weights_sha256"]
    files.write_json(bundle / MODEL_FILE, changed)
    files.write_text(bundle / "MLmodel", "flavors:\n  python_function:\n    python_model: python_model.pkl\n")
    run_id = ensure_run(bundle, None)
    open_store().client.log_artifacts(run_id, str(bundle), "evil")
    with fetched_bundle(f"runs:/{run_id}/evil") as folder, pytest.raises(ModelError, match="cannot be read"):
        open_annotator(folder)
    assert not Path("run").exists()
    save_file({}, bundle / WEIGHTS_FILE)


# ---- planted secrets ------------------------------------------------------------------------------------


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a project whose git, DVC and MLflow all have a secret."""
    folder = make_tiny_project(tmp_path / "project")
    params = tiny_params({"lenet": {"early_stopping": None, "batch_size": 16}}, {})
    write_params(folder, params | {"tracking": {"when_unreachable": "fail"}})
    make_view(folder / "data/augmented/classify", pictures_per_split=12)
    git(folder, "remote", "add", "origin", f"https://me:{SECRET}@127.0.0.1:9/{SECRET[::-1]}.git")
    (folder / ".dvc/config.local").write_text(
        f"""
['remote "web"']
    url = http://me:{SECRET}@127.0.0.1:9/store
    password = {SECRET}
['remote "bucket"']
    url = s3://bucket/store
    endpointurl = http://127.0.0.1:9
    secret_access_key = {SECRET}
""",
        encoding="utf-8",
    )
    (folder / "picture.png").write_bytes(b"")
    return folder


class Commands:
    """Commands in a project, side by side; everything they say is kept."""

    def __init__(self, project: Path, address: str) -> None:
        self.said = ""
        self._project = project
        self._names = {
            "MLFLOW_TRACKING_URI": address,
            "MLFLOW_TRACKING_USERNAME": "me",
            "MLFLOW_TRACKING_PASSWORD": SECRET,
            "MLFLOW_TRACKING_TOKEN": SECRET,
            "AWS_ACCESS_KEY_ID": "me",
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "PYTHONPATH": str(ROOT),
        }

    def run(self, *commands: str) -> list[int]:
        """Run commands of cnnpipe at the same time and return how they ended."""
        started = [
            subprocess.Popen(
                [sys.executable, "-m", "cnnpipe", *command.split()],
                cwd=self._project,
                env=environment(**self._names),
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            for command in commands
        ]
        try:
            for process in started:
                self.said += process.communicate(timeout=WITHIN_S)[0]
        finally:
            for process in started:
                process.kill()
        return [process.wait() for process in started]


def places_of_secret(folder: Path) -> list[str]:
    """Return the files below a folder that hold the secret, as it is or as HTTP sends it."""
    forms = [SECRET.encode(), base64.b64encode(f"me:{SECRET}".encode()).rstrip(b"=")[:-2]]
    planted = (".git/config", ".dvc/config.local")
    found = [path for path in folder.rglob("*") if path.is_file() and not str(path).endswith(planted)]
    return [str(path) for path in found if any(form in path.read_bytes() for form in forms)]


@pytest.mark.slow
def test_with_a_store_that_is_away_no_secret_is_told(project: Path) -> None:
    commands = Commands(project, f"http://me:{SECRET}@127.0.0.1:{free_port()}")
    assert commands.run("code") == [0]
    ended = commands.run(
        "train lenet", "doctor --online", "ui", "predict models:/shoes@champion picture.png --out found"
    )
    assert ended == [7, 7, 0, 7], commands.said
    assert "http://127.0.0.1:" in commands.said
    assert SECRET not in commands.said
    assert places_of_secret(project) == []


@pytest.fixture
def server(tmp_path: Path, empty_store: Path) -> Iterator[MlflowServer]:
    folder = tmp_path / "server"
    folder.mkdir()
    server = MlflowServer(folder)
    server.database.write_bytes(empty_store.read_bytes())
    try:
        server.start()
        yield server
    finally:
        server.kill()


@pytest.mark.slow
def test_with_a_store_no_secret_is_kept_or_told(project: Path, server: MlflowServer, tmp_path: Path) -> None:
    commands = Commands(project, server.address.replace("//", f"//me:{SECRET}@"))
    assert commands.run("code") == [0]
    assert commands.run("train lenet") == [0], commands.said
    address = f"{server.address.replace('//', f'//me:{SECRET}@')}/store/model"
    ended = commands.run("evaluate lenet", "doctor --json", f"predict {address} picture.png --out found")
    assert ended == [0, 0, 4], commands.said
    assert (project / "results/lenet/report.html").exists()
    assert places_of_secret(tmp_path) == []
    assert SECRET not in commands.said
    assert b"cnnpipe.signature" in server.database.read_bytes()


def test_the_search_finds_a_secret(tmp_path: Path) -> None:
    authorization = f"Authorization: {rest._basic('me', SECRET)}"
    for name, content in {"plain": f"x{SECRET}x", "sent": authorization, "clean": "me"}.items():
        (tmp_path / name).write_text(content, encoding="utf-8")
    assert sorted(places_of_secret(tmp_path)) == [str(tmp_path / "plain"), str(tmp_path / "sent")]
