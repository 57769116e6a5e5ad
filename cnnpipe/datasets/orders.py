"""In which order train is walked through in an epoch: seed and epoch decide, whatever was drawn before."""

from collections.abc import Sequence

import numpy as np

from cnnpipe.seeding import seed_of


def shuffled(positions: Sequence[int], *, seed: int, epoch: int) -> list[int]:
    """Return every position once.

    Args:
        positions: of the samples of train in their view.
        seed: of the experiment.
        epoch: from 1.
    """
    generator = np.random.default_rng(seed_of(seed, "order", epoch))
    return list(map(int, generator.permutation(positions)))


def class_balanced(
    positions: Sequence[int], class_index: Sequence[int], *, seed: int, epoch: int
) -> list[int]:
    """Return as many positions as there are, drawn so that every class comes alike often.

    Of each class all samples come equally often, but for one: those of a rare class several times, of a
    common one not all. What is left over when the number does not divide goes to the first classes of an
    order drawn anew for each epoch.

    Args:
        positions: of the samples of train in their view.
        class_index: of each of these samples.
        seed: of the experiment.
        epoch: from 1.
    """
    generator = np.random.default_rng(seed_of(seed, "order", epoch))
    of_class = np.asarray(class_index)
    classes = generator.permutation(np.unique(of_class))
    drawn: list[int] = []
    for rank, chosen in enumerate(classes):
        members = np.asarray(positions)[of_class == chosen]
        wanted = len(positions) // len(classes) + (rank < len(positions) % len(classes))
        rounds = [generator.permutation(members) for _ in range(-(-wanted // len(members)))]
        drawn += map(int, np.concatenate(rounds)[:wanted])
    return list(map(int, generator.permutation(drawn)))
