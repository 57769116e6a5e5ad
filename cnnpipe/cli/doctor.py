"""The command that looks over machine and project."""

from typing import Annotated

import msgspec
import typer


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(doctor)


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    online: Annotated[bool, typer.Option("--online", help="Ask remotes on other machines too.")] = False,
) -> None:
    """Look over machine and project, and say what helps.

    It changes nothing. Exits 0 with notes and warnings; with an error by the first one: 2 params, 3 data,
    7 disk, remote or tracking store, 1 any other.
    """
    from cnnpipe.cli.doctor_table import print_checks
    from cnnpipe.projects.doctor import examine, exit_code

    results = examine(online=online)
    code = exit_code(results)
    if as_json:
        typer.echo(msgspec.json.encode({"checks": results, "exit_code": code}).decode())
    else:
        print_checks(results)
    raise typer.Exit(code)
