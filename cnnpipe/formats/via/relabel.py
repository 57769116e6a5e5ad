"""Write the classes that a label map means into a VIA file: spellings become classes, the options too."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from cnnpipe.formats.via.labelling import Labelling
from cnnpipe.formats.via.labels import labels_of
from cnnpipe.formats.via.records import DeclaredAttribute, Part, ViaEntry, ViaFile

_ATTRIBUTE: Final = "class"  # that gets the default, where no attribute holds the class


class Relabelled(msgspec.Struct, frozen=True, kw_only=True):
    """A file with other values."""

    file: ViaFile
    # spelling ("": no value) and class (None: taken out) to how many regions or pictures had it; the most
    # frequent first
    counts: dict[tuple[str, str | None], int]


def relabel(file: ViaFile, labelling: Labelling, part: Part) -> Relabelled:
    """Return the file with each value of the attribute as `labelling` means it.

    Values whose spelling stands for itself stay as they are, blanks around them included. An option that is
    mapped to another goes; the class it means becomes an option, where it is none. Regions without a value
    get the default, if there is one.

    Args:
        file: as read.
        labelling: the attribute, what its options are called, and what each spelling means.
        part: whether regions have the attribute, or pictures.
    """
    has_default = labelling.default is not None and part == "region"
    attribute = labelling.attribute or (_ATTRIBUTE if has_default else None)
    if attribute is None or not (labelling.mapping or has_default):
        return Relabelled(file=file, counts={})
    declared = file.attributes.get(part, {}).get(attribute)
    meant = _Meanings(labelling, declared)
    entries = tuple(_relabel_entry(entry, attribute, part, meant) for entry in file.entries)
    attributes = {each: dict(of_part) for each, of_part in file.attributes.items()}
    if declared is not None:
        attributes[part][attribute] = _with_options(declared, meant)
    changed = msgspec.structs.replace(file, entries=entries, attributes=attributes)
    return Relabelled(file=changed, counts=dict(meant.counts.most_common()))


class _Meanings:
    """What each value is to be, and how often one was changed."""

    def __init__(self, labelling: Labelling, declared: DeclaredAttribute | None) -> None:
        self.counts: Counter[tuple[str, str | None]] = Counter()
        self._names = labelling.names
        self._mapping = labelling.mapping
        self._default = labelling.default
        self._is_checkbox = declared is not None and declared.type == "checkbox"
        options = {} if declared is None else declared.options
        # a class is written as the option that is called so
        self._ids = {labelling.names.get(option.strip(), option.strip()): option for option in options}

    def of(self, label: str) -> str | None:
        """Return the value that a label becomes; itself where it stands for itself."""
        name = self._names.get(label, label)
        meant = self._mapping.get(name, name)
        return label if meant == name else (None if meant is None else self._ids.get(meant, meant))

    def count(self, labels: Iterable[str]) -> None:
        for label in labels:
            if self.of(label) != label:
                name = self._names.get(label, label)
                self.counts[name, self._mapping.get(name, name)] += 1

    def fill(self) -> Any:
        """Return the value of a region that has none; None: it stays so."""
        if self._default is None:
            return None
        self.counts["", self._default] += 1
        option = self._ids.get(self._default, self._default)
        return {option: True} if self._is_checkbox else option

    def is_replaced(self, option: str) -> bool:
        return self.of(option.strip()) != option.strip()


def _relabel_entry(entry: ViaEntry, attribute: str, part: Part, meant: _Meanings) -> ViaEntry:
    if part == "file":
        return msgspec.structs.replace(
            entry, file_attributes=_relabel_values(entry.file_attributes, attribute, meant)
        )
    regions = tuple(
        msgspec.structs.replace(region, attributes=_relabel_region(region.attributes, attribute, meant))
        for region in entry.regions
    )
    return msgspec.structs.replace(entry, regions=regions)


def _relabel_region(attributes: dict[str, Any], attribute: str, meant: _Meanings) -> dict[str, Any]:
    if labels_of(attributes.get(attribute)):
        return _relabel_values(attributes, attribute, meant)
    value = meant.fill()
    return attributes if value is None else {**attributes, attribute: value}


def _relabel_values(attributes: dict[str, Any], attribute: str, meant: _Meanings) -> dict[str, Any]:
    value = attributes.get(attribute)
    labels = labels_of(value)
    after = [meant.of(label) for label in labels]
    if after == labels:
        return attributes
    meant.count(labels)
    kept = list(dict.fromkeys(label for label in after if label is not None))
    if isinstance(value, Mapping):
        return {**attributes, attribute: dict.fromkeys(kept, True)}
    if isinstance(value, list):
        return {**attributes, attribute: kept}
    if kept:
        return {**attributes, attribute: kept[0]}
    return {name: each for name, each in attributes.items() if name != attribute}


def _with_options(declared: DeclaredAttribute, meant: _Meanings) -> DeclaredAttribute:
    options = {option: seen for option, seen in declared.options.items() if not meant.is_replaced(option)}
    if declared.options:
        targets = (meant.of(option.strip()) for option in declared.options if meant.is_replaced(option))
        written = (label for _, label in meant.counts if label is not None)
        for label in (*targets, *written):
            if label is not None and label not in {*options, *options.values()}:
                options[label] = ""
    defaults = {option: value for option, value in declared.default_options.items() if option in options}
    return msgspec.structs.replace(declared, options=options, default_options=defaults)
