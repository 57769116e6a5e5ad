"""How a VIA project says that boxes are a network's, and whether a person has checked them.

`cnnpipe predict --via` gives every picture the file attribute below; whoever has looked over a picture sets
it to `checked`. Until then neither its boxes nor their absence count as truth.
"""

from collections.abc import Mapping
from typing import Any, Final

from cnnpipe.formats.via.labels import labels_of

REVIEW_ATTRIBUTE: Final = "cnnpipe_review"  # of a file
UNCHECKED: Final = "machine"  # as a network left it
CHECKED: Final = "checked"  # by a person
SCORE_ATTRIBUTE: Final = "score"  # of a region: how sure the network was, in [0, 1]


def is_unchecked(file_attributes: Mapping[str, Any]) -> bool:
    """Whether a picture's regions are a network's that no person has checked."""
    return UNCHECKED in labels_of(file_attributes.get(REVIEW_ATTRIBUTE))


def is_checked(file_attributes: Mapping[str, Any]) -> bool:
    """Whether a person has checked what a network found in the picture."""
    return CHECKED in labels_of(file_attributes.get(REVIEW_ATTRIBUTE))
