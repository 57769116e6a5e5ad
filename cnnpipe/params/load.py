"""Read params.yaml as DVC does, and say every fault of it in one message."""

import difflib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from cnnpipe.errors import ParamsError
from cnnpipe.params.section import Params

SectionParams = TypeVar("SectionParams", bound=Params)


def load_section(path: Path, section: str, kind: type[SectionParams]) -> SectionParams:
    """Return one section of params.yaml; "experiments.lenet" reaches into a section.

    Raises:
        ParamsError: the file, the section or a value in it is wrong; all faults are named.
    """
    value: Any = read_yaml(path)
    for depth, key in enumerate(section.split(".")):
        if not isinstance(value, dict) or key not in value:
            parent = ".".join(section.split(".")[:depth]) or path.name
            known = sorted(value) if isinstance(value, dict) else []
            raise ParamsError(
                str(path),
                f"{section} is missing",
                f"{did_you_mean(key, known)}the keys of {parent!r} are: {', '.join(known)}",
            )
        value = value[key]
    return check(value, kind, where=str(path), section=section)


def read_yaml(path: Path) -> dict[str, Any]:
    """Return the mapping in a YAML 1.2 file (in 1.1, `1e-3` is a string and `on` a bool).

    Raises:
        ParamsError: the file is missing, not YAML, or not a mapping.
    """
    try:
        value = YAML(typ="safe").load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ParamsError(str(path), "file not found", "run cnnpipe in the folder of the project") from error
    except (YAMLError, UnicodeDecodeError) as error:
        place = " ".join(str(error).split())
        raise ParamsError(str(path), f"not YAML: {place}", "mend the line named above") from error
    if not isinstance(value, dict):
        raise ParamsError(str(path), "holds no sections", "see the params.yaml of the demo")
    return value


def check(value: Any, kind: type[SectionParams], *, where: str, section: str) -> SectionParams:
    """Return `value` as `kind`.

    Raises:
        ParamsError: every wrong, missing and unknown key, each with what it should be.
    """
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        faults = error.errors(include_url=False)
        what = "; ".join(_describe(fault, section) for fault in faults)
        fixes = dict.fromkeys(_fix(fault, kind, section) for fault in faults)
        raise ParamsError(
            where, what, "; ".join(filter(None, fixes)) or "mend the values named above"
        ) from error


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return "did you mean 'x'? " for the known name nearest to `name`, or ""."""
    near = difflib.get_close_matches(name, list(known), n=1)
    return f"did you mean {near[0]!r}? " if near else ""


def _describe(fault: ErrorDetails, section: str) -> str:
    place = _place(fault, section)
    match fault["type"]:
        case "missing":
            return f"{place} is missing"
        case "extra_forbidden":
            return f"{place} is not a known key"
        case "value_error":
            return f"{place}: {fault['ctx']['error']}"
        case _:
            return f"{place} is {fault['input']!r}: {fault['msg'][0].lower()}{fault['msg'][1:]}"


def _fix(fault: ErrorDetails, kind: type[BaseModel], section: str) -> str:
    if fault["type"] not in ("missing", "extra_forbidden"):
        return ""
    parents = fault["loc"][:-1]
    known = _keys_at(kind, parents)
    name = ".".join(filter(None, [section, *(str(part) for part in parents)])) or "params.yaml"
    return f"{did_you_mean(str(fault['loc'][-1]), known)}the keys of {name!r} are: {', '.join(known)}"


def _place(fault: ErrorDetails, section: str) -> str:
    return ".".join(filter(None, [section, *(str(part) for part in fault["loc"])])) or "params.yaml"


def _keys_at(kind: type[BaseModel], parents: tuple[int | str, ...]) -> list[str]:
    """Return the keys of the model that `parents` leads to, through mappings and unions."""
    models: list[Any] = [kind]
    for part in parents:
        models = [inner for model in models for inner in _step(model, str(part))] or models
    return sorted({field.alias or name for model in models for name, field in model.model_fields.items()})


def _step(model: type[BaseModel], part: str) -> list[type[BaseModel]]:
    for name, field in model.model_fields.items():
        if part == (field.alias or name):
            return _models_in(field.annotation)
    # a key of a mapping (the name of an experiment) or the tag of a union: stay with what fits
    return [model] if _has_tag(model, part) or not model.model_fields else []


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in getattr(annotation, "__args__", ()) for model in _models_in(part)]


def _has_tag(model: type[BaseModel], part: str) -> bool:
    field = model.model_fields.get("name")
    return field is not None and part in getattr(field.annotation, "__args__", ())
