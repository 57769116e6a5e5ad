"""Attributes JSON of VIA 2: what a project declares, without pictures.

Source: `project_save_attributes` of via-2.x.y/src/via.js (2.0.11).
"""

from cnnpipe.errors import AnnotationError
from cnnpipe.formats.via.declared import parse_declared
from cnnpipe.formats.via.decode import decode_json
from cnnpipe.formats.via.records import ViaFile


def read_attributes(text: bytes, *, where: str) -> ViaFile:
    """Return the file with this text: declared attributes, and no entries.

    Raises:
        AnnotationError: not JSON, or no object.
    """
    value = decode_json(text, where=where)
    if not isinstance(value, dict):
        fix = "export the attributes from VIA again"
        raise AnnotationError(where, "holds no attributes of regions or files", fix)
    return ViaFile(
        kind="attributes-json",
        version="2",
        entries=(),
        attributes=parse_declared(value),
        image_order=(),
        findings=(),
        num_images=0,
        num_regions=0,
    )
