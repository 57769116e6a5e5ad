"""params.yaml and the data it names."""

import shutil
from pathlib import Path

import pytest

from cnnpipe.errors import ParamsError
from cnnpipe.params.document import Document
from cnnpipe.params.load import check, read_yaml
from cnnpipe.projects.checks import project_files
from cnnpipe.projects.checks.facts import Facts

PARAMS = Path(__file__).parents[3] / "params.yaml"


def facts(*, sample: bool = False, **ingest: object) -> Facts:
    content = read_yaml(PARAMS)
    content["ingest"] |= ingest
    if not sample:
        del content["sample"]
    return Facts(document=check(content, Document, where="params.yaml", section=""))


def test_valid_params_name_their_experiments(project_dir: Path) -> None:
    shutil.copy(PARAMS, project_dir)
    (result,) = project_files.check_params(Facts())
    assert result.found.startswith("valid; experiments: lenet")


def test_all_faults_of_params_are_told_together(project_dir: Path) -> None:
    text = PARAMS.read_text(encoding="utf-8")
    broken = text.replace("network: lenet", "network: lennet").replace("device: auto", "device: tpu")
    (project_dir / "params.yaml").write_text(broken, encoding="utf-8")
    with pytest.raises(ParamsError) as raised:
        project_files.check_params(Facts())
    assert "experiments.lenet" in raised.value.what
    assert "train.device" in raised.value.what


def test_data_of_ones_own_must_be_there(project_dir: Path) -> None:
    (result,) = project_files.check_data(facts())
    assert (result.state, result.exit_code, result.found) == ("error", 3, "there is no folder data/raw")


def test_data_of_the_demo_is_made_by_its_stage(project_dir: Path) -> None:
    (result,) = project_files.check_data(facts(sample=True))
    assert result.state == "note"


def test_each_missing_file_is_named_with_what_lies_there(project_dir: Path) -> None:
    (project_dir / "data/raw/a").mkdir(parents=True)
    (project_dir / "data/raw/a/via [1].json").touch()
    wanted = facts(annotations=["a/via [1].json", "a/*.json", "b/*.json", "/c.json"], images_dir="pictures")
    results = project_files.check_data(wanted)
    assert [(result.state, result.exit_code) for result in results] == [("error", 3)] * 3
    assert results[0].found == "data/raw/b/*.json: no annotation file there"
    assert "there are: a/via [1].json" in results[0].fix
    assert results[2].found == "there is no folder data/raw/pictures"


def test_data_that_is_there_is_one_row(project_dir: Path) -> None:
    (project_dir / "data/raw").mkdir(parents=True)
    (project_dir / "data/raw/via_project.json").touch()
    assert [result.state for result in project_files.check_data(facts())] == ["ok"]


def test_without_valid_params_their_own_check_speaks(project_dir: Path) -> None:
    assert project_files.check_data(Facts()) == []
