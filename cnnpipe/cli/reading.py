"""Commands around the graph: run it, bring dvc.lock into form, show the results."""

import time
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from cnnpipe import files, paths
from cnnpipe.cli.process import StageEnd, end_file
from cnnpipe.cli.results import print_results


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(repro)
    for command in (lock, results):
        app.command()(command)
