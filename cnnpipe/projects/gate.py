"""The rules of stage `validate` before there is a params.yaml: for `cnnpipe init` and `cnnpipe via check`."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from cnnpipe.params.validate import ValidateParams

# As the template of params.yaml has them; each unit and meaning stands there.
_USUAL: Final[Mapping[str, Any]] = MappingProxyType(
    {
        "label_attribute": "auto",
        "image_label_attribute": None,
        "several_labels": "leave_out",
        "polyline_as_outline": True,
        "min_side_px": 3.0,
        "huge_box_fraction": 0.95,
        "repeated_box_iou": 0.9,
        "near_duplicate_bits": 4,
        "blank_contrast": 2.0,
        "imbalance_ratio": 20.0,
        "limits": {},
    }
)


def usual_gate(**chosen: Any) -> ValidateParams:
    """Return section `validate` with the usual values, but for those that are chosen; without limits."""
    return ValidateParams.model_validate({**_USUAL, **chosen})
