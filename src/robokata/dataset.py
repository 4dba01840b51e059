"""A dataset as a Python object: the face of a Source."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, overload

from robokata.core.declared_rate import Rate, open_with_rates, rates_in
from robokata.core.detection import reopen
from robokata.core.episode import Episode
from robokata.core.errors import UnknownName
from robokata.core.require import require
from robokata.core.source import EpisodeList, Facts, Source, row_of
from robokata.runtime.episode_filter import choose_episodes
from robokata.runtime.progress import SILENT, Progress


def open_dataset(
    path: str | os.PathLike[str] | Source, *, format: str | None = None, rate_hz: Sequence[str | float] = ()
) -> Dataset:
    """Open a dataset of any format that Robokata reads; only its indexes are read.

    `rate_hz` declares rates for streams without times: `[10]`, or `["STREAM=10"]`.

    Raises:
        NotADataset: no format recognises it, or several datasets lie below the path.
        AmbiguousFormat: two formats claim it: name one with `format`.
        DamagedData: its indexes cannot be read.
    """
    return Dataset(open_with_rates(path, format=format, rate_hz=rate_hz))


class Dataset:
    """Episodes of a source: `len`, iteration, `[i]`, `["id"]`, slices, SQL, and the verbs.

    A Dataset is a Source, so every verb takes it. It holds no episode in memory: each is opened when it is asked for.
    """

    def __init__(self, source: Source, keys: Sequence[str] | None = None) -> None:
        self.source = source
        self._keys = list(source.keys() if keys is None else keys)
        self._is_there = frozenset(self._keys)
        self._is_whole = keys is None

    def __reduce__(self) -> tuple[Any, ...]:
        keys = None if self._is_whole else self._keys
        if isinstance(self.source, EpisodeList) or getattr(self.source, "travels", False):
            return Dataset, (self.source, keys)
        return _reopened, (str(self.source.path), self.source.format, keys)

    @property
    def format(self) -> str:
        """Name of the format, `lerobot_v3`."""
        return self.source.format

    @property
    def path(self) -> Path:
        """Where it lies."""
        return self.source.path

    @property
    def travels(self) -> bool:
        """True: a worker process gets a reference and opens the episodes again."""
        return True

    @property
    def whole(self) -> Source | None:
        """The source, None where the dataset is a part of it."""
        return self.source if self._is_whole else None

    @property
    def rates(self) -> tuple[Rate, ...]:
        """Rates that were declared for streams without times."""
        return rates_in(self.source)

    def keys(self) -> Sequence[str]:
        """Ids of the episodes, in the dataset's order."""
        return self._keys

    def episode(self, key: str) -> Episode:
        """Open one episode by its id.

        Raises:
            UnknownName: the dataset has no episode of this id.
            DamagedData: its bytes are not what the format promises.
        """
        if key not in self._is_there:
            raise UnknownName(f"episode of {self.path}", key, self._keys)
        return self.source.episode(key)

    def facts(self) -> Facts:
        """What the dataset says of itself, from its indexes; of a part, what holds of the part."""
        facts = self.source.facts()
        if self._is_whole:
            return facts
        known = {row.id: row for row in facts.rows}
        rows = [known[key] for key in self._keys if key in known]
        # What is declared or measured over all episodes says nothing of some of them.
        return replace(facts, rows=rows, splits={}, declarations=(), statistics={}, sizes={}, total_size=None)

    @property
    def episodes(self) -> Iterator[Episode]:
        """The episodes, opened one by one."""
        return iter(self)

    def __len__(self) -> int:
        return len(self._keys)

    def __iter__(self) -> Iterator[Episode]:
        return (self.source.episode(key) for key in self._keys)

    def __contains__(self, key: object) -> bool:
        return key in self._is_there

    @overload
    def __getitem__(self, which: str | int) -> Episode: ...
    @overload
    def __getitem__(self, which: slice | list[str]) -> Dataset: ...
    def __getitem__(self, which: str | int | slice | list[str]) -> Episode | Dataset:
        """An episode by id or by number, or a smaller dataset by a slice or a list of ids."""
        if isinstance(which, str):
            return self.episode(which)
        if isinstance(which, slice):
            return self._part(self._keys[which])
        if isinstance(which, list):
            for key in which:
                if key not in self._is_there:
                    raise UnknownName(f"episode of {self.path}", key, self._keys)
            return self._part(which)
        return self.source.episode(self._keys[which])

    def __repr__(self) -> str:
        facts = self.facts()
        durations = [row.duration_s for row in facts.rows if row.duration_s is not None]
        # A sum over some of the episodes would be no duration of the dataset.
        hours = [f"{sum(durations) / 3600:.3g} h"] if len(durations) == len(self) > 0 else []
        described = ", ".join([self.format, f"{len(self)} episodes", *hours, *facts.robots])
        return f"Dataset({str(self.path)!r}, {described})"

    def _repr_html_(self) -> str:
        from robokata.viewing.html.notebook import dataset_html

        return dataset_html(self)

    def where(self, sql: str) -> Dataset:
        """The episodes that meet an SQL condition on the table of episodes: `"steps > 100 AND success"`.

        Raises:
            QueryRefused: the condition is not one, or no episode meets it.
        """
        return self._part(choose_episodes(self, where=sql).keys)

    def _part(self, keys: Sequence[str]) -> Dataset:
        part = Dataset(self.source, keys)
        if not isinstance(self.source, EpisodeList):
            return part
        # Episodes in memory cannot be opened again elsewhere: a part of them is some of them.
        return Dataset(EpisodeList([self.source.episode(key) for key in keys], part.facts()))

    def table(self) -> Any:
        """One row per episode as a `pyarrow.Table`.

        Columns: id, steps, duration_s, instructions, split, robot, success, session. Null is what the dataset does not
        say. An episode that no index tells of is opened.
        """
        pyarrow = require("pyarrow", extra="tables")
        known = {row.id: row for row in self.facts().rows}
        rows = [known.get(key) or row_of(self.source.episode(key)) for key in self._keys]
        names = ("id", "steps", "duration_s", "instructions", "split", "robot", "success", "session")
        kinds = ("string", "int64", "float64", "list", "string", "string", "bool_", "string")
        schema = [
            (name, pyarrow.list_(pyarrow.string()) if kind == "list" else getattr(pyarrow, kind)())
            for name, kind in zip(names, kinds, strict=True)
        ]
        cells = [{name: getattr(row, name) for name in names} for row in rows]
        return pyarrow.Table.from_pylist(
            [{**row, "instructions": list(row["instructions"])} for row in cells], schema=pyarrow.schema(schema)
        )

    def to_pandas(self) -> Any:
        """The table of episodes as a pandas data frame.

        Raises:
            MissingPart: pandas is not installed.
        """
        require("pandas", extra="notebook")
        return self.table().to_pandas()

    def to_polars(self) -> Any:
        """The table of episodes as a polars data frame.

        Raises:
            MissingPart: polars is not installed.
        """
        return require("polars", extra="notebook").from_arrow(self.table())

    def look(self) -> Any:
        """What is in it: see `robokata.look`."""
        from robokata.survey.look import look

        return look(self)

    def check(self, *, fail_on: str | None = None, workers: int | None = None, on_progress: Progress = SILENT) -> Any:
        """Run every check on these episodes: see `robokata.check`."""
        from robokata.inspection.check import check

        return check(self, fail_on=fail_on, workers=workers, on_progress=on_progress)

    def convert(
        self,
        out: str | os.PathLike[str],
        *,
        to: str,
        options: Mapping[str, Any] | None = None,
        accept_loss: bool = False,
        workers: int | None = None,
        on_progress: Progress = SILENT,
    ) -> Any:
        """Write these episodes in another format, read back and compared: see `robokata.convert`."""
        from robokata.conversion.convert_dataset import convert

        return convert(
            self,
            out,
            to=to,
            options=options,
            accept_loss=accept_loss,
            workers=workers,
            on_progress=on_progress,
        )

    def measure(self, *, workers: int | None = None, on_progress: Progress = SILENT) -> Any:
        """Compute every metric on these episodes: see `robokata.measure`."""
        from robokata.evaluation.measure import measure

        return measure(self, split="all", workers=workers, on_progress=on_progress)


def _reopened(path: str, format_name: str, keys: Sequence[str] | None) -> Dataset:
    return Dataset(reopen(path, format_name), keys)
