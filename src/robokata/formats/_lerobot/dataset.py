"""What a LeRobot dataset knows of all its episodes while it is written: features, tasks, statistics, counts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from robokata.core.errors import WriteRefused
from robokata.formats._lerobot.draft import Draft, is_numbers, refuse_misfit
from robokata.formats._lerobot.features import Splits, plain_rate
from robokata.formats._lerobot.nested import Nested
from robokata.formats._lerobot.plan import Options
from robokata.formats._lerobot.statistics import Moments, PictureTotals, moments_by_name
from robokata.formats._lerobot.table import Cells


class Part(NamedTuple):
    """One episode with its numbers, ready to be written."""

    number: int
    first_row: int
    draft: Draft
    table: Mapping[str, NDArray[Any] | Cells | Nested]
    statistics: Mapping[str, Mapping[str, Any]]


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
        self.features: Mapping[str, dict[str, Any]] = {}
        self.tasks = Tasks()
        self.episodes, self.rows = 0, 0
        self._first: Draft | None = None
        self._robots: dict[str | None, None] = {}
        self._splits = Splits()
        self._moments: dict[str, Moments] = {}
        self._pictures: dict[str, PictureTotals] = {}

    def add(self, draft: Draft) -> Part:
        """Count an episode in, and give it its numbers; refuse it where it does not fit the first.

        Raises:
            WriteRefused: it does not fit.
        """
        if self._first is None:
            # The pictures and numbers of the first episode are not needed any more once they are written.
            self._first = draft._replace(columns={}, clips={}, moments={}, carried=b"")
            self.features = draft.features
        refuse_misfit(draft, self._first, self.version)
        self._claim_numbers(draft)
        columns = {**draft.columns, **self._counters(draft)}
        part = Part(self.episodes, self.rows, draft, columns, self._statistics(draft, columns))
        self.episodes, self.rows = self.episodes + 1, self.rows + draft.rows
        self._splits.add(draft.split)
        self._robots[draft.robot] = None
        return part

    @property
    def cameras(self) -> list[str]:
        """Features that are video."""
        return [name for name, feature in self.features.items() if feature["dtype"] == "video"]

    @property
    def modality(self) -> Mapping[str, Any]:
        """GR00T's groups, as the first episode has them."""
        return self._first.modality if self._first is not None else {}

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
            "fps": plain_rate(self._first.rate_hz),
            "splits": self._splits.ranges(),
            **self._first.info,
        }

    def statistics(self) -> dict[str, Any]:
        """Over all episodes."""
        numbers = {name: m.stated(self._shape(name)) for name, m in self._moments.items() if m.count}
        return {**numbers, **{name: totals.stated() for name, totals in self._pictures.items()}}

    def _shape(self, name: str) -> tuple[int, ...]:
        return tuple(self.features[name]["shape"])

    def _counters(self, draft: Draft) -> dict[str, NDArray[np.int64]]:
        """The columns that depend on the episodes before."""
        numbers = {text: self.tasks.number(text) for text in draft.texts}
        # The first text of the episode, unless one begins later.
        tasks = np.full(draft.rows, numbers[draft.texts[0]], np.int64)
        for turn in draft.turns:
            tasks[turn.row :] = numbers[turn.text]
        return {
            "episode_index": np.full(draft.rows, self.episodes, np.int64),
            "index": np.arange(self.rows, self.rows + draft.rows, dtype=np.int64),
            "task_index": tasks,
        }

    def _claim_numbers(self, draft: Draft) -> None:
        """Keep the source's numbers of texts where its columns point to them."""
        for text, number in draft.claims:
            other = self.tasks.claim(text, number)
            if other is not None:
                raise WriteRefused(
                    f"episode {draft.episode} gives {text!r} the number {number}, and an earlier one gives it to "
                    f"{other!r}. Its {', '.join(draft.pointers)} point to these numbers: write the episodes to two "
                    f"datasets."
                )

    def _statistics(
        self, draft: Draft, columns: Mapping[str, NDArray[Any] | Cells | Nested]
    ) -> dict[str, Mapping[str, Any]]:
        """Of one episode, and into the sums."""
        out: dict[str, Mapping[str, Any]] = {}
        counters = {name: cells for name, cells in columns.items() if name not in draft.columns and is_numbers(cells)}
        known = {**draft.moments, **moments_by_name(counters)}
        for name in columns:
            own = known.get(name)
            if own is not None:
                self._moments.setdefault(name, Moments()).join(own)
            if own is not None and own.count:
                out[name] = own.stated(self._shape(name))
        for name, stated in draft.pictures.items():
            self._pictures.setdefault(name, PictureTotals()).add(stated)
            out[name] = stated
        return out
