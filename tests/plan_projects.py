"""A DVC project of seven small stages, and what `dvc repro` says to have done with them."""

import logging
import re
from pathlib import Path

import pytest
from dvc.repo import Repo

from cnnpipe.orchestration.planning.records import PlannedStage

PARAMS = "prepare: 1\nexperiments:\n  p: {n: 1, deep: {rate: 0.5}}\n  q: {n: 2}\n"
GRAPH = """
stages:
  note: {cmd: date > note.txt, always_changed: true, outs: [note.txt: {cache: false}]}
  prepare:
    cmd: mkdir -p data/packed/x && cat raw/*.txt > data/packed/x/all && cp raw/a.txt data/packed/a
    deps: [raw]
    params: [prepare]
    outs: [data/packed]
  train:
    foreach: ${experiments}
    do:
      cmd:
        - mkdir -p models/${key} && cat data/packed/a > models/${key}/weights
        - "grep -o '${key}: {n: [0-9]*' params.yaml >> models/${key}/weights"
        - wc -l data/packed/x/all > models/${key}/log
      deps: [data/packed]
      params: ["experiments.${key}"]
      outs: ["models/${key}/weights", "models/${key}/log"]
  judge:
    foreach: ${experiments}
    do:
      cmd:
        - mkdir -p results/${key}/plots && cp models/${key}/weights results/${key}/plots/p
        - wc -c models/${key}/weights > results/${key}/m
      deps: ["models/${key}/weights"]
      outs: ["results/${key}/plots"]
      metrics: ["results/${key}/m"]
  compare:
    cmd: mkdir comparison && cat results/*/m models/*/log > comparison/all
    deps: [results, models]
    outs: [comparison]
  look: {cmd: cp data/packed/a look, deps: [data/packed/a], outs: [look]}
"""
_SAID = {
    r"Stage '(.+)' didn't change, skipping": "unchanged",
    r"Stage '(.+)' is cached - skipping run, checking out outputs": "restorable",
    r"Pulling data for stage: '(.+)'": "restorable",
    r"Running stage '(.+)':": "to run",
}


def make_plan_project(folder: Path) -> None:
    """Make a project that is up to date, and whose run cache holds `experiments.p.n: 7` too."""
    (folder / "raw").mkdir(parents=True)
    for name in "abc":
        (folder / "raw" / f"{name}.txt").write_text(f"{name}\n", encoding="utf-8")
    Repo.init(str(folder), no_scm=True).close()
    (folder / "dvc.yaml").write_text(GRAPH, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for params in (PARAMS.replace("n: 1", "n: 7"), PARAMS):
            (folder / "params.yaml").write_text(params, encoding="utf-8")
            with Repo(".") as repo:
                repo.reproduce()


def reproduced(caplog: pytest.LogCaptureFixture, **options: bool) -> dict[str, str]:
    """Run `dvc repro` here and return what it says to have done with each stage."""
    caplog.clear()
    caplog.set_level(logging.INFO, logger="dvc")
    with Repo(".") as repo:
        repo.reproduce(**options)
    return verdicts_said("\n".join(record.getMessage() for record in caplog.records))


def verdicts_said(output: str) -> dict[str, str]:
    """Return what the lines of `dvc repro` say to have become of each stage."""
    matches = [
        (re.match(said, line), verdict) for line in output.splitlines() for said, verdict in _SAID.items()
    ]
    return {match[1]: verdict for match, verdict in matches if match}


def faults_of(planned: list[PlannedStage], done: dict[str, str]) -> list[str]:
    """Return the stages of which the plan said something else than what came.

    Below a stage that is to run the plan knows no inputs, and says so; then anything may come.
    """
    return [
        f"{each.stage}: planned {each.verdict}, was {done.get(each.stage)}"
        for each in planned
        if done.get(each.stage) != each.verdict and not any(why.kind == "upstream" for why in each.reasons)
    ]


def verdicts(planned: list[PlannedStage]) -> dict[str, str]:
    """Return the verdict on each stage."""
    return {each.stage: each.verdict for each in planned}


def replace_in(path: Path, old: str, new: str) -> None:
    """Replace a text that is there."""
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
