"""Stage register: runs and champions in a real store, found again, moved only by what is certain."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

import bundles
import judged_experiments
import msgspec
import pytest
from mlflow import MlflowClient
from tiny_projects import ROOT

from cnnpipe import files
from cnnpipe.cli.main import run
from cnnpipe.datasets.packs import open_view
from cnnpipe.errors import ParamsError, StorageError
from cnnpipe.evaluation.arrays import stack
from cnnpipe.evaluation.promotion import Decision, Proposal, Registered, Settled, TaskDecision
from cnnpipe.evaluation.suite import classification_metrics
from cnnpipe.inference.classifier import load_classifier
from cnnpipe.params.evaluate import CompareParams
from cnnpipe.params.register import RegisterParams
from cnnpipe.stages import register as stage
from cnnpipe.tasks.classify.contest import contest
from cnnpipe.tasks.classify.judgement import predictions_of
from cnnpipe.tracking import quick
from cnnpipe.tracking.fetched_bundle import fetched_bundle
from cnnpipe.tracking.projection import ensure_runs
from cnnpipe.tracking.registry import champion_of, settle
from cnnpipe.training.records import RUN_FILE, RunRecord

CLASSES = ("boot", "coat", "dress")
COMPARE = CompareParams(classify="accuracy", seed=3, bootstrap_samples=200, confidence=0.9)
VIEWS, MODEL = Path("data/augmented"), "project-classify"
VIEW = VIEWS / "classify"
PLACES = stage.RegisterFiles(
    models=Path("models"),
    results=Path("results"),
    comparison=Path("comparison"),
    views=VIEWS,
    registered=Path("registered.json"),
    decision=Path("decision.json"),
)


def refuse(*_: object) -> NoReturn:
    raise AssertionError("nothing is to do")


DOORS = stage.Doors(ensure_runs, champion_of, fetched_bundle, lambda _task, *rest: contest(*rest), settle)
NOTHING_TO_DO = stage.Doors(refuse, refuse, refuse, refuse, refuse)


def add(name: str, *, strength: float, seed: int) -> None:
    judged_experiments.add_experiment(Path(), VIEW, name, classes=CLASSES, strength=strength, seed=seed)


def remove(name: str) -> None:
    shutil.rmtree(PLACES.models / name)
    shutil.rmtree(PLACES.results / name)


def register(*, margin: float = 0.0, promote: str | None = None, doors: stage.Doors = DOORS) -> TaskDecision:
    """Run compare and register; return what was decided of the classifiers."""
    judged_experiments.compare(Path(), VIEWS, COMPARE)
    params = stage.GateParams(RegisterParams(margin=margin), COMPARE)
    decision = stage.register(PLACES, params, doors, promote=promote)
    assert files.read_json(PLACES.decision, Decision) == decision
    return decision.tasks["classify"]


def client() -> MlflowClient:
    return MlflowClient(f"sqlite:///{Path.cwd()}/mlflow.db")


def aliases() -> dict[str, str]:
    """Return alias -> experiment."""
    found = client().get_registered_model(MODEL).aliases
    return {
        alias: client().get_model_version(MODEL, str(version)).tags["cnnpipe.experiment"]
        for alias, version in found.items()
    }


def versions() -> list[str]:
    """Return the experiment of every version, in their order."""
    found = sorted(client().search_model_versions(f"name = '{MODEL}'"), key=lambda one: int(one.version))
    return [one.tags["cnnpipe.experiment"] for one in found]


@pytest.fixture
def project(project_with_store: Path) -> Path:
    """Leave a view and two judged experiments: `good`, and `poor`, which knows nothing."""
    bundles.make_view(VIEW, classes=CLASSES, pictures_per_split=20)
    add("good", strength=0.9, seed=1)
    add("poor", strength=0.0, seed=2)
    return project_with_store


def test_the_best_on_val_is_the_first_champion(project: Path) -> None:
    decided = register()
    assert (decided.decision, decided.by, decided.model) == ("first", "gate", MODEL)
    assert aliases() == {"champion": "good", "challenger": "poor"}
    assert (decided.champion.version, decided.candidate.version) == (1, 1)
    assert decided.challenger is not None
    assert (decided.challenger.experiment, decided.challenger.version) == ("poor", 2)
    version = client().get_model_version_by_alias(MODEL, "champion")
    run_of_it = client().get_run(str(version.run_id))
    assert version.tags["cnnpipe.signature"] == f"{1:064x}" == run_of_it.data.tags["cnnpipe.signature"]
    assert version.tags["cnnpipe.data_hash"] == run_of_it.data.tags["cnnpipe.data_hash"] != ""
    assert version.tags["cnnpipe.decision"] == "first"
    assert decided.champion.val is not None
    assert f"accuracy {decided.champion.val.value:.3f} on val" in str(version.description)


def test_the_output_is_a_function_of_the_files_alone(project: Path) -> None:
    register()
    first = PLACES.registered.read_bytes()
    assert files.read_json(PLACES.registered, Registered) == Registered(
        experiments={"good": f"{1:064x}", "poor": f"{2:064x}"}, candidates={"classify": "good"}
    )
    register(promote="poor")
    assert PLACES.registered.read_bytes() == first
    PLACES.decision.unlink()
    assert register().champion.experiment == "good"  # by its clear lead over what the person had put there
    assert PLACES.registered.read_bytes() == first


def test_nothing_new_is_left_alone_and_loads_nothing(project: Path) -> None:
    first = register()
    PLACES.registered.unlink()  # as DVC does before it runs the stage
    assert register(doors=NOTHING_TO_DO) == first
    assert PLACES.registered.exists()


def test_a_new_result_is_recorded_and_judged(project: Path) -> None:
    register()
    add("better", strength=1.0, seed=3)
    decided = register()
    assert decided.candidate.experiment == "better"
    assert quick.is_recorded(quick.wanted_runs(PLACES.models, PLACES.results))


def test_a_clear_lead_takes_the_place(project: Path) -> None:
    remove("good")
    assert register().champion.experiment == "poor"
    add("good", strength=0.9, seed=1)
    decided = register()
    assert (decided.decision, decided.by) == ("promoted", "gate")
    assert aliases() == {"champion": "good", "challenger": "poor"}
    assert decided.former is not None
    assert (decided.former.experiment, decided.former.version) == ("poor", 1)
    assert decided.difference is not None
    assert decided.difference.ci_low is not None
    assert decided.difference.ci_low > 0
    assert versions() == ["poor", "good"]


def test_a_lead_that_does_not_surpass_the_margin_is_refused(project: Path) -> None:
    remove("good")
    register()
    add("good", strength=0.9, seed=1)
    decided = register(margin=0.99)
    assert (decided.decision, decided.champion.experiment) == ("refused", "poor")
    assert "does not surpass the margin 0.99" in decided.reason
    assert aliases() == {"champion": "poor", "challenger": "good"}
    assert register(margin=0.1).decision == "promoted"  # another margin is something new


def test_the_champion_stays_where_it_is_the_best(project: Path) -> None:
    register()
    remove("poor")
    decided = register()
    assert (decided.decision, decided.champion.experiment, decided.challenger) == ("kept", "good", None)
    assert aliases() == {"champion": "good"}


def test_an_older_champion_is_judged_anew_on_todays_data(project: Path) -> None:
    remove("good")
    register()
    shutil.copytree(PLACES.models / "poor", "older")
    remove("poor")
    bundles.make_view(VIEW, classes=CLASSES, pictures_per_split=30, seed=5)
    add("good", strength=0.9, seed=1)
    decided = register()
    assert decided.decision == "promoted"
    assert decided.former is not None
    assert decided.former.version == 1
    worth = {}
    for split in ("val", "test"):
        predictions = predictions_of(load_classifier(Path("older")), open_view(VIEW), VIEW, split)
        worth[split] = classification_metrics(
            stack(predictions, CLASSES), seed=3, num_resamples=200, confidence=0.9
        )
    assert decided.former.val is not None
    assert decided.former.test is not None
    assert decided.former.val.value == worth["val"]["accuracy"]
    assert decided.former.test.ci_high == worth["test"]["accuracy/ci_high"]
    assert decided.champion.test is not None
    assert decided.difference is not None
    assert decided.difference.value == decided.champion.test.value - decided.former.test.value
    assert aliases() == {"champion": "good", "challenger": "poor"}  # the old one is the best other one
    assert versions() == ["poor", "good"]


def test_an_older_champion_is_compared_as_if_it_stood_in_the_comparison(project: Path) -> None:
    """The same two, once paired by stage compare and once by register."""
    results = files.read_json(PLACES.models / "poor" / RUN_FILE, RunRecord)
    remove("good")
    predictions = {
        split: predictions_of(load_classifier(PLACES.models / "poor"), open_view(VIEW), VIEW, split)
        for split in ("val", "test")
    }
    files.write_jsonl(PLACES.results / "poor/predictions.jsonl", predictions["test"])
    files.write_jsonl(PLACES.results / "poor/predictions_val.jsonl", predictions["val"])
    metrics = {
        f"{split}/{name}": value
        for split, said in predictions.items()
        for name, value in classification_metrics(
            stack(said, CLASSES), seed=3, num_resamples=200, confidence=0.9
        ).items()
    }
    files.write_json(PLACES.results / "poor/metrics.json", metrics)
    register()
    add("good", strength=0.9, seed=1)
    beside_it = register(margin=0.999)
    shutil.rmtree(PLACES.models / "poor")
    anew = register(margin=0.999)
    assert results.signature == anew.champion.signature
    assert (anew.difference, anew.reason) == (beside_it.difference, beside_it.reason)
    assert anew.champion == beside_it.champion


def test_a_champion_of_other_classes_is_no_match_but_a_person_may_decide(project: Path) -> None:
    register()
    remove("good")
    remove("poor")
    classes = ("boot", "coat", "hat")
    bundles.make_view(VIEW, classes=classes, pictures_per_split=20)
    judged_experiments.add_experiment(Path(), VIEW, "hats", classes=classes, strength=0.9, seed=9)
    decided = register()
    assert (decided.decision, decided.champion.experiment) == ("refused", "good")
    assert "knows other classes (boot, coat, dress)" in decided.reason
    assert "cnnpipe register --promote hats" in decided.reason
    assert aliases() == {"champion": "good", "challenger": "hats"}
    by_hand = register(promote="hats")
    assert (by_hand.decision, by_hand.by, by_hand.champion.experiment) == ("promoted", "person", "hats")
    assert aliases()["champion"] == "hats"


def test_a_champion_whose_files_are_gone_is_refused_with_a_way_out(project: Path) -> None:
    register()
    remove("good")
    remove("poor")
    add("new", strength=0.95, seed=4)
    shutil.rmtree("mlartifacts")
    decided = register()
    assert (decided.decision, decided.champion.experiment) == ("refused", "good")
    assert "good cannot be judged anew" in decided.reason
    assert "--promote new" in decided.reason


def test_the_same_model_from_another_training_stays_champion(project: Path) -> None:
    register()
    path = PLACES.models / "good" / RUN_FILE
    again = msgspec.structs.replace(files.read_json(path, RunRecord), signature="f" * 64)
    files.write_json(path, again)
    decided = register()
    assert (decided.decision, decided.champion.version) == ("kept", 1)
    assert "is the same model" in decided.reason
    assert versions() == ["good", "poor"]
    assert aliases() == {"champion": "good", "challenger": "poor"}


def test_a_person_may_promote_and_roll_back(project: Path) -> None:
    register()
    down = register(promote="poor")
    assert (down.decision, down.by, down.champion.experiment) == ("promoted", "person", "poor")
    assert aliases() == {"champion": "poor", "challenger": "good"}
    assert client().get_model_version_by_alias(MODEL, "champion").tags["cnnpipe.decided_by"] == "person"
    assert register(doors=NOTHING_TO_DO) == down  # what the person decided stays
    up = register(promote="good")
    assert up.champion.version == 1
    assert register(promote="good").decision == "kept"
    assert versions() == ["good", "poor"]


def test_an_unknown_experiment_is_told_with_the_known_ones(project: Path) -> None:
    with pytest.raises(ParamsError, match=r"did you mean 'good'.*good, poor"):
        register(promote="goood")


def test_a_champion_that_a_person_chose_in_mlflow_is_left_alone(project: Path) -> None:
    first = register()
    client().set_registered_model_alias(MODEL, "champion", "2")
    assert register(doors=NOTHING_TO_DO) == first
    assert aliases()["champion"] == "poor"
    add("new", strength=0.95, seed=4)
    decided = register()
    assert decided.former is not None
    assert decided.former.experiment == "poor"  # the next gate is against whom the person chose


def test_an_emptied_registry_gets_its_champion_again(project: Path) -> None:
    register()
    assert quick.has_champions(["classify"])
    client().delete_registered_model(MODEL)
    assert not quick.has_champions(["classify"])
    assert register().decision == "first"
    assert aliases() == {"champion": "good", "challenger": "poor"}


def test_another_registry_is_judged_for_itself(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    register()
    shutil.copyfile("mlflow.db", "other.db")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{project}/other.db")
    assert register().decision == "kept"
    assert files.read_json(PLACES.decision, Decision).registry.endswith("/other.db")


def test_without_an_experiment_no_registry_is_touched(project_dir: Path) -> None:
    PLACES.models.mkdir()
    judged_experiments.compare(Path(), VIEWS, COMPARE)
    params = stage.GateParams(RegisterParams(margin=0.0), COMPARE)
    stage.register(PLACES, params, NOTHING_TO_DO._replace(ensure_runs=lambda _: []))
    assert files.read_json(PLACES.registered, Registered) == Registered(experiments={}, candidates={})
    assert not Path("mlflow.db").exists()


def test_a_store_that_is_away_is_an_error_and_leaves_no_output(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    with pytest.raises(StorageError, match="start the server"):
        register()
    assert not PLACES.registered.exists()
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert register().decision == "first"


def test_a_gate_that_died_half_way_is_not_taken_for_one_that_decided(project: Path) -> None:
    register()
    client().delete_registered_model(MODEL)

    def die_late(proposal: Proposal) -> NoReturn:
        settle(proposal)
        client().delete_registered_model_alias(MODEL, "challenger")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        register(doors=DOORS._replace(settle=die_late))
    assert quick.has_champions(["classify"])
    assert register().decision == "kept"
    assert aliases() == {"champion": "good", "challenger": "poor"}


def test_a_champion_that_moves_meanwhile_is_judged_against(project: Path) -> None:
    register()
    add("new", strength=0.95, seed=4)
    moved: list[int | None] = []

    def settle_late(proposal: Proposal) -> Settled | None:
        if not moved:
            moved.append(proposal.expected)
            client().set_registered_model_alias(MODEL, "champion", "2")
        return settle(proposal)

    decided = register(doors=DOORS._replace(settle=settle_late))
    assert moved == [1]
    assert decided.former is not None
    assert decided.former.experiment == "poor"


def cnnpipe(*arguments: str) -> int:
    """Run a command in this process and return its exit code."""
    try:
        return run(arguments)
    except SystemExit as end:
        return int(end.code or 0)


@pytest.fixture
def command(project: Path) -> None:
    """Leave what the command reads: params.yaml and the comparison by its params."""
    shutil.copyfile(ROOT / "params.yaml", "params.yaml")
    judged_experiments.compare(Path(), VIEWS, COMPARE)


def test_require_exits_6_where_the_gate_refuses(command: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert cnnpipe("register", "--require") == 0
    client().set_registered_model_alias(MODEL, "champion", "2")
    add("new", strength=0.05, seed=4)  # unsure: hardly better than what knows nothing
    remove("good")
    judged_experiments.compare(Path(), VIEWS, COMPARE)
    capsys.readouterr()
    assert cnnpipe("register") == 0
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("classify: poor stays champion (version 2): ")
    before = PLACES.decision.read_bytes()
    assert cnnpipe("register", "--require") == 6
    told = capsys.readouterr()
    assert "error: register: classify: new " in told.err
    assert "fix: train a better one, or `cnnpipe register --promote new`" in told.err
    assert "Traceback" not in told.err
    assert PLACES.decision.read_bytes() == before
    assert cnnpipe("register", "--require", "--promote", "new") == 0
    assert aliases()["champion"] == "new"


def test_json_is_the_decision_and_nothing_else(command: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert cnnpipe("register", "--json") == 0
    printed = msgspec.json.decode(capsys.readouterr().out, type=Decision)
    assert printed == files.read_json(PLACES.decision, Decision)


def test_results_mark_the_champion(command: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert cnnpipe("results") == 0
    assert "champion" not in capsys.readouterr().out  # nothing is decided yet
    assert cnnpipe("register") == 0
    assert cnnpipe("results") == 0
    shown = capsys.readouterr().out
    assert "good * " in shown
    assert "poor * " not in shown
    assert "* champion of its task, see decision.json" in shown
    add("good", strength=0.9, seed=5)  # trained anew
    assert register(margin=0.99).decision == "refused"
    assert cnnpipe("results") == 0
    shown = capsys.readouterr().out
    assert "good * " not in shown
    assert "champion of classify: an older training of good (version 1), see decision.json" in shown


@pytest.mark.slow
def test_the_command_loads_no_mlflow_when_nothing_is_new(command: None) -> None:
    assert cnnpipe("register") == 0
    code = """
import sys
from cnnpipe.cli.main import run
try:
    code = run(["register"])
except SystemExit as end:
    code = end.code
heavy = {"mlflow", "torch", "pandas", "sqlalchemy"} & sys.modules.keys()
sys.exit(f"exit {code}, loaded {heavy}" if code or heavy else 0)
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert "good is the first champion (version 1)" in ran.stderr
