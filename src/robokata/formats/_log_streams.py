"""Topics of a robot log as streams: what each message type means, and what its numbers are called."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from robokata.core.clock import Clock
from robokata.core.errors import DamagedData, Unsupported
from robokata.core.stream import Evidence, Fact, Kind, Meaning, Role, Stream
from robokata.core.values import LazyValues, Values
from robokata.formats import _log_pictures as pictures
from robokata.formats._log import Topic
from robokata.formats._log_open import STAMP_FIELDS, OpenLog
from robokata.formats._log_said import Said, remember
from robokata.formats._roles import is_flag
from robokata.formats._ros_decode import Columns
from robokata.formats._ros_definition import short_name

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
_JOINT_FIELDS = ("position", "velocity", "effort")


class View(NamedTuple):
    """One topic of an open log, with its first message taken apart."""

    log: OpenLog
    number: int
    topic: Topic
    samples: int
    clock: Clock
    other_clocks: Mapping[str, Clock]
    extra: Mapping[str, Any]
    frame: Fact | None
    first: Columns
    """Columns of the first message; of its header alone where the topic stays a stream of messages."""

    @property
    def type(self) -> str:
        return short_name(self.topic.schema.name.replace(".", "/"))

    @property
    def where(self) -> str:
        return self.log.where(self.number)

    def column(self, name: str) -> NDArray[Any]:
        return self.log.column(self.number, name)

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
    ) -> Stream:
        """A stream of this topic, on the topic's clocks."""
        receive = self.other_clocks.get("receive", self.clock)
        remember(values, Said(self.log, self.number, name, receive, self.other_clocks.get("publish"), self.clock))
        return Stream(
            name,
            kind,
            (Role.BOOKKEEPING if self._describes(name) else role_of(self.topic)) if role is None else role,
            self.clock,
            values,
            channels=channels,
            meaning=Meaning(
                unit=Fact(unit, Evidence.FILE) if unit else None,
                rotation=Fact(rotation, Evidence.FILE) if rotation else None,
                frame=self.frame_of(name.removeprefix(self.topic.name).lstrip(".")),
            ),
            encoding=encoding or f"{self.topic.encoding}:{self.topic.schema.name}",
            other_clocks=self.other_clocks,
            extra={**self.extra, **(extra or {})},
        )


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
    if "header.seq" in view.first:
        yield _numbers(view, f"{view.topic.name}.header.seq", ["header.seq"], role=Role.BOOKKEEPING)
    if not view.log.is_table[view.number]:
        picture = pictures.picture_stream(view)
        yield picture or view.stream(view.topic.name, _bytes_of(view), kind=Kind.MESSAGE)
        return
    names = [n for n in view.first if n not in STAMP_FIELDS and n not in ("header.seq", "header.frame_id", "frame_id")]
    if view.type.endswith("/JointState") and "name" in names:
        yield from _joint_streams(view)
        names = [n for n in names if n not in ("name", *_JOINT_FIELDS)]
    made = list(_table_streams(view, names))
    yield from made
    if not made and not view.type.endswith("/JointState"):
        yield view.stream(view.topic.name, _bytes_of(view), kind=Kind.MESSAGE)


def _bytes_of(view: View) -> Values:
    return pictures.MessageValues(view.samples, lambda i: view.log.message(view.number, i).data)


def _joint_streams(view: View) -> Iterator[Stream]:
    """Position, velocity and effort of the joints, each (T, joints) in the order of the first message."""
    joints = tuple(view.first["name"][0])
    for name in _JOINT_FIELDS:
        width = view.first[name].shape[-1] if name in view.first else 0
        if width:
            load = _joint_loader(view, name, joints)
            channels = joints if len(joints) == width else None
            values = LazyValues((view.samples, width), np.float64, load)
            yield view.stream(f"{view.topic.name}.{name}", values, channels=channels)


def _refuse_late_fields(view: View) -> None:
    """A field that the first message leaves empty has no stream: a later message must not fill it unseen."""
    for name in _JOINT_FIELDS:
        if name in view.first and view.first[name].shape[-1] == 0 and any(len(row) for row in view.column(name)):
            raise Unsupported(f"{view.where}: {name!r} is empty in the first message and filled in a later one.")


def _joint_loader(view: View, name: str, joints: tuple[str, ...]) -> Callable[[], NDArray[Any]]:
    def load() -> NDArray[Any]:
        _refuse_late_fields(view)
        names, column = view.column("name"), view.column(name)
        width = view.first[name].shape[-1]
        if column.ndim == 2 and column.shape[1] == width and all(n is joints or n == joints for n in names):
            return column
        out = np.empty((len(column), width))
        for row, (order, values) in enumerate(zip(names, column, strict=True)):
            if len(values) != width or (order != joints and sorted(order) != sorted(joints)):
                raise DamagedData(
                    view.where,
                    f"message {row} has {len(values)} values of {name!r} for joints {', '.join(order) or 'none'}; "
                    f"the first has {width} for {', '.join(joints) or 'none'}.",
                )
            # Some drivers list the joints in the order of a hash table: a value belongs to its name.
            out[row] = values if order == joints else [values[order.index(joint)] for joint in joints]
        return out

    return load


def _table_streams(view: View, names: list[str]) -> Iterator[Stream]:
    """Vectors, arrays, texts, and what is left: the single numbers."""
    singles: list[str] = []
    vectors: dict[str, list[str]] = {}
    for name in names:
        column = view.first[name]
        path, _, leaf = name.rpartition(".")
        if column.dtype == object:
            yield _text_stream(view, name)
        elif column.ndim == 2:
            yield _array_stream(view, name)
        elif leaf in ("x", "y", "z", "w") and path:
            vectors.setdefault(path, []).append(name)
        else:
            singles.append(name)
    for path, members in vectors.items():
        yield _vector_stream(view, path, members)
    floats = [n for n in singles if view.first[n].dtype.kind == "f"]
    whole = [n for n in singles if n not in floats]
    if floats:
        unit = _unit(view, floats[0]) if len(floats) == 1 else None
        yield _numbers(view, view.topic.name, floats, unit=unit)
    if whole and not floats and len({view.first[n].dtype for n in whole}) == 1:
        yield _numbers(view, view.topic.name, whole)
        return
    for name in whole:
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
    dtype = np.result_type(*[view.first[c].dtype for c in columns])

    def load() -> NDArray[Any]:
        return _stacked(view, columns, dtype)

    values = LazyValues((view.samples, len(columns)), dtype, load)
    return view.stream(name, values, channels=tuple(columns), role=role, unit=unit, rotation=rotation)


def _stacked(view: View, columns: list[str], dtype: np.dtype[Any]) -> NDArray[Any]:
    loaded = [view.column(c) for c in columns]
    for name, column in zip(columns, loaded, strict=True):
        if column.dtype == object or column.ndim != 1:
            raise Unsupported(f"{view.where}: field {name!r} is not a number in every message.")
    # JSON numbers may be whole in the first message and fractions later; what was promised must hold them.
    if not np.can_cast(np.result_type(*loaded), dtype, "same_kind"):
        raise Unsupported(f"{view.where}: the numbers of {', '.join(columns)} change their type.")
    return np.stack(loaded, axis=1).astype(dtype, copy=False)


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
    """A list of numbers: one matrix where its length is fixed by its type, ragged where it is free."""
    first = view.first[name]
    bare = view.type.partition("/")[2]
    is_only = [n for n in view.first if n == name or not n.startswith("header")] == [name]
    label = view.topic.name if is_only else f"{view.topic.name}.{name}"
    fixed = _is_fixed(view, name) or (first.shape[1] > 0 and bare in _STEADY)

    def load() -> NDArray[Any]:
        column = view.column(name)
        if not fixed:
            ragged = np.empty(len(column), object)
            for row, sample in enumerate(column):
                ragged[row] = np.asarray(sample)
            return ragged
        if column.dtype == object or column.shape[1:] != first.shape[1:]:
            lengths = sorted({len(sample) for sample in column})
            raise Unsupported(f"{view.where}: field {name!r} holds {lengths[0]} to {lengths[-1]} numbers per message.")
        return column.astype(first.dtype, copy=False)

    if fixed:
        return view.stream(label, LazyValues((view.samples, first.shape[1]), first.dtype, load))
    return view.stream(label, LazyValues((view.samples,), object, load), kind=Kind.RAGGED)


_STEADY = frozenset(
    f"{kind}MultiArray" for kind in ("Float64", "Float32", "Int64", "Int32", "Int16", "UInt64", "UInt32", "UInt16")
) | frozenset(("JointTrajectoryPoint", "Joy", "JointJog", "MultiDOFCommand", "SingleDOFStateStamped"))
"""Types whose lists have the robot's width, in every message alike."""


def _is_fixed(view: View, name: str) -> bool:
    """True where the definition fixes the length of the array; JSON and protobuf never do."""
    decoder = view.log.decoders[view.number]
    message = getattr(decoder, "message", None)
    if message is None:
        return int(view.first[name].shape[1]) > 0
    fields, parts = message.fields, message.parts
    field = None
    for step in name.split("."):
        bare = step.partition("[")[0]
        field = next(f for f in fields if f.name == bare)
        fields = parts.get(field.type, ())
    return field is not None and field.length is not None


def _text_stream(view: View, name: str) -> Stream:
    def load() -> NDArray[Any]:
        column = view.column(name)
        out = np.empty(len(column), object)
        for row, value in enumerate(column):
            # A list of texts stays one text, and can be taken apart again.
            out[row] = value if isinstance(value, str) else json.dumps(list(value))
        return out

    label = view.topic.name if name == "data" else f"{view.topic.name}.{name}"
    role = Role.UNKNOWN if name != "data" else None
    return view.stream(label, LazyValues((view.samples,), object, load), kind=Kind.TEXT, role=role)
