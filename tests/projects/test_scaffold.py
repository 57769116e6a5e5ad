"""The files of a new project: as the repository's own, whole, and with a reason beside every number."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from surveys import a_gate, a_survey

from cnnpipe.params.document import Document
from cnnpipe.params.load import check, read_yaml
from cnnpipe.projects.layout import Layout
from cnnpipe.projects.scaffold import render_params, without_git, write_project_files
from cnnpipe.projects.survey import Task

ROOT = Path(__file__).resolve().parents[2]
LAYOUT = Layout(images_dir="images", annotations=("images/via.json",))
# what the data decides; all else stands in the repository's own params.yaml
SIZED = {"warmup_epochs", "epochs", "side_px", "max_side_px", "source"}


def read(text: str) -> dict[str, Any]:
    value: dict[str, Any] = YAML(typ="safe").load(text)
    return value


# few pictures are learned from more gently and seen more varied than the demo's
OF_FEW_PICTURES = {
    "fcos-lite0": {"crop_scale", "brightness", "contrast", "saturation", "learning_rate"},
    "lite0": {"crop_scale", "learning_rate", "early_stopping", "transfer"},
    "lenet": set[str](),
}


def without(left_out: set[str], value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without(left_out, each) for key, each in value.items() if key not in left_out}
    return value


def test_the_graph_is_the_repository_s_own_without_the_sample() -> None:
    own = read((ROOT / "dvc.yaml").read_text(encoding="utf-8"))
    own["stages"].pop("sample")
    template = (ROOT / "cnnpipe/projects/template/dvc.yaml.txt").read_text(encoding="utf-8")
    assert read(template) == own


@pytest.mark.parametrize(
    "name", ["flows/__init__.py", "flows/pipeline.py", "flows/stage.py", "prefect.yaml", "prefect.toml"]
)
def test_flows_and_deployments_are_the_repository_s_own(tmp_path: Path, name: str) -> None:
    write_project_files(tmp_path, "leaves", a_survey("classify"), LAYOUT)
    assert (tmp_path / name).read_bytes() == (ROOT / name).read_bytes()


@pytest.mark.parametrize(
    ("task", "experiments"), [("detect", ["fcos-lite0"]), ("classify", ["lenet", "lite0"])]
)
def test_recipes_are_the_repository_s_own(task: Task, experiments: list[str]) -> None:
    own = read_yaml(ROOT / "params.yaml")
    made = read(render_params(a_survey(task), LAYOUT))
    assert list(made["experiments"]) == experiments
    assert list(made["augment"]) == [task]
    for name in experiments:
        left_out = SIZED | OF_FEW_PICTURES[name]
        assert without(left_out, made["experiments"][name]) == without(left_out, own["experiments"][name])
    assert without(SIZED, made["augment"][task]) == without(SIZED, own["augment"][task])
    for section in ("train", "evaluate"):
        assert made[section] == own[section]
    ranked = {key: value for key, value in own["compare"].items() if key == task or key not in own["augment"]}
    assert made["compare"] == ranked
    assert made["validate"]["limits"].keys() == own["validate"]["limits"].keys()


@pytest.mark.parametrize("task", ["detect", "classify"])
def test_the_gate_is_that_of_the_survey_and_of_the_repository(task: Task) -> None:
    mapping = {"a: b": "c", '"q" # \U0001f98a': None, "3": "true", "x": "y"}
    gate = a_gate(label_map=mapping, label_text="description", without_regions="unannotated")
    made = read(render_params(a_survey(task, gate=gate), LAYOUT))["validate"]
    assert made | {"limits": {}} == gate.model_dump()
    usual = read(render_params(a_survey(task), LAYOUT))["validate"]
    own = read_yaml(ROOT / "params.yaml")["validate"]
    of_the_data = {"label_attribute", "image_label_attribute", "limits"}
    assert without(of_the_data, usual) == without(of_the_data, own)


@pytest.mark.parametrize("task", ["detect", "classify"])
def test_every_key_says_what_it_means(task: Task) -> None:
    for line in render_params(a_survey(task), LAYOUT).splitlines():
        if ":" in line and not line.lstrip().startswith(("#", "-")):
            is_heading = line.rstrip().endswith(":")
            assert is_heading or "  # " in line, line


@pytest.mark.parametrize("task", ["detect", "classify"])
@pytest.mark.parametrize(
    "odd",
    [
        "a b.json",
        "#1.json",
        "[1].json",
        "ü 稲.json",
        "x: y.json",
        '"q"\\.json',
        "$epochs ${item}.json",
        "a\nb",
        "\U0001f98a \x7f\x85\u2028\ufeff",
    ],
)
def test_names_are_what_they_are(tmp_path: Path, task: Task, odd: str) -> None:
    layout = Layout(images_dir=f"x/{odd}", annotations=(odd, "b.json"))
    survey = a_survey(task, label=odd)
    (tmp_path / "params.yaml").write_text(render_params(survey, layout), encoding="utf-8")
    document = check(read_yaml(tmp_path / "params.yaml"), Document, where="params.yaml", section="")
    assert document.ingest.annotations == [odd, "b.json"]
    assert document.ingest.images_dir == f"x/{odd}"
    assert document.validate_.label_attribute == odd


def test_all_files_are_written_and_named(tmp_path: Path) -> None:
    written = write_project_files(tmp_path, "leaves", a_survey("detect"), LAYOUT)
    there = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file())
    assert written == there
    assert {"README.md", "dvc.yaml", "params.yaml", "requirements.txt", ".gitignore", ".dvc/config"} <= set(
        there
    )
    readme = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert readme.startswith("# leaves\n")
    assert "$" not in readme
    assert (tmp_path / "requirements.txt").read_text().startswith("cnnpipe[train,orchestration]==")


@pytest.mark.slow
@pytest.mark.parametrize("has_git", [True, False])
def test_dvc_s_own_files_are_those_of_dvc_init(tmp_path: Path, has_git: bool) -> None:
    """`dvc init` is not run: it stages its files in a repository of the user's, and takes a second."""
    theirs, ours = tmp_path / "theirs", tmp_path / "ours"
    for folder in (theirs, ours):
        folder.mkdir()
    if has_git:
        subprocess.run(["git", "init", "--quiet"], cwd=theirs, check=True, capture_output=True)
    command = [sys.executable, "-m", "dvc", "init", "--quiet", *([] if has_git else ["--no-scm"])]
    subprocess.run(command, cwd=theirs, check=True, capture_output=True)
    write_project_files(ours, "ours", a_survey("detect"), LAYOUT)
    if not has_git:
        without_git(ours)
    for path in theirs.rglob("*"):
        name = path.relative_to(theirs)
        if path.is_file() and name.parts[:1] != (".git",) and name.parts[:2] != (".dvc", "tmp"):
            assert (ours / name).is_file(), name
    if has_git:
        assert (ours / ".dvc/.gitignore").read_bytes() == (theirs / ".dvc/.gitignore").read_bytes()
    config = (ours / ".dvc/config").read_text()
    assert ("no_scm = true" in config) == ("no_scm = True" in (theirs / ".dvc/config").read_text())
    assert config.startswith((ROOT / ".dvc/config").read_text())
