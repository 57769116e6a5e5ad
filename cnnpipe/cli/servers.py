"""Commands for scheduled runs: the servers, and a worker."""

from pathlib import Path
from typing import Annotated

import typer


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    for command in (server, worker):
        app.command()(command)


def server(
    folder: Annotated[Path, typer.Option(help="Of the databases, artifacts and logs.")] = Path("server"),
    prefect_port: Annotated[int, typer.Option(help="On 127.0.0.1.")] = 4200,
    mlflow_port: Annotated[int, typer.Option(help="On 127.0.0.1.")] = 5000,
) -> None:
    """Run Prefect's and MLflow's servers on this machine alone.

    Makes the pools cpu and gpu, and deploys what prefect.yaml names. Ctrl-C ends both.
    """
    from cnnpipe.orchestration.servers import serve

    serve(
        folder,
        prefect_port=prefect_port,
        mlflow_port=mlflow_port,
        say=lambda text: typer.echo(text, err=True),
    )


def worker(
    pool: Annotated[str, typer.Option(help="Work pool to take flow runs from: cpu or gpu.")],
    limit: Annotated[int | None, typer.Option(help="Flow runs at the same time; none: any number.")] = None,
) -> None:
    """Take flow runs from a pool, each in a clone of its own.

    The servers are those of PREFECT_API_URL and MLFLOW_TRACKING_URI, else those of `cnnpipe server`.
    """
    from cnnpipe.orchestration.workers import become_worker

    become_worker(pool, limit=limit)
