"""Randomness tied to names: the same seed and name give the same number on every machine."""

import hashlib


def seed_of(seed: int, *names: str | int) -> int:
    """Return a 63-bit seed for what `names` names, independent of every other name.

    Args:
        seed: the seed of params.yaml.
        names: e.g. the epoch and the sample id; joined by ":", so order matters.
    """
    text = ":".join(str(name) for name in (seed, *names))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def uniform_of(seed: int, *names: str | int) -> float:
    """Return a number in [0, 1), uniform over names."""
    return (seed_of(seed, *names) >> 10) / 2**53
