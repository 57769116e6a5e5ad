"""Entries of VIA files in few words, for tests of several files: (shape, class), or (shape, attributes)."""

from collections.abc import Mapping, Sequence
from typing import Any

from cnnpipe.formats.via.records import DeclaredAttribute, Part, ViaEntry, ViaFile, ViaRegion
from cnnpipe.geometry.shapes import Rect, Shape

A, B, C = Rect(0, 0, 9, 9), Rect(20, 0, 9, 9), Rect(40, 0, 9, 9)


def entry(
    filename: str,
    *regions: tuple[Shape | None, Any],
    size: int | None = 10,
    key: str | None = None,
    **file_attributes: Any,
) -> ViaEntry:
    return ViaEntry(
        key=f"{filename}{-1 if size is None else size}" if key is None else key,
        filename=filename,
        size_bytes=size,
        regions=tuple(
            ViaRegion(
                number=number,
                shape=shape,
                attributes=dict(values) if isinstance(values, Mapping) else {"class": values},
            )
            for number, (shape, values) in enumerate(regions)
        ),
        file_attributes=file_attributes,
        findings=(),
    )


def file_of(
    *entries: ViaEntry, order: Sequence[str] = (), declared: Mapping[str, DeclaredAttribute] | None = None
) -> ViaFile:
    attributes: dict[Part, Mapping[str, DeclaredAttribute]] = {"region": declared or {}, "file": {}}
    return ViaFile(
        kind="project-json",
        version="2.0.10",
        entries=entries,
        attributes=attributes,
        image_order=tuple(order or [each.key for each in entries]),
        findings=(),
        num_images=len(entries),
        num_regions=sum(len(each.regions) for each in entries),
    )
