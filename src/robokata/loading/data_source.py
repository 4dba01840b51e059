"""One dataset of a mixture: which episodes of it, under which share, split and rate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from robokata.core.declared_rate import rates_from
from robokata.core.errors import RateRefused, RecipeRefused, RobokataError
from robokata.runtime.schema import Kind, OptionalText, Text, is_number, read_table


def _is_ids(value: Any) -> bool:
    return value is None or (isinstance(value, (list, tuple)) and all(isinstance(each, (str, int)) for each in value))


def _is_streams(value: Any) -> bool:
    return isinstance(value, Mapping) and all(isinstance(theirs, str) for theirs in value.values())


def _is_rates(value: Any) -> bool:
    words = value if isinstance(value, (list, tuple)) else [value]
    return all(isinstance(word, str) or is_number(word) for word in words)


_IDS = Kind("a list of ids", _is_ids, lambda value: None if value is None else tuple(map(str, value)))
_WEIGHT = Kind(
    "a number > 0 (a source that is not to be learnt from is left out)",
    lambda value: value is None or (is_number(value) and value > 0),
)
_STREAMS = Kind('a table { "name" = "name in the data" }', _is_streams)
_RATES = Kind(
    "a number, or a list of STREAM=NUMBER",
    _is_rates,
    lambda value: tuple(map(str, value if isinstance(value, (list, tuple)) else [value])),
)


@dataclass(frozen=True)
class DataSource:
    """One dataset of a recipe or of a training, and which part of it."""

    path: Text
    format: OptionalText = None
    where: OptionalText = None
    """SQL condition on its table of episodes, None for all."""
    episodes: Annotated[tuple[str, ...] | None, _IDS] = None
    """Only these, None for all."""
    weight: Annotated[float | None, _WEIGHT] = None
    """Share of the training samples that come from here, relative to the other weights; None: as many as it has."""
    split: OptionalText = None
    """Only episodes of this split, `all` for every one. None: a recipe takes all, each with its split; a training takes
    `train`, where the dataset has splits."""
    streams: Annotated[Mapping[str, str], _STREAMS] = field(default_factory=dict)
    """Name of a stream for a training -> what it is called in this dataset, where sources spell it otherwise."""
    rate_hz: Annotated[tuple[str, ...], _RATES] = ()
    """Rates that the user declares for streams without times: `10`, or `STREAM=10`."""

    def __post_init__(self) -> None:
        if self.weight is not None and not (is_number(self.weight) and self.weight > 0):
            raise RecipeRefused(f"{self.path}: weight must be {_WEIGHT.words}, got {self.weight!r}.")


def read_source(table: Any, *, where: str, refused: type[RobokataError] = RecipeRefused) -> DataSource:
    """Build one source of a `[[source]]` table.

    Raises:
        RobokataError: of the kind `refused`: a key or a value that a source does not take; begins with `where`.
    """
    source = read_table(DataSource, table, where=where, refused=refused)
    try:
        rates_from(source.rate_hz)
    except RateRefused as error:
        raise refused(f"{where}: {error}") from None
    return source


def read_sources(tables: Any, *, where: str, refused: type[RobokataError] = RecipeRefused) -> tuple[DataSource, ...]:
    """Build all sources of a file.

    Raises:
        RobokataError: of the kind `refused`: there is none, or one of them is wrong.
    """
    if not isinstance(tables, list) or not tables:
        raise refused(f'{where}: names no data. Add a [[source]] with path = "...".')
    return tuple(
        read_source(each, where=f"{where}, [[source]] {number}", refused=refused)
        for number, each in enumerate(tables, 1)
    )
