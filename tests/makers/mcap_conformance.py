"""Foxglove's MCAP conformance suite: 416 files, made anew from what its repository says of them.

Six inputs and ten features of a file (`ch` chunks, `mx` message indexes, `chx` chunk indexes, `st` statistics, `rsh`
and `rch` repeated schemas and channels, `ax` and `mdx` indexes of attachments and metadata, `sum` summary offsets,
`pad` three further bytes at the end of records), in every combination that makes sense.
"""

from __future__ import annotations

import itertools
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

FEATURES = ("ch", "mx", "st", "rsh", "rch", "ax", "mdx", "chx", "sum", "pad")
MAGIC = b"\x89MCAP0\r\n"
PADDING = b"\x01\xff\xff"
HEADER, FOOTER, SCHEMA, CHANNEL, MESSAGE, CHUNK, MESSAGE_INDEX, CHUNK_INDEX = range(1, 9)
ATTACHMENT, ATTACHMENT_INDEX, STATISTICS, METADATA, METADATA_INDEX, SUMMARY_OFFSET, DATA_END = range(9, 16)


class Input(NamedTuple):
    """What a file holds: (id, name, encoding, data) of schemas, (id, schema, topic, encoding, metadata) of channels,
    (log, publish, sequence) of messages of channel 1, and whether there are an attachment and a metadata record."""

    name: str
    schemas: Sequence[tuple[int, str, str, bytes]] = ()
    channels: Sequence[tuple[int, int, str, str, Mapping[str, str]]] = ()
    messages: Sequence[tuple[int, int, int]] = ()
    has_attachment: bool = False
    has_metadata: bool = False


_SCHEMA = (1, "Example", "c", b"\x04\x05\x06")
_CHANNEL = (1, 1, "example", "a", {"foo": "bar"})
_TEN = [(time, time, number) for number, time in enumerate((0, 2, 1, 3, 3, 5, 4, 7, 8, 9))]
INPUTS = (
    Input("NoData"),
    Input("OneSchemalessMessage", (), [(1, 0, "example", "text", {})], [(2, 1, 10)]),
    Input("OneMessage", [_SCHEMA], [_CHANNEL], [(2, 1, 10)]),
    Input("OneAttachment", has_attachment=True),
    Input("OneMetadata", has_metadata=True),
    Input("TenMessages", [_SCHEMA], [_CHANNEL], _TEN),
)


def suite() -> Iterator[tuple[str, Input, frozenset[str], bytes]]:
    """Name, input, features and bytes of each file."""
    for one, chosen in itertools.product(INPUTS, range(1 << len(FEATURES))):
        features = frozenset(f for bit, f in enumerate(FEATURES) if chosen >> bit & 1)
        if _makes_sense(one, features):
            yield "-".join([one.name, *sorted(features)]), one, features, file_bytes(one, features)


def _makes_sense(one: Input, features: frozenset[str]) -> bool:
    needs = {"ax": one.has_attachment, "mdx": one.has_metadata, "rsh": one.schemas, "rch": one.channels}
    needs |= {"ch": one.channels, "chx": "ch" in features, "mx": "ch" in features}
    needs["sum"] = features & {"chx", "rsh", "rch", "mdx", "ax", "st"}
    return all(needs.get(feature, True) for feature in features)


def text(value: str) -> bytes:
    return struct.pack("<I", len(value.encode())) + value.encode()


def texts(values: Mapping[str, str]) -> bytes:
    inner = b"".join(text(k) + text(v) for k, v in values.items())
    return struct.pack("<I", len(inner)) + inner


def record(opcode: int, body: bytes, padding: bytes = b"") -> bytes:
    return struct.pack("<BQ", opcode, len(body) + len(padding)) + body + padding


def schema_record(schema: tuple[int, str, str, bytes], padding: bytes = b"") -> bytes:
    number, name, encoding, data = schema
    body = struct.pack("<H", number) + text(name) + text(encoding) + struct.pack("<I", len(data)) + data
    return record(SCHEMA, body, padding)


def channel_record(channel: tuple[int, int, str, str, Mapping[str, str]], padding: bytes = b"") -> bytes:
    number, schema, topic, encoding, metadata = channel
    body = struct.pack("<HH", number, schema) + text(topic) + text(encoding) + texts(metadata)
    return record(CHANNEL, body, padding)


def message_record(channel: int, message: tuple[int, int, int], data: bytes = b"\x01\x02\x03") -> bytes:
    log, publish, sequence = message
    return record(MESSAGE, struct.pack("<HIQQ", channel, sequence, log, publish) + data)


def file_bytes(one: Input, features: frozenset[str]) -> bytes:
    """One file of the suite. Messages and chunks run to the end of their record, and have no padding."""
    padding = PADDING if "pad" in features else b""
    out = MAGIC + record(HEADER, text("") + text(""), padding)
    indexes: dict[int, bytes] = {}
    is_chunked = "ch" in features
    inside = b"".join(map(schema_record, one.schemas)) + b"".join(map(channel_record, one.channels))
    places = []
    for message in one.messages:
        places.append((message[0], len(inside)))
        inside += message_record(1, message)
    if is_chunked:
        made, indexes[CHUNK_INDEX] = _chunk(len(out), inside, places, features, padding)
        out += made
    else:
        out += b"".join(schema_record(s, padding) for s in one.schemas)
        out += b"".join(channel_record(c, padding) for c in one.channels)
        out += b"".join(message_record(1, message) for message in one.messages)
    for has, part, feature in ((one.has_attachment, _attachment, "ax"), (one.has_metadata, _metadata, "mdx")):
        if has:
            made, opcode, index = part(len(out), padding)
            out += made
            if feature in features:
                indexes[opcode] = record(opcode, index, padding)
    if "st" in features:
        indexes[STATISTICS] = _statistics(one, is_chunked, padding)
    if "rsh" in features:
        indexes[SCHEMA] = b"".join(schema_record(s, padding) for s in one.schemas)
    if "rch" in features:
        indexes[CHANNEL] = b"".join(channel_record(c, padding) for c in one.channels)
    return out + _ending(out, indexes, features, padding)


def _chunk(
    at: int, inside: bytes, places: list[tuple[int, int]], features: frozenset[str], padding: bytes
) -> tuple[bytes, bytes]:
    """A chunk with the message index behind it, and its chunk index (empty where none is asked for)."""
    span = (min(p[0] for p in places), max(p[0] for p in places))
    head = struct.pack("<QQQI", *span, len(inside), zlib.crc32(inside)) + text("")
    chunk = record(CHUNK, head + struct.pack("<Q", len(inside)) + inside)
    index, offsets = b"", b""
    if "mx" in features:
        pairs = b"".join(struct.pack("<QQ", *place) for place in places)
        index = record(MESSAGE_INDEX, struct.pack("<HI", 1, len(pairs)) + pairs, padding)
        offsets = struct.pack("<HQ", 1, at + len(chunk))
    body = struct.pack("<QQQQI", *span, at, len(chunk), len(offsets)) + offsets
    body += struct.pack("<Q", len(index)) + text("") + struct.pack("<QQ", len(inside), len(inside))
    return chunk + index, record(CHUNK_INDEX, body, padding) if "chx" in features else b""


def _attachment(at: int, padding: bytes) -> tuple[bytes, int, bytes]:
    said = text("myFile") + text("application/octet-stream")
    body = struct.pack("<QQ", 2, 1) + said + struct.pack("<Q", 3) + b"\x01\x02\x03"
    made = record(ATTACHMENT, body + struct.pack("<I", zlib.crc32(body)), padding)
    return made, ATTACHMENT_INDEX, struct.pack("<QQQQQ", at, len(made), 2, 1, 3) + said


def _metadata(at: int, padding: bytes) -> tuple[bytes, int, bytes]:
    made = record(METADATA, text("myMetadata") + texts({"foo": "bar"}), padding)
    return made, METADATA_INDEX, struct.pack("<QQ", at, len(made)) + text("myMetadata")


def _statistics(one: Input, is_chunked: bool, padding: bytes) -> bytes:
    times = [log for log, _, _ in one.messages] or [0]
    counts = struct.pack("<HQ", 1, len(one.messages)) if one.messages else b""
    sizes = (len(one.schemas), len(one.channels), one.has_attachment, one.has_metadata, is_chunked)
    body = struct.pack("<QHIIII", len(one.messages), *sizes) + struct.pack("<QQI", min(times), max(times), len(counts))
    return record(STATISTICS, body + counts, padding)


def _ending(out: bytes, indexes: Mapping[int, bytes], features: frozenset[str], padding: bytes) -> bytes:
    end = record(DATA_END, struct.pack("<I", zlib.crc32(out)))
    start, summary = len(out) + len(end), b""
    offsets: dict[int, bytes] = {}
    for opcode in (SCHEMA, CHANNEL, STATISTICS, METADATA_INDEX, ATTACHMENT_INDEX, CHUNK_INDEX):
        group = indexes.get(opcode, b"")
        if group:
            body = struct.pack("<BQQ", opcode, start + len(summary), len(group))
            offsets[opcode] = record(SUMMARY_OFFSET, body, padding)
        summary += group
    listed = "sum" in features
    at_offsets = start + len(summary) if listed else 0
    head = struct.pack("<BQQQ", FOOTER, 20, start if summary else 0, at_offsets)
    summary += b"".join(offsets.values()) if listed else b""
    return end + summary + head + struct.pack("<I", zlib.crc32(summary + head)) + MAGIC
