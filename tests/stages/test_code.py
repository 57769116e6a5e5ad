"""Code is a dependency by digest: the digest sees all that a stage imports, and no more."""

import os
import shutil
import sys
from importlib import metadata
from pathlib import Path

import grimp
import pytest

from cnnpipe import files
from cnnpipe.errors import ParamsError
from cnnpipe.evaluation.promotion import Registered
from cnnpipe.params.augment import VIEW_KINDS
from cnnpipe.params.experiment import EXPERIMENT_KINDS
from cnnpipe.stages import code as stage
from cnnpipe.stages.code import (
    NUMERIC_PACKAGES,
    STAGES,
    STAGES_BY_TASK,
    TASKS,
    code,
    code_closure,
    snapshot,
    snapshot_file,
    stage_digest,
)
from cnnpipe.tracking import quick

ROOT = Path(__file__).resolve().parents[2]

# Imported by stages, and without a say in their numbers: they move, record, check, draw or print.
_NEUTRAL_PACKAGES = {
    *("cnnpipe", "huggingface_hub", "jinja2", "markupsafe", "matplotlib", "mlflow", "msgspec", "psutil"),
    *("pydantic", "pydantic_core", "ruamel", "safetensors"),
}


@pytest.fixture(scope="module")
def imports() -> grimp.ImportGraph:
    return grimp.build_graph("cnnpipe", include_external_packages=True, cache_dir=None)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    shutil.copy(ROOT / "params.yaml", tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", STAGES)
def test_closure_is_that_of_the_import_graph(name: str, imports: grimp.ImportGraph) -> None:
    module = f"cnnpipe.stages.{name}"
    upstream = {module, *imports.find_upstream_modules(module)}
    expected = {m for m in upstream if m.startswith("cnnpipe.") and not imports.find_children(m)}
    assert code_closure(name) == expected


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("name", STAGES_BY_TASK)
def test_closure_of_a_task_leaves_out_the_other_tasks(name: str, task: str) -> None:
    of_task = code_closure(name, task)
    assert {f"cnnpipe.tasks.{other}." for other in TASKS if _reaches(of_task, other)} == {
        f"cnnpipe.tasks.{task}."
    }
    assert code_closure(name) == {module for each in TASKS for module in code_closure(name, each)}


def _reaches(closure: set[str], task: str) -> bool:
    return any(module.startswith(f"cnnpipe.tasks.{task}.") for module in closure)


def test_tasks_are_those_of_the_params() -> None:
    assert set(TASKS) == set(EXPERIMENT_KINDS) == set(VIEW_KINDS)


def test_every_package_is_numeric_or_neutral(imports: grimp.ImportGraph) -> None:
    modules = {module for name in STAGES for module in code_closure(name)}
    imported = {
        target.partition(".")[0]
        for module in modules
        for target in imports.find_modules_directly_imported_by(module)
        if target.partition(".")[0] not in sys.stdlib_module_names
    }
    assert imported - set(NUMERIC_PACKAGES) - _NEUTRAL_PACKAGES == set()


def test_every_stage_of_the_graph_has_a_digest() -> None:
    named = {line.strip() for line in (ROOT / "dvc.yaml").read_text(encoding="utf-8").splitlines()}
    tasks = {"augment": "${key}", "train": "${item.task}", "evaluate": "${item.task}"}
    for name in STAGES:
        entry = f'"{name}.{tasks[name]}"' if name in STAGES_BY_TASK else name
        assert any(f"{{code.json: [{entry}]}}" in line for line in named), name


def test_edit_of_an_imported_module_changes_the_digest(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    copied = tmp_path / "cnnpipe"
    shutil.copytree(ROOT / "cnnpipe", copied, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(stage, "_PACKAGE_DIR", copied)
    monkeypatch.setattr(stage, "_module_path", stage._module_path.__wrapped__)  # without its memory
    monkeypatch.setattr(stage, "_imports", stage._imports.__wrapped__)
    monkeypatch.setattr(stage, "_content_digest", stage._content_digest.__wrapped__)
    before = {name: stage_digest(name) for name in STAGES}
    with (copied / "stages" / "split.py").open("a", encoding="utf-8") as file:
        file.write("\n_EXTRA = 1\n")
    with (copied / "sample_bank" / "items.npz").open("ab") as file:
        file.write(b"x")
    after = {name: stage_digest(name) for name in STAGES}
    assert {name for name in STAGES if before[name] != after[name]} == {"split", "sample"}


def test_version_of_a_numeric_package_is_in_the_digest() -> None:
    installed = metadata.version("torch").partition("+")[0]
    assert f"torch {installed}" in stage_digest("train")
    assert "torch" not in stage_digest("split")


@pytest.mark.parametrize(
    ("is_recorded", "champions", "stays"),
    [
        (True, {"classify", "detect"}, True),
        (True, {"classify"}, False),
        (False, {"classify", "detect"}, False),
    ],
    ids=["all-there", "no-champion", "no-run"],
)
def test_register_is_asked_for_where_a_run_or_a_champion_is_missing(
    is_recorded: bool, champions: set[str], stays: bool, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quick, "is_recorded", lambda _wanted: is_recorded)
    monkeypatch.setattr(quick, "has_champions", lambda tasks: set(tasks) <= champions)
    candidates = {"classify": "lenet", "detect": "fcos-lite0"}
    files.write_json(project / "registered.json", Registered(experiments={}, candidates=candidates))
    code(project / "params.yaml", project / "code.json")
    assert (project / "registered.json").exists() == stays


def test_unchanged_code_leaves_the_file_untouched(project: Path) -> None:
    code(project / "params.yaml", project / "code.json")
    before = (project / "code.json").stat()
    code(project / "params.yaml", project / "code.json")
    after = (project / "code.json").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert set(files.read_json(project / "code.json", dict)) == set(STAGES)


def test_faulty_params_stop_before_anything_is_written(project: Path) -> None:
    text = (project / "params.yaml").read_text(encoding="utf-8")
    (project / "params.yaml").write_text(text.replace("val_fraction", "val_fracton"), encoding="utf-8")
    with pytest.raises(ParamsError, match="val_fracton"):
        code(project / "params.yaml", project / "code.json")
    assert not (project / "code.json").exists()


def test_only_results_of_gone_experiments_are_removed(project: Path) -> None:
    for kept in ("models/lenet/run.json", "models/mine/notes.txt", "results/lenet/metrics.json"):
        files.write_text(project / kept, "{}")
    for gone in ("models/old/run.json", "results/old/metrics.json"):
        files.write_text(project / gone, "{}")
    removed = code(project / "params.yaml", project / "code.json")
    assert removed == [project / "models/old", project / "results/old"]
    left = {path.relative_to(project).as_posix() for path in project.rglob("*") if path.is_file()}
    assert {path for path in left if not path.startswith(".cnnpipe/")} == {
        "params.yaml",
        "code.json",
        "models/lenet/run.json",
        "models/mine/notes.txt",
        "results/lenet/metrics.json",
    }


def test_what_is_behind_each_digest_is_kept_once(project: Path) -> None:
    code(project / "params.yaml", project / "code.json")
    digest = files.read_json(project / "code.json", dict)["train"]["detect"]
    kept = snapshot_file(project, digest)
    assert kept.is_relative_to(project / ".cnnpipe/code")
    assert files.read_json(kept, dict) == snapshot("train", "detect")
    assert {"stages/train.py", "tasks/detect/training.py"} <= set(snapshot("train", "detect"))
    assert "tasks/classify/training.py" not in snapshot("train", "detect")
    before = kept.stat()
    code(project / "params.yaml", project / "code.json")
    assert kept.stat() == before
    kept.unlink()  # .cnnpipe/ is safe to delete
    code(project / "params.yaml", project / "code.json")
    assert kept.exists()


def test_old_snapshots_go(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code(project / "params.yaml", project / "code.json")
    folder = snapshot_file(project, "x").parent
    old = folder / "old.json"
    files.write_json(old, {})
    os.utime(old, (1, 1))
    num_kept = len(list(folder.iterdir())) - 1
    next(path for path in folder.iterdir() if path != old).unlink()
    monkeypatch.setattr(stage, "_NUM_SNAPSHOTS", num_kept)
    code(project / "params.yaml", project / "code.json")
    assert (old.exists(), len(list(folder.iterdir()))) == (False, num_kept)
