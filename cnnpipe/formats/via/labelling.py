"""How a class is taken from attributes: which one holds it, and what its values are called."""

from collections.abc import Mapping
from typing import Any, Final, Literal

import msgspec

from cnnpipe.formats.via.labels import labels_of
from cnnpipe.formats.via.records import DeclaredAttribute

LabelText = Literal["id", "description"]  # of an option: what regions hold, or what people see
_WITH_OPTIONS: Final = ("radio", "dropdown", "image", "checkbox")


class Labelling(msgspec.Struct, frozen=True, kw_only=True):
    """The rule by which attributes become labels."""

    attribute: str | None  # that holds the class; None: there is none
    names: Mapping[str, str] = {}  # option id to the name that stands for it
    # a label as it is spelled to the class it means; None: what has it counts as not labelled
    mapping: Mapping[str, str | None] = {}
    default: str | None = None  # the label where no value stands; None: such a one has no label


def labels_by(labelling: Labelling, attributes: Mapping[str, Any]) -> list[str]:
    """Return the labels of one region or picture: mostly one, several of a checkbox, none if missing.

    Each label once, in the order of the file: two spellings may mean one class.
    """
    spelled = [] if labelling.attribute is None else labels_of(attributes.get(labelling.attribute))
    if not spelled:
        return [] if labelling.default is None else [labelling.default]
    named = [labelling.names.get(label, label) for label in spelled]
    meant = [labelling.mapping.get(label, label) for label in named]
    return list(dict.fromkeys(label for label in meant if label is not None))


def option_names(declared: DeclaredAttribute | None, text: LabelText) -> dict[str, str]:
    """Return what each option of an attribute is called; without a description it is called by its id."""
    if declared is None or text == "id" or declared.type not in _WITH_OPTIONS:
        return {}
    seen = {option: description.strip() for option, description in declared.options.items()}
    return {option.strip(): name for option, name in seen.items() if name}
