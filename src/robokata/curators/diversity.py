"""Episodes that lie far apart: starts, ways and ends that differ, after farthest-point sampling (Gonzalez 1985).

An episode is described by what its state was at equal shares of its way, each channel in units of its spread over the
dataset. The first choice is the episode in the middle; each next one is farthest from all that were chosen. The way,
not the time: a slow episode is not another one. Outliers are far from everything, so that broken episodes come first:
clean before.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from robokata.core.episode import Episode
from robokata.core.errors import SelectionRefused
from robokata.core.selection import Described, Selection, selection_of
from robokata.core.stream import Role
from robokata.curators._unjudged import note_unjudged
from robokata.geometry.motion import motion_of


class Way(NamedTuple):
    """What the state was along the episode."""

    stream: str
    points: NDArray[np.float32]
    """(P, D)."""


def describe(
    episode: Episode,
    *,
    # 8: a pick and place has about as many phases.
    points: int = 8,
) -> Way | None:
    """State at equal shares of the way, of its widest stream; None where it has none that moves."""
    streams = [s for s in episode.numeric(Role.STATE, Role.ACTION) if len(s) > 1 and motion_of(s).travel.any()]
    if not streams:
        return None
    best = max(streams, key=lambda s: (s.role is Role.STATE, s.table.shape[1]))
    table = np.nan_to_num(np.asarray(best.table, np.float64))
    way = np.concatenate([[0.0], np.cumsum(motion_of(best).travel, dtype=np.float64)])
    # A hair of time: where the robot rests, the way does not grow, and interpolation needs one that does.
    way = way + np.arange(len(way)) * (1e-9 * max(way[-1], 1e-9))
    at = np.linspace(0.0, way[-1], points)
    return Way(best.name, np.stack([np.interp(at, way, column) for column in table.T], axis=1).astype(np.float32))


def choose(rows: Sequence[Described], *, keep: int, rng: np.random.Generator) -> Selection:
    """`keep` episodes that lie far apart.

    Raises:
        SelectionRefused: the episodes have different states, which have no distance, or too few have one that moves.
    """
    still = {row.episode: "its state never moves" for row in rows if row.value is None}
    notes = note_unjudged("diversity", still, episodes=len(rows), keep=keep)
    ordered = sorted((row for row in rows if row.value is not None), key=lambda row: row.episode)
    kinds = {(row.value.stream, row.value.points.shape) for row in ordered}
    if len(kinds) > 1:
        shown = " and ".join(f"{stream} {list(shape)}" for stream, shape in sorted(kinds)[:2])
        raise SelectionRefused(f"diversity: the episodes have different states ({shown}). Curate each kind by itself.")
    why = {row.episode: still.get(row.episode, "near a chosen one") for row in rows}
    if keep == len(rows) or not ordered:
        return selection_of(rows, (row.episode for row in rows[:keep]), why_not=why, notes=notes)
    flat = np.stack([row.value.points.reshape(-1) for row in ordered]).astype(np.float64)
    places = _farthest(flat, np.stack([row.value.points for row in ordered]), keep)
    return selection_of(rows, (ordered[place].episode for place in places), why_not=why, notes=notes)


def _farthest(flat: NDArray[np.float64], points: NDArray[np.float32], keep: int) -> list[int]:
    spread = points.reshape(-1, points.shape[-1]).std(axis=0)
    scale = np.where(spread > 0, 1 / np.where(spread > 0, spread, 1.0), 0.0)
    scaled = flat * np.tile(scale, points.shape[1])
    chosen = [int(np.argmin(((scaled - scaled.mean(axis=0)) ** 2).sum(axis=1)))] if keep else []
    apart = np.full(len(scaled), np.inf)
    while len(chosen) < keep:
        apart = np.minimum(apart, ((scaled - scaled[chosen[-1]]) ** 2).sum(axis=1))
        apart[chosen[-1]] = -1.0  # never twice, also where copies lie at distance 0
        chosen.append(int(np.argmax(apart)))
    return chosen
