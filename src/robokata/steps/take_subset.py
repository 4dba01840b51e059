"""Some of the episodes, by chance: fewer demonstrations, or the control of equal size for whatever else chooses.

The order of chance depends on the seed and on the episodes alone, so that the subsets of one seed are nested: those of
50 are among those of 100.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from robokata.core.episode import Episode
from robokata.core.errors import RecipeRefused
from robokata.core.lineage import families_of
from robokata.core.selection import Described, Selection, selection_of


def describe(episode: Episode) -> None:
    """Nothing: chance looks at nothing."""
    return None


def choose(
    rows: Sequence[Described],
    *,
    # One of the two must be said: how many, or which share.
    episodes: int | None = None,
    share: float | None = None,
    # Families: all that descends from one demonstration comes together, as far as the number allows; fewer
    # demonstrations are then fewer, not the same ones in fewer variants.
    by_family: bool = False,
    seed: int = 0,
) -> Selection:
    """The chosen episodes.

    Raises:
        RecipeRefused: neither number nor share is said, or both, or more than there are.
    """
    if (episodes is None) == (share is None):
        raise RecipeRefused("take_subset: say episodes = N or share = 0.5, one of the two.")
    if share is not None and not 0 <= share <= 1:
        raise RecipeRefused(f"take_subset: share is {share:g}, and 0 to 1 is needed.")
    count = round(share * len(rows)) if share is not None else int(episodes or 0)
    if not 0 <= count <= len(rows):
        raise RecipeRefused(f"take_subset: {count} episodes are asked for, and there are {len(rows)}.")
    families = families_of([row.relative for row in rows]) if by_family else {}

    def chance(row: Described) -> tuple[str, str]:
        own = _drawn(seed, row.name)
        return (_drawn(seed, families[row.episode]) if by_family else own, own)

    chosen = sorted(rows, key=chance)[:count]
    return selection_of(rows, (row.episode for row in chosen), why_not=f"not drawn (seed {seed})")


def _drawn(seed: int, name: str) -> str:
    return hashlib.sha256(f"{seed}|{name}".encode()).hexdigest()
