"""The commands about networks: which there are, and the layers of one. No project is needed."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
import typer

from cnnpipe import paths
from cnnpipe.errors import CnnpipeError, ParamsError

if TYPE_CHECKING:
    from cnnpipe.models.shape import NetworkShape
    from cnnpipe.params.network_options import NetworkOptions

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]

_CLASSES: Final = 10  # of a network whose source has no number of them
_PICTURE: Final = (3, 224)  # channels and side of one whose source has no input

models = typer.Typer(
    name="models",
    help="List the networks: source, year, parameters, FLOPs, input, weights. `show`: the layers of one.",
    invoke_without_command=True,
    rich_markup_mode=None,
)


def add_to(app: typer.Typer) -> None:
    """Register `cnnpipe models` and what is below it."""
    models.callback()(list_models)
    if not models.registered_commands:
        models.command("show")(show)
    app.add_typer(models)


def list_models(context: typer.Context, as_json: AsJson = False) -> None:
    """List the networks, with the numbers of their sources. Nothing is built: it takes no time."""
    if context.invoked_subcommand is not None:
        return
    from cnnpipe.cli.models_table import print_models
    from cnnpipe.params.networks import DETECTOR_WEIGHTS, NETWORK_FACTS

    if as_json:
        classifiers = [{"name": name, **facts._asdict()} for name, facts in NETWORK_FACTS.items()]
        detectors = [{"name": name, "weights": weights} for name, weights in DETECTOR_WEIGHTS.items()]
        typer.echo(msgspec.json.encode({"classifiers": classifiers, "detectors": detectors}).decode())
    else:
        print_models(NETWORK_FACTS, DETECTOR_WEIGHTS)


def show(
    name: Annotated[str, typer.Argument(help="Of a network of `cnnpipe models`, or timm/NAME.")],
    picture: Annotated[
        str | None, typer.Option("--input", metavar="CxHxW", help="E.g. 3x224x224; by itself the source's.")
    ] = None,
    classes: Annotated[int | None, typer.Option(min=2, help="By itself the source's.")] = None,
    experiment: Annotated[
        str | None, typer.Option(help="Take options and input of this experiment of params.yaml.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show each layer of a network: output, parameters, receptive field, FLOPs; only sizes are computed.

    Output sizes by formula are compared with those of the network as it runs; exits 1 where they differ.

    Example: cnnpipe models show vgg16 --input 3x224x224
    """
    _check_name(name)
    shape = _shape(name, picture=picture, classes=classes, experiment=experiment)

    from functools import partial

    from cnnpipe.cli.layers_table import print_layers
    from cnnpipe.models.layer_report import report_layers
    from cnnpipe.models.networks import build_network

    make = partial(build_network, name, shape, weights="none", seed=0)
    report = report_layers(make, channels=shape.channels, side_px=shape.side_px)
    if as_json:
        told = {
            "network": name,
            "input": [shape.channels, shape.side_px, shape.side_px],
            "classes": shape.num_classes,
            "options": shape.options.model_dump(exclude_none=True),
            "agrees": not report.differing,
            **msgspec.to_builtins(report),
        }
        typer.echo(msgspec.json.encode(told).decode())
    else:
        print_layers(report)
    for layer in report.differing:
        what = f"{layer.output} as run, and {layer.output_by_formula} by formula"
        raise CnnpipeError(
            f"{name}, layer {layer.name}", what, "this is a fault of cnnpipe: please report it"
        )


def _check_name(name: str) -> None:
    from cnnpipe.params.load import did_you_mean
    from cnnpipe.params.networks import DETECTOR_WEIGHTS, NETWORK_FACTS, is_of_timm

    if name in DETECTOR_WEIGHTS:
        what = "a detector: its layers depend on what it finds, and are not shown"
        raise ParamsError(name, what, "name a classifier of `cnnpipe models`")
    if name not in NETWORK_FACTS and not is_of_timm(name):
        fix = f"{did_you_mean(name, NETWORK_FACTS)}`cnnpipe models` lists the networks"
        raise ParamsError("network", f"{name!r} is not known", fix)


def _shape(name: str, *, picture: str | None, classes: int | None, experiment: str | None) -> "NetworkShape":
    from cnnpipe.params.network_options import NetworkOptions
    from cnnpipe.params.networks import NETWORK_FACTS

    facts = NETWORK_FACTS.get(name)
    channels, side_px = (facts.channels, facts.side_px) if facts else _PICTURE
    options = NetworkOptions()
    if experiment is not None:
        options, channels, side_px = _of_experiment(name, experiment)
    elif name == "cnn":
        fix = "name an experiment of params.yaml that has them: cnnpipe models show cnn --experiment NAME"
        raise ParamsError("network cnn", "its layers are yours", fix)
    if picture is not None:
        channels, side_px = _size_of(picture, name=name)

    from cnnpipe.models.shape import NetworkShape

    return NetworkShape(
        num_classes=classes or (facts and facts.num_classes) or _CLASSES,
        channels=channels or _PICTURE[0],
        side_px=side_px or _PICTURE[1],
        dropout=0.0,
        options=options,
    )


def _of_experiment(
    name: str, experiment: str, params: Path = paths.PARAMS
) -> "tuple[NetworkOptions, int, int]":
    from cnnpipe.params.experiment import load_experiment
    from cnnpipe.params.network_options import NetworkOptions

    recipe: Any = load_experiment(params, experiment)
    if recipe.network != name:
        fix = f"cnnpipe models show {recipe.network} --experiment {experiment}"
        raise ParamsError(f"experiments.{experiment}", f"its network is {recipe.network}, not {name}", fix)
    return recipe.options or NetworkOptions(), recipe.input.channels, recipe.input.side_px


def _size_of(picture: str, *, name: str) -> tuple[int, int]:
    from cnnpipe.params.networks import side_fault

    fix = "write it as channels x height x width, e.g. --input 3x224x224"
    found = re.fullmatch(r"([0-9]+)x([0-9]+)x([0-9]+)", picture)
    if found is None:
        raise ParamsError("--input", f"{picture!r} is not CxHxW", fix)
    channels, height, width = map(int, found.groups())
    if channels not in (1, 3):
        raise ParamsError("--input", f"{channels} channels: a picture has 1 (grey) or 3 (colour)", fix)
    if height != width or height < 1:
        what = f"{height} x {width} px: networks take squares, which pictures are fitted to"
        raise ParamsError("--input", what, fix)
    if fault := side_fault(name, height):
        raise ParamsError("--input", fault, "name another side")
    return channels, height
