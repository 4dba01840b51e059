"""A defect that a check knows how to plant: what would it have cost, had nobody looked?

For a share of the episodes, give the step a `share` in the recipe. Defects that only a whole dataset can have
(duplicates, leaks between splits) cannot be planted into one episode.
"""

from __future__ import annotations

from collections.abc import Iterator

from robokata.core.contracts import CheckLeaf
from robokata.core.episode import Episode
from robokata.core.errors import StepRefused
from robokata.core.shelf import shelf
from robokata.core.trace import rng_of, traced

_NAME = __name__.rpartition(".")[2]


def step(
    episode: Episode,
    *,
    check: str,
    # 1.0 is a defect that one must find; below, it drowns in what recordings are like anyway.
    magnitude: float = 1.0,
    seed: int = 0,
) -> Iterator[Episode]:
    """The episode with the defect in it.

    Raises:
        UnknownName: there is no such check.
        StepRefused: the check judges whole datasets, or there is nothing to plant into.
    """
    leaf = shelf("checks")[check]
    if not isinstance(leaf, CheckLeaf):
        raise StepRefused(_NAME, episode.id, f"{check} is a defect of whole datasets, not of one episode.")
    try:
        planted = leaf.plant(episode, rng_of(f"{_NAME}|{check}", seed, episode), magnitude)
    except ValueError as reason:
        raise StepRefused(_NAME, episode.id, f"{reason}.") from None
    parameters = {"check": check, "magnitude": magnitude, "seed": seed}
    yield traced(planted, of=episode, step=_NAME, parameters=parameters)
