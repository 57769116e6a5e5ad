"""Names as MLflow takes them, of metrics, parameters and models: readable, and no two of them the same."""

import hashlib
import re
import unicodedata
from typing import Final

# MLflow's rule is ^[/\w.\- :]*$ and that the name is its own normal form as a POSIX path. The colon is
# left to the escapes: ":plus sign:".
_REFUSED: Final = re.compile(r"[^/\w.\- ]")
_EMPTY_SEGMENT: Final = re.compile(r"^/|(?<=/)/|/$")
_DOTS_ONLY: Final = re.compile(r"^\.\.|(?:(?<=/)|^)\.{1,2}(?=/|$)")
_MAX_LENGTH: Final = 250  # of MLflow's keys
# MLflow refuses "/" and ":" in a model's name; its addresses, models:/<name>@<alias>, bear no "@" or "?".
_REFUSED_OF_MODELS: Final = re.compile(r"^[.\-]+|[^\w.\-]")
_MAX_OF_PROJECTS: Final = 150  # of MLflow's 256 characters


def mlflow_name(name: str) -> str:
    """Return `name` with every character that MLflow refuses written out: "c++" is "c:plus sign::plus sign:".

    No two names are given the same one. Beyond 250 characters the end is replaced by a digest of the whole.

    Source: mlflow 3.17, utils/validation.py, `validate_param_and_metric_name` and `path_not_unique`.
    """
    encoded = _REFUSED.sub(_write_out, name)
    encoded = _EMPTY_SEGMENT.sub(_write_out, encoded)
    encoded = _DOTS_ONLY.sub(_write_out, encoded)
    if len(encoded) <= _MAX_LENGTH:
        return encoded
    digest = hashlib.sha256(encoded.encode()).hexdigest()[:32]
    # a colon alone begins no escape, so this is no other name's
    return f"{encoded[: _MAX_LENGTH - 33].rstrip('/')}:{digest}"


def model_name(project: str, task: str) -> str:
    """Return the name of the registered model of a task: "fruit-classify".

    Characters of the project's name that MLflow or its addresses refuse become "_", and a digest of the whole
    name keeps two such projects apart.

    Source: mlflow 3.17, utils/validation.py, `_validate_model_name`; store/artifact/utils/models.py.
    """
    plain = _REFUSED_OF_MODELS.sub("_", project)[:_MAX_OF_PROJECTS]
    if plain != project:
        whole = hashlib.sha256(project.encode(errors="surrogatepass")).hexdigest()
        plain = f"{plain}.{whole[:12]}"
    return f"{plain}-{task}"


def _write_out(match: re.Match[str]) -> str:
    return "".join(f":{unicodedata.name(c, f'u{ord(c):04x}').lower()}:" for c in match[0])
