"""Change a value in params.yaml and leave the rest of the file as its owner wrote it, comments and all."""

import io
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.nodes import ScalarNode
from ruamel.yaml.representer import RoundTripRepresenter

from cnnpipe.errors import ParamsError
from cnnpipe.params.load import read_yaml


class _Representer(RoundTripRepresenter):
    """Writes `null` where ruamel would write nothing."""

    def represent_null(self, _value: None) -> ScalarNode:
        """Return the node of an empty value."""
        return self.represent_scalar("tag:yaml.org,2002:null", "null")


_Representer.add_representer(type(None), _Representer.represent_null)


def with_annotations(path: Path, added: list[str]) -> bytes:
    """Return the content of params.yaml with annotation files added to `ingest.annotations`.

    Raises:
        ParamsError: it could not be done without changing other values.
    """
    yaml = YAML()  # round trip; YAML 1.2
    yaml.Representer = _Representer
    yaml.preserve_quotes = True
    yaml.width = 2**16  # lines are never broken
    content = path.read_text(encoding="utf-8")
    yaml.indent(mapping=2, sequence=4, offset=2)
    document = yaml.load(content)
    document["ingest"]["annotations"].extend(added)
    written = io.StringIO()
    yaml.dump(document, written)
    wanted = read_yaml(path)
    wanted["ingest"]["annotations"].extend(added)
    if YAML(typ="safe").load(written.getvalue()) != wanted:
        fix = f"add {', '.join(map(repr, added))} to ingest.annotations by hand, and run it again"
        raise ParamsError(str(path), "cannot be extended without changing other values", fix)
    return written.getvalue().encode()
