"""What the fields of a ROS message are, from the definition text that a log carries.

The text is untrusted. It is parsed into data and never into code: `rosbags` can generate decoders, but does so
by executing Python source made from the definition; here its parser is used (for IDL only), its generator never.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from robokata.core.errors import Unsupported
from robokata.core.require import require

NUMBERS: Mapping[str, str] = {
    "bool": "u1",
    "byte": "u1",
    "octet": "u1",
    "char": "u1",
    "int8": "i1",
    "uint8": "u1",
    "int16": "i2",
    "uint16": "u2",
    "int32": "i4",
    "uint32": "u4",
    "int64": "i8",
    "uint64": "u8",
    "float32": "f4",
    "float64": "f8",
}
"""Bytes on the wire of each number. `char` is unsigned in ROS 1 and ROS 2 alike; `bool` is one byte."""
MAX_DEPTH = 24
"""Deepest nesting of messages: moveit's planning scenes reach 9; a type that contains itself has no end."""
MAX_FIELDS = 20_000
"""Most fields of one flattened definition: a fixed array of messages is written out, `Point[1000000]` is not."""
MAX_TEXT = 4_000_000
"""Longest definition in characters: the longest published one (moveit) has 90 thousand."""

HEADER = "std_msgs/Header"
_TIMES = {"time": "builtin_interfaces/Time", "duration": "builtin_interfaces/Duration"}


class Field(NamedTuple):
    """One field of a message."""

    name: str
    type: str
    """A number's name, `string`, `wstring`, or a message as `package/Type`."""
    length: int | None = 1
    """Elements of a fixed array, None for a sequence."""
    is_array: bool = False


Definitions = Mapping[str, tuple[Field, ...]]


@dataclass(frozen=True)
class Message:
    """A message type whose parts are all known."""

    type: str
    fields: tuple[Field, ...]
    parts: Definitions

    @property
    def has_header(self) -> bool:
        """True where the message starts with a `std_msgs/Header`: it says when the sample was taken."""
        return bool(self.fields) and self.fields[0] == Field(self.fields[0].name, HEADER)

    @property
    def has_stamp(self) -> bool:
        """True where it starts with a header, or with a bare `timestamp` as foxglove's messages do."""
        return self.has_header or self.fields[:1] == (Field("timestamp", _TIMES["time"]),)

    def head(self) -> Message:
        """The same type cut behind its header or stamp: enough to read stamps of large messages."""
        return Message(self.type, self.fields[:1] if self.has_stamp else (), self.parts)

    def on_the_wire(self) -> Hashable:
        """The fields and those of all messages inside: equal for definitions that differ in their words only."""
        return self.fields, tuple((name, self.parts[name]) for name in sorted(self._used()))

    def _used(self) -> set[str]:
        """Types of the messages inside."""
        found: set[str] = set()
        waiting = [field.type for field in self.fields]
        while waiting:
            name = waiting.pop()
            if name in self.parts and name not in found:
                found.add(name)
                waiting += [field.type for field in self.parts[name]]
        return found


def short_name(type_name: str) -> str:
    """`sensor_msgs/msg/Imu` and `sensor_msgs/Imu` are one type: `sensor_msgs/Imu`."""
    parts = type_name.replace("::", "/").split("/")
    return f"{parts[0]}/{parts[-1]}" if len(parts) > 1 else type_name


def message_from_text(type_name: str, text: str, *, encoding: str) -> Message:
    """The message type that a definition text describes; `encoding` is `ros1msg`, `ros2msg` or `ros2idl`.

    Raises:
        Unsupported: the text is no definition, or leaves a part undefined.
    """
    if len(text) > MAX_TEXT:
        raise Unsupported(f"the definition of {type_name} has {len(text)} characters.")
    if encoding in ("ros2idl", "omgidl"):
        return _resolved(type_name, _from_idl(type_name, text))
    return _resolved(type_name, _from_msg(type_name, text, is_ros1=encoding == "ros1msg"))


def known_message(type_name: str) -> Message:
    """A type of the common ROS 2 packages, for logs that carry no definitions (Humble and older `.db3`).

    Raises:
        Unsupported: not one of them.
    """
    return _resolved(type_name, _humble())


@functools.cache
def _humble() -> Definitions:
    typesys = require("rosbags.typesys", extra="ros")
    return _from_rosbags(typesys.get_typestore(typesys.Stores.ROS2_HUMBLE).fielddefs)


def _from_msg(type_name: str, text: str, *, is_ros1: bool) -> Definitions:
    """Definitions of a `.msg` text with its parts behind lines of `=` (`MSG: package/Type`)."""
    found: dict[str, tuple[Field, ...]] = {}
    name, fields = short_name(type_name), list[Field]()
    for line in text.splitlines():
        if line.startswith("=========="):
            found[name], fields = tuple(fields), []
        elif line.startswith("MSG: "):
            name = short_name(line[5:].strip())
        else:
            field = _field(line, package=name.partition("/")[0])
            fields += [field] if field else []
    found[name] = tuple(fields)
    if is_ros1:
        found = {"builtin_interfaces/Time": _STAMP_ROS1, "builtin_interfaces/Duration": _SPAN, **found}
    else:
        found = {"builtin_interfaces/Time": _STAMP, "builtin_interfaces/Duration": _STAMP, **found}
    header = (Field("seq", "uint32"),) if is_ros1 else ()
    found.setdefault(HEADER, (*header, Field("stamp", _TIMES["time"]), Field("frame_id", "string")))
    return found


_STAMP = (Field("sec", "int32"), Field("nanosec", "uint32"))
_STAMP_ROS1 = (Field("sec", "uint32"), Field("nanosec", "uint32"))
_SPAN = (Field("sec", "int32"), Field("nanosec", "int32"))
_LINE = re.compile(r"\s*([A-Za-z][\w/]{0,255})(?:<=\d+)?(\[(?:<=)?(\d*)\])?\s+([A-Za-z]\w{0,255})\s*(=?)")


def _field(line: str, *, package: str) -> Field | None:
    """The field that a line declares, None for a constant, a comment or nothing."""
    bare = line.partition("#")[0]
    if not bare.strip() or bare.lstrip().startswith("@"):
        return None
    match = _LINE.match(bare)
    if match is None:
        raise Unsupported(f"the line {line.strip()[:80]!r} is no field of a message definition.")
    kind, brackets, length, name, equals = match.groups()
    if equals:
        return None
    if kind not in NUMBERS and kind not in ("string", "wstring"):
        kind = HEADER if kind == "Header" else _TIMES.get(kind, kind)
        kind = short_name(kind) if "/" in kind else f"{package}/{kind}"
    if brackets is None:
        return Field(name, kind)
    # `[<=5]` is a sequence with a bound; only a bare number is a fixed array.
    is_fixed = bool(length) and "<=" not in brackets
    return Field(name, kind, int(length) if is_fixed else None, is_array=True)


_SECTION = re.compile(r"^={80}[ \t]*\r?\n[ \t]*IDL:[^\n]*$", re.MULTILINE)
"""The two lines that rosbag2 puts before each definition: 80 equal signs, `IDL: package/msg/Type`."""
_DIRECTIVE = re.compile(r"^[ \t]*#[^\n]*$", re.MULTILINE)
_ENUM = re.compile(r"\benum\s+([A-Za-z]\w*)\s*\{[^{}]*\}")


def _plain_idl(text: str) -> str:
    """The definitions alone: what they include stands in the text beside them, a part before what needs it."""
    parts = [_DIRECTIVE.sub("", part) for part in _SECTION.split(text)]
    # CDR sends an enumeration as 32 bits (OMG CDR 15.3.2.3); rosbags' parser knows no type of its names.
    return _ENUM.sub(r"typedef unsigned long \1", "\n".join(reversed(parts)))


def _from_idl(type_name: str, text: str) -> Definitions:
    typesys = require("rosbags.typesys", extra="ros")
    errors = require("rosbags.typesys.base", extra="ros")
    try:
        found = _from_rosbags(typesys.get_types_from_idl(_plain_idl(text)))
    except (errors.TypesysError, RecursionError, ValueError, KeyError, AssertionError) as error:
        raise Unsupported(f"the IDL definition of {type_name} cannot be parsed: {str(error)[:200]}.") from None
    return {"builtin_interfaces/Time": _STAMP, "builtin_interfaces/Duration": _STAMP, **found}


def _from_rosbags(types: Mapping[str, Any]) -> Definitions:
    """Definitions from the data of rosbags' parser: name -> (constants, [(field, (node, argument))])."""
    return {
        short_name(name): tuple(_field_from_rosbags(field, node) for field, node in fields)
        for name, (_, fields) in types.items()
    }


def _field_from_rosbags(name: str, node: Any) -> Field:
    kind, argument = int(node[0]), node[1]
    # rosbags.interfaces.Nodetype: 1 number or text, 2 message, 3 fixed array, 4 sequence.
    if kind == 1:
        return Field(name, str(argument[0]))
    if kind == 2:
        return Field(name, short_name(argument))
    inner = _field_from_rosbags(name, argument[0])
    return Field(name, inner.type, int(argument[1]) if kind == 3 else None, is_array=True)


def _resolved(type_name: str, definitions: Definitions) -> Message:
    """The type with its parts, once every part is known and the whole has an end."""
    name = short_name(type_name)
    if name not in definitions:
        raise Unsupported(f"no definition of {type_name} is known.")
    _count(name, definitions, 0)
    return Message(type_name, definitions[name], definitions)


def _count(name: str, definitions: Definitions, depth: int) -> int:
    if depth > MAX_DEPTH:
        raise Unsupported(f"the definition of {name} contains itself.")
    total = 0
    for field in definitions[name]:
        if field.type in NUMBERS or field.type in ("string", "wstring"):
            total += 1
        elif field.type not in definitions:
            raise Unsupported(f"the definition of {field.type} is missing (field {field.name!r} of {name}).")
        else:
            total += (field.length or 1) * _count(field.type, definitions, depth + 1)
        if total > MAX_FIELDS:
            raise Unsupported(f"the definition of {name} unfolds to more than {MAX_FIELDS} fields.")
    return total
