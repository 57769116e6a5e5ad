"""What people call a split: the folder a picture lies in, or the value of an attribute."""

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Final

from cnnpipe.annotations import Split

# Compared without case.
SPLIT_NAMES: Final[Mapping[str, Split]] = MappingProxyType(
    {
        "train": "train",
        "training": "train",
        "val": "val",
        "valid": "val",
        "validation": "val",
        "dev": "val",
        "test": "test",
        "testing": "test",
    }
)


def split_of_folder(image_id: str) -> Split | None:
    """Return the split that a folder of the path names; the innermost one counts."""
    named = [SPLIT_NAMES.get(part.lower()) for part in PurePosixPath(image_id).parent.parts]
    return next((given for given in reversed(named) if given), None)


def split_of_value(labels: Sequence[str]) -> Split | None:
    """Return the split that an attribute names with its labels; several name none."""
    return SPLIT_NAMES.get(labels[0].lower()) if len(labels) == 1 else None
