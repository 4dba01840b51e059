"""What to learn from: datasets with shares, and the streams and windows of a sample. A recipe produces one of these."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from robokata.core.errors import TrainingRefused


@dataclass(frozen=True)
class SourceSpec:
    """One dataset of a mixture."""

    path: str
    where: str | None = None
    """SQL condition on its table of episodes, None for all."""
    episodes: tuple[str, ...] | None = None
    """Only these, None for all."""
    weight: float | None = None
    """Share of the samples that come from here, relative to the other weights; None: one per sample that it has."""
    format: str | None = None
    split: str | None = None
    """The split that is learnt from, `all` for every one; None: `train`, where the dataset has splits."""
    streams: Mapping[str, str] = field(default_factory=dict)
    """Name of a stream for this training -> what it is called in this dataset, where sources spell it otherwise."""
    rate_hz: tuple[str, ...] = ()
    """Rates that the user declares for streams without times: `10`, or `STREAM=10`."""


@dataclass(frozen=True)
class TrainingSpec:
    """Sources, streams and windows. None leaves a choice to the policy: it takes what it knows to use and finds."""

    sources: tuple[SourceSpec, ...]
    inputs: tuple[str, ...] | None = None
    cameras: tuple[str, ...] | None = None
    action: str | None = None
    chunk_steps: int | None = None
    rate_hz: float | None = None
    history_s: tuple[float, ...] | None = None
    every_s: float | None = None
    picture_px: int | None = None
    in_steps: bool = False
    """True: windows count actions, for data without times."""
    history_steps: tuple[int, ...] | None = None
    every_steps: int | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    """What the policy itself may be told: `vision`, `language`, `decoder`, `width`."""

    def as_json(self) -> dict[str, Any]:
        """Plain values for `json.dumps`."""
        return asdict(self)


_WINDOW = (
    *("inputs", "cameras", "action", "chunk_steps", "rate_hz", "history_s", "every_s", "picture_px"),
    *("in_steps", "history_steps", "every_steps"),
)
_COUNTS = ("chunk_steps", "picture_px", "every_steps")
_NUMBERS = ("rate_hz", "every_s")


def spec_at(path: Path) -> TrainingSpec:
    """The spec of a TOML file, or of one dataset: all its episodes.

    Raises:
        TrainingRefused: the file says something that no training obeys.
    """
    if path.is_file() and path.suffix == ".toml":
        try:
            data = tomllib.loads(path.read_text(encoding="utf-8"))
        except (ValueError, RecursionError) as error:
            raise TrainingRefused(f"{path}: is no TOML: {error}.") from None
        return spec_from(data, where=str(path), folder=path.parent)
    return TrainingSpec((SourceSpec(str(path)),))


def spec_from(data: Mapping[str, Any], *, where: str, folder: Path) -> TrainingSpec:
    """The spec of a table with `source` (several), `window` and `policy`; paths are relative to `folder`.

    Raises:
        TrainingRefused: an unknown field, a wrong kind, or no source.
    """
    _only(data, ("source", "window", "policy"), where)
    sources = data.get("source")
    if not isinstance(sources, list) or not sources:
        raise TrainingRefused(f'{where}: names no data. Add a [[source]] with path = "...".')
    window = data.get("window", {})
    _only(window, _WINDOW, f"{where}, [window]")
    options = data.get("policy", {})
    if not isinstance(options, Mapping):
        raise TrainingRefused(f"{where}, [policy]: is {options!r}, and a table is needed.")
    taken = {name: _taken(name, value, f"{where}, [window]") for name, value in window.items()}
    refuse_mixed_units(taken, where=f"{where}, [window]")
    return TrainingSpec(tuple(_source(each, where, folder) for each in sources), **taken, options=dict(options))


def refuse_mixed_units(window: Mapping[str, Any], *, where: str) -> None:
    """Refuse a window that says some of itself in seconds and some in steps.

    Raises:
        TrainingRefused: it does.
    """
    is_in_steps = bool(window.get("in_steps"))
    others = ("rate_hz", "history_s", "every_s") if is_in_steps else ("history_steps", "every_steps")
    wrong = next((name for name in others if window.get(name) is not None), None)
    if wrong is not None:
        unit = "in steps (in_steps = true), and has no seconds" if is_in_steps else "in seconds (no in_steps = true)"
        raise TrainingRefused(f"{where}: {wrong} is given, and the window is {unit}. Leave one of them out.")


def _source(data: Any, where: str, folder: Path) -> SourceSpec:
    place = f"{where}, [[source]]"
    _only(data, tuple(field.name for field in fields(SourceSpec)), place)
    path, weight, episodes = data.get("path"), data.get("weight"), data.get("episodes")
    if not isinstance(path, str):
        raise TrainingRefused(f"{place}: path is {path!r}, and a text is needed.")
    for name in ("where", "format", "split"):
        if not isinstance(data.get(name, ""), str):
            raise TrainingRefused(f"{place}: {name} is {data[name]!r}, and a text is needed.")
    if weight is not None and not (_is_number(weight) and 0 < weight < float("inf")):
        raise TrainingRefused(
            f"{place}: weight is {weight!r}, and a number above 0 is needed. What shall not be learnt from is left out."
        )
    if episodes is not None and not isinstance(episodes, list):
        raise TrainingRefused(f"{place}: episodes is {episodes!r}, and a list is needed.")
    streams = data.get("streams", {})
    if not isinstance(streams, Mapping) or not all(isinstance(theirs, str) for theirs in streams.values()):
        raise TrainingRefused(
            f'{place}: streams is {streams!r}, and a table {{ "name" = "name in the data" }} is needed.'
        )
    return SourceSpec(
        path if "://" in path else str(folder / path),
        data.get("where"),
        None if episodes is None else tuple(map(str, episodes)),
        None if weight is None else float(weight),
        data.get("format"),
        data.get("split"),
        dict(streams),
        _rates(data.get("rate_hz", []), place),
    )


def _rates(value: Any, place: str) -> tuple[str, ...]:
    words = value if isinstance(value, list) else [value]
    if not all(isinstance(word, str) or _is_number(word) for word in words):
        raise TrainingRefused(f"{place}: rate_hz is {value!r}, and a number, or a list of STREAM=NUMBER, is needed.")
    return tuple(map(str, words))


def _taken(name: str, value: Any, where: str) -> Any:
    if name in _COUNTS:
        is_right, wanted = type(value) is int and 1 <= value <= 4096, "a whole number of at least 1"
    elif name in _NUMBERS:
        is_right, wanted = _is_number(value) and 0 < value < 1e6, "a number above 0"
    elif name == "action":
        is_right, wanted = isinstance(value, str), "the name of a stream"
    elif name == "in_steps":
        is_right, wanted = isinstance(value, bool), "true or false"
    elif name == "history_steps":
        is_right = isinstance(value, list) and all(type(v) is int and v <= 0 for v in value)
        is_right, wanted = is_right and sorted(value) == value and value[-1:] == [0], "whole numbers that rise to 0"
    elif name == "history_s":
        is_right = isinstance(value, list) and all(_is_number(v) and v <= 0 for v in value)
        is_right, wanted = is_right and sorted(value) == value and value[-1:] == [0], "seconds that rise to 0"
    else:
        is_right, wanted = isinstance(value, list) and all(isinstance(v, str) for v in value), "names of streams"
    if not is_right:
        raise TrainingRefused(f"{where}: {name} is {value!r}, and {wanted} is needed.")
    return tuple(value) if isinstance(value, list) else value


def _is_number(value: Any) -> bool:
    # Python takes true for 1; a file that says true does not mean a number.
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _only(data: Any, known: tuple[str, ...], where: str) -> None:
    if not isinstance(data, Mapping):
        raise TrainingRefused(f"{where}: is {data!r}, and a table is needed.")
    unknown = [name for name in data if name not in known]
    if unknown:
        raise TrainingRefused(f"{where}: knows no {unknown[0]!r}. It may hold: {', '.join(known)}.")
