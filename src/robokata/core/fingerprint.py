"""Whether two episodes are the same recording: exactly, or up to a little noise and speed."""

from __future__ import annotations

import hashlib
import weakref
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from robokata.core.episode import Episode
from robokata.core.errors import DamagedData
from robokata.core.stream import Role, Stream

POINTS = 24
"""Moments of an episode that its path keeps: a pick and place has about 8 phases, three moments each."""
COARSE = 4
"""Moments of the first, cheap comparison: means of POINTS / COARSE neighbours, which never lie further apart."""
MAX_CHANNELS = 128
"""Channels that a path keeps: a humanoid with hands has 88 in state and action; 12 kB per episode at most."""
FEWEST_STEPS = 10
"""Below ten steps a path is a straight line, and straight lines are all alike."""
_GRID = 48
_BLOCK = 1 << 22
"""Distances held at once, 16 MB of float32, whatever the size of the dataset."""


class Fingerprint(NamedTuple):
    """What tells one recording from another; some kilobytes, picklable."""

    digest: bytes | None
    """Hash of all numbers of state and action (else of sensors, else of all pictures), None where there are none."""
    look: bytes | None
    """Hash of the first picture of every camera, None where none can be read."""
    of: str
    """What the digest was taken of: `numbers`, `pictures` or `nothing`."""
    path: NDArray[np.float32] | None
    """(POINTS, D) means of the channels over equal shares of the episode, None where `reason` says why."""
    reason: str | None
    """Why there is no path, and so only exact copies can be found."""


class Kin(NamedTuple):
    """Episodes that are the same recording, by their place in the list that was compared."""

    members: tuple[int, ...]
    apart_share: float
    """Largest distance that linked two of them, as a share of their own motion; 0 where all are exact copies."""


_seen: weakref.WeakKeyDictionary[Episode, Fingerprint] = weakref.WeakKeyDictionary()


def fingerprint_of(episode: Episode) -> Fingerprint:
    """Fingerprint of an episode; kept as long as the episode lives.

    Clocks, names of tasks and counters do not count: a copy that was given a new number is still a copy.

    Raises:
        DamagedData: the numbers cannot be read. Pictures that cannot be read are left out.
    """
    known = _seen.get(episode)
    if known is None:
        known = _seen[episode] = _take(episode)
    return known


def _take(episode: Episode) -> Fingerprint:
    streams = [s for s in episode.numeric(Role.STATE, Role.ACTION) if len(s)]
    # Logs of vehicles hold neither: what their sensors measured tells recordings apart as well.
    streams = streams or [s for s in episode.numeric(Role.SENSOR) if len(s)]
    if not streams:
        return _take_of_pictures(episode)
    digest = hashlib.blake2b(digest_size=16)
    for stream in streams:
        table = np.ascontiguousarray(stream.table)
        digest.update(f"{stream.name}|{table.dtype.str}|{table.shape}".encode())
        digest.update(table.data if table.size else b"")
    path, reason = _path_of(streams)
    look = _look_of(episode)
    if not any(np.any(stream.table != stream.table[0]) for stream in streams):
        # Zeros that fill the place of numbers that nobody recorded are alike in all episodes: the pictures decide.
        digest.update(look or b"")
    return Fingerprint(digest.digest(), look, "numbers", path, reason)


def _path_of(streams: Sequence[Stream]) -> tuple[NDArray[np.float32] | None, str | None]:
    shortest = min(len(stream) for stream in streams)
    if shortest < FEWEST_STEPS:
        return None, f"{shortest} steps are too few to tell a near copy from another short move"
    tables, room = [], MAX_CHANNELS
    for stream in streams:
        tables.append(_resampled(stream.table[:, :room]))
        room -= tables[-1].shape[1]
        if not room:
            break
    path = np.concatenate(tables, axis=1)
    if not np.isfinite(path).all():
        return None, "state or action holds numbers that are not finite"
    if not path.size or not np.ptp(path, axis=0).any():
        return None, "the robot does not move"
    return path, None


def _resampled(table: NDArray[Any]) -> NDArray[np.float32]:
    """Means over POINTS equal shares of the samples, (POINTS, D); interpolated where samples are few."""
    count = len(table)
    # A sum past the float range becomes inf, which `_path_of` refuses by name.
    with np.errstate(over="ignore", invalid="ignore"):
        if count >= 2 * POINTS:
            # Means, not samples: they average sensor noise away, so that a noisy copy stays close.
            edges = np.arange(POINTS) * count // POINTS
            sums = np.add.reduceat(table, edges, axis=0, dtype=np.float64)
            means = sums / np.diff(np.append(edges, count))[:, np.newaxis]
        else:
            at = np.linspace(0, count - 1, POINTS)
            low = np.minimum(at.astype(np.int64), count - 2)
            share = (at - low)[:, np.newaxis]
            means = table[low] * (1 - share) + table[low + 1] * share
        return np.asarray(means, dtype=np.float32)


def _look_of(episode: Episode) -> bytes | None:
    digest, seen = hashlib.blake2b(digest_size=16), False
    for stream in episode.pictures():
        # Pictures that cannot be read are another check's finding; the numbers still tell copies.
        try:
            grid = next(iter(stream.pictures.luma(_GRID)), None)
        except DamagedData:
            continue
        if grid is not None:
            digest.update(stream.name.encode() + np.ascontiguousarray(grid).tobytes())
            seen = True
    return digest.digest() if seen else None


def _take_of_pictures(episode: Episode) -> Fingerprint:
    digest, seen = hashlib.blake2b(digest_size=16), False
    for stream in episode.pictures():
        try:
            for grid in stream.pictures.luma(_GRID):
                digest.update(np.ascontiguousarray(grid).tobytes())
                seen = True
        except DamagedData:
            # Half a video is no fingerprint: two videos that break at their first frame would look alike.
            return Fingerprint(None, None, "nothing", None, "its pictures cannot all be read, and it has no numbers")
    if not seen:
        return Fingerprint(None, None, "nothing", None, "it has neither state, action nor pictures")
    only = "it has no numbers, so only exact copies of its pictures can be found"
    return Fingerprint(digest.digest(), digest.digest(), "pictures", None, only)


def kin_among(prints: Sequence[Fingerprint], *, near_below_share: float, near_below_typical_share: float) -> list[Kin]:
    """Groups of episodes that are one recording, linked transitively, in order of their first member.

    Exact copies share every bit. Near copies go the same way at any speed: at equal shares of it they differ,
    root mean square over places and channels, by less than `near_below_share` of their own motion and by less
    than `near_below_typical_share` of the typical distance between episodes of this dataset. Channels are
    scaled by their spread over all episodes.
    """
    links: list[tuple[int, int, float]] = []
    first_of: dict[bytes, int] = {}
    for place, taken in enumerate(prints):
        if taken.digest is not None:
            first = first_of.setdefault(taken.digest, place)
            if first != place:
                links.append((first, place, 0.0))
    by_width: dict[int, list[tuple[int, NDArray[np.float32]]]] = {}
    for place in first_of.values():
        path = prints[place].path
        if path is not None:
            by_width.setdefault(path.shape[1], []).append((place, path))
    for alike in by_width.values():
        paths = np.stack([path for _, path in alike])
        for a, b, share in _near_pairs(paths, near_below_share, near_below_typical_share):
            links.append((alike[a][0], alike[b][0], share))
    return _grouped(len(prints), links)


def _near_pairs(
    paths: NDArray[np.float32], below_share: float, below_typical_share: float
) -> list[tuple[int, int, float]]:
    """Pairs that link all near copies among paths (N, POINTS, D), with their distance in shares of their motion."""
    centre = paths.mean(axis=(0, 1), dtype=np.float64)
    spread = paths.std(axis=(0, 1), dtype=np.float64)
    moving = spread > 1e-9 * np.maximum(1e-30, np.abs(centre))
    if len(paths) < 2 or not moving.any():
        return []
    # Along the way, not along the time: a copy that was replayed at another or a changing speed goes the same way.
    scaled = _by_travel(((paths[..., moving] - centre[moving]) / spread[moving]).astype(np.float32))
    motion = np.sqrt(np.square(scaled - scaled.mean(axis=1, keepdims=True)).mean(axis=(1, 2)))
    flat = scaled.reshape(len(scaled), -1)
    coarse = scaled.reshape(len(scaled), COARSE, POINTS // COARSE, -1).mean(axis=2).reshape(len(scaled), -1)
    reach = motion * below_share
    # With three recordings or fewer there is no typical distance to compare with.
    if len(flat) > 3:
        reach = np.minimum(reach, below_typical_share * _typical_distances(flat))
    return _links(flat, coarse, reach, motion)


def _by_travel(paths: NDArray[np.float32]) -> NDArray[np.float32]:
    """The same paths (N, POINTS, D) at equal steps of travelled length instead of time."""
    out = np.empty_like(paths)
    wanted = np.linspace(0, 1, POINTS)
    for start in range(0, len(paths), 4096):
        block = paths[start : start + 4096]
        legs = np.sqrt(np.square(np.diff(block, axis=1)).sum(axis=2, dtype=np.float64))
        way = np.concatenate([np.zeros((len(block), 1)), np.cumsum(legs, axis=1)], axis=1)
        way /= np.maximum(way[:, -1:], 1e-30)
        low = np.minimum((way[:, np.newaxis, :] <= wanted[:, np.newaxis]).sum(axis=2) - 1, POINTS - 2)
        begin = np.take_along_axis(way, low, axis=1)
        leg = np.take_along_axis(way, low + 1, axis=1) - begin
        share = np.clip((wanted - begin) / np.where(leg > 0, leg, 1), 0, 1).astype(np.float32)[..., np.newaxis]
        first = np.take_along_axis(block, low[..., np.newaxis], axis=1)
        second = np.take_along_axis(block, low[..., np.newaxis] + 1, axis=1)
        out[start : start + 4096] = first + share * (second - first)
    return out


def _links(
    flat: NDArray[np.float32], coarse: NDArray[np.float32], reach: NDArray[np.float32], motion: NDArray[np.float32]
) -> list[tuple[int, int, float]]:
    """Pairs closer than both their reaches; a pair that others have linked already is not measured again."""
    squares = np.square(coarse).sum(axis=1)
    group = np.arange(len(flat))
    links: list[tuple[int, int, float]] = []
    rows = max(1, _BLOCK // len(flat))
    for start in range(0, len(flat), rows):
        block = slice(start, min(start + rows, len(flat)))
        apart = squares[block, np.newaxis] + squares - 2 * (coarse[block] @ coarse.T)
        limit = np.square(np.minimum(reach[block, np.newaxis], reach)) * coarse.shape[1]
        # float32 cancels in this formula by some 1e-6 of the squares; what passes is measured again exactly.
        close = apart < limit + 4e-6 * (squares[block, np.newaxis] + squares)
        for a in np.flatnonzero(close.sum(axis=1) > 1) + start:
            others = np.flatnonzero(close[a - start])
            others = others[(others > a) & (group[others] != group[a])]
            far = np.sqrt(np.square(flat[others] - flat[a], dtype=np.float64).mean(axis=1))
            for b, distance in zip(others, far, strict=True):
                if distance < min(reach[a], reach[b]):
                    links.append((int(a), int(b), float(distance / min(motion[a], motion[b]))))
                    group[group == group[b]] = group[a]
    return links


def _typical_distances(flat: NDArray[np.float32]) -> NDArray[np.float32]:
    """Median distance of each path to (at most 64, evenly chosen) others, (N,)."""
    chosen = np.unique(np.linspace(0, len(flat) - 1, min(len(flat), 64)).astype(np.int64))
    apart = np.empty((len(flat), len(chosen)), np.float32)
    for column, other in enumerate(chosen):
        apart[:, column] = np.sqrt(np.square(flat - flat[other]).mean(axis=1))
        apart[other, column] = np.nan
    return np.asarray(np.nanmedian(apart, axis=1), dtype=np.float32)


def _grouped(count: int, links: Sequence[tuple[int, int, float]]) -> list[Kin]:
    root = list(range(count))

    def find(place: int) -> int:
        while root[place] != place:
            root[place] = root[root[place]]
            place = root[place]
        return place

    for a, b, _ in links:
        low, high = sorted((find(a), find(b)))
        root[high] = low
    members: dict[int, list[int]] = {}
    apart: dict[int, float] = {}
    for place in sorted({place for a, b, _ in links for place in (a, b)}):
        members.setdefault(find(place), []).append(place)
    for a, _, share in links:
        apart[find(a)] = max(apart.get(find(a), 0.0), share)
    return [Kin(tuple(members[first]), apart[first]) for first in sorted(members)]
