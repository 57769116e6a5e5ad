"""Which regions of an older and a newer list are the same ones: the rest is new or gone.

A region of the same shape is the same one, whatever its number, for numbers move up when one is deleted. Of
the others, those that overlap most are taken for one that was moved; at last those of the same number and
class.
"""

import json
import math
from collections import defaultdict, deque
from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from cnnpipe.formats.via.labels import labels_of
from cnnpipe.formats.via.records import ViaRegion
from cnnpipe.geometry.boxes import Box, box_iou
from cnnpipe.geometry.shapes import shape_to_box

_MOST_EXACT: Final = 1_000_000  # pairs of boxes that are all compared
_ROWS: Final = 256  # boxes at once, where there are more
_WINDOW: Final = 4096  # others that each of them is compared with
_MOST_PER_BOX: Final = 16  # of those, the best that count

Floats = NDArray[np.float64]


class RegionPair(msgspec.Struct, frozen=True, kw_only=True):
    """One region, as it was and as it is."""

    before: ViaRegion
    after: ViaRegion
    label_before: Sequence[str]  # none where no attribute holds the class
    label_after: Sequence[str]
    iou: float | None  # of their boxes; None: one of them has no area

    @property
    def is_moved(self) -> bool:
        return self.before.shape != self.after.shape

    @property
    def is_relabelled(self) -> bool:
        return list(self.label_before) != list(self.label_after)

    @property
    def is_annotated_otherwise(self) -> bool:
        """Whether any attribute has another value, that of the class or not."""
        return attributes_key(self.before.attributes) != attributes_key(self.after.attributes)


class RegionMatch(msgspec.Struct, frozen=True, kw_only=True):
    """Two lists of regions of one picture, compared."""

    pairs: Sequence[RegionPair]  # by their number in the newer list
    added: Sequence[ViaRegion]
    removed: Sequence[ViaRegion]


def match_regions(
    old: Sequence[ViaRegion], new: Sequence[ViaRegion], label_attribute: str | None
) -> RegionMatch:
    """Return which regions are the same ones, which are new, and which are gone.

    Args:
        old: of one picture.
        new: of the same picture, later.
        label_attribute: the attribute with the class; None: all attributes tell regions apart.
    """
    pairs: _Pairs = []
    for pairing in (_same_shape, _most_overlap, _same_number):
        left_old = _without(old, (before for before, _ in pairs))
        left_new = _without(new, (after for _, after in pairs))
        pairs += pairing(left_old, left_new, label_attribute)
    places = {id(region): place for place, region in enumerate(new)}
    pairs.sort(key=lambda pair: places[id(pair[1])])
    return RegionMatch(
        pairs=[_pair(before, after, label_attribute) for before, after in pairs],
        added=_without(new, (after for _, after in pairs)),
        removed=_without(old, (before for before, _ in pairs)),
    )


def attributes_key(attributes: dict[str, Any]) -> str:
    """Return a text that is the same for the same values, whatever their order."""
    return json.dumps(attributes, sort_keys=True)


_Pairs = list[tuple[ViaRegion, ViaRegion]]


def _pair(before: ViaRegion, after: ViaRegion, attribute: str | None) -> RegionPair:
    return RegionPair(
        before=before,
        after=after,
        label_before=_labels(before, attribute),
        label_after=_labels(after, attribute),
        iou=_iou(before, after),
    )


def _labels(region: ViaRegion, attribute: str | None) -> list[str]:
    return [] if attribute is None else labels_of(region.attributes.get(attribute))


def _label_key(region: ViaRegion, attribute: str | None) -> Hashable:
    """Return what tells classes apart; where no attribute holds it, all attributes do."""
    return attributes_key(region.attributes) if attribute is None else tuple(_labels(region, attribute))


def _iou(before: ViaRegion, after: ViaRegion) -> float | None:
    one, other = _box(before), _box(after)
    if one is None or other is None:
        return None
    if one == other:
        return 1.0
    iou = float(_box_iou(_corners([(before, one)]), _corners([(after, other)]))[0, 0])
    return iou if math.isfinite(iou) else None


def _same_shape(old: Sequence[ViaRegion], new: Sequence[ViaRegion], attribute: str | None) -> _Pairs:
    """Pair regions of one shape; where several have it, first those of the same class."""
    pairs = _first_with_first(
        [((region.shape, _label_key(region, attribute)), region) for region in old],
        [((region.shape, _label_key(region, attribute)), region) for region in new],
    )
    left_old = _without(old, (before for before, _ in pairs))
    left_new = _without(new, (after for _, after in pairs))
    return pairs + _first_with_first(
        [(region.shape, region) for region in left_old], [(region.shape, region) for region in left_new]
    )


def _first_with_first(
    old: Iterable[tuple[Hashable, ViaRegion]], new: Iterable[tuple[Hashable, ViaRegion]]
) -> _Pairs:
    waiting: dict[Hashable, deque[ViaRegion]] = defaultdict(deque)
    for key, region in old:
        waiting[key].append(region)
    return [(waiting[key].popleft(), region) for key, region in new if waiting.get(key)]


def _most_overlap(old: Sequence[ViaRegion], new: Sequence[ViaRegion], _attribute: str | None) -> _Pairs:
    """Pair regions by the overlap of their boxes, the greatest first; ties by number."""
    befores, afters = _with_box(old), _with_box(new)
    if not befores or not afters:
        return []
    pairs: _Pairs = []
    taken: tuple[set[int], set[int]] = (set(), set())
    for _, i, j in sorted(_overlaps(_corners(befores), _corners(afters))):
        if i not in taken[0] and j not in taken[1]:
            taken[0].add(i)
            taken[1].add(j)
            pairs.append((befores[i][0], afters[j][0]))
    return pairs


def _overlaps(boxes_N4: Floats, others_M4: Floats) -> Iterator[tuple[float, int, int]]:
    """Yield (-IoU, n, m) of the pairs that overlap.

    Of very many boxes, only those that begin near each other in x are compared, and of each the best count:
    time and memory stay in proportion to the boxes.
    """
    if len(boxes_N4) * len(others_M4) <= _MOST_EXACT:
        for row, column, iou in _positive(_box_iou(boxes_N4, others_M4)):
            yield -iou, row, column
        return
    rows_N, columns_M = np.argsort(boxes_N4[:, 0]), np.argsort(others_M4[:, 0])
    starts_M = others_M4[columns_M, 0]
    for first in range(0, len(rows_N), _ROWS):
        block_R = rows_N[first : first + _ROWS]
        middle = int(np.searchsorted(starts_M, np.median(boxes_N4[block_R, 0])))
        low = max(min(middle - _WINDOW // 2, len(columns_M) - _WINDOW), 0)
        window_W = columns_M[low : low + _WINDOW]
        for row, column, iou in _positive(_best(_box_iou(boxes_N4[block_R], others_M4[window_W]))):
            yield -iou, int(block_R[row]), int(window_W[column])


def _positive(iou_NM: Floats) -> Iterator[tuple[int, int, float]]:
    rows, columns = np.nonzero(iou_NM > 0)
    return zip(rows.tolist(), columns.tolist(), iou_NM[rows, columns].tolist(), strict=True)


def _best(iou_RW: Floats) -> Floats:
    """Return the overlaps with all but the best of each row set to 0."""
    if iou_RW.shape[1] <= _MOST_PER_BOX:
        return iou_RW
    least_R1 = -np.partition(-iou_RW, _MOST_PER_BOX - 1, axis=1)[:, _MOST_PER_BOX - 1 : _MOST_PER_BOX]
    kept_RW = iou_RW >= least_R1
    # of equal ones the first: a thousand boxes in one place are equally near
    kept_RW &= kept_RW.cumsum(axis=1) <= _MOST_PER_BOX
    return iou_RW * kept_RW


def _box_iou(boxes_N4: Floats, others_M4: Floats) -> Floats:
    with np.errstate(all="ignore"):  # the area of a box of 1e308 is infinite: no overlap then
        return box_iou(boxes_N4, others_M4)


def _same_number(old: Sequence[ViaRegion], new: Sequence[ViaRegion], attribute: str | None) -> _Pairs:
    by_number = {after.number: after for after in new}
    return [
        (before, by_number[before.number])
        for before in old
        if before.number in by_number
        and _label_key(before, attribute) == _label_key(by_number[before.number], attribute)
    ]


def _without(regions: Sequence[ViaRegion], taken: Iterable[ViaRegion]) -> list[ViaRegion]:
    identities = {id(region) for region in taken}
    return [region for region in regions if id(region) not in identities]


def _with_box(regions: Sequence[ViaRegion]) -> list[tuple[ViaRegion, Box]]:
    boxes = ((region, _box(region)) for region in regions)
    return [(region, box) for region, box in boxes if box is not None]


def _box(region: ViaRegion) -> Box | None:
    return None if region.shape is None else shape_to_box(region.shape)


def _corners(regions: Sequence[tuple[ViaRegion, Box]]) -> Floats:
    return np.array([msgspec.structs.astuple(box) for _, box in regions], dtype=np.float64)
