"""How templates are filled in: escaped, and with an error where a name is unknown."""

from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

_TEMPLATES: Final = Path(__file__).with_name("templates")


def page_environment(*, keep_trailing_newline: bool = False) -> Environment:
    """Return what renders the templates below `templates/`."""
    return Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=keep_trailing_newline,
    )
