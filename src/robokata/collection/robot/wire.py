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
LARGEST_MESSAGE_BYTES = 256 << 20
"""All blobs of a message together: five such pictures, or a hundred of 1280 x 720."""
_MOST_BLOBS = 64
_MOST_ITEMS = 100_000
"""Values of a head, counted by its commas and brackets before they are made."""
_LENGTH = struct.Struct("<I")


class WireMessage(NamedTuple):
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


def receive(pipe: BinaryIO) -> WireMessage | None:
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
    return _with_blobs(pipe, head_in(text))


def head_in(text: bytes) -> dict[str, Any]:
    """The head of a message; its `blobs` are sizes that may be read.

    Raises:
        ValueError: it is no JSON object, has too many items, or announces more bytes than a message may have.
    """
    if sum(text.count(sign) for sign in (b",", b"[", b"{")) > _MOST_ITEMS:
        raise ValueError(f"a message whose head has more than {_MOST_ITEMS} items")
    try:
        head = json.loads(text)
    except RecursionError:
        raise ValueError("a message whose head is nested too deeply") from None
    if not isinstance(head, dict):
        raise ValueError("a message whose head is no object")
    sizes = head.setdefault("blobs", [])
    is_list = isinstance(sizes, list) and len(sizes) <= _MOST_BLOBS
    if not is_list or any(type(n) is not int or not 0 <= n <= LARGEST_BLOB_BYTES for n in sizes):
        raise ValueError(f"a message with blobs of {str(sizes)[:80]} bytes: more than can be")
    if sum(sizes) > LARGEST_MESSAGE_BYTES:
        raise ValueError(f"a message with blobs of {sum(sizes)} bytes together: more than {LARGEST_MESSAGE_BYTES}")
    return head


def _with_blobs(pipe: BinaryIO, head: dict[str, Any]) -> WireMessage | None:
    sizes = head.pop("blobs")
    blobs = []
    for size in sizes:
        blob = _exactly(pipe, size)
        if blob is None:
            return None
        blobs.append(blob)
    return WireMessage(head, blobs)


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
