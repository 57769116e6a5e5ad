"""What lies at a path, and the key of a run, are what DVC makes of them."""

from pathlib import Path

import pytest
from dvc.repo import Repo
from dvc.stage.cache import _get_stage_hash
from plan_projects import make_plan_project

from cnnpipe.orchestration.planning.contents import (
    Content,
    Later,
    Unknown,
    content_later,
    contents_now,
    folder_of,
)
from cnnpipe.orchestration.planning.stores import run_key


def test_key_of_a_run_is_that_of_dvc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = tmp_path / "project"
    make_plan_project(project)
    monkeypatch.chdir(project)
    (project / "models/p/weights").chmod(0o755)  # one dependency that may be executed; `results` is a folder
    with Repo(".") as repo:
        for stage in (each for each in repo.index.stages if each.deps):
            stage.save_deps()
            params = {dep.def_path: dep.hash_info.value for dep in stage.params}
            read = {dep.def_path: dep.fs_path for dep in stage.deps if dep not in stage.params}
            contents = contents_now(repo, read.values())
            inputs = {path: contents[place] for path, place in read.items()}
            known = {path: content for path, content in inputs.items() if content is not None}
            assert run_key(stage, params, known) == _get_stage_hash(stage), stage.name


def test_folder_holds_what_is_restored_into_it() -> None:
    now = {"/m": folder_of({"a/w": "1", "a/gone": "2", "b/w": "3", "note": "4"}), "/m/b/w": Content(md5="3")}
    later: Later = {"/m/a": folder_of({"w": "9"}), "/m/c/w": Content(md5="8")}
    found = content_later("/m", now, later)
    assert isinstance(found, Content)
    assert found.files == {"a/w": "9", "b/w": "3", "note": "4", "c/w": "8"}
    assert content_later("/m", now, {"/m/a": None}) == folder_of({"b/w": "3", "note": "4"})
    assert content_later("/m/b/w", now, later) == Content(md5="3")
    assert content_later("/m/a/w", now, later) == Content(md5="9")
    assert content_later("/m/a/gone", now, later) is None


def test_folder_that_stages_write_into_is_not_known() -> None:
    later: Later = {"/m/a": Unknown(("train@a",)), "/m/b": folder_of({}), "/x": Unknown(("other",))}
    assert content_later("/m", {"/m": None}, later) == Unknown(("train@a",))
    assert content_later("/m/a/w", {}, later) == Unknown(("train@a",))
