"""The shortest, longest or most usual episodes: the control for curators that prefer short ones without saying so.

Short demonstrations are often better, because hesitation takes time; a curator whose choice goes with length must beat
this one, which knows nothing else. Where no episode has times, steps are counted; seconds and steps are not compared.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from robokata.core.episode import Episode
from robokata.core.errors import RecipeRefused, SelectionRefused
from robokata.core.selection import Described, Selection, selection_of

WHICH = ("shortest", "longest", "middle")


class Length(NamedTuple):
    """How long an episode is."""

    value: float
    unit: str
    """Seconds; steps where its format keeps no times."""


def describe(episode: Episode) -> Length:
    """Duration in seconds, or steps where there are no times."""
    if episode.duration_s is not None:
        return Length(episode.duration_s, "seconds")
    return Length(float(max(len(stream.clock) for stream in episode.streams.values())), "steps")


def choose(
    rows: Sequence[Described],
    *,
    keep: int,
    rng: np.random.Generator,
    # Of demonstrations of one task, the shortest are the ones without pauses and second attempts.
    which: str = "shortest",
) -> Selection:
    """The `keep` shortest or longest episodes, or those nearest to the median; by steps where one keeps no times.

    Raises:
        RecipeRefused: `which` is none of these.
        SelectionRefused: some episodes have times, and some have only steps.
    """
    if which not in WHICH:
        raise RecipeRefused(f"length: which is {which!r}. It is one of {', '.join(WHICH)}.")
    untimed = sum(row.value.unit == "steps" for row in rows)
    if 0 < untimed < len(rows):
        raise SelectionRefused(
            f"length: {untimed} of {len(rows)} episodes have no times, only steps, and seconds cannot be compared with "
            "steps. Curate each kind by itself, or declare the rate of those without times."
        )
    middle = float(np.median([row.value.value for row in rows])) if rows else 0.0
    worth: dict[str, Callable[[float], float]] = {
        "shortest": lambda length: length,
        "longest": lambda length: -length,
        "middle": lambda length: abs(length - middle),
    }
    best = sorted(rows, key=lambda row: (worth[which](row.value.value), row.episode))[:keep]
    return selection_of(rows, (row.episode for row in best), why_not=f"not among the {which}")
