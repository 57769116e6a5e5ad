"""Which of several processes that train together this one is, by the environment that torchrun gives.

Source: torch, torchrun (Elastic Launch), "Environment Variables".
"""

import os
from typing import NamedTuple


class Share(NamedTuple):
    """The part of each batch that one of several processes computes: every `num_ranks`-th picture."""

    rank: int = 0
    num_ranks: int = 1


def own_share() -> Share:
    """Return the share of each batch that this process computes; all of it where it is alone."""
    return Share(int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1")))
