"""What a LeRobot dataset knows of all its episodes while it is written: features, tasks, statistics, counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from robokata.core.clock import NS_PER_S
from robokata.core.episode import Episode
from robokata.core.errors import WriteRefused
from robokata.core.stream import Role
from robokata.formats._lerobot_features import features_of, kept_info, plain_rate, refuse_misfit, split_ranges_of
from robokata.formats._lerobot_plan import Column, Form, Options, Plan, made_column, plan_of
from robokata.formats._lerobot_statistics import Moments, PictureTotals, believable, sampled_pictures
from robokata.formats._lerobot_table import Cells
from robokata.media.encode import encode_png


class Part(NamedTuple):
    """One episode, ready to be written."""

    number: int
    first_row: int
    length: int
    texts: tuple[str, ...]
    table: Mapping[str, NDArray[Any] | Cells]
    statistics: Mapping[str, Mapping[str, Any]]
    plan: Plan


class Tasks:
    """Texts and their numbers. A class, because episodes add to them.

    Columns like GR00T's `annotation.*` point to texts by number: where an episode has such columns, its numbers stay.
    """

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._texts: dict[int, str] = {}

    def number(self, text: str) -> int:
        """The number of a text; a new text gets the next one."""
        if text not in self._numbers:
            self.claim(text, max(self._texts, default=-1) + 1)
        return self._numbers[text]

    def claim(self, text: str, number: int) -> str | None:
        """Give a text the number that its source gave it; returns the text that already has it, if another."""
        if self._texts.get(number, text) != text:
            return self._texts[number]
        self._texts[number] = text
        self._numbers.setdefault(text, number)
        return None

    @property
    def listed(self) -> list[str]:
        """Texts by number without a hole: LeRobot finds them by their place."""
        return [self._texts.get(n, f"(no task has the number {n})") for n in range(max(self._texts, default=-1) + 1)]


class Dataset:
    """Sums over the episodes. A class, because every episode adds to them, and the first decides what they may hold."""

    def __init__(self, version: str, options: Options) -> None:
        self.version, self.options = version, options
        self.features: dict[str, dict[str, Any]] = {}
        self.tasks = Tasks()
        self.episodes, self.rows = 0, 0
        self._first: Plan | None = None
        self._info: dict[str, Any] = {}
        self._robots: dict[str | None, None] = {}
        self._splits: list[str | None] = []
        self._moments: dict[str, Moments] = {}
        self._pictures: dict[str, PictureTotals] = {}

    def add(self, episode: Episode) -> Part:
        """Plan an episode, refuse it where it does not fit the first, and count it in.

        Raises:
            WriteRefused: it does not fit.
        """
        plan = plan_of(episode, self.options, measures=False)
        if self._first is None:
            self._first, self._info = plan, kept_info(episode)
            self.features = features_of(plan, self.options)
        refuse_misfit(episode, plan, self._first, self.version)
        texts = tuple(dict.fromkeys(i.text for i in episode.instructions)) or ("",)
        self._claim_numbers(episode, plan)
        count = len(plan.rows)
        counters: dict[str, NDArray[Any]] = {
            "timestamp": made_column("timestamp", count, plan.rows.rate_hz),
            "frame_index": made_column("frame_index", count, plan.rows.rate_hz),
            "episode_index": np.full(count, self.episodes, np.int64),
            "index": np.arange(self.rows, self.rows + count, dtype=np.int64),
            "task_index": self._task_of_rows(episode, plan, texts),
        }
        columns = {c.target: cells for c in plan.columns if (cells := _cells(c)) is not None}
        part = Part(
            self.episodes,
            self.rows,
            count,
            texts,
            {**columns, **counters},
            self._statistics(episode, plan, {**columns, **counters}),
            plan,
        )
        self.episodes, self.rows = self.episodes + 1, self.rows + count
        self._splits.append(episode.origin.split)
        self._robots[episode.embodiment.name if episode.embodiment else None] = None
        return part

    @property
    def cameras(self) -> list[str]:
        """Features that are video."""
        return [name for name, feature in self.features.items() if feature["dtype"] == "video"]

    def info(self) -> dict[str, Any]:
        """What info.json of every version says.

        Raises:
            WriteRefused: there was no episode.
        """
        if self._first is None:
            raise WriteRefused("there are no episodes to write: a LeRobot dataset holds at least one.")
        robots = list(self._robots)
        return {
            "codebase_version": self.version,
            # One robot per dataset: where there are several, each episode carries its own.
            "robot_type": robots[0] if len(robots) == 1 else None,
            "total_episodes": self.episodes,
            "total_frames": self.rows,
            "total_tasks": len(self.tasks.listed),
            "chunks_size": 1000,
            "fps": plain_rate(self._first.rows.rate_hz),
            "splits": split_ranges_of(self._splits),
            **self._info,
        }

    def statistics(self) -> dict[str, Any]:
        """Over all episodes."""
        numbers = {name: m.stated(self._shape(name)) for name, m in self._moments.items() if m.count}
        return {**numbers, **{name: totals.stated() for name, totals in self._pictures.items()}}

    def _shape(self, name: str) -> tuple[int, ...]:
        return tuple(self.features[name]["shape"])

    def _claim_numbers(self, episode: Episode, plan: Plan) -> None:
        """Keep the source's numbers of texts where its columns point to them."""
        pointers = [c.target for c in plan.columns if c.stream.role is Role.LANGUAGE and c.form is Form.NUMBERS]
        if not pointers:
            return
        for instruction in episode.instructions:
            stream = episode.streams.get(instruction.source)
            if stream is None or not stream.is_numeric or not len(stream):
                continue
            times_s = (stream.clock.times_ns - stream.clock.times_ns.min()) / NS_PER_S
            # Half a millisecond: the second was computed from the same times, and written as a float.
            row = int(np.searchsorted(times_s, (instruction.start_s or 0.0) - 5e-4))
            number = int(stream.table[min(row, len(stream) - 1), 0])
            other = self.tasks.claim(instruction.text, number)
            if other is not None:
                raise WriteRefused(
                    f"episode {episode.id} gives {instruction.text!r} the number {number}, and an earlier one gives "
                    f"it to {other!r}. Its {', '.join(pointers)} point to these numbers: write the episodes to "
                    f"two datasets."
                )

    def _task_of_rows(self, episode: Episode, plan: Plan, texts: Sequence[str]) -> NDArray[np.int64]:
        """Number of the text that holds in each row: the first of the episode, unless one has a span there."""
        numbers = {text: self.tasks.number(text) for text in texts}
        out = np.full(len(plan.rows), numbers[texts[0]], np.int64)
        times_s = (plan.rows.times_ns - plan.rows.times_ns.min()) / NS_PER_S
        for instruction in episode.instructions:
            if instruction.start_s is not None and instruction.source.startswith(("task", "language", "instruction")):
                out[times_s >= instruction.start_s - 5e-4] = numbers[instruction.text]
        return out

    def _statistics(
        self, episode: Episode, plan: Plan, columns: Mapping[str, NDArray[Any] | Cells]
    ) -> dict[str, Mapping[str, Any]]:
        """Of one episode, and into the sums."""
        out: dict[str, Mapping[str, Any]] = {}
        for name, cells in columns.items():
            if isinstance(cells, Cells) or cells.dtype.kind not in "fiub" or not len(cells):
                continue
            table = cells.reshape(len(cells), -1)
            self._moments.setdefault(name, Moments()).add(table)
            own = Moments()
            own.add(table)
            if own.count:
                out[name] = own.stated(self._shape(name))
        for column in plan.columns:
            if column.form in (Form.NUMBERS, Form.TEXTS):
                continue
            stated = _picture_statistics(episode, column)
            self._pictures.setdefault(column.target, PictureTotals()).add(stated)
            out[column.target] = stated
        return out


def _cells(column: Column) -> NDArray[Any] | Cells | None:
    """What stands in the table; None for videos."""
    if column.form in (Form.COPIED_VIDEO, Form.ENCODED_VIDEO):
        return None
    if column.form is not Form.IMAGES:
        values = np.asarray(column.stream.values[column.picked])
        return values.reshape(len(values)) if column.stream.shape == (1,) else values
    data, suffixes = [], []
    pictures, last = column.stream.pictures, -1
    for ordinal in column.picked.tolist():
        if ordinal != last:
            encoded = pictures.encoded(ordinal)
            cell = encoded.data if encoded is not None else encode_png(np.asarray(pictures[ordinal]))
            suffix = "jpg" if encoded is not None and encoded.codec == "jpeg" else "png"
        data.append(cell)
        suffixes.append(suffix)
        last = ordinal
    return Cells(data, [f"frame_{row:06d}.{suffix}" for row, suffix in enumerate(suffixes)])


def _picture_statistics(episode: Episode, column: Column) -> Mapping[str, Any]:
    """What the source declares, where the pictures stay and it can be believed; else from a few pictures."""
    stream = column.stream
    channels = stream.shape[2] if len(stream.shape) == 3 else 1
    channels = 3 if column.form is Form.ENCODED_VIDEO else channels
    if column.form is not Form.ENCODED_VIDEO and len(column.picked) == len(stream):
        declared = episode.declared_statistics.get(stream.name, {})
        if believable(declared, channels):
            return {
                name: np.asarray(value).reshape(-1).astype(int).tolist()
                if name == "count"
                else np.asarray(value, np.float64).reshape(channels, 1, 1).tolist()
                for name, value in declared.items()
            }
    moments = sampled_pictures(stream.pictures, column.picked)
    if len(moments.mean) == 1 and channels == 3:
        return moments_of_grey(moments)
    return moments.stated((channels, 1, 1))


def moments_of_grey(moments: Moments) -> dict[str, Any]:
    """Statistics of a grey camera as of the three equal colours that its video has."""
    stated = moments.stated((1, 1, 1))
    return {name: value if name == "count" else value * 3 for name, value in stated.items()}
