"""Every sample of some episodes in memory as numbers, pictures as memory maps, and batches of any of them."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from robokata.loading.gather import Frames, Gathered
from robokata.loading.layout import BodyLayout, arranged, joined
from robokata.loading.window_spec import WindowSpec

_OPEN_FILES = 20_000
"""Memory maps kept open: far below the 65,530 that Linux allows one process."""


class Part(NamedTuple):
    """The samples of a batch that are of one robot."""

    body: int
    """Number of its layout."""
    places: NDArray[np.int64]
    """Where in the batch they stand, (k,)."""
    numbers: Mapping[str, NDArray[np.float32]]
    """Stream -> (k, len(history), D), NaN where a channel or sample is absent."""
    actions: NDArray[np.float32]
    """(k, chunk_steps, A), NaN where a channel is absent; past the end the last action repeats."""
    is_action: NDArray[np.bool_]
    """(k, chunk_steps), False past the end."""


class Batch(NamedTuple):
    """Some samples, as they lie in the data: nothing is normalised yet."""

    samples: NDArray[np.int64]
    parts: tuple[Part, ...]
    pictures: Mapping[str, NDArray[np.uint8]]
    """Camera -> (B, px, px, 3); zeros where there is none."""
    has_picture: Mapping[str, NDArray[np.bool_]]
    instructions: tuple[str, ...]


@dataclass(frozen=True)
class _Table:
    """One stream of one robot: all its rows, and which of them each sample wants (-1: absent)."""

    rows: NDArray[np.float32]
    wanted: NDArray[np.int32]

    def take(self, samples: NDArray[np.int64]) -> NDArray[np.float32]:
        wanted = self.wanted[samples]
        if not len(self.rows):
            return np.full((*wanted.shape, self.rows.shape[1]), np.nan, np.float32)
        taken = self.rows[wanted]
        taken[wanted < 0] = np.nan
        return taken

    @property
    def latest(self) -> _Table:
        """The same, and of each sample only its last row."""
        return _Table(self.rows, self.wanted[:, -1:])

    def absent_count(self) -> int:
        """How many of the numbers that the samples want are absent."""
        per_row = np.isnan(self.rows).sum(1)
        is_there = self.wanted >= 0
        lacking = np.sum(per_row[self.wanted[is_there]]) + np.sum(~is_there) * self.rows.shape[1]
        return int(lacking)


class Feed:
    """Samples of some episodes. A class, because it holds the tables that batches are cut from.

    `bodies` are the layouts of the robots met, in order of first appearance unless `layouts` fixes them.
    """

    def __init__(
        self, episodes: Sequence[Gathered], spec: WindowSpec, *, layouts: Sequence[BodyLayout] | None = None
    ) -> None:
        if not sum(map(len, episodes)):
            raise ValueError("a feed needs at least one sample")
        self.spec = spec
        self.episodes = tuple(episodes)
        self.bodies = tuple(layouts) if layouts else joined(episode.layout for episode in episodes)
        number_of = {layout.embodiment: number for number, layout in enumerate(self.bodies)}
        self._body_of_episode = np.asarray([number_of[e.layout.embodiment] for e in episodes], np.int64)
        lengths = np.asarray([len(e) for e in episodes], np.int64)
        self.episode_of = np.repeat(np.arange(len(episodes)), lengths)
        """Episode of each sample, (N,)."""
        self.at = np.arange(len(self.episode_of)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        """Place of each sample in its episode, (N,)."""
        self.body_of = self._body_of_episode[self.episode_of]
        self._within = np.empty(len(self.episode_of), np.int64)
        for body in range(len(self.bodies)):
            of_body = self.body_of == body
            self._within[of_body] = np.arange(int(of_body.sum()))
        self._inputs = [self._tables_of(body, spec.inputs) for body in range(len(self.bodies))]
        self._actions = [self._actions_of(body) for body in range(len(self.bodies))]
        self._map = functools.lru_cache(maxsize=_OPEN_FILES)(_opened)

    def __len__(self) -> int:
        return len(self.episode_of)

    @functools.cached_property
    def digest(self) -> str:
        """SHA-256 of all that is learnt from: the data hash of the receipt."""
        joined_digests = "\n".join([repr(self.spec), *(episode.digest for episode in self.episodes)])
        return hashlib.sha256(joined_digests.encode()).hexdigest()

    def absent_shares(self) -> dict[str, float]:
        """Stream -> share of what the samples want of it that is absent, where any is.

        What a robot does not have at all is no part of its layout, and does not count; nor does the time before an
        episode begins.
        """
        shares: dict[str, float] = {}
        for name in self.spec.inputs:
            shares[name] = _absent_share([inputs[name].latest for inputs in self._inputs if name in inputs])
        for camera in self.spec.cameras:
            seen = sum(int(e.frames[camera].is_there.sum()) for e in self.episodes if camera in e.frames)
            shares[camera] = 1 - seen / len(self)
        shares[self.spec.action] = _absent_share([table for table, _ in self._actions])
        return {name: share for name, share in shares.items() if share > 0}

    def batch(self, samples: NDArray[np.int64], *, rng: np.random.Generator | None = None) -> Batch:
        """Samples by number. `rng` draws among paraphrases; without it the first is taken."""
        parts = tuple(
            self._part(body, places, samples[places])
            for body in range(len(self.bodies))
            if len(places := np.flatnonzero(self.body_of[samples] == body))
        )
        pictures, has_picture = {}, {}
        for camera in self.spec.cameras:
            pictures[camera], has_picture[camera] = self._pictures(camera, samples)
        return Batch(samples, parts, pictures, has_picture, tuple(self._said(samples, rng)))

    def numbers(self, body: int, samples: NDArray[np.int64]) -> Part:
        """Numbers of samples of one robot, without pictures."""
        return self._part(body, np.arange(len(samples)), samples)

    def _part(self, body: int, places: NDArray[np.int64], samples: NDArray[np.int64]) -> Part:
        within = self._within[samples]
        table, is_action = self._actions[body]
        numbers = {name: table_.take(within) for name, table_ in self._inputs[body].items()}
        return Part(body, places, numbers, table.take(within), is_action[within])

    def _said(self, samples: NDArray[np.int64], rng: np.random.Generator | None) -> list[str]:
        said = []
        for sample in samples:
            texts = self.episodes[self.episode_of[sample]].instructions[self.at[sample]]
            pick = int(rng.integers(len(texts))) if rng is not None and len(texts) > 1 else 0
            said.append(texts[pick] if texts else "")
        return said

    def _pictures(self, camera: str, samples: NDArray[np.int64]) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        px = self.spec.picture_px
        out, has = np.zeros((len(samples), px, px, 3), np.uint8), np.zeros(len(samples), bool)
        for place, sample in enumerate(samples):
            frames = self.episodes[self.episode_of[sample]].frames.get(camera)
            if frames is not None and frames.is_there[self.at[sample]]:
                out[place] = self._map(frames.file)[frames.rows[self.at[sample]]]
                has[place] = True
        return out, has

    def _tables_of(self, body: int, streams: Sequence[str]) -> dict[str, _Table]:
        layout = self.bodies[body]
        mine = [e for e, b in zip(self.episodes, self._body_of_episode, strict=True) if b == body]
        tables = {}
        for name in streams:
            wanted_channels = layout.channels.get(name)
            if not wanted_channels:
                continue
            # Of a robot without an episode here (a validation feed may have some) there are no rows.
            rows, first = [np.empty((0, len(wanted_channels)), np.float32)], 0
            wanted = [np.empty((0, self.spec.past), np.int32)]
            for episode in mine:
                found = episode.inputs.get(name)
                if found is None:
                    wanted.append(np.full((len(episode), self.spec.past), -1, np.int32))
                    continue
                wanted.append(np.where(found.is_there, found.rows + first, -1).astype(np.int32))
                rows.append(arranged(episode.tables[name], episode.layout.channels[name], wanted_channels))
                first += len(rows[-1])
            tables[name] = _Table(np.concatenate(rows), np.concatenate(wanted))
        return tables

    def _actions_of(self, body: int) -> tuple[_Table, NDArray[np.bool_]]:
        name, layout = self.spec.action, self.bodies[body]
        rows, wanted, is_there, first = [], [], [], 0
        for episode, of in zip(self.episodes, self._body_of_episode, strict=True):
            if of != body:
                continue
            rows.append(arranged(episode.tables[name], episode.layout.channels[name], layout.channels[name]))
            wanted.append((episode.actions.rows + first).astype(np.int32))
            is_there.append(episode.actions.is_there)
            first += len(rows[-1])
        if not rows:
            width, steps = layout.width(name), self.spec.chunk_steps
            return _Table(np.empty((0, width), np.float32), np.empty((0, steps), np.int32)), np.empty((0, steps), bool)
        return _Table(np.concatenate(rows), np.concatenate(wanted)), np.concatenate(is_there)


def _absent_share(tables: Sequence[_Table]) -> float:
    wanted = sum(table.wanted.size * table.rows.shape[1] for table in tables)
    return float(sum(table.absent_count() for table in tables) / max(1, wanted))


def _opened(file: Path) -> NDArray[Any]:
    return np.asarray(np.load(file, mmap_mode="r", allow_pickle=False))


def frames_bytes(frames: Sequence[Frames]) -> int:
    """Bytes of the picture files behind some frames."""
    return sum(path.stat().st_size for path in {each.file for each in frames})
