"""Several gates in processes of their own, at the same time, on one store: a database, and a real server."""

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import bundles
import judged_experiments
import pytest
from mlflow import MlflowClient
from tiny_projects import ROOT, environment
from tracking.mlflow_servers import MlflowServer

from cnnpipe import files
from cnnpipe.evaluation.promotion import Decision
from cnnpipe.params.evaluate import CompareParams
from cnnpipe.tracking.projection import ensure_runs

CLASSES = ("boot", "coat", "dress")
COMPARE = CompareParams(classify="accuracy", seed=3, bootstrap_samples=100, confidence=0.95)
PROJECT, MODEL = "gates", "gates-classify"
NUM_GATES, NUM_ROUNDS = 3, 4
MEET_S = 100.0  # in which all come to a round, at the first after MLflow's import
END_S = 200.0  # 15 s on an idle machine

# every gate wants another training, or all the same, to be the first champion of a model; nobody begins a
# round before all have come to it
RIVAL = f"""
import json, sys, time
from pathlib import Path
from cnnpipe.evaluation.promotion import Proposal, Standing
from cnnpipe.tracking import registry
me, meeting = int(sys.argv[1]), Path(sys.argv[2])
won = []
for number in range({NUM_ROUNDS}):
    (meeting / f"{{number}}-{{me}}").touch()
    end = time.monotonic() + {MEET_S}
    while len(list(meeting.glob(f"{{number}}-*"))) < {NUM_GATES}:
        assert time.monotonic() < end, "the others do not come"
        time.sleep(0.001)
    of = me if number % 2 else 0
    champion = Standing(experiment=f"e{{of}}", signature=f"{{of:064x}}")
    def settle(expected):
        return registry.settle(
            Proposal(model=f"rivals-{{number}}", metric="accuracy", expected=expected, champion=champion,
                     challenger=None, tags={{}})
        )
    if settle(None) is not None:
        won.append(number)
    elif not number % 2:
        settle(1)  # it is the champion already
print(json.dumps(won))
"""

# dies between the versions and the alias
DYING = """
import os, signal
from cnnpipe.cli.main import run
from cnnpipe.tracking import registry
registry._point = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
run(["register"])
"""


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> str:
    """Return the address of an empty database."""
    folder = tmp_path_factory.mktemp("database")
    shutil.copyfile(empty_store, folder / "mlflow.db")
    return f"sqlite:///{folder}/mlflow.db"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Iterator[str]:
    """Yield the address of a server with an empty database."""
    folder = tmp_path_factory.mktemp("server")
    shutil.copyfile(empty_store, folder / "mlflow.db")
    server = MlflowServer(folder)
    try:
        server.start()
        yield server.address
    finally:
        server.kill()


def make_clone(folder: Path, name: str, *, strength: float, seed: int) -> Path:
    """Make a project with one experiment, trained, judged and compared; all have the same data."""
    view = folder / "data/augmented/classify"
    bundles.make_view(view, classes=CLASSES, pictures_per_split=20)
    judged_experiments.add_experiment(folder, view, name, classes=CLASSES, strength=strength, seed=seed)
    judged_experiments.compare(folder, view.parent, COMPARE)
    shutil.copyfile(ROOT / "params.yaml", folder / "params.yaml")
    return folder


def start(folder: Path, store: str, *words: str) -> "subprocess.Popen[str]":
    more = {"MLFLOW_TRACKING_URI": store, "MLFLOW_EXPERIMENT_NAME": PROJECT}
    return subprocess.Popen(
        [sys.executable, *words],
        cwd=folder,
        env=environment(**more),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(processes: Sequence["subprocess.Popen[str]"]) -> list[tuple[int, str, str]]:
    """Wait for all of them; return exit code, stdout and stderr of each."""
    limit = time.monotonic() + END_S
    try:
        said = [process.communicate(timeout=max(0.0, limit - time.monotonic())) for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.communicate()
    return [(process.returncode, *texts) for process, texts in zip(processes, said, strict=True)]


def signatures(client: MlflowClient, model: str) -> list[str]:
    return sorted(one.tags["cnnpipe.signature"] for one in client.search_model_versions(f"name = '{model}'"))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["database", "server"])
def test_of_gates_at_once_one_wins_and_none_doubles(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = request.getfixturevalue(kind)
    clone, meeting = tmp_path / "clone", tmp_path / "meeting"
    meeting.mkdir()
    for number in range(NUM_GATES):
        make_clone(clone, f"e{number}", strength=0.5, seed=number)
    monkeypatch.chdir(clone)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", PROJECT)
    ensure_runs((Path("models") / f"e{n}", Path("results") / f"e{n}") for n in range(NUM_GATES))

    ends = ended([start(clone, store, "-c", RIVAL, str(n), str(meeting)) for n in range(NUM_GATES)])
    assert [code for code, _, _ in ends] == [0] * NUM_GATES, ends
    won = [json.loads(out) for _, out, _ in ends]
    assert sorted(number for of in won for number in of) == list(range(NUM_ROUNDS))
    client = MlflowClient(store)
    for number in range(NUM_ROUNDS):
        winner = next(n for n, of in enumerate(won) if number in of) if number % 2 else 0
        assert signatures(client, f"rivals-{number}") == [f"{winner:064x}"]
        champion = client.get_model_version_by_alias(f"rivals-{number}", "champion")
        assert champion.tags["cnnpipe.signature"] == f"{winner:064x}"
    assert len(client.search_registered_models("name LIKE 'rivals-%'")) == NUM_ROUNDS  # no flag is left


@pytest.mark.slow
def test_two_clones_judge_one_after_the_other_whatever_comes_between(server: str, tmp_path: Path) -> None:
    """Two candidates, far better than what the other's untrained bundle is worth when it is judged anew."""
    clones = [make_clone(tmp_path / name, name, strength=0.9, seed=ord(name)) for name in "ab"]
    command = ("-m", "cnnpipe", "register", "--json")
    ends = ended([start(clone, server, *command) for clone in clones])
    assert [code for code, _, _ in ends] == [0, 0], ends
    decisions = [files.read_json(clone / "decision.json", Decision).tasks["classify"] for clone in clones]
    first, second = sorted(decisions, key=lambda one: one.decision)
    assert (first.decision, second.decision) == ("first", "promoted")
    assert second.former is not None
    assert second.former.signature == first.champion.signature
    assert second.former.test is not None
    client = MlflowClient(server)
    found = client.get_registered_model(MODEL)
    assert {alias: int(version) for alias, version in found.aliases.items()} == {
        "champion": second.champion.version,
        "challenger": first.champion.version,
    }
    assert signatures(client, MODEL) == sorted(f"{ord(name):064x}" for name in "ab")
    assert [one.name for one in client.search_registered_models(f"name LIKE '{MODEL}%'")] == [MODEL]

    ends = ended([start(clone, server, *command) for clone in clones])  # nothing new: nothing moves
    assert [json.loads(out) for _, out, _ in ends] == [
        json.loads((clone / "decision.json").read_text(encoding="utf-8")) for clone in clones
    ]
    assert client.get_registered_model(MODEL).last_updated_timestamp == found.last_updated_timestamp


@pytest.mark.slow
def test_the_next_run_completes_what_a_killed_one_began(tmp_path: Path, empty_store: Path) -> None:
    clone = make_clone(tmp_path / "clone", "good", strength=0.9, seed=1)
    make_clone(clone, "poor", strength=0.1, seed=2)
    shutil.copyfile(empty_store, clone / "mlflow.db")
    store = f"sqlite:///{clone}/mlflow.db"
    client = MlflowClient(store)

    assert ended([start(clone, store, "-c", DYING)])[0][0] == -signal.SIGKILL
    assert client.get_registered_model(MODEL).aliases == {}
    assert signatures(client, MODEL) == [f"{1:064x}", f"{2:064x}"]
    assert len(client.search_registered_models()) == 2  # with the flag of the dead
    assert not (clone / "registered.json").exists()

    ends = ended([start(clone, store, "-m", "cnnpipe", "register")])
    assert ends[0][0] == 0, ends
    assert client.get_registered_model(MODEL).aliases == {"champion": 1, "challenger": 2}
    assert signatures(client, MODEL) == [f"{1:064x}", f"{2:064x}"]
    assert [one.name for one in client.search_registered_models()] == [MODEL]
    assert (clone / "registered.json").exists()
