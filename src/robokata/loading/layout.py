"""Which numbers a robot's streams hold, by name: the one order in which a policy sees them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from robokata.core.errors import DamagedData
from robokata.core.stream import Stream

POSE = ("x", "y", "z", "qx", "qy", "qz", "qw")
"""Endings of the seven channels that are a pose: metres, and a quaternion with the real part last."""
DECISIONS = ("opening", "gripper", "finger", "jaw")
"""Words in the name of a channel that decides (open, close) rather than moves: such numbers are never learnt as a
difference to what is, and never averaged."""


class Group(NamedTuple):
    """Channels that mean something together."""

    kind: str
    """`pose`: seven columns x y z qx qy qz qw; `plain`: one column."""
    name: str
    """What the channels' names share: `tip`, `red_cube`; the channel's own name for `plain`."""
    columns: tuple[int, ...]

    @property
    def is_decision(self) -> bool:
        """True for the gripper's numbers."""
        return any(word in self.name.lower() for word in DECISIONS)


@dataclass(frozen=True)
class BodyLayout:
    """The channels of every stream of one embodiment, in one order for all its episodes."""

    embodiment: str
    channels: Mapping[str, tuple[str, ...]]
    """Stream -> its channels."""

    def width(self, stream: str) -> int:
        """Numbers of a stream, 0 where this robot lacks it."""
        return len(self.channels.get(stream, ()))

    def to_json(self) -> dict[str, Any]:
        """Plain values for `json.dumps`."""
        return {"embodiment": self.embodiment, "channels": {name: list(c) for name, c in self.channels.items()}}


def layout_from(data: Any, *, where: str) -> BodyLayout:
    """A layout from what `to_json` gave.

    Raises:
        DamagedData: it is not what `to_json` gives.
    """
    try:
        channels = {str(name): tuple(map(str, names)) for name, names in data["channels"].items()}
        return BodyLayout(str(data["embodiment"]), channels)
    except (TypeError, KeyError, AttributeError):
        raise DamagedData(where, "a robot's layout needs `embodiment` and `channels`.") from None


def channels_of(stream: Stream) -> tuple[str, ...]:
    """Names of a stream's numbers: its own, or their places where it names none (or two alike)."""
    width = int(np.prod(stream.shape, dtype=np.int64))
    named = stream.channels
    if named is not None and len(named) == width and len(set(named)) == width:
        return tuple(named)
    return tuple(str(column) for column in range(width))


def joined(layouts: Iterable[BodyLayout]) -> tuple[BodyLayout, ...]:
    """One layout per embodiment that holds every channel any of its episodes has, in order of first appearance."""
    bodies: dict[str, dict[str, dict[str, None]]] = {}
    for layout in layouts:
        streams = bodies.setdefault(layout.embodiment, {})
        for name, channels in layout.channels.items():
            streams.setdefault(name, {}).update(dict.fromkeys(channels))
    return tuple(BodyLayout(body, {n: tuple(c) for n, c in streams.items()}) for body, streams in bodies.items())


def arranged(table: NDArray[Any], channels: tuple[str, ...], wanted: tuple[str, ...]) -> NDArray[np.float32]:
    """A table (T, D) with its columns in the wanted order, NaN where a channel is absent: (T, len(wanted))."""
    if channels == wanted:
        return np.asarray(table, np.float32)
    out = np.full((len(table), len(wanted)), np.nan, np.float32)
    place = {name: column for column, name in enumerate(channels)}
    for column, name in enumerate(wanted):
        if name in place:
            out[:, column] = table[:, place[name]]
    return out


def groups_of(channels: tuple[str, ...]) -> tuple[Group, ...]:
    """The poses among some channels, by their names, and every other channel by itself; in order of appearance."""
    place = {name: column for column, name in enumerate(channels)}
    found: list[Group] = []
    used: set[int] = set()
    for name, column in place.items():
        if column in used:
            continue
        prefix = name.removesuffix("x") if name == "x" or name.endswith(".x") else None
        members = tuple(place.get(f"{prefix}{end}", -1) for end in POSE) if prefix is not None else (-1,)
        if min(members) >= 0:
            found.append(Group("pose", (prefix or "").rstrip("."), members))
            used.update(members)
        else:
            found.append(Group("plain", name, (column,)))
    return tuple(found)
