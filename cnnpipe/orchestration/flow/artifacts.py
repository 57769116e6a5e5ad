"""What a flow leaves in Prefect's pages: its plan; at the end a table of stages and the way to results."""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from prefect.artifacts import create_markdown_artifact

from cnnpipe import files, paths
from cnnpipe.evaluation.promotion import Decision, said_of
from cnnpipe.orchestration.flow.stage_runs import StageRun
from cnnpipe.tracking.pages import run_pages
from cnnpipe.training.records import RUN_FILE, RunRecord

_logger = logging.getLogger(__name__)

_REPORT: Final = "report.html"


def show_plan(markdown: str) -> None:
    """Leave the plan."""
    _leave("plan", markdown, "What is to be done, and why")


def show_end(runs: Sequence[StageRun], root: Path) -> None:
    """Leave the table of stages, and the way to the results of each experiment."""
    parts = [stage_table(runs), experiment_table(root), *champions(root)]
    _leave("stages", "\n\n".join(parts), "What became of each stage")


def stage_table(runs: Sequence[StageRun]) -> str:
    """Return stages, what became of them and their seconds as a Markdown table."""
    rows = [f"| {run.stage} | {run.outcome} | {run.seconds:.1f} | {_cell(run.note)} |" for run in runs]
    return "\n".join(["| stage | outcome | seconds | note |", "|---|---|---:|---|", *rows])


def stage_lines(runs: Sequence[StageRun]) -> list[str]:
    """Return the same for a terminal, line by line."""
    width = max((len(run.stage) for run in runs), default=0)
    return [
        f"{run.stage:{width}}  {run.outcome:9}  {run.seconds:7.1f} s  {_line(run.note)}".rstrip()
        for run in runs
    ]


def experiment_table(root: Path) -> str:
    """Return the run and the report of every trained experiment as a Markdown table."""
    pages = run_pages()
    rows = []
    for path in sorted((root / paths.MODELS).glob(f"*/{RUN_FILE}")):
        name = path.parent.name
        record = files.read_json(path, RunRecord)
        page = pages.get(record.signature)
        end = _cell("; ".join([record.stop_reason.replace("_", " "), *record.incidents]))
        report = root / paths.RESULTS / name / _REPORT
        local = f"`{report.relative_to(root)}`" if report.exists() else "not judged yet"
        run = f"[run]({page})" if page else "`cnnpipe ui`"
        rows.append(f"| {name} | {end} | {run} | {f'[report]({page}/artifacts)' if page else local} |")
    if not rows:
        return "No experiment is trained yet."
    return "\n".join(["| experiment | ended by | MLflow | report |", "|---|---|---|---|", *rows])


def champions(root: Path) -> list[str]:
    """Return what was decided last of each task, in words."""
    path = root / paths.DECISION
    if not path.exists():
        return []
    return [said_of(task) for task in files.read_json(path, Decision).tasks.values()]


def _cell(text: str) -> str:
    return _line(text).replace("|", "\\|")


def _line(text: str) -> str:
    return " ".join(text.split())


def _leave(key: str, markdown: str, description: str) -> None:
    """Hand it to Prefect; the flow does not wait long for a server that is away."""
    create: Callable[..., object] = create_markdown_artifact
    try:
        create(markdown=markdown, key=key, description=description)
    except Exception as error:  # whatever the server's client raises: the results are there all the same
        _logger.warning("%s is not shown in Prefect: %s", key, error)
