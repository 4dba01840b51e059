"""Topics of a robot log as streams: what each message type means, and what its numbers are called."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from robokata.containers.logs.decode import Decoder
from robokata.containers.logs.log import Topic
from robokata.containers.logs.open_log import STAMP_FIELDS, OpenLog, TopicData
from robokata.containers.ros.decode import Columns
from robokata.containers.ros.definition import short_name
from robokata.core.clock import Clock, picked_clock
from robokata.core.stream import OPTIONAL, Evidence, Fact, Kind, Meaning, Role, Stream
from robokata.core.values import LazyValues, Values
from robokata.formats._logs import pictures
from robokata.formats._logs.fields import Form
from robokata.formats._logs.joints import JOINT_FIELDS, joint_streams
from robokata.formats._logs.message_index import Said, remember
from robokata.formats._roles import is_flag

_STATE_NAME = re.compile(r"(joint|robot|gripper|ee|tcp)_?(states?|pose)|measured", re.IGNORECASE)
_ACTION_NAME = re.compile(r"cmd|command|action|target|goal|desired|(^|[/_])leader", re.IGNORECASE)
_LANGUAGE_NAME = re.compile(r"instruction|task|language|prompt", re.IGNORECASE)
_SENSORS = frozenset(
    ("sensor_msgs", "nav_msgs", "geometry_msgs", "stereo_msgs", "radar_msgs", "audio_common_msgs", "foxglove_msgs")
)
"""Packages whose messages are measurements."""
_GEOMETRY = frozenset(("sensor_msgs", "nav_msgs", "geometry_msgs", "trajectory_msgs"))
"""Packages whose message definitions state SI units (REP 103)."""
_UNITS: Mapping[str, str] = {
    "angular_velocity": "rad/s",
    "linear_acceleration": "m/s^2",
    "magnetic_field": "T",
    "position": "m",
    "translation": "m",
    "point": "m",
    "force": "N",
    "torque": "N*m",
    "fluid_pressure": "Pa",
    "temperature": "degC",
    "range": "m",
}
"""Units that the comments of the ROS message definitions declare, by the field's last name."""


class View(NamedTuple):
    """One topic of an open log, with its first message taken apart."""

    log: OpenLog
    number: int
    topic: Topic
    samples: int
    clock: Clock
    other_clocks: Mapping[str, Clock]
    extra: Mapping[str, Any]
    oddities: Mapping[str, str]
    frame: Fact | None
    first: Columns
    """One sample of each field; of the header alone where the topic stays a stream of messages."""
    forms: Mapping[str, Form]
    """What each field is in all messages; in the first, where the others cannot be read or cannot differ."""
    clocks_of_parts: dict[bytes, tuple[Clock, Mapping[str, Clock]]]
    """Clocks of some of the messages, so that streams of the same messages share theirs."""

    @property
    def type(self) -> str:
        return short_name(self.topic.schema.name.replace(".", "/"))

    @property
    def where(self) -> str:
        return self.log.where(self.number)

    def column(self, name: str, rows: NDArray[np.int64] | None) -> NDArray[Any]:
        """One field in some of the messages that hold it, None for all messages."""
        return self.log.column(self.number, name, rows)

    def surveyed(self) -> TopicData | None:
        """What all messages hold, None where they cannot be read."""
        return self.log.surveyed(self.number)

    def parts(self, number: int) -> Mapping[str, Any]:
        """All fields of one message."""
        decoder = self.log.decoders[self.number]
        assert decoder is not None
        return decoder.parts(self.log.message(self.number, number).data, f"{self.where}, message {number}")

    def _describes(self, name: str) -> bool:
        """True for numbers about the measurement (covariances, calibration), which hold still by nature."""
        return "covariance" in name or self.type == "sensor_msgs/CameraInfo"

    def frame_of(self, path: str) -> Fact | None:
        """The frame in which a field is given; `path` without the topic's name."""
        if self.type == "nav_msgs/Odometry" and path.startswith("twist"):
            child = str(self.first["child_frame_id"][0]) if "child_frame_id" in self.first else ""
            return Fact(child, Evidence.FILE) if child else None
        if self.type == "sensor_msgs/Imu" and path.startswith("orientation"):
            # The header names the frame that is turned, not the world against which it is.
            return None
        return self.frame

    def stream(
        self,
        name: str,
        values: Values,
        *,
        kind: Kind = Kind.TENSOR,
        role: Role | None = None,
        channels: tuple[str, ...] | None = None,
        unit: str | None = None,
        rotation: str | None = None,
        encoding: str | None = None,
        extra: Mapping[str, Any] | None = None,
        oddities: Mapping[str, str] | None = None,
        rows: NDArray[np.int64] | None = None,
        is_optional: bool = True,
    ) -> Stream:
        """A stream of this topic, on the topic's clocks; `rows` are the messages that hold it, None for all.

        `is_optional` is False for rows that one of several publishers sent: they tick by themselves.
        """
        receive = self.other_clocks.get("receive", self.clock)
        clock, others = self._clocks(rows)
        remember(values, Said(self.log, self.number, name, receive, self.other_clocks.get("publish"), clock))
        part: dict[str, Any] = (
            {} if rows is None else {"messages": f"{len(rows)} of {self.samples} messages of the topic hold it"}
        )
        part |= {OPTIONAL: True} if rows is not None and is_optional else {}
        return Stream(
            name,
            kind,
            (Role.BOOKKEEPING if self._describes(name) else role_of(self.topic)) if role is None else role,
            clock,
            values,
            channels=channels,
            meaning=Meaning(
                unit=Fact(unit, Evidence.FILE) if unit else None,
                rotation=Fact(rotation, Evidence.FILE) if rotation else None,
                frame=self.frame_of(name.removeprefix(self.topic.name).lstrip(".")),
            ),
            encoding=encoding or f"{self.topic.encoding}:{self.topic.schema.name}",
            other_clocks=others,
            extra={**self.extra, **part, **(extra or {})},
            oddities={**self.oddities, **(oddities or {})},
        )

    def _clocks(self, rows: NDArray[np.int64] | None) -> tuple[Clock, Mapping[str, Clock]]:
        if rows is None:
            return self.clock, self.other_clocks
        key = rows.tobytes()
        if key not in self.clocks_of_parts:
            others = {name: picked_clock(clock, rows) for name, clock in self.other_clocks.items()}
            self.clocks_of_parts[key] = (picked_clock(self.clock, rows), others)
        return self.clocks_of_parts[key]


def role_of(topic: Topic) -> Role:
    """What a topic is for, by its type and its name."""
    kind = short_name(topic.schema.name.replace(".", "/"))
    package, _, bare = kind.partition("/")
    if pictures.is_picture_type(bare):
        return Role.CAMERA
    if is_text(topic):
        return Role.LANGUAGE if _LANGUAGE_NAME.search(topic.name) else Role.UNKNOWN
    if is_flag(topic.name, np.dtype(bool)):
        return Role.UNKNOWN
    if _ACTION_NAME.search(topic.name):
        return Role.ACTION
    if bare in ("JointState", "JointStates", "DynamicJointState") or _STATE_NAME.search(topic.name):
        return Role.STATE
    return Role.SENSOR if package in _SENSORS else Role.UNKNOWN


def is_text(topic: Topic) -> bool:
    return short_name(topic.schema.name) == "std_msgs/String"


def streams_of(view: View) -> Iterator[Stream]:
    if not view.samples:
        # Somebody announced the topic and never spoke: a stream of no samples.
        yield view.stream(view.topic.name, _bytes_of(view), kind=Kind.MESSAGE)
        return
    if "header.seq" in view.forms:
        yield _numbers(view, f"{view.topic.name}.header.seq", ["header.seq"], role=Role.BOOKKEEPING)
    if not view.log.is_table[view.number]:
        picture = pictures.picture_stream(view)
        yield picture or view.stream(view.topic.name, _bytes_of(view), kind=Kind.MESSAGE)
        return
    stamps = [n for n in STAMP_FIELDS if n in view.forms and view.forms[n].rows is None]
    told = {*stamps, "header.seq", "header.frame_id", "frame_id"}
    names = [name for name in view.forms if name not in told]
    if view.type.endswith("/JointState") and "name" in names:
        yield from joint_streams(view)
        names = [n for n in names if n not in ("name", *JOINT_FIELDS)]
    made = list(_table_streams(view, names))
    yield from made
    if not made and not view.type.endswith("/JointState"):
        yield view.stream(view.topic.name, _bytes_of(view), kind=Kind.MESSAGE)


def _bytes_of(view: View) -> Values:
    return pictures.MessageValues(view.samples, lambda i: view.log.message(view.number, i).data)


def _table_streams(view: View, names: list[str]) -> Iterator[Stream]:
    """Vectors, arrays, texts, and what is left: the single numbers."""
    singles: list[str] = []
    vectors: dict[str, list[str]] = {}
    for name in names:
        form = view.forms[name]
        path, _, leaf = name.rpartition(".")
        if form.kind is Kind.TEXT:
            yield _text_stream(view, name)
        elif not form.is_number:
            yield _array_stream(view, name)
        elif leaf in ("x", "y", "z", "w") and path:
            vectors.setdefault(path, []).append(name)
        else:
            singles.append(name)
    for path, members in vectors.items():
        if all(view.forms[members[0]].shares_rows(view.forms[member]) for member in members):
            yield _vector_stream(view, path, members)
        else:
            singles += members
    yield from _single_streams(view, singles)


def _single_streams(view: View, names: list[str]) -> Iterator[Stream]:
    """Single numbers: fractions that every message holds are one stream, all others are streams of their own."""
    dense = [n for n in names if view.forms[n].rows is None]
    floats = [n for n in dense if view.forms[n].dtype.kind == "f"]
    whole = [n for n in dense if n not in floats]
    if floats:
        unit = _unit(view, floats[0]) if len(floats) == 1 else None
        yield _numbers(view, view.topic.name, floats, unit=unit)
    if whole and not floats and len({view.forms[n].dtype for n in whole}) == 1:
        yield _numbers(view, view.topic.name, whole)
        whole = []
    for name in (*whole, *(n for n in names if n not in dense)):
        yield _numbers(view, f"{view.topic.name}.{name}", [name])


def _numbers(
    view: View,
    name: str,
    columns: list[str],
    *,
    role: Role | None = None,
    unit: str | None = None,
    rotation: str | None = None,
) -> Stream:
    dtype = np.result_type(*[view.forms[c].dtype for c in columns])
    rows = view.forms[columns[0]].rows

    def load() -> NDArray[Any]:
        return np.stack([view.column(c, rows) for c in columns], axis=1).astype(dtype, copy=False)

    count = view.samples if rows is None else len(rows)
    values = LazyValues((count, len(columns)), dtype, load)
    return view.stream(name, values, channels=tuple(columns), role=role, unit=unit, rotation=rotation, rows=rows)


def _vector_stream(view: View, path: str, members: list[str]) -> Stream:
    is_quaternion = [m.rpartition(".")[2] for m in members] == ["x", "y", "z", "w"]
    is_declared = is_quaternion and view.type.partition("/")[0] in (*_GEOMETRY, "foxglove")
    return _numbers(
        view,
        f"{view.topic.name}.{path}",
        members,
        unit=None if is_quaternion else _unit(view, path),
        rotation="quat_xyzw" if is_declared else None,
    )


def _unit(view: View, path: str) -> str | None:
    """The unit that the definition of a standard message declares for a field."""
    package, _, bare = view.type.partition("/")
    if package not in _GEOMETRY:
        return None
    leaf = path.rpartition(".")[2]
    if leaf in ("linear", "angular"):
        base = "m/s" if leaf == "linear" else "rad/s"
        return f"{base}^2" if "Accel" in bare and leaf == "linear" else "rad/s^2" if "Accel" in bare else base
    return _UNITS.get(leaf)


def _array_stream(view: View, name: str) -> Stream:
    """A list of numbers: one matrix where all messages have as many, ragged where they differ."""
    form = view.forms[name]
    is_only = [n for n in view.forms if n == name or not n.startswith("header")] == [name]
    label = view.topic.name if is_only else f"{view.topic.name}.{name}"
    count = view.samples if form.rows is None else len(form.rows)

    def load() -> NDArray[Any]:
        column = view.column(name, form.rows)
        if form.kind is Kind.RAGGED:
            ragged = np.empty(len(column), object)
            for row, sample in enumerate(column):
                ragged[row] = np.asarray(sample)
            return ragged
        return (np.stack(list(column)) if column.dtype == object else column).astype(form.dtype, copy=False)

    values = LazyValues((count, *form.shape), form.dtype, load)
    return view.stream(label, values, kind=form.kind, rows=form.rows)


_STEADY = frozenset(
    f"{kind}MultiArray" for kind in ("Float64", "Float32", "Int64", "Int32", "Int16", "UInt64", "UInt32", "UInt16")
) | frozenset(("JointTrajectoryPoint", "Joy", "JointJog", "MultiDOFCommand", "SingleDOFStateStamped"))
"""Types whose lists have the robot's width, in every message alike."""


def may_vary(decoder: Decoder, kind: str) -> bool:
    """True where the first message of a topic does not say what the others hold; `kind` is the topic's type."""
    bare = kind.partition("/")[2]
    return decoder.needs_whole or bare in _STEADY or bare == "JointState"


def is_steady(decoder: Decoder, kind: str, name: str) -> bool:
    """True for lists whose length is the robot's width, or fixed by their definition."""
    message = getattr(decoder, "message", None)
    if message is None or kind.partition("/")[2] in _STEADY:
        return True
    fields, parts = message.fields, message.parts
    field = None
    for step in name.split("."):
        bare = step.partition("[")[0]
        field = next(f for f in fields if f.name == bare)
        fields = parts.get(field.type, ())
    return field is not None and field.length is not None


def _text_stream(view: View, name: str) -> Stream:
    form = view.forms[name]

    def load() -> NDArray[Any]:
        column = view.column(name, form.rows)
        out = np.empty(len(column), object)
        for row, value in enumerate(column):
            # A list of texts stays one text, and can be taken apart again.
            out[row] = value if isinstance(value, str) else json.dumps(list(value))
        return out

    label = view.topic.name if name == "data" else f"{view.topic.name}.{name}"
    role = Role.UNKNOWN if name != "data" else None
    count = view.samples if form.rows is None else len(form.rows)
    return view.stream(label, LazyValues((count,), object, load), kind=Kind.TEXT, role=role, rows=form.rows)
