"""A plan names what changed: the param, the pictures, the packages; for people and for programs."""

import shutil
from pathlib import Path

import pytest
from dvc.repo import Repo
from plan_projects import make_plan_project, replace_in

from cnnpipe.orchestration.planning.listings import keep_listings
from cnnpipe.orchestration.planning.plan import plan
from cnnpipe.orchestration.planning.reasons import code_reasons, file_changes
from cnnpipe.orchestration.planning.records import FileChanges, PlannedStage, Reason
from cnnpipe.orchestration.planning.text import plan_markdown, summary, why


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plan") / "finished"
    make_plan_project(folder)
    return folder


@pytest.fixture
def project(finished: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    shutil.copytree(finished, folder)
    return folder


def reasons(project: Path, stage: str) -> tuple[Reason, ...]:
    return {each.stage: each.reasons for each in plan(project)}[stage]


def test_param_is_told_with_both_values(project: Path) -> None:
    replace_in(
        project / "params.yaml", "n: 1, deep: {rate: 0.5}", "n: 1, deep: {rate: 0.25}, more: [1, null]"
    )
    deep, more = reasons(project, "train@p")[:2]
    assert (deep.kind, deep.text) == ("param", "experiments.p.deep.rate 0.5 → 0.25")
    assert (deep.name, deep.old, deep.new) == ("experiments.p.deep.rate", 0.5, 0.25)
    assert more.text == "experiments.p.more (none) → [1, None]"


def test_pictures_are_named_where_the_old_list_is_kept(project: Path) -> None:
    with Repo(str(project)) as repo:
        keep_listings(repo)  # as `cnnpipe lock` does
    (project / "raw/b.txt").unlink()
    (project / "raw/a.txt").write_text("z\n", encoding="utf-8")
    for name in "defgh":
        (project / "raw" / f"{name}.txt").write_text(name, encoding="utf-8")
    (reason,) = reasons(project, "prepare")
    assert reason.text == "raw: 1 changed (a.txt), 5 added (d.txt, e.txt, f.txt, 2 more), 1 removed (b.txt)"
    assert reason.files is not None
    assert reason.files.added == ("d.txt", "e.txt", "f.txt", "g.txt", "h.txt")


def test_first_plan_keeps_the_list_for_the_next(project: Path) -> None:
    plan(project)
    (project / "raw/d.txt").write_text("d\n", encoding="utf-8")
    assert reasons(project, "prepare")[0].text == "raw: 1 added (d.txt)"


@pytest.mark.parametrize(
    ("name", "told"), [("d.txt", "raw: 3 → 4 files, which"), ("a.txt", "raw: 6 → 12 bytes, which")]
)
def test_without_the_old_list_numbers_are_told(name: str, told: str, project: Path) -> None:
    (project / "raw" / name).write_text("a new text"[:8], encoding="utf-8")
    assert reasons(project, "prepare")[0].text.startswith(told)


def test_output_of_a_restorable_stage_is_compared_file_by_file(project: Path) -> None:
    replace_in(project / "params.yaml", "n: 1", "n: 7")
    shutil.rmtree(project / "results/q")
    planned = {each.stage: each for each in plan(project)}
    assert planned["judge@p"].reasons[0].text == "models/p/weights changed"
    assert planned["judge@q"].reasons[0].text == "missing: results/q/plots, results/q/m"
    assert planned["judge@q"].reasons[0].names == ("results/q/plots", "results/q/m")


def test_stage_below_one_that_is_to_run_says_so(project: Path) -> None:
    replace_in(project / "params.yaml", "n: 1", "n: 5")
    (reason,) = reasons(project, "judge@p")
    assert reason.text == "reads what train@p will write: may turn out unchanged"
    assert reason.names == ("train@p",)
    assert reasons(project, "compare")[0].names == ("judge@p", "train@p")


def test_other_reasons(project: Path) -> None:
    replace_in(project / "params.yaml", "q: {n: 2}", "q: {n: 2}\n  r: {n: 3}")
    replace_in(
        project / "dvc.yaml", "cp data/packed/a look, deps: [", "cat data/packed/a > look, deps: [raw, "
    )
    (project / "data/packed/a").write_text("mine", encoding="utf-8")
    planned = {each.stage: [reason.text for reason in each.reasons] for each in plan(project)}
    assert planned["note"] == ["runs every time"]
    assert planned["train@r"] == ["never run: dvc.lock has no entry for it"]
    assert planned["prepare"] == ["not as in dvc.lock: data/packed"]
    assert planned["look"] == [
        "command: cp data/packed/a look → cat data/packed/a > look",
        "raw is a new input",
    ]
    shutil.rmtree(project / "raw")
    assert reasons(project, "prepare")[0].text.startswith("raw is missing: put it there, or `dvc checkout`")


def test_code_is_told_by_file_and_by_package() -> None:
    told = code_reasons(
        "aa numpy 2.4.6, torch 2.14.1", "bb numpy 2.4.7, timm 1.0", {"a.py": "1", "b.py": "1"}, {"a.py": "2"}
    )
    assert [each.text for each in told] == [
        "code: 1 changed (a.py), 1 removed (b.py)",
        "package numpy 2.4.6 → 2.4.7",
        "package timm (not used) → 1.0",
        "package torch 2.14.1 → (not used)",
    ]
    assert [each.kind for each in code_reasons("aa ", "aa numpy 2.4", None, {})] == ["package"]
    (unknown,) = code_reasons("aa ", "bb ", None, {"a.py": "2"})
    assert unknown.text == "code: which files is known only where that code ran"


def test_long_lists_are_counted_whole_and_named_in_part() -> None:
    changes = file_changes({}, {f"{number:03}": "x" for number in range(500)})
    assert (changes.num_added, len(changes.added)) == (500, 20)
    assert file_changes({"a": "1"}, {"a": "1"}) == FileChanges()


def test_plan_in_markdown() -> None:
    planned = [
        PlannedStage(stage="split", verdict="unchanged"),
        PlannedStage(
            stage="look",
            verdict="to run",
            reasons=tuple(Reason(kind="command", text=f"a | b {number}") for number in range(6)),
        ),
    ]
    assert why(planned[1]).endswith("a | b 3; 2 more")
    assert summary(planned) == "1 to run, 0 restorable, 1 unchanged"
    assert plan_markdown(planned) == (
        "| stage | verdict | why |\n|---|---|---|\n| split | unchanged |  |\n"
        "| look | to run | a \\| b 0; a \\| b 1; a \\| b 2; a \\| b 3; 2 more |\n\n"
        "1 to run, 0 restorable, 1 unchanged\n"
    )
