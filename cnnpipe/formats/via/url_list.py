"""Lists of pictures by address or path, one a line, as VIA 2 takes them to start a project.

Source: `import_files_url_from_csv` and `project_file_add_url` of via-2.x.y/src/via.js (2.0.11).
"""

from typing import Any

from cnnpipe.annotations import found
from cnnpipe.formats.via.csv_rows import lines_of
from cnnpipe.formats.via.records import ViaEntry, ViaFile


def read_url_list(text: bytes, *, where: str) -> ViaFile:
    """Return the file with this text: entries without regions, each address once.

    Blank lines, and lines that begin with # and a blank, are passed over: an address may begin with #.
    """
    addresses: dict[str, int] = {}  # to the line it stands in first
    findings = []
    for row in lines_of(text):
        address = row.text.strip()
        if address.startswith("# ") or address == "#":
            continue
        first = addresses.setdefault(address, row.line)
        if first != row.line:
            what = f"line {row.line} repeats line {first}; it counts once"
            findings.append(found("entry-repeated", f"{where}: {address}", what, "delete one of them"))
    if not addresses:
        findings.append(
            found("file-empty", where, "names no picture", "put one address or path on each line")
        )
    nothing: dict[str, Any] = {}  # one for all
    entries = tuple(
        ViaEntry(
            key=f"{address}-1",  # VIA's own: an address has the size -1
            filename=address,
            size_bytes=None,
            regions=(),
            file_attributes=nothing,
            findings=(),
        )
        for address in addresses
    )
    return ViaFile(
        kind="url-list",
        version="2",
        entries=entries,
        attributes={"region": {}, "file": {}},
        image_order=tuple(entry.key for entry in entries),
        findings=tuple(findings),
        num_images=len(entries),
        num_regions=0,
    )
