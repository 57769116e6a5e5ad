"""Perceptual hashes, and the groups they make."""

import io
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageEnhance
from scipy.fft import dctn  # type: ignore[import-untyped]
from synthetic import noise_picture

from cnnpipe.formats.near_duplicates import join, near_duplicate_pairs
from cnnpipe.formats.perceptual_hash import NO_STRUCTURE, perceptual_hash

hashes = st.integers(1, 2**64 - 1)


def distance(one: str, other: str) -> int:
    return (int(one, 16) ^ int(other, 16)).bit_count()


def pixels(picture: Image.Image) -> NDArray[np.uint8]:
    return np.asarray(picture.convert("RGB"))


def as_jpeg(picture: Image.Image, quality: int) -> Image.Image:
    content = io.BytesIO()
    picture.save(content, "JPEG", quality=quality)
    return Image.open(content)


def test_the_hash_is_that_of_its_definition() -> None:
    picture = noise_picture(1, width=90, height=70)
    grey = np.asarray(picture.convert("L").resize((32, 32), Image.Resampling.LANCZOS), dtype=float)
    low = dctn(grey, norm="ortho")[:8, :8].ravel()
    bits = "".join("1" if each > np.median(low) else "0" for each in low)
    assert perceptual_hash(pixels(picture)) == f"{int(bits, 2):016x}"
    assert bits.count("1") == 32


@pytest.mark.parametrize("seed", range(5))
def test_small_changes_flip_few_bits(seed: int) -> None:
    picture = noise_picture(seed, width=300, height=200)
    reference = perceptual_hash(pixels(picture))
    changed = [
        as_jpeg(picture, quality=60),
        picture.resize((150, 100), Image.Resampling.BICUBIC),
        ImageEnhance.Brightness(picture).enhance(0.9),
        picture.convert("L"),
    ]
    assert [distance(reference, perceptual_hash(pixels(each))) <= 4 for each in changed] == [True] * 4


def test_other_pictures_flip_many_bits() -> None:
    made = [perceptual_hash(pixels(noise_picture(seed))) for seed in range(40)]
    assert min(distance(one, other) for one, other in combinations(made, 2)) > 8


@pytest.mark.parametrize(
    "picture",
    [
        pytest.param(Image.new("RGB", (50, 40), "white"), id="white"),
        pytest.param(Image.new("RGB", (50, 40), "black"), id="black"),
        pytest.param(Image.new("RGB", (1, 1), (7, 8, 9)), id="one pixel"),
        pytest.param(Image.linear_gradient("L"), id="gradient"),
    ],
)
def test_a_picture_without_structure_resembles_nothing(picture: Image.Image) -> None:
    made = perceptual_hash(pixels(picture))
    assert made == NO_STRUCTURE
    assert list(near_duplicate_pairs([made, made], bits=16)) == []


def test_one_channel_has_the_hash_of_its_rgb() -> None:
    grey = np.asarray(noise_picture(1).convert("L"))
    assert perceptual_hash(grey[:, :, None]) == perceptual_hash(grey[:, :, None].repeat(3, axis=2))


@given(st.lists(hashes, max_size=12), st.data(), st.integers(-1, 16))
def test_groups_are_those_of_comparing_every_pair(some: list[int], data: st.DataObject, bits: int) -> None:
    # near neighbours of some, for random hashes are never near
    near = [
        value ^ sum(1 << place for place in data.draw(st.sets(st.integers(0, 63), max_size=18)))
        for value in some
        for _ in range(2)
    ]
    texts = [f"{value:016x}" for value in [*some, *near]]
    expected = [
        (one, other)
        for one, other in combinations(range(len(texts)), 2)
        if NO_STRUCTURE not in (texts[one], texts[other]) and distance(texts[one], texts[other]) <= bits
    ]
    pairs = list(near_duplicate_pairs(texts, bits=bits))
    assert all(distance(texts[one], texts[other]) <= bits for one, other in pairs)
    assert partition(join(range(len(texts)), pairs)) == partition(join(range(len(texts)), expected))


def partition(stands_for: dict[int, int]) -> set[frozenset[int]]:
    groups: dict[int, set[int]] = {}
    for item, root in stands_for.items():
        groups.setdefault(root, set()).add(item)
    return {frozenset(group) for group in groups.values()}


def test_many_pictures_are_compared_in_a_moment() -> None:
    values = np.random.default_rng(0).integers(1, 2**64, 20_000, dtype=np.uint64)
    values[10_000:] = values[:10_000] ^ np.uint64(0b10110)
    texts = [f"{value:016x}" for value in values.tolist()]
    pairs = {tuple(sorted(pair)) for pair in near_duplicate_pairs(texts, bits=4)}
    assert pairs == {(place, place + 10_000) for place in range(10_000)}


def test_pictures_that_are_all_alike_make_few_pairs() -> None:
    # frames of one scene: every pair of 2,000 is near, 2 million of them
    texts = [f"{(number % 4) << 60 | 0xF0F0F0F0 << 16 | number // 4 % 4:016x}" for number in range(16)]
    pairs = list(near_duplicate_pairs(texts * 125, bits=4))
    assert len(set(join(range(2000), pairs).values())) == 1
    assert len(pairs) < 2 * 2000


def test_near_values_already_joined_are_not_paired_again() -> None:
    values = [1 << 40 | 1 << first | 1 << second for first in range(20) for second in range(20, 40)]
    pairs = list(near_duplicate_pairs([f"{value:016x}" for value in values], bits=4))
    assert len(set(join(range(len(values)), pairs).values())) == 1
    assert len(pairs) < 3 * len(values)  # of 79,800
