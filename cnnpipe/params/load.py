"""Read params.yaml as DVC does, and say every fault of it in one message."""

import difflib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar, get_args

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
    return check(load_value(path, section), kind, where=str(path), section=section)


def load_value(path: Path, section: str) -> Any:
    """Return what stands under "experiments.lenet" in params.yaml, unchecked.

    Raises:
        ParamsError: the file or a key on the way is missing.
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
    return value


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
        what = "; ".join(_describe(fault, kind, section) for fault in faults)
        fixes = dict.fromkeys(_fix(fault, kind, section) for fault in faults)
        raise ParamsError(
            where, what, "; ".join(filter(None, fixes)) or "mend the values named above"
        ) from error


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return "did you mean 'x'? " for the known name nearest to `name`, or ""."""
    near = difflib.get_close_matches(name, list(known), n=1)
    return f"did you mean {near[0]!r}? " if near else ""


def _describe(fault: ErrorDetails, kind: type[BaseModel], section: str) -> str:
    place = _place(_walk(kind, fault["loc"])[0], section)
    match fault["type"]:
        case "missing":
            return f"{place} is missing"
        case "extra_forbidden":
            return f"{place} is not a known key"
        case "value_error":
            return f"{place}: {fault['ctx']['error']}"
        case "union_tag_invalid":
            key, tag = fault["ctx"]["discriminator"].strip("'"), fault["ctx"]["tag"]
            return f"{place}.{key} is {tag!r}: it should be {fault['ctx']['expected_tags']}"
        case _:
            return f"{place} is {fault['input']!r}: {fault['msg'][0].lower()}{fault['msg'][1:]}"


def _fix(fault: ErrorDetails, kind: type[BaseModel], section: str) -> str:
    if fault["type"] not in ("missing", "extra_forbidden"):
        return ""
    keys, models = _walk(kind, fault["loc"][:-1])
    known = sorted({field.alias or name for model in models for name, field in model.model_fields.items()})
    listed = f"the keys of {_place(keys, section)!r} are: {', '.join(known)}"
    is_unknown = fault["type"] == "extra_forbidden"
    return (did_you_mean(str(fault["loc"][-1]), known) if is_unknown else "") + listed


def _place(keys: Sequence[str], section: str) -> str:
    return ".".join(filter(None, [section, *keys])) or "params.yaml"


def _walk(kind: type[BaseModel], loc: Sequence[int | str]) -> tuple[list[str], list[type[BaseModel]]]:
    """Return the keys of the file that `loc` goes along, and the models it leads to.

    Behind the key of a union pydantic puts the tag of the model it took, which is no key of the file.
    """
    keys, models = [], [kind]
    for part in map(str, loc):
        tagged = [model for model in models if _has_tag(model, part)]
        if tagged:
            models = tagged
            continue
        keys.append(part)
        # what is no field is a key of a mapping, e.g. the name of an experiment: its values are the models
        models = [inner for model in models for inner in _models_of_field(model, part)] or models
    return keys, models


def _models_of_field(model: type[BaseModel], part: str) -> list[type[BaseModel]]:
    for name, field in model.model_fields.items():
        if part == (field.alias or name):
            return _models_in(field.annotation)
    return []


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models_in(part)]


def _has_tag(model: type[BaseModel], part: str) -> bool:
    fields = (model.model_fields.get(name) for name in _DISCRIMINATORS)
    return any(field is not None and part in get_args(field.annotation) for field in fields)


_DISCRIMINATORS: Final = ("task", "name")
