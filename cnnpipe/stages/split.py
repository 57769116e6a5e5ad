"""Stage `split`: which pictures train, choose and judge; and `pin`, which makes that last.

A group is what must not cross splits: near-duplicates, equal files, and with `group_by: folder`
the pictures of one folder. Its split is, in this order:

1. that of its pinned pictures;
2. that which is given (by folder or attribute), where `given` asks for it. If no picture at all is
   given to val or test, that split is drawn by hash from what is given to train;
3. by hash of the seed and the group's name: the share `test_fraction` goes to test, the next
   `val_fraction` to val, the others to train.

A picture that is given one split and grouped with a pinned picture of another is left out. So is
one whose group is given several splits, unless it is itself given the one that judges most: test
before val before train. And so is a picture that would join pinned pictures of two splits; these
never move.

Where a split stays empty, it gets the group whose hash comes nearest to its share, of those that
are neither pinned nor given to val or test.

The name of a group is that of its member (picture or folder) whose SHA-256 is smallest. A picture
added to a group of n takes that place with a probability of 1 / (n + 1), whatever it is called, and
no rule that treats members alike moves fewer; with the smallest name, a picture `0.jpg` would
always move its group.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

import msgspec

from cnnpipe.annotations import SPLITS, LabelledObject, LabelledPicture, PinnedSplit, Split, SplitRow
from cnnpipe.datasets.split_names import split_of_folder, split_of_value
from cnnpipe.datasets.spreading import PlacedGroup, spread_classes
from cnnpipe.errors import DataError
from cnnpipe.files import read_jsonl, write_bytes, write_jsonl
from cnnpipe.formats.near_duplicates import join, near_duplicate_pairs
from cnnpipe.formats.via.labels import attributes_in_use, describe_attributes, labels_of
from cnnpipe.params.load import did_you_mean
from cnnpipe.params.split import SplitParams
from cnnpipe.seeding import uniform_of


class _Group(msgspec.Struct, frozen=True):
    """Pictures that stay together, and what is already known of their splits, by image_id."""

    name: str
    image_ids: Sequence[str]
    pinned: Mapping[str, Split]
    given: Mapping[str, Split]


def split(validated: Path, pinned: Path, out: Path, params: SplitParams) -> Counter[str]:
    """Write the split of every picture to `out`; return the pictures per split and per reason.

    Args:
        validated: what stage `validate` wrote.
        pinned: pictures that never move; need not exist. A picture in it that is gone is ignored.
        out: one line per picture, sorted; a split of null: left out, the reason says why.
        params: section `split`.

    Raises:
        DataError: a split stays empty, or the attribute with the given split does not exist.
    """
    pictures = read_jsonl(validated / "images.jsonl", LabelledPicture)
    fixed = _read_pinned(pinned)
    groups = _make_groups(pictures, fixed, _given_splits(pictures, params, str(validated)), params)
    missing = set(SPLITS) - {given for group in groups for given in group.given.values()}
    rows = [row for group in groups for row in _assign(group, missing, params)]
    rows = _fill_empty_splits(rows, params, str(validated))
    write_jsonl(out, sorted(rows, key=lambda row: row.image_id))
    gone = len(fixed.keys() - {picture.image_id for picture in pictures})
    counts = Counter({"groups": len(groups), "pinned pictures that are gone": gone})
    counts.update(row.split or "left out" for row in rows)
    counts.update(f"by {row.reason}" for row in rows if row.split is not None)
    return +counts


def pin(validated: Path, splits: Path, pinned: Path, *, spread: bool = True) -> Counter[str]:
    """Add every picture of `splits` that is new to `pinned`; return the pictures added per split.

    Before that, groups that went by hash are moved so that every class with at least three groups
    is in train, val and test, where what is pinned or given allows it. Among the moves that help
    most, the hash of the group's name decides. Lines that stand in `pinned` are never changed, and
    pictures that are left out of the splits are not pinned.

    Args:
        validated: what stage `validate` wrote.
        splits: what `split` wrote.
        pinned: need not exist.
        spread: False: move no group, for there are results that were judged by these splits.

    Raises:
        DataError: a file is missing or cut off.
    """
    rows = read_jsonl(splits, SplitRow)
    lines = read_jsonl(pinned, PinnedSplit) if pinned.exists() else []
    fixed = {line.image_id for line in lines}
    placed = spread_classes(_to_placed_groups(rows, _classes_by_picture(validated), fixed)) if spread else {}
    new = [
        PinnedSplit(image_id=row.image_id, split=placed.get(row.group, row.split))
        for row in rows
        if row.split is not None and row.image_id not in fixed
    ]
    if new:
        _append(pinned, sorted(new, key=lambda line: line.image_id))
    return Counter(line.split for line in new)


def _append(pinned: Path, new: Iterable[PinnedSplit]) -> None:
    """Add lines to the file, whole; those that stand there keep every byte."""
    old = pinned.read_bytes() if pinned.exists() else b""
    old += b"\n" if old and not old.endswith(b"\n") else b""
    write_bytes(pinned, old + b"".join(msgspec.json.encode(line) + b"\n" for line in new))


def _read_pinned(pinned: Path) -> dict[str, Split]:
    lines = read_jsonl(pinned, PinnedSplit) if pinned.exists() else []
    fixed: dict[str, Split] = {}
    for number, line in enumerate(lines, start=1):
        if fixed.setdefault(line.image_id, line.split) != line.split:
            what = f"{line.image_id} is pinned to {fixed[line.image_id]} above, and to {line.split} here"
            raise DataError(f"{pinned}:{number}", what, "delete one of the two lines")
    return fixed


def _given_splits(pictures: Iterable[LabelledPicture], params: SplitParams, where: str) -> dict[str, Split]:
    if params.given == "folder":
        found = {p.image_id: split_of_folder(p.image_id) for p in pictures}
    elif params.given_attribute is not None:
        found = _splits_of_attribute(pictures, params.given_attribute, where)
    else:
        found = {}
    return {image_id: given for image_id, given in found.items() if given is not None}


def _splits_of_attribute(
    pictures: Iterable[LabelledPicture], attribute: str, where: str
) -> dict[str, Split | None]:
    uses = attributes_in_use(picture.file_attributes for picture in pictures)
    if attribute not in uses:
        there = f"the file attributes are: {describe_attributes(uses)}"
        fix = f"{did_you_mean(attribute, uses)}set split.given_attribute in params.yaml; {there}"
        raise DataError(where, f"no picture has the file attribute {attribute!r}", fix)
    found = {p.image_id: split_of_value(labels_of(p.file_attributes.get(attribute))) for p in pictures}
    if not any(found.values()):
        values = ", ".join(sorted(uses[attribute].labels)[:10]) or "none"
        fix = f"give it values such as {', '.join(SPLITS)}, or set split.given: none"
        raise DataError(where, f"no value of {attribute!r} names a split; there are: {values}", fix)
    return found


def _make_groups(
    pictures: Sequence[LabelledPicture],
    pinned: Mapping[str, Split],
    given: Mapping[str, Split],
    params: SplitParams,
) -> list[_Group]:
    """Return the groups, sorted by name."""
    units = {p.image_id: _unit(p.image_id, params.group_by) for p in pictures}
    stands_for = join(units.values(), ((units[a], units[b]) for a, b in _alike(pictures, params)))
    members: dict[str, list[str]] = defaultdict(list)
    for image_id, unit in units.items():
        members[stands_for[unit]].append(image_id)
    groups = [
        _Group(
            name=min({units[image_id] for image_id in image_ids}, key=_rank),
            image_ids=sorted(image_ids),
            pinned={image_id: pinned[image_id] for image_id in image_ids if image_id in pinned},
            given={image_id: given[image_id] for image_id in image_ids if image_id in given},
        )
        for image_ids in members.values()
    ]
    return sorted(groups, key=lambda group: group.name)


def _unit(image_id: str, group_by: str) -> str:
    return image_id if group_by == "image" else PurePosixPath(image_id).parent.as_posix()


def _alike(pictures: Sequence[LabelledPicture], params: SplitParams) -> Iterator[tuple[str, str]]:
    """Yield pairs of pictures that are the same file or near-duplicates."""
    first_of: dict[str, str] = {}
    for picture in pictures:
        yield first_of.setdefault(picture.sha256, picture.image_id), picture.image_id
    hashes = [picture.perceptual_hash for picture in pictures]
    for one, other in near_duplicate_pairs(hashes, bits=params.near_duplicate_bits):
        yield pictures[one].image_id, pictures[other].image_id


def _rank(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


def _assign(group: _Group, missing: set[Split], params: SplitParams) -> list[SplitRow]:
    """Return the rows of one group, by the rules of this module."""
    if group.pinned:
        return [_pinned_row(group, image_id, missing) for image_id in group.image_ids]
    given = set(group.given.values())
    if len(given) > 1:
        judging = max(given, key=SPLITS.index)
        return [_tied_row(group, image_id, judging) for image_id in group.image_ids]
    drawn = _draw(group.name, params)
    if not given:
        return [_row(group, image_id, drawn, "hash") for image_id in group.image_ids]
    [only] = given
    if only == "train" and drawn in missing and drawn != "train":
        return [_row(group, image_id, drawn, "hash") for image_id in group.image_ids]
    return [_row(group, image_id, only, "given") for image_id in group.image_ids]


def _pinned_row(group: _Group, image_id: str, missing: set[Split]) -> SplitRow:
    splits = set(group.pinned.values())
    if image_id in group.pinned:
        return _row(group, image_id, group.pinned[image_id], "pinned")
    if len(splits) > 1:
        return _row(group, image_id, None, f"ties pinned pictures of {_names(splits)}")
    [only] = splits
    given = group.given.get(image_id, only)
    # a split that nobody is given was drawn from train when its pictures were pinned
    if given != only and not (given == "train" and only in missing):
        return _row(group, image_id, None, f"given {given}, but its group is pinned to {only}")
    return _row(group, image_id, only, "pinned")


def _tied_row(group: _Group, image_id: str, judging: Split) -> SplitRow:
    if group.given.get(image_id) == judging:
        return _row(group, image_id, judging, "given")
    return _row(group, image_id, None, f"its group is given {_names(set(group.given.values()))}")


def _row(group: _Group, image_id: str, split: Split | None, reason: str) -> SplitRow:
    return SplitRow(image_id=image_id, split=split, group=group.name, reason=reason)


def _names(splits: set[Split]) -> str:
    return " and ".join(sorted(splits, key=SPLITS.index))


def _draw(name: str, params: SplitParams) -> Split:
    position = uniform_of(params.seed, name)
    if position < params.test_fraction:
        return "test"
    return "val" if position < params.test_fraction + params.val_fraction else "train"


def _fill_empty_splits(rows: Sequence[SplitRow], params: SplitParams, where: str) -> list[SplitRow]:
    """Return the rows with a group moved to each split that has none.

    Raises:
        DataError: no group can be moved there.
    """
    rows = list(rows)
    fractions = {"val": params.val_fraction, "test": params.test_fraction}
    for empty in SPLITS:
        if any(row.split == empty for row in rows):
            continue
        if not fractions.get(empty, 1.0):
            fix = f"raise split.{empty}_fraction in params.yaml, or give it pictures"
            raise DataError(where, f"no picture goes to {empty}, whose fraction is 0", fix)
        name = _nearest_group(rows, empty, params)
        if name is None:
            raise _empty_split(rows, empty, where)
        rows = [_moved(row, empty) if row.group == name else row for row in rows]
    return rows


def _nearest_group(rows: Iterable[SplitRow], empty: Split, params: SplitParams) -> str | None:
    """Return the group to move to an empty split: of the split with the most groups, the nearest by hash."""
    by_split: dict[Split, set[str]] = defaultdict(set)
    stays = set()
    for row in rows:
        if row.split is not None:
            by_split[row.split].add(row.group)
            if row.reason != "hash" and (row.reason, row.split) != ("given", "train"):
                stays.add(row.group)
    donors = sorted(by_split, key=lambda split: (-len(by_split[split]), SPLITS.index(split)))
    for donor in donors:
        free = by_split[donor] - stays
        if len(by_split[donor]) > 1 and free:
            return min(free, key=lambda name: (_distance(name, empty, params), _rank(name)))
    return None


def _distance(name: str, split: Split, params: SplitParams) -> float:
    """Return how far the hash of a group lies from the share of a split."""
    test, val = params.test_fraction, params.test_fraction + params.val_fraction
    low, high = {"test": (0.0, test), "val": (test, val), "train": (val, 1.0)}[split]
    position = uniform_of(params.seed, name)
    return max(low - position, position - high, 0.0)


def _moved(row: SplitRow, to: Split) -> SplitRow:
    return msgspec.structs.replace(row, split=to, reason="hash")


def _empty_split(rows: Sequence[SplitRow], empty: Split, where: str) -> DataError:
    groups = {row.group for row in rows if row.split is not None}
    if len(groups) < len(SPLITS):
        what = f"{len(rows)} pictures make {len(groups)} groups: too few for train, val and test"
        fix = "add pictures that differ, or lower split.near_duplicate_bits, or set split.group_by: image"
    else:
        what = f"no picture goes to {empty}: all others are pinned, or given to val or test"
        fix = f"add pictures, give some to {empty}, or take lines out of the file of pinned splits"
    return DataError(where, what, fix)


def _classes_by_picture(validated: Path) -> dict[str, set[tuple[str, str]]]:
    """Return the classes in each picture, those of objects apart from those of whole pictures."""
    classes: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for each in read_jsonl(validated / "objects.jsonl", LabelledObject):
        classes[each.image_id].add(("object", each.label))
    for picture in read_jsonl(validated / "images.jsonl", LabelledPicture):
        if picture.label is not None:
            classes[picture.image_id].add(("picture", picture.label))
    return classes


def _to_placed_groups(
    rows: Iterable[SplitRow], classes: Mapping[str, set[tuple[str, str]]], fixed: set[str]
) -> list[PlacedGroup]:
    members: dict[str, list[SplitRow]] = defaultdict(list)
    split_of: dict[str, Split] = {}  # of the new pictures; pinned ones may lie in two splits
    for row in rows:
        if row.split is not None:
            members[row.group].append(row)
            split_of[row.group] = row.split
    return [
        PlacedGroup(
            name=name,
            split=split_of[name],
            classes=frozenset().union(*(classes.get(row.image_id, ()) for row in group)),
            is_free=all(row.reason == "hash" and row.image_id not in fixed for row in group),
        )
        for name, group in members.items()
    ]
