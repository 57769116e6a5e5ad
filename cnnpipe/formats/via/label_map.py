"""The file with which a person says what spellings mean: `sandiwch: sandwich`."""

from pathlib import Path
from typing import Final

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from cnnpipe.errors import DataError

_FIX: Final = "write one line per spelling, `spelling: class`; `spelling: null` leaves it out"


def read_label_map(path: Path) -> dict[str, str | None]:
    """Return the class that each spelling means; None: what has it counts as not labelled.

    A class that stands for itself needs no line. Numbers are taken as texts.

    Raises:
        DataError: missing, not YAML, or not one line per spelling.
    """
    try:
        value = YAML(typ="safe").load(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise DataError(str(path), f"cannot be read: {error.strerror}", _FIX) from error
    except (UnicodeDecodeError, YAMLError) as error:
        raise DataError(str(path), f"not YAML: {' '.join(str(error).split())}", _FIX) from error
    if not isinstance(value, dict):
        raise DataError(str(path), "holds no spellings", _FIX)
    wrong = [
        str(key)
        for key, each in value.items()
        if not isinstance(each, str | int | None) or (each is not None and not str(each).strip())
    ]
    if wrong:
        raise DataError(str(path), f"what {', '.join(wrong)} means is not a text", _FIX)
    return {str(key).strip(): None if each is None else str(each).strip() for key, each in value.items()}
