"""Commands for a project of one's own: make it, and take in newer annotations."""

import shlex
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from cnnpipe.cli.process import stage_process

if TYPE_CHECKING:
    from cnnpipe.projects.init import Made


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    for command in (init, update):
        app.command()(command)


def init(  # noqa: PLR0913, PLR0917 (one per option)
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="The new project: absent, or empty.")],
    annotations: Annotated[list[Path], typer.Option(help="A VIA file; repeat it for several.")],
    images: Annotated[Path, typer.Option(help="The folder that holds the pictures.")],
    task: Annotated[Literal["classify", "detect", "regress"], typer.Option(help="What is to be learnt.")],
    label: Annotated[
        str | None,
        typer.Option(help="The attribute with the class, or the number, where the guess would be wrong."),
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option(help="A YAML file, one line per spelling: `spelling: class`; null leaves it out."),
    ] = None,
    label_text: Annotated[
        Literal["id", "description"] | None,
        typer.Option(
            help="What an option is called: what regions hold, or what people see. By itself: what people "
            "see in VIA 3, which numbers the options; else what regions hold."
        ),
    ] = None,
    default_label: Annotated[
        str | None, typer.Option(help="The class of a region that says none; without it they are left out.")
    ] = None,
    without_regions: Annotated[
        Literal["negative", "unannotated"] | None,
        typer.Option(help="A picture without regions shows no object, or is yet to be annotated."),
    ] = None,
) -> None:
    """Make a project around your own VIA files and pictures.

    Parameters are chosen for the data and explained in params.yaml. Pictures are linked where the disk
    allows, else copied; your own files are never changed.
    """
    from cnnpipe.projects.init import Request
    from cnnpipe.projects.init import init as make

    request = Request(
        directory=directory,
        annotations=annotations,
        images_dir=images,
        task=task,
        label=label,
        labels=labels,
        label_text=label_text,
        default_label=default_label,
        without_regions=without_regions,
    )
    _print_made(make(request, lambda line: typer.echo(f"init: {line}", err=True)), directory)


def update(
    annotations: Annotated[list[Path], typer.Option(help="A newer VIA file; repeat it for several.")],
    images: Annotated[
        Path | None, typer.Option(help="The folder of pictures that the project does not have yet.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would change; change nothing.")
    ] = False,
    allow_removals: Annotated[
        bool, typer.Option("--allow-removals", help="Even where most pictures of a file would go.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Take a newer export of your annotations into the project.

    Shows what was added, removed, moved, relabelled and renumbered. Pictures keep the split they have.
    """
    from cnnpipe.cli.changes import print_changes
    from cnnpipe.projects.update import Request
    from cnnpipe.projects.update import update as take_in

    request = Request(
        annotations=annotations, images_dir=images, dry_run=dry_run, allow_removals=allow_removals
    )
    with stage_process("update"):
        updated = take_in(Path(), request, lambda line: typer.echo(f"update: {line}", err=True))
    print_changes(updated, as_json=as_json)
    if not dry_run:
        typer.echo("next: cnnpipe repro", err=True)


def _print_made(made: "Made", directory: Path) -> None:
    """Print what was found and made, and what comes next."""
    from cnnpipe.projects.scaffold import describe
    from cnnpipe.projects.sizing import class_counts

    classes = ", ".join(f"{label} {count}" for label, count in class_counts(made.survey).items())
    typer.echo(f"project: {made.directory}")
    typer.echo(f"data:    {describe(made.survey)}")
    if classes:
        typer.echo(f"classes: {classes}")
    for code, number in Counter(finding.code for finding in made.survey.findings).most_common():
        typer.echo(f"noticed: {number} {code}")
    for note in _notes(made):
        typer.echo(f"note:    {note}")
    typer.echo(f"next:    cd {shlex.quote(str(directory))} && cnnpipe repro")


def _notes(made: "Made") -> list[str]:
    notes = [f"{key} is {sized.value}: {sized.why}" for key, sized in made.unusual.items()]
    if made.survey.described:
        meant = ", ".join(f"{option} is {name}" for option, name in list(made.survey.described.items())[:3])
        notes.append(
            f"the classes are numbers with descriptions ({meant}): --label-text description takes those"
        )
    if made.git == "none":
        notes.append("git is not installed: the project works without it, but nothing is versioned")
    elif made.git == "inside":
        notes.append("the folder lies in a git repository of yours, so nothing was committed")
    elif not made.is_signed:
        notes.append("git knows no identity of yours: the first commit is by cnnpipe <cnnpipe@localhost>")
    if made.replaced_empty:
        notes.append("the empty folder was replaced: a shell that stands in it must `cd` there again")
    return notes
