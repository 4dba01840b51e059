"""Channels and connections that are one topic: publishers come and go, and the topic stays.

A log keeps one channel (MCAP), connection (ROS 1) or row (rosbag2) per publisher, per restart of a publisher, or per
file of a split bag. Who subscribes to the topic sees one sequence of messages, and so does who reads it here.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from robokata.containers.logs.decode import MAX_DESCRIPTOR, RosDecoder, Schema, decoder_of
from robokata.containers.logs.log import Topic
from robokata.core.errors import RobokataError
from robokata.core.require import require
from robokata.core.source import Declaration


class Members(NamedTuple):
    """One topic, and the places that its channels have among all channels of the log."""

    topic: Topic
    channels: tuple[int, ...]


def topics_of(channels: Sequence[Topic]) -> list[Members]:
    """The topics that the channels of a log are, in the order of their first channel.

    Channels are one topic where name, encoding and message type agree and their definitions say the same, whatever
    else differs: quality of service, caller, checksum, comments in the definition.
    """
    alike: dict[tuple[str, str, str], list[int]] = {}
    for number, channel in enumerate(channels):
        alike.setdefault((channel.name, channel.encoding, channel.schema.name), []).append(number)
    found = sorted(members for numbers in alike.values() for members in _by_definition(channels, numbers))
    return [Members(_joined([channels[n] for n in members]), tuple(members)) for members in found]


def contradictions(topics: Sequence[Topic], where: str) -> list[Declaration]:
    """Topics whose publishers do not agree on what a message is: ROS allows one type per topic."""
    kinds: dict[str, list[str]] = {}
    for topic in topics:
        kind = f"{topic.schema.name or 'no type'} ({topic.encoding or 'no encoding'})"
        kinds.setdefault(topic.name, []).append(kind)
    out = []
    for name, listed in kinds.items():
        if len(listed) > 1:
            distinct = list(dict.fromkeys(listed))
            found = ", ".join(distinct) if len(distinct) > 1 else f"{len(listed)} definitions of {distinct[0]}"
            hint = "each is read as streams of its own: the first has the topic's name, the others a number behind it"
            out.append(Declaration(f"type of {name}", "one type", found, where, hint))
    return out


def _by_definition(channels: Sequence[Topic], numbers: Sequence[int]) -> Iterator[list[int]]:
    """Channels of one name and type, split where their definitions describe different messages."""
    # Few channels differ in a byte of their definition, and only those are parsed.
    if len({channels[n].schema.data for n in numbers}) == 1:
        yield list(numbers)
        return
    found: dict[Hashable, list[int]] = {}
    for number in numbers:
        found.setdefault(_definition(channels[number]), []).append(number)
    yield from found.values()


def _definition(topic: Topic) -> Hashable:
    """What a definition says, without its words; its bytes where it cannot be understood."""
    if topic.encoding == "json":
        return None  # A message of JSON names its own fields: its schema decides nothing.
    if topic.encoding == "protobuf":
        return _descriptors(topic.schema)
    try:
        decoder = decoder_of(topic.encoding, topic.schema)
    except RobokataError:
        return topic.schema.data
    return decoder.message.on_the_wire() if isinstance(decoder, RosDecoder) else topic.schema.data


def _descriptors(schema: Schema) -> Hashable:
    """The files of a protobuf schema by name, without comments; the bytes themselves where they are broken."""
    descriptors = require("google.protobuf.descriptor_pb2", extra="ros")
    decode_error = require("google.protobuf.message", extra="ros").DecodeError
    if len(schema.data) > MAX_DESCRIPTOR:
        return schema.data
    try:
        files = descriptors.FileDescriptorSet.FromString(schema.data).file
    except decode_error:
        return schema.data
    for file in files:
        file.ClearField("source_code_info")
    return frozenset((file.name, file.SerializeToString(deterministic=True)) for file in files)


def _joined(topics: Sequence[Topic]) -> Topic:
    """The first channel's topic; what is not said of all is said per publisher."""
    first = topics[0]
    if all(topic.extra == first.extra for topic in topics):
        return first
    common = _common([topic.extra for topic in topics])
    return first._replace(extra={**common, "publishers": [dict(topic.extra) for topic in topics]})


def _common(extras: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for name, value in extras[0].items():
        values = [extra.get(name) for extra in extras]
        if all(isinstance(v, Mapping) for v in values):
            out[name] = _common([v for v in values if isinstance(v, Mapping)])
        elif all(v == value for v in values):
            out[name] = value
    return out
