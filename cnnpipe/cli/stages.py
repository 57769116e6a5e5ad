"""One command per stage: load the params, call the stage, print its report."""

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from cnnpipe import paths
from cnnpipe.cli.process import end_with_parents, stage_process
from cnnpipe.errors import GateError, ParamsError
from cnnpipe.shares import own_share

if TYPE_CHECKING:
    from cnnpipe.evaluation.promotion import Contest, Proposal, Settled, Standing
    from cnnpipe.params.evaluate import CompareParams

ParamsFile = Annotated[Path, typer.Option(help="The params file.")]


def add_to(app: typer.Typer) -> None:
    """Register the commands, in the order the data flows."""
    for command in (code, sample, ingest, validate, split, augment, train, evaluate, compare, register):
        app.command()(command)


def code(params: ParamsFile = paths.PARAMS) -> None:
    """Check params.yaml whole and note what code is.

    Writes code.json, and removes results of experiments that are no longer in the params.
    """
    from cnnpipe.stages import code as stage

    with stage_process("code"):
        for folder in stage.code(params, paths.CODE):
            typer.echo(f"code: removed {folder}, its experiment is no longer in {params}", err=True)


def sample(params: ParamsFile = paths.PARAMS) -> None:
    """Compose the embedded scenes as a VIA project."""
    from cnnpipe.params.load import load_section
    from cnnpipe.params.sample import SampleParams
    from cnnpipe.stages import sample as stage

    with stage_process("sample"):
        _say("sample", stage.sample(paths.RAW, load_section(params, "sample", SampleParams)), paths.RAW)


def ingest(params: ParamsFile = paths.PARAMS) -> None:
    """Read VIA files and their pictures into records."""
    from cnnpipe.params.ingest import IngestParams
    from cnnpipe.params.load import load_section
    from cnnpipe.stages import ingest as stage

    with stage_process("ingest"):
        counts = stage.ingest(paths.INGESTED, load_section(params, "ingest", IngestParams))
        _say("ingest", counts, paths.INGESTED)


def validate(params: ParamsFile = paths.PARAMS) -> None:
    """Judge the records: clip, drop, or refuse."""
    from cnnpipe.params.ingest import IngestParams
    from cnnpipe.params.load import load_section
    from cnnpipe.params.validate import ValidateParams
    from cnnpipe.stages import validate as stage

    with stage_process("validate"):
        raw_dir = Path(load_section(params, "ingest", IngestParams).raw_dir)
        section = load_section(params, "validate", ValidateParams)
        _say("validate", stage.validate(paths.INGESTED, raw_dir, paths.VALIDATED, section), paths.VALIDATED)


def split(
    pin: Annotated[bool, typer.Option("--pin", help="Pin every picture that is not pinned yet.")] = False,
    params: ParamsFile = paths.PARAMS,
) -> None:
    """Give every picture to train, val or test."""
    from cnnpipe.params.load import load_section
    from cnnpipe.params.split import SplitParams
    from cnnpipe.stages import split as stage

    with stage_process("split"):
        if pin:
            counts = stage.pin(paths.VALIDATED, paths.SPLITS, paths.PINNED_SPLITS)
            _say("split --pin", counts, paths.PINNED_SPLITS)
        else:
            section = load_section(params, "split", SplitParams)
            counts = stage.split(paths.VALIDATED, paths.PINNED_SPLITS, paths.SPLITS, section)
            _say("split", counts, paths.SPLITS)


def augment(
    view: Annotated[str, typer.Argument(help="A key of `augment` in the params, e.g. classify.")],
    preview: Annotated[
        str | None,
        typer.Option(
            metavar="EXPERIMENT",
            help="Draw what this experiment's augmentation makes of pictures of the view, and pack nothing.",
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="The sheet of --preview, .jpg or .png; else preview-EXPERIMENT.jpg.")
    ] = None,
    params: ParamsFile = paths.PARAMS,
) -> None:
    """Pack what training reads: crops or pictures."""
    if preview is not None:
        _preview_policy(view, preview, out or Path(f"preview-{preview}.jpg"), params)
        return
    if out is not None:
        raise ParamsError("--out", "is the sheet of --preview alone", "name an experiment with --preview")
    from cnnpipe.params.augment import load_view
    from cnnpipe.params.ingest import IngestParams
    from cnnpipe.params.load import load_section

    with stage_process(f"augment@{view}"):
        # params first: a mistake is told at once, and the stage's libraries take seconds
        section = load_view(params, view)
        raw_dir = Path(load_section(params, "ingest", IngestParams).raw_dir)
        from cnnpipe.stages import augment as stage

        inputs = stage.AugmentInputs(validated=paths.VALIDATED, splits=paths.SPLITS, raw_dir=raw_dir)
        _say(
            f"augment {view}", stage.augment(inputs, paths.AUGMENTED / view, section), paths.AUGMENTED / view
        )


def _preview_policy(view: str, experiment: str, out: Path, params: Path) -> None:
    from cnnpipe.params.experiment import load_experiment

    recipe = load_experiment(params, experiment)
    if recipe.task != view:
        what = f"experiment {experiment} reads view {recipe.task}, not {view}"
        raise ParamsError("--preview", what, f"cnnpipe augment {recipe.task} --preview {experiment}")
    if out.suffix.lower() not in {".jpg", ".jpeg", ".png"}:
        raise ParamsError("--out", f"{out} is no name of a picture", "let it end in .jpg or .png")

    from cnnpipe.reports.policy_preview import write_policy_preview

    num_rows = write_policy_preview(out, paths.AUGMENTED / view, recipe, name=experiment)
    typer.echo(f"augment {view} --preview {experiment}: {num_rows} rows -> {out}", err=True)


def train(
    experiment: Annotated[str, typer.Argument(help="A key of `experiments` in the params, e.g. lenet.")],
    params: ParamsFile = paths.PARAMS,
) -> None:
    """Train one experiment, or go on where it stopped."""
    from cnnpipe.params.experiment import TrainParams, load_experiment
    from cnnpipe.params.load import load_section
    from cnnpipe.params.tracking import TrackingParams

    if own_share().rank > 0:
        _follow(experiment, params)
        return
    with stage_process(f"train@{experiment}"):
        recipe = load_experiment(params, experiment)
        machine = load_section(params, "train", TrainParams)
        when_unreachable = load_section(params, "tracking", TrackingParams).when_unreachable
        from cnnpipe.stages import train as stage
        from cnnpipe.training.processes import followers

        view, out = paths.AUGMENTED / recipe.task, paths.MODELS / experiment
        with followers(machine, ["train", experiment, "--params", str(params)]):
            run = stage.train(experiment, view, out, recipe, machine, when_unreachable=when_unreachable)
            typer.echo(
                f"train {experiment}: best epoch {run.best_epoch}, ended by {run.stop_reason} -> {out}",
                err=True,
            )
            for incident in run.incidents:
                typer.echo(f"train {experiment}: {incident}", err=True)


def _follow(experiment: str, params: Path) -> None:
    """Compute a share of a training that another process, the first one, records and writes."""
    from cnnpipe.params.experiment import TrainParams, load_experiment
    from cnnpipe.params.load import load_section
    from cnnpipe.stages import train as stage

    end_with_parents()
    recipe = load_experiment(params, experiment)
    stage.follow(paths.AUGMENTED / recipe.task, recipe, load_section(params, "train", TrainParams))


def evaluate(
    experiment: Annotated[str, typer.Argument(help="A key of `experiments` in the params, e.g. lenet.")],
    params: ParamsFile = paths.PARAMS,
) -> None:
    """Judge one trained experiment by every metric."""
    from cnnpipe.params.evaluate import EvaluateParams
    from cnnpipe.params.experiment import load_experiment
    from cnnpipe.params.load import load_section

    with stage_process(f"evaluate@{experiment}"):
        task = load_experiment(params, experiment).task
        section = load_section(params, "evaluate", EvaluateParams)
        from cnnpipe.stages import evaluate as stage

        inputs = stage.EvaluateInputs(model=paths.MODELS / experiment, view=paths.AUGMENTED / task)
        metrics = stage.evaluate(experiment, inputs, paths.RESULTS / experiment, section)
        shown = f"test/{stage.MAIN_METRIC[task]}"
        told = f"{shown} {metrics[shown]:.3f}" if shown in metrics else f"{shown} is undefined"
        typer.echo(f"evaluate {experiment}: {told}", err=True)


def compare(params: ParamsFile = paths.PARAMS) -> None:
    """Put every experiment side by side."""
    from cnnpipe.params.document import Document
    from cnnpipe.params.load import check, read_yaml
    from cnnpipe.stages import compare as stage

    with stage_process("compare"):
        document = check(read_yaml(params), Document, where=str(params), section="")
        inputs = stage.CompareInputs(results=paths.RESULTS, models=paths.MODELS, views=paths.AUGMENTED)
        stage.compare(inputs, document.experiments, paths.COMPARISON, document.compare)
        typer.echo(f"compare: {len(document.experiments)} experiments -> {paths.COMPARISON}", err=True)


def register(
    promote: Annotated[
        str | None,
        typer.Option(
            metavar="EXPERIMENT", help="Make this one the champion of its task, whatever the gate would say."
        ),
    ] = None,
    require: Annotated[
        bool, typer.Option("--require", help="End with exit code 6 where the last decision is a refusal.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print what was decided as one JSON object.")
    ] = False,
    params: ParamsFile = paths.PARAMS,
) -> None:
    """Find or rebuild each MLflow run, and decide who is champion.

    The champion of each task is replaced by the best on val where its lead on test is certain. A refusal is a
    decision: it ends with 0.
    """
    from cnnpipe.evaluation.promotion import said_of
    from cnnpipe.params.evaluate import CompareParams
    from cnnpipe.params.load import load_section
    from cnnpipe.params.register import RegisterParams
    from cnnpipe.stages import register as stage

    with stage_process("register"):
        sections = stage.GateParams(
            load_section(params, "register", RegisterParams), load_section(params, "compare", CompareParams)
        )
        places = stage.RegisterFiles(
            models=paths.MODELS,
            results=paths.RESULTS,
            comparison=paths.COMPARISON,
            views=paths.AUGMENTED,
            registered=paths.REGISTERED,
            decision=paths.DECISION,
        )
        doors = stage.Doors(_ensure_runs, _champion_of, _fetched_bundle, _contest, _settle)
        decision = stage.register(places, sections, doors, promote=promote)
        for task in decision.tasks.values():
            typer.echo(said_of(task), err=True)
    if as_json:
        typer.echo(msgspec.json.encode(decision).decode())
    refused = [task for task in decision.tasks.values() if task.decision == "refused"]
    if require and refused:
        fix = f"train a better one, or `cnnpipe register --promote {refused[0].candidate.experiment}`"
        raise GateError("register", "; ".join(f"{task.task}: {task.reason}" for task in refused), fix)


# What `register` needs of MLflow (3 s) and torch (5 s), loaded only where there is something to do.


def _ensure_runs(experiments: Iterable[tuple[Path, Path]]) -> list[str]:
    from cnnpipe.tracking import projection

    return projection.ensure_runs(experiments)


def _champion_of(model: str) -> "Standing | None":
    from cnnpipe.tracking import registry

    return registry.champion_of(model)


def _settle(proposal: "Proposal") -> "Settled | None":
    from cnnpipe.tracking import registry

    return registry.settle(proposal)


def _fetched_bundle(address: str) -> AbstractContextManager[Path]:
    from cnnpipe.tracking.fetched_bundle import fetched_bundle

    return fetched_bundle(address)


def _contest(task: str, champion: Path, results: Path, view: Path, params: "CompareParams") -> "Contest":
    if task == "detect":
        from cnnpipe.tasks.detect.contest import contest
    elif task == "regress":
        from cnnpipe.tasks.regress.contest import contest
    else:
        from cnnpipe.tasks.classify.contest import contest
    return contest(champion, results, view, params)


def _say(stage: str, counts: Mapping[str, int], out: Path) -> None:
    """Print what a stage did; progress, so on stderr."""
    told = ", ".join(f"{number} {what}" for what, number in counts.items() if number)
    typer.echo(f"{stage}: {told or 'nothing to do'} -> {out}", err=True)
