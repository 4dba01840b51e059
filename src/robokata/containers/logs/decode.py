"""Messages of any encoding that a robot log carries, as columns."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from robokata.containers.logs.table import Table, table_of
from robokata.containers.ros.decode import decode_messages, lay_out
from robokata.containers.ros.definition import NUMBERS, Message, known_message, message_from_text
from robokata.core.errors import DamagedData, Unsupported
from robokata.core.require import require

HEAD_BYTES = 1024
"""First bytes of a large message that hold its header: 4 + 12 bytes of stamp and a frame name of <= 255 characters."""
MAX_DESCRIPTOR = 16_000_000
"""Largest protobuf descriptor set in bytes: that of all of foxglove's schemas has 60 thousand."""
_MAX_LEAVES = 20_000
_MAX_NESTING = 32
_SHORT_TEXT = 4096
"""Characters up to which a list of objects in JSON is a text beside the other fields: errors, labels, boxes. Longer
ones are drawings and point clouds, and are read one by one."""


class Decoder(Protocol):
    """Takes the messages of one topic apart."""

    opaque_because: str | None
    """Why the messages stay bytes, None where they are columns of numbers and text."""

    def head(self, messages: Sequence[bytes], where: str) -> Table:
        """The columns that a header gives, from the first `HEAD_BYTES` of each message."""
        ...

    def table(self, messages: Sequence[bytes], where: str) -> Table:
        """All columns."""
        ...

    def parts(self, data: bytes, where: str) -> Mapping[str, Any]:
        """All fields of one message, those of blobs as bytes."""
        ...

    @property
    def needs_whole(self) -> bool:
        """True where a header cannot be read from the first bytes alone."""
        ...


class RosDecoder:
    """CDR and ROS 1, by a definition."""

    needs_whole = False

    def __init__(self, message: Message, *, encoding: str) -> None:
        self.message, self.encoding = message, encoding
        self.opaque_because = _why_opaque(message, message.type)

    def head(self, messages: Sequence[bytes], where: str) -> Table:
        """The header's columns.

        Raises:
            DamagedData: a message ends inside its header.
        """
        head = self.message.head()
        columns = decode_messages(head, messages, encoding=self.encoding, where=where, is_head=True)
        return Table(len(messages), columns, {})

    def table(self, messages: Sequence[bytes], where: str) -> Table:
        """All columns.

        Raises:
            DamagedData: a message is not what its definition says.
        """
        columns = decode_messages(self.message, messages, encoding=self.encoding, where=where)
        return Table(len(messages), columns, {})

    def parts(self, data: bytes, where: str) -> Mapping[str, Any]:
        """All fields of one message.

        Raises:
            DamagedData: the message is not what its definition says.
        """
        layout = lay_out(self.message, data, encoding=self.encoding, where=where)
        order = "<" if self.encoding == "ros1" or data[1] & 1 else ">"
        out: dict[str, Any] = {}
        for name, leaf in layout.leaves.items():
            if leaf.dtype is None:
                texts = tuple(data[at : at + length].decode("utf-8", "replace") for at, length in leaf.texts)
                out[name] = texts if leaf.is_array else texts[0]
            elif leaf.dtype == "u1" and leaf.is_array:
                out[name] = data[leaf.at : leaf.at + leaf.length]
            else:
                numbers = np.frombuffer(data, order + leaf.dtype, leaf.length, leaf.at)
                out[name] = numbers if leaf.is_array else numbers[0].item()
        return out


def _why_opaque(message: Message, name: str) -> str | None:
    """Why a type is no table: it holds lists of messages, blobs or wide text."""
    for field in message.fields:
        if field.type == "wstring":
            return f"field {field.name!r} is wide text"
        if field.length is None and field.type in ("uint8", "byte", "octet", "char"):
            return f"field {field.name!r} is a blob"
        # A MultiArray's layout labels its dimensions in a list of messages, and is mostly empty.
        if field.type in NUMBERS or field.type in ("string", "std_msgs/MultiArrayLayout"):
            continue
        if field.length is None:
            return f"field {field.name!r} is a list of messages"
        inner = _why_opaque(Message(field.type, message.parts[field.type], message.parts), field.name)
        if inner is not None:
            return inner
    return None if message.fields else f"{name} has no fields"


class LooseDecoder:
    """JSON and protobuf: each message is parsed by itself, and may differ from the one before."""

    needs_whole = True
    opaque_because: str | None = None

    def __init__(self, parse: Callable[[bytes, str], Mapping[str, Any]]) -> None:
        self.parts = parse

    def head(self, messages: Sequence[bytes], where: str) -> Table:
        """The columns of stamps and frames.

        Raises:
            DamagedData: a message cannot be parsed.
        """
        wanted = ("timestamp", "header", "frame_id")
        return table_of([{k: v for k, v in self.parts(m, where).items() if k.startswith(wanted)} for m in messages])

    def table(self, messages: Sequence[bytes], where: str) -> Table:
        """All columns.

        Raises:
            DamagedData: a message cannot be parsed.
        """
        return table_of([self.parts(m, where) for m in messages])


class Schema(NamedTuple):
    """What a log says about the messages of a topic."""

    name: str
    encoding: str
    """`ros1msg`, `ros2msg`, `ros2idl`, `protobuf`, `jsonschema`, or empty."""
    data: bytes


def decoder_of(message_encoding: str, schema: Schema) -> Decoder:
    """What takes the messages of one topic apart.

    Raises:
        Unsupported: no reader for this encoding, or its schema cannot be understood.
    """
    if message_encoding in ("cdr", "ros1"):
        text = schema.data.decode("utf-8", "replace")
        if not text.strip() and message_encoding == "cdr":
            return RosDecoder(known_message(schema.name), encoding="cdr")
        kind = "ros1msg" if message_encoding == "ros1" else schema.encoding
        return RosDecoder(message_from_text(schema.name, text, encoding=kind), encoding=message_encoding)
    if message_encoding == "json":
        return LooseDecoder(_parse_json)
    if message_encoding == "protobuf":
        return LooseDecoder(_protobuf_parser(schema))
    raise Unsupported(f"messages encoded as {message_encoding or 'nothing'!r} are kept as bytes.")


def _parse_json(data: bytes, where: str) -> Mapping[str, Any]:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise DamagedData(where, f"a message is no JSON: {str(error)[:100]}.") from None
    out: dict[str, Any] = {}
    _flatten(value if isinstance(value, dict) else {"value": value}, "", out, where)
    # A picture's bytes travel as base64 in JSON (foxglove's schemas: "contentEncoding": "base64").
    if isinstance(out.get("data"), str) and isinstance(out.get("format") or out.get("encoding"), str):
        try:
            out["data"] = base64.b64decode(out["data"], validate=True)
        except ValueError:
            raise DamagedData(where, "field 'data' is no base64.") from None
    return out


def _flatten(value: Any, path: str, out: dict[str, Any], where: str, depth: int = 0) -> None:
    if len(out) > _MAX_LEAVES or depth > _MAX_NESTING:
        raise Unsupported(f"{where}: a message with more than {_MAX_LEAVES} fields or {_MAX_NESTING} levels.")
    if isinstance(value, Mapping):
        for key, inner in value.items():
            _flatten(inner, f"{path}.{key}" if path else str(key), out, where, depth + 1)
    elif isinstance(value, list) and any(isinstance(v, (list, Mapping)) for v in value):
        matrix, text = _matrix(value), json.dumps(value, default=str)
        # Bytes mean "not a column": the topic stays a stream of messages.
        out[path] = matrix if matrix is not None else text if len(text) <= _SHORT_TEXT else text.encode()
    else:
        out[path] = value


def _matrix(value: list[Any]) -> NDArray[np.float64] | None:
    """Lists of lists of numbers as one array, None where they are no rectangle of numbers."""
    try:
        array = np.asarray(value)
    except (ValueError, OverflowError):
        return None
    return array.astype(np.float64) if array.dtype.kind in "biuf" and array.size else None


def _protobuf_parser(schema: Schema) -> Callable[[bytes, str], Mapping[str, Any]]:
    if len(schema.data) > MAX_DESCRIPTOR:
        raise Unsupported(f"the protobuf schema of {schema.name} has {len(schema.data)} bytes.")
    pool_module = require("google.protobuf.descriptor_pool", extra="ros")
    descriptors = require("google.protobuf.descriptor_pb2", extra="ros")
    factory = require("google.protobuf.message_factory", extra="ros")
    decode_error = require("google.protobuf.message", extra="ros").DecodeError
    try:
        pool = pool_module.DescriptorPool()
        waiting = {file.name: file for file in descriptors.FileDescriptorSet.FromString(schema.data).file}
        while waiting:
            # Files may come in any order; one is added once all that it imports are there.
            ready = [f for f in waiting.values() if not any(d in waiting for d in f.dependency)]
            for file in ready:
                pool.Add(waiting.pop(file.name))
            if not ready:
                raise Unsupported(f"the protobuf schema of {schema.name} imports itself.")
        message_class = factory.GetMessageClass(pool.FindMessageTypeByName(schema.name))
    except (decode_error, KeyError, TypeError, ValueError) as error:
        raise Unsupported(f"the protobuf schema of {schema.name} cannot be used: {str(error)[:200]}.") from None

    def parse(data: bytes, where: str) -> Mapping[str, Any]:
        try:
            message = message_class.FromString(data)
        except decode_error as error:
            raise DamagedData(where, f"a message is no {schema.name}: {str(error)[:100]}.") from None
        out: dict[str, Any] = {}
        _flatten_protobuf(message, "", out, where, 0)
        return out

    return parse


def _flatten_protobuf(message: Any, path: str, out: dict[str, Any], where: str, depth: int) -> None:
    if depth > _MAX_NESTING:
        raise Unsupported(f"{where}: a protobuf message of more than {_MAX_NESTING} levels.")
    for field in message.DESCRIPTOR.fields:
        name = f"{path}.{field.name}" if path else field.name
        value = getattr(message, field.name)
        if field.is_repeated:
            is_list = field.message_type is not None
            out[name] = b"" if is_list else list(value)
        elif field.has_presence and not message.HasField(field.name):
            continue  # Absent, not zero.
        elif field.message_type is not None:
            _flatten_protobuf(value, name, out, where, depth + 1)
        else:
            out[name] = value
