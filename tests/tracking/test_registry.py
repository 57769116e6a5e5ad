"""The registry in a real store: versions are found again, and one at a time moves the champion."""

import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from bundles import make_bundle, make_view
from mlflow import MlflowClient

from cnnpipe.errors import BusyError, ModelError, StorageError
from cnnpipe.evaluation.comparison import Measured
from cnnpipe.evaluation.promotion import Proposal, Settled, Standing
from cnnpipe.models.bundle import MODEL_FILE, WEIGHTS_FILE
from cnnpipe.tracking import processes, quick, registry, registry_flags
from cnnpipe.tracking.fetched_bundle import fetched_bundle
from cnnpipe.tracking.projection import ensure_runs
from cnnpipe.tracking.registry_flags import only_gate

MODEL = "project-classify"


def standing(name: str, seed: int, version: int | None = None) -> Standing:
    return Standing(
        experiment=name,
        signature=f"{seed:064x}",
        version=version,
        val=Measured(value=0.5),
        test=Measured(value=0.4),
    )


LENET, WIDE = standing("lenet", 1), standing("wide", 2)


def proposal(champion: Standing, challenger: Standing | None = None, *, expected: int | None) -> Proposal:
    return Proposal(
        model=MODEL,
        metric="accuracy",
        expected=expected,
        champion=champion,
        challenger=challenger,
        tags={"cnnpipe.reason": "x"},
    )


def client() -> MlflowClient:
    return MlflowClient(f"sqlite:///{Path.cwd()}/mlflow.db")


def versions() -> list[tuple[int, str]]:
    found = client().search_model_versions(f"name = '{MODEL}'")
    return sorted((int(one.version), one.tags.get("cnnpipe.experiment", "by hand")) for one in found)


def models() -> list[str]:
    return [one.name for one in client().search_registered_models()]


@pytest.fixture
def trained(project_with_store: Path) -> Path:
    """Leave two experiments that were trained and judged, and their runs."""
    make_view(Path("view"), pictures_per_split=2)
    for standing_of in (LENET, WIDE):
        name = standing_of.experiment
        make_bundle(Path("models") / name, Path("view"), seed=int(standing_of.signature, 16))
        (Path("results") / name).mkdir(parents=True)
        (Path("results") / name / "metrics.json").write_text("{}", encoding="utf-8")
    ensure_runs((Path("models") / name, Path("results") / name) for name in ("lenet", "wide"))
    return project_with_store


def test_a_champion_is_found_by_its_alias_with_its_files(trained: Path) -> None:
    assert registry.champion_of(MODEL) is None
    assert registry.settle(proposal(LENET, WIDE, expected=None)) == Settled(1, 2)
    found = registry.champion_of(MODEL)
    assert found == Standing(experiment="lenet", signature=LENET.signature, version=1)
    version = client().get_model_version(MODEL, "1")
    assert version.description == "`lenet`: accuracy 0.500 on val, 0.400 on test."
    assert version.status == "READY"
    with fetched_bundle(f"models:/{MODEL}@champion") as bundle:
        for name in (MODEL_FILE, WEIGHTS_FILE):
            assert (bundle / name).read_bytes() == (trained / "models/lenet" / name).read_bytes()
    assert models() == [MODEL]  # no flag is left


def test_a_version_is_shown_on_the_model_that_it_is_of(trained: Path) -> None:
    registry.settle(proposal(LENET, expected=None))
    version = client().get_model_version(MODEL, "1")
    model = client().get_logged_model(str(version.source).removeprefix("models:/"))
    assert model.tags["mlflow.modelVersions"] == f'[{{"name": "{MODEL}", "version": 1}}]'
    assert model.source_run_id == version.run_id


def test_a_version_of_the_same_training_is_found_again(trained: Path) -> None:
    registry.settle(proposal(LENET, WIDE, expected=None))
    assert registry.settle(proposal(WIDE, LENET, expected=1)) == Settled(2, 1)
    assert registry.settle(proposal(LENET, None, expected=2)) == Settled(1, None)
    assert versions() == [(1, "lenet"), (2, "wide")]
    assert client().get_registered_model(MODEL).aliases == {"champion": 1}


def test_a_version_that_a_person_registered_is_known_by_its_run(trained: Path) -> None:
    registry.settle(proposal(LENET, expected=None))
    of_wide = next(r for r in client().search_runs(["1"]) if r.info.run_name == "wide")
    client().create_model_version(MODEL, f"runs:/{of_wide.info.run_id}/model", of_wide.info.run_id)
    client().set_registered_model_alias(MODEL, "champion", "2")
    assert registry.champion_of(MODEL) == Standing(experiment="wide", signature=WIDE.signature, version=2)
    assert registry.settle(proposal(WIDE, LENET, expected=2)) == Settled(2, 1)
    assert versions() == [(1, "lenet"), (2, "by hand")]


@pytest.mark.parametrize("expected", [None, 2])
def test_nothing_moves_where_another_champion_was_expected(trained: Path, expected: int | None) -> None:
    registry.settle(proposal(LENET, expected=None))
    assert registry.settle(proposal(WIDE, LENET, expected=expected)) is None
    assert client().get_registered_model(MODEL).aliases == {"champion": 1}
    assert versions() == [(1, "lenet")]
    assert models() == [MODEL]


def test_a_training_without_a_run_is_told(trained: Path) -> None:
    with pytest.raises(StorageError, match="holds no finished run of unknown"):
        registry.settle(proposal(standing("unknown", 7), expected=None))
    assert models() == [MODEL]


def test_a_champion_whose_files_are_gone_cannot_be_had(trained: Path) -> None:
    registry.settle(proposal(LENET, expected=None))
    (Path("mlartifacts")).rename("elsewhere")
    with pytest.raises(ModelError, match=r"cannot be had|holds no"), fetched_bundle(f"models:/{MODEL}/1"):
        pass


def test_champions_are_looked_up_without_mlflow(
    project_with_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client().create_registered_model(MODEL)
    client().create_model_version(MODEL, "file:///x")
    assert not quick.has_champions(["classify"])
    client().set_registered_model_alias(MODEL, "challenger", "1")
    assert not quick.has_champions(["classify"])
    client().set_registered_model_alias(MODEL, "champion", "1")
    assert quick.has_champions(["classify"])
    assert quick.has_champions([])
    assert not quick.has_champions(["classify", "detect"])
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "another")
    assert not quick.has_champions(["classify"])
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:////nowhere/mlflow.db")
    assert not quick.has_champions(["classify"])


def test_one_gate_at_a_time(project_with_store: Path) -> None:
    inside: list[str] = []

    def enter(name: str) -> int:
        for _ in range(4):
            with only_gate(client(), MODEL):
                inside.append(name)
                time.sleep(0.05)
                assert inside == [name]
                inside.remove(name)
        return 4

    with ThreadPoolExecutor(3) as pool:
        assert sum(pool.map(enter, "abc")) == 12
    assert models() == []


def raise_flag(model: str, tags: dict[str, str]) -> str:
    name = f"{model}.gate.{'0' * 32}"
    client().create_registered_model(name, tags)
    return name


def test_a_living_gate_is_waited_for_and_then_told(
    project_with_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry_flags, "_PATIENCE_S", 0.5)
    flag = raise_flag(MODEL, processes.own_tags())
    with pytest.raises(BusyError, match="other gates are at work"), only_gate(client(), MODEL):
        raise AssertionError("not alone")
    assert models() == [flag]


def test_flags_of_other_models_hold_nobody_up(project_with_store: Path) -> None:
    client().create_registered_model(f"{MODEL}.gate.notes")  # a person's own
    raise_flag("projectXclassify", processes.own_tags())
    with only_gate(client(), MODEL), only_gate(client(), "project_classify"):
        assert len(models()) == 4


def test_the_flag_of_a_dead_process_is_taken_down_at_once(
    project_with_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry_flags, "_PATIENCE_S", 0.0)
    command = [sys.executable, "-c", "import os; print(os.getpid())"]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    raise_flag(MODEL, processes.own_tags() | {processes.PID: ended.stdout.strip()})
    with only_gate(client(), MODEL):
        assert len(models()) == 1


def test_an_old_flag_of_another_host_is_taken_down(
    project_with_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry_flags, "_PATIENCE_S", 0.0)
    raise_flag(MODEL, processes.own_tags() | {processes.HOST: "elsewhere"})
    with closing(sqlite3.connect("mlflow.db")) as connection:
        connection.execute("UPDATE registered_models SET creation_time = creation_time - 61000")
        connection.commit()
    with only_gate(client(), MODEL):
        assert len(models()) == 1
