"""The command that says what a run would do."""

import gc
from pathlib import Path
from typing import Annotated

import msgspec
import typer


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(plan)


def plan(
    stages: Annotated[
        list[str] | None, typer.Argument(help="These and all that they need, e.g. train@lenet or train.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    remote: Annotated[
        bool, typer.Option("--remote", help="Look on the DVC remote too, as `dvc repro --pull` does.")
    ] = False,
) -> None:
    """Say what the next run would do with each stage, and why.

    Unchanged, restorable (from DVC's cache, without computing) or to run. It starts and changes nothing.
    """
    from cnnpipe.cli.plan_table import print_plan
    from cnnpipe.orchestration.planning.plan import plan as make_plan
    from cnnpipe.orchestration.planning.text import counts

    gc.disable()  # a short process: a fifth of its time went into collecting what DVC makes of YAML
    planned = make_plan(Path(), targets=stages or (), remote=remote)
    if as_json:
        told = {"stages": planned, "counts": counts(planned), "looked_on_remote": remote}
        typer.echo(msgspec.json.encode(told).decode())
    else:
        print_plan(planned)
