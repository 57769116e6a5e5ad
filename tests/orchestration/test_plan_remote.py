"""With --remote the plan knows what `dvc repro --pull` restores in a clone that holds nothing."""

import shutil
from pathlib import Path

import pytest
from dvc.repo import Repo
from plan_projects import faults_of, make_plan_project, replace_in, reproduced, verdicts

from cnnpipe.errors import ParamsError, StorageError
from cnnpipe.orchestration.planning.plan import plan


@pytest.fixture(scope="module")
def pushed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone without outputs and cache; all of them are on the remote, a folder beside it."""
    folder = tmp_path_factory.mktemp("plan") / "clone"
    make_plan_project(folder)
    with (folder / ".dvc/config").open("a", encoding="utf-8") as file:
        file.write(f"['remote \"store\"']\n    url = {folder.parent / 'store'}\n")
    replace_in(folder / ".dvc/config", "[core]\n", "[core]\n    remote = store\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        with Repo(".") as repo:
            repo.add(["raw"])
        for old, new in (("n: 1", "n: 7"), ("n: 7", "n: 1")):  # a push sends the objects of this state alone
            replace_in(folder / "params.yaml", old, new)
            with Repo(".") as repo:
                repo.reproduce()
                repo.push(run_cache=True)
    for name in (
        "raw",
        "data",
        "models",
        "results",
        "comparison",
        "look",
        "note.txt",
        ".dvc/cache",
        ".dvc/tmp",
    ):
        path = folder / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    return folder


@pytest.fixture
def clone(pushed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "clone"
    shutil.copytree(pushed, folder)
    monkeypatch.chdir(folder)
    return folder


RESTORED = ["prepare", "train@p", "judge@p", "train@q", "judge@q", "compare", "look"]


@pytest.mark.parametrize("change", ["nothing", "a param of the run cache", "no lock"])
def test_all_is_restorable_from_the_remote(
    change: str, clone: Path, caplog: pytest.LogCaptureFixture
) -> None:
    if change == "no lock":
        (clone / "dvc.lock").unlink()
    if change == "a param of the run cache":
        replace_in(clone / "params.yaml", "n: 1", "n: 7")
    planned = plan(clone, remote=True)
    assert verdicts(planned) == {**dict.fromkeys(RESTORED, "restorable"), "note": "to run"}
    assert not (clone / ".dvc/cache/files").exists()
    assert faults_of(planned, reproduced(caplog, pull=True)) == []


def test_without_asking_the_remote_nothing_is_known(clone: Path) -> None:
    assert set(verdicts(plan(clone)).values()) == {"to run"}


def test_what_the_remote_lacks_is_to_run(clone: Path, pushed: Path, caplog: pytest.LogCaptureFixture) -> None:
    replace_in(clone / "params.yaml", "q: {n: 2}", "q: {n: 3}")
    planned = plan(clone, remote=True)
    assert verdicts(planned)["train@q"] == "to run"
    assert verdicts(planned)["train@p"] == "restorable"
    assert faults_of(planned, reproduced(caplog, pull=True)) == []


def test_project_without_a_remote_says_so(clone: Path) -> None:
    replace_in(clone / ".dvc/config", "remote = store", "analytics = false")
    with pytest.raises(ParamsError, match="dvc remote add --default"):
        plan(clone, remote=True)


def test_remote_that_cannot_be_reached_is_named(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    nowhere = (
        "url = s3://bucket/store\n    endpointurl = http://127.0.0.1:9\n    access_key_id = planted-key\n"
    )
    text = (clone / ".dvc/config").read_text(encoding="utf-8")
    line = next(line for line in text.splitlines() if "url = " in line)
    more = "    secret_access_key = planted-secret\n    connect_timeout = 1"
    (clone / ".dvc/config").write_text(text.replace(line, f"    {nowhere}{more}"), encoding="utf-8")
    with pytest.raises(StorageError, match="remote at bucket/store") as caught:
        plan(clone, remote=True)
    assert "planted" not in str(caught.value)


def test_remote_of_a_kind_that_is_not_installed_is_named(clone: Path) -> None:
    replace_in(clone / ".dvc/config", "url = ", "url = hdfs://127.0.0.1:9")
    with pytest.raises(StorageError, match="dvc-hdfs"):
        plan(clone, remote=True)
