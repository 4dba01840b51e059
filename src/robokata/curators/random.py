"""Episodes by chance: the control that every other curator must beat."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from robokata.core.episode import Episode
from robokata.core.selection import Described, Selection, selection_of


def describe(episode: Episode) -> None:
    """Nothing: chance looks at nothing."""
    return None


def choose(rows: Sequence[Described], *, keep: int, rng: np.random.Generator) -> Selection:
    """`keep` episodes, each as likely as the others."""
    ordered = sorted(row.episode for row in rows)
    drawn = rng.permutation(len(ordered))[:keep]
    return selection_of(rows, (ordered[number] for number in drawn), why_not="not drawn")
