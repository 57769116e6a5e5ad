"""Pictures that are there twice: the same file, or one that looks so; and whether that crosses splits."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from cnnpipe.annotations import Finding, Picture, Split, found
from cnnpipe.datasets.split_names import split_of_folder
from cnnpipe.formats.near_duplicates import join, near_duplicate_pairs

Pairs = list[tuple[str, str]]  # of image_ids


def check_alike(pictures: Iterable[Picture], *, bits: int) -> list[Finding]:
    """Return the findings about pictures that are there twice, whatever the order of the pictures.

    Args:
        pictures: where the hash of one is "", it is not known, and only the files are compared.
        bits: perceptual hashes that differ by no more look the same; below 0: only equal files are.
    """
    ordered = sorted(pictures, key=lambda picture: picture.image_id)
    equal = list(_equal_files(ordered))
    copies = {copy for _, copy in equal}
    originals = [each for each in ordered if each.image_id not in copies and each.perceptual_hash]
    hashes = {picture.image_id: picture.perceptual_hash for picture in originals}
    near = [
        (originals[min(pair)].image_id, originals[max(pair)].image_id)
        for pair in near_duplicate_pairs(list(hashes.values()), bits=bits)
    ]
    return [
        *(_duplicate(first, copy) for first, copy in equal),
        *_near_duplicates(near, hashes),
        *_across_splits(equal + near),
    ]


def _equal_files(pictures: Iterable[Picture]) -> Iterator[tuple[str, str]]:
    """Yield each picture that is the same file as another, after the first of these."""
    first_of: dict[str, str] = {}
    for picture in pictures:
        first = first_of.setdefault(picture.sha256, picture.image_id)
        if first != picture.image_id:
            yield first, picture.image_id


def _duplicate(first: str, copy: str) -> Finding:
    what = f"the same file as {first}; one group in the split"
    return found("picture-duplicate", copy, what, "delete one of the two", other=first)


def _near_duplicates(near: Pairs, hashes: Mapping[str, str]) -> Iterator[Finding]:
    """Yield a finding for each picture that looks like another, but the first of a group."""
    groups = join({image_id for pair in near for image_id in pair}, near)
    first_of: dict[str, str] = {}
    for image_id in sorted(groups):
        first_of.setdefault(groups[image_id], image_id)
    for image_id, others in sorted(_neighbours(near).items()):
        if first_of[groups[image_id]] == image_id:
            continue
        other = min(others)
        differing = (int(hashes[image_id], 16) ^ int(hashes[other], 16)).bit_count()
        what = f"looks like {other}: {differing} of 64 bits of their perceptual hashes differ"
        fix = "delete one of the two, if they show the same"
        yield found("picture-near-duplicate", image_id, what, fix, other=other)


def _across_splits(pairs: Pairs) -> Iterator[Finding]:
    """Yield a finding for each picture that its folder gives another split than one that looks the same."""
    groups: dict[str, list[str]] = defaultdict(list)
    alike = sorted({image_id for pair in pairs for image_id in pair})
    for image_id, stands_for in join(alike, pairs).items():
        groups[stands_for].append(image_id)
    neighbours = _neighbours(pairs)
    for members in groups.values():
        splits = {m: split for m in sorted(members) if (split := split_of_folder(m)) is not None}
        if len(set(splits.values())) < 2:
            continue
        first, first_split = next(iter(splits.items()))
        for image_id, split in splits.items():
            if split != first_split:
                beside = [other for other in neighbours[image_id] if splits.get(other, split) != split]
                yield _crossing(image_id, min(beside, default=first), splits)


def _neighbours(pairs: Pairs) -> dict[str, set[str]]:
    neighbours: dict[str, set[str]] = defaultdict(set)
    for one, other in pairs:
        neighbours[one].add(other)
        neighbours[other].add(one)
    return neighbours


def _crossing(image_id: str, other: str, splits: Mapping[str, Split]) -> Finding:
    what = f"in a folder of {splits[image_id]}, looks like {other}, in one of {splits[other]}"
    fix = "delete one of the two: what is learnt from must not judge"
    return found("duplicate-across-splits", image_id, what, fix, other=other)
