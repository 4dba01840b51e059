"""What to learn from: datasets with shares, and the streams and windows of a sample. A recipe produces one of these."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

from robokata.core.errors import RobokataError, TrainingRefused
from robokata.loading.data_source import DataSource, read_sources
from robokata.runtime.schema import (
    POSITIVE,
    Flag,
    Kind,
    OptionalText,
    is_integer,
    is_number,
    optional,
    read_table,
    read_toml,
    require_keys,
    require_table,
)


def _is_names(value: Any) -> bool:
    return value is None or (isinstance(value, (list, tuple)) and all(isinstance(each, str) for each in value))


def _rises_to_0(value: Any, is_one: Callable[[Any], bool]) -> bool:
    is_list = isinstance(value, (list, tuple)) and all(is_one(each) and each <= 0 for each in value)
    return value is None or (is_list and sorted(value) == list(value) and value[-1:] in ([0], (0,)))


def _is_count(value: Any) -> bool:
    return value is None or (is_integer(value) and 1 <= value <= 4096)


_NO_WINDOW = ("sources", "options")
_NAMES = Kind("a list of names of streams", _is_names)
_COUNT = Kind("an integer from 1 to 4096", _is_count)
_POSITIVE = optional(POSITIVE)
_HISTORY_S = Kind("seconds that rise to 0", lambda value: _rises_to_0(value, is_number))
_HISTORY_STEPS = Kind("integers that rise to 0", lambda value: _rises_to_0(value, is_integer))


@dataclass(frozen=True)
class TrainingSpec:
    """Sources, streams and windows. None leaves a choice to the policy: it takes what it knows to use and finds."""

    sources: tuple[DataSource, ...] = ()
    inputs: Annotated[tuple[str, ...] | None, _NAMES] = None
    cameras: Annotated[tuple[str, ...] | None, _NAMES] = None
    action: OptionalText = None
    chunk_steps: Annotated[int | None, _COUNT] = None
    rate_hz: Annotated[float | None, _POSITIVE] = None
    history_s: Annotated[tuple[float, ...] | None, _HISTORY_S] = None
    every_s: Annotated[float | None, _POSITIVE] = None
    picture_px: Annotated[int | None, _COUNT] = None
    in_steps: Flag = False
    """True: windows count actions, for data without times."""
    history_steps: Annotated[tuple[int, ...] | None, _HISTORY_STEPS] = None
    every_steps: Annotated[int | None, _COUNT] = None
    options: Mapping[str, Any] = field(default_factory=dict)
    """What the policy itself may be told: `vision`, `language`, `decoder`, `width`."""

    def to_json(self) -> dict[str, Any]:
        """Plain values for `json.dumps`."""
        return asdict(self)


def spec_at(path: Path) -> TrainingSpec:
    """The spec of a TOML file, or of one dataset: all its episodes.

    Raises:
        TrainingRefused: the file says something that no training obeys.
    """
    if path.is_file() and path.suffix == ".toml":
        data = read_toml(path, refused=TrainingRefused)
        return spec_from(data, where=str(path), folder=path.parent)
    return TrainingSpec((DataSource(str(path)),))


def spec_from(data: Mapping[str, Any], *, where: str, folder: Path) -> TrainingSpec:
    """The spec of a table with `source` (several), `window` and `policy`; paths are relative to `folder`.

    Raises:
        TrainingRefused: an unknown field, a wrong kind, or no source.
    """
    require_keys(data, ("source", "window", "policy"), where=where, refused=TrainingRefused)
    sources = read_sources(data.get("source"), where=where, refused=TrainingRefused)
    window, options = data.get("window", {}), data.get("policy", {})
    require_table(options, where=f"{where}, [policy]", refused=TrainingRefused)
    place = f"{where}, [window]"
    given = read_window(window, where=place)
    return TrainingSpec(tuple(_below(folder, each) for each in sources), **given, options=dict(options))


def read_window(
    window: Mapping[str, Any], *, where: str, refused: type[RobokataError] = TrainingRefused
) -> dict[str, Any]:
    """The fields of a `[window]` that are given, as a spec has them.

    Raises:
        RobokataError: of the kind `refused`: an unknown field, a wrong kind, or seconds and steps together.
    """
    read = read_table(TrainingSpec, window, where=where, refused=refused, hidden=_NO_WINDOW)
    refuse_mixed_units(window, where=where, refused=refused)
    return {name: getattr(read, name) for name in window}


def _below(folder: Path, source: DataSource) -> DataSource:
    return source if "://" in source.path else replace(source, path=str(folder / source.path))


def refuse_mixed_units(
    window: Mapping[str, Any], *, where: str, refused: type[RobokataError] = TrainingRefused
) -> None:
    """Refuse a window that says some of itself in seconds and some in steps.

    Raises:
        RobokataError: of the kind `refused`: it does.
    """
    is_in_steps = bool(window.get("in_steps"))
    others = ("rate_hz", "history_s", "every_s") if is_in_steps else ("history_steps", "every_steps")
    wrong = next((name for name in others if window.get(name) is not None), None)
    if wrong is not None:
        unit = "in steps (in_steps = true), and has no seconds" if is_in_steps else "in seconds (no in_steps = true)"
        raise refused(f"{where}: {wrong} is given, and the window is {unit}. Leave one of them out.")
