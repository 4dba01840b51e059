"""Messages of joints: position, velocity and effort by name, whoever of several publishers sent them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from robokata.containers.ros.decode import Columns
from robokata.core.errors import DamagedData
from robokata.core.stream import Kind, Stream
from robokata.core.values import LazyValues

JOINT_FIELDS = ("position", "velocity", "effort")
_MOST_PARTS = 16
"""Sets of joints on one topic that become streams of their own: robots have arms, hands, a base and a head. More sets
are messages that name what has changed, and become a stream per joint."""
_MOST_JOINTS = 1000
"""Joints of one topic that become streams: more are no robot's, and each stream costs memory."""
_OWN_SHARE = 0.9
"""Share of a topic's messages from which on a set of joints is the topic's own."""
_JOINT_WORD = re.compile(r"[_\-./ ]*(joint|j)?[_\-./ ]*$", re.IGNORECASE)


class JointView(Protocol):
    """What this module needs to know of a topic."""

    @property
    def samples(self) -> int: ...
    @property
    def where(self) -> str: ...
    @property
    def topic(self) -> Any: ...
    @property
    def first(self) -> Columns: ...
    @property
    def stream(self) -> Callable[..., Stream]: ...
    def surveyed(self) -> Any: ...
    def column(self, name: str, rows: NDArray[np.int64] | None) -> NDArray[Any]: ...


class _Part(NamedTuple):
    """The messages that name one set of joints."""

    joints: tuple[str, ...]
    """In the order of the first of these messages."""
    rows: NDArray[np.int64]


def joint_streams(view: JointView) -> Iterator[Stream]:
    """Position, velocity and effort, each (T, joints) over the messages that hold it, for each set of joints."""
    data = view.surveyed()
    if data is None:
        yield from _promised(view)
        return
    names = _names(view, data)
    filled = {field: found for field in JOINT_FIELDS if len((found := _filled(data, field)).rows)}
    spoken = np.unique(np.concatenate([found.rows for found in filled.values()] or [np.empty(0, np.int64)]))
    widths = np.zeros(view.samples, np.int64)
    for found in filled.values():
        widths[found.rows] = np.maximum(widths[found.rows], found.widths)
    parts = _parts(names, spoken, widths)
    labels = _labels(parts)
    for field, found in filled.items():
        name = f"{view.topic.name}.{field}"
        is_one_by_one = len(parts) > _MOST_PARTS
        if is_one_by_one:
            yield from _each_joint(view, name, field, names, found.rows)
        for part, label in zip(parts, labels, strict=True):
            if is_one_by_one and part.joints:
                continue
            rows = np.intersect1d(part.rows, found.rows)
            if len(rows):
                width = int(found.widths[np.searchsorted(found.rows, rows[0])])
                full = f"{name}.{label}" if label else name
                yield _part_stream(view, full, field, part, rows, names, width)


class _Filled(NamedTuple):
    """The messages in which a field is not empty."""

    rows: NDArray[np.int64]
    widths: NDArray[np.int64]


def _filled(data: Any, field: str) -> _Filled:
    column = data.columns.get(field, np.empty(0))
    held = data.rows.get(field, np.arange(len(column)))
    if column.dtype == object:
        widths = np.asarray([len(s) if isinstance(s, np.ndarray) else 0 for s in column], np.int64)
    else:
        # One number per message is no list of joints.
        widths = np.full(len(column), column.shape[1] if column.ndim == 2 else 0, np.int64)
    return _Filled(held[widths > 0], widths[widths > 0])


def _part_stream(
    view: JointView,
    name: str,
    field: str,
    part: _Part,
    rows: NDArray[np.int64],
    names: NDArray[Any],
    width: int,
) -> Stream:
    def load() -> NDArray[Any]:
        return _by_name(view, field, part.joints, rows, names, width)

    is_named = len(part.joints) == width and len(set(part.joints)) == width
    whole = None if len(rows) == view.samples else rows
    return view.stream(
        name,
        LazyValues((len(rows), width), np.float64, load),
        channels=part.joints if is_named else None,
        rows=whole,
        is_optional=len(rows) < len(part.rows),
    )


def _by_name(
    view: JointView,
    field: str,
    joints: tuple[str, ...],
    rows: NDArray[np.int64],
    names: NDArray[Any],
    width: int,
) -> NDArray[np.float64]:
    column = view.column(field, rows)
    if column.ndim == 2 and column.shape[1] == width and all(n is joints or n == joints for n in names[rows]):
        return column.astype(np.float64, copy=False)
    out = np.empty((len(rows), width))
    for row, (number, values) in enumerate(zip(rows.tolist(), column, strict=True)):
        order = names[number]
        if len(values) != width or (order != joints and len(order) != width):
            raise DamagedData(
                view.where,
                f"message {number} has {len(values)} values of {field!r} for joints {', '.join(order) or 'none'}; "
                f"the first has {width} for {', '.join(joints) or 'none'}.",
            )
        # Some drivers list the joints in the order of a hash table: a value belongs to its name.
        out[row] = values if order == joints else [values[order.index(joint)] for joint in joints]
    return out


def _each_joint(
    view: JointView, name: str, field: str, names: NDArray[Any], rows: NDArray[np.int64]
) -> Iterator[Stream]:
    """A stream per joint, of the messages that name it; the bare lists where there are more than a robot has."""
    spoken: dict[str, list[int]] = {}
    for number in rows.tolist():
        for joint in names[number]:
            spoken.setdefault(joint, []).append(number)
    if len(spoken) > _MOST_JOINTS:
        lists = LazyValues((len(rows),), object, partial(_lists, view, field, rows))
        yield view.stream(name, lists, rows=rows, kind=Kind.RAGGED)
        return
    for joint, numbers in spoken.items():
        held = np.unique(np.asarray(numbers, np.int64))
        values = LazyValues((len(held), 1), np.float64, partial(_of_joint, view, field, names, joint, held))
        yield view.stream(f"{name}.{joint}", values, channels=(joint,), rows=held)


def _of_joint(
    view: JointView, field: str, names: NDArray[Any], joint: str, rows: NDArray[np.int64]
) -> NDArray[np.float64]:
    out = np.empty((len(rows), 1))
    for row, (number, values) in enumerate(zip(rows.tolist(), view.column(field, rows), strict=True)):
        if len(values) != len(names[number]):
            words = f"message {number} has {len(values)} values of {field!r} for {len(names[number])} joints."
            raise DamagedData(view.where, words)
        out[row] = values[names[number].index(joint)]
    return out


def _lists(view: JointView, field: str, rows: NDArray[np.int64]) -> NDArray[Any]:
    out = np.empty(len(rows), object)
    for row, values in enumerate(view.column(field, rows)):
        out[row] = np.asarray(values)
    return out


def _promised(view: JointView) -> Iterator[Stream]:
    """What the first message says, where the others cannot be read: whoever asks for numbers is told why."""
    joints = tuple(view.first["name"][0]) if "name" in view.first else ()
    for field in JOINT_FIELDS:
        width = view.first[field].shape[-1] if field in view.first and view.first[field].ndim == 2 else 0
        if width:
            values = LazyValues((view.samples, width), np.float64, partial(view.column, field, None))
            yield view.stream(f"{view.topic.name}.{field}", values, channels=joints if len(joints) == width else None)


def _names(view: JointView, data: Any) -> NDArray[Any]:
    """The joints that each message names, (T,) of tuples."""
    out = np.empty(view.samples, object)
    out[:] = [()] * view.samples
    for number, said in zip(data.rows.get("name", np.arange(view.samples)).tolist(), data.columns["name"], strict=True):
        out[number] = said if isinstance(said, tuple) else ()
    return out


def _parts(names: NDArray[Any], spoken: NDArray[np.int64], widths: NDArray[np.int64]) -> list[_Part]:
    """Messages by the set of joints that they name, in the order in which the sets come up.

    Messages that name no joints go by the number of their values.
    """
    known: dict[tuple[tuple[str, ...], int], int] = {}
    sets: dict[tuple[tuple[str, ...], int], int] = {}
    firsts: list[tuple[str, ...]] = []
    owners = np.empty(len(spoken), np.int64)
    for place, number in enumerate(spoken.tolist()):
        joints, width = names[number], 0 if names[number] else int(widths[number])
        if (joints, width) not in known:
            # Joints in another order are the same joints; of two of one name nobody knows which is which.
            kind = tuple(sorted(joints)) if len(set(joints)) == len(joints) else joints
            known[joints, width] = sets.setdefault((kind, width), len(sets))
            if len(firsts) < len(sets):
                firsts.append(joints)
        owners[place] = known[joints, width]
    order = np.argsort(owners, kind="stable")
    bounds = np.searchsorted(owners[order], np.arange(len(firsts) + 1))
    return [_Part(joints, spoken[order[bounds[n] : bounds[n + 1]]]) for n, joints in enumerate(firsts)]


def _labels(parts: Sequence[_Part]) -> list[str]:
    """A name for each set of joints: what its joints' names begin with, else the first joint, else a number.

    A set that nearly all messages name is the topic's own and needs none: one odd message must not rename it.
    """
    named = [_begin(part.joints) or next(iter(part.joints), "unnamed") for part in parts]
    if len(set(named)) < len(named):
        named = [next(iter(part.joints), "unnamed") for part in parts]
    if len(set(named)) < len(named):
        named = [f"{name}_{n}" for n, name in enumerate(named, 1)]
    total = sum(len(part.rows) for part in parts)
    return ["" if len(part.rows) >= _OWN_SHARE * total else name for part, name in zip(parts, named, strict=True)]


def _begin(joints: Sequence[str]) -> str:
    """What all joints' names begin with, without the word joint."""
    low, high = min(joints, default=""), max(joints, default="")
    # The first and the last in the order of their letters differ where any two do.
    length = next((n for n, (a, b) in enumerate(zip(low, high, strict=False)) if a != b), min(len(low), len(high)))
    return _JOINT_WORD.sub("", low[:length])
