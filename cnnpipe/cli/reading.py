"""Commands around the graph: run it, bring dvc.lock into form, show the results."""

import time
from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer

from cnnpipe import files, paths
from cnnpipe.stage_ends import StageEnd, end_file

_ALWAYS_RUN: Final = "code"


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(repro)
    for command in (lock, results, ui):
        app.command()(command)


def repro(context: typer.Context) -> None:
    """Run `dvc repro`, then `lock`, then `results`.

    Arguments and options are handed to `dvc repro`, e.g. `cnnpipe repro evaluate@lenet --force`. After --pull
    it is run once more without: DVC pulls no stage whose output is not cached, and does not run it either.
    """
    from cnnpipe.evaluation.comparison import COMPARISON_FILE
    from cnnpipe.orchestration.repro import repro as run_graph

    started = time.time()
    run_graph(context.args)
    if "--pull" in context.args:
        run_graph([argument for argument in context.args if argument not in ("--pull", "--force", "-f")])
    lock()
    ran = [end for end in _stage_ends() if end.ended_at >= started and end.stage != _ALWAYS_RUN]
    if ran:
        typer.echo(f"ran {len(ran)} stages in {time.time() - started:.0f} s", err=True)
    else:
        typer.echo("nothing to recompute: every stage is up to date", err=True)
    if (paths.COMPARISON / COMPARISON_FILE).exists():
        results()
    else:  # a part of the graph was asked for
        typer.echo("no results to show yet: `cnnpipe repro` compares the experiments", err=True)


def lock() -> None:
    """Bring dvc.lock into its one form, to commit it.

    Stages stand in the order of the graph; those that are gone are dropped.
    """
    from cnnpipe.orchestration.lock import lock as sort_lock

    for name in sort_lock(Path()):
        typer.echo(f"lock: dropped {name}, it is no longer in dvc.yaml", err=True)


def results(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show every experiment and where its report lies."""
    from cnnpipe.cli.results import champions_of, print_table
    from cnnpipe.evaluation.comparison import COMPARISON_FILE, Comparison

    comparison = files.read_json(paths.COMPARISON / COMPARISON_FILE, Comparison)
    if as_json:
        typer.echo(msgspec.json.encode(comparison).decode())
    else:
        seconds = {end.stage: end.seconds for end in _stage_ends()}
        print_table(comparison, seconds, champions_of(paths.DECISION, paths.REGISTERED))


def ui(port: Annotated[int, typer.Option(help="Of the page, on 127.0.0.1.")] = 5000) -> None:
    """Serve MLflow's pages of this project on this machine alone."""
    from cnnpipe.tracking.ui import serve

    serve(port)


def _stage_ends() -> list[StageEnd]:
    return [files.read_json(path, StageEnd) for path in sorted(end_file("any").parent.glob("*.json"))]
