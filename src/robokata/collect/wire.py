"""Messages between processes: a JSON object and blobs of bytes behind it, each with its length before it.

This file runs in other projects' environments too (beside `robot_bridge.py`): the standard library, and nothing else.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from typing import Any, BinaryIO, NamedTuple

LARGEST_HEAD_BYTES = 1 << 20
LARGEST_BLOB_BYTES = 64 << 20
"""A raw picture of 4608 x 3456 has 48 MB; nothing that collects is larger."""
_MOST_BLOBS = 64
_LENGTH = struct.Struct("<I")


class Message(NamedTuple):
    """One message."""

    head: dict[str, Any]
    blobs: list[bytes]


def packed(head: dict[str, Any], blobs: Sequence[bytes] = ()) -> bytes:
    """One message as bytes."""
    text = json.dumps({**head, "blobs": [len(blob) for blob in blobs]}).encode()
    return b"".join([_LENGTH.pack(len(text)), text, *blobs])


def send(pipe: BinaryIO, head: dict[str, Any], blobs: Sequence[bytes] = ()) -> None:
    """Write one message and flush it."""
    pipe.write(packed(head, blobs))
    pipe.flush()


def receive(pipe: BinaryIO) -> Message | None:
    """Read one message, None where the other side has closed.

    Raises:
        ValueError: the bytes are no message, or one that is too large.
    """
    length = _exactly(pipe, _LENGTH.size)
    if length is None:
        return None
    (size,) = _LENGTH.unpack(length)
    if size > LARGEST_HEAD_BYTES:
        raise ValueError(f"a message's head of {size} bytes, more than {LARGEST_HEAD_BYTES}: these are no messages")
    text = _exactly(pipe, size)
    if text is None:
        return None
    head = json.loads(text)
    if not isinstance(head, dict):
        raise ValueError("a message whose head is no object")
    return _with_blobs(pipe, head)


def _with_blobs(pipe: BinaryIO, head: dict[str, Any]) -> Message | None:
    sizes = head.pop("blobs", [])
    if len(sizes) > _MOST_BLOBS or any(not isinstance(n, int) or not 0 <= n <= LARGEST_BLOB_BYTES for n in sizes):
        raise ValueError(f"a message with blobs of {sizes} bytes: more than can be")
    blobs = []
    for size in sizes:
        blob = _exactly(pipe, size)
        if blob is None:
            return None
        blobs.append(blob)
    return Message(head, blobs)


def _exactly(pipe: BinaryIO, size: int) -> bytes | None:
    """`size` bytes, None where they end before."""
    parts = []
    while size:
        part = pipe.read(size)
        if not part:
            return None
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
