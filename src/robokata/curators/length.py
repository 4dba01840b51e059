"""The shortest, longest or most usual episodes: the control for curators that prefer short ones without saying so.

Short demonstrations are often better, because hesitation takes time; a curator whose choice goes with length must beat
this one, which knows nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from robokata.core.episode import Episode
from robokata.core.errors import RecipeRefused
from robokata.core.selection import Described, Selection, selection_of

WHICH = ("shortest", "longest", "middle")


def describe(episode: Episode) -> float:
    """Duration in seconds."""
    return episode.duration_s


def choose(
    rows: Sequence[Described],
    *,
    keep: int,
    rng: np.random.Generator,
    # Of demonstrations of one task, the shortest are the ones without pauses and second attempts.
    which: str = "shortest",
) -> Selection:
    """The `keep` shortest or longest episodes, or those nearest to the median.

    Raises:
        RecipeRefused: `which` is none of these.
    """
    if which not in WHICH:
        raise RecipeRefused(f"length: which is {which!r}. It is one of {', '.join(WHICH)}.")
    middle_s = float(np.median([row.value for row in rows])) if rows else 0.0
    worth: dict[str, Callable[[float], float]] = {
        "shortest": lambda length_s: length_s,
        "longest": lambda length_s: -length_s,
        "middle": lambda length_s: abs(length_s - middle_s),
    }
    best = sorted(rows, key=lambda row: (worth[which](row.value), row.episode))[:keep]
    return selection_of(rows, (row.episode for row in best), why_not=f"not among the {which}")
