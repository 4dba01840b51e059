"""Limits of a msgpack message, counted over the whole of it before anything is unpacked.

This file runs in lerobot's environment too (beside `_lerobot_child.py`): the standard library, and nothing else.
"""

from __future__ import annotations

from typing import NamedTuple

MOST_BYTES = 64 * 2**20
"""Largest message: 70 pictures of 640 x 480. The protocol itself knows no limit."""
MOST_ITEMS = 100_000
"""Keys and values of a message together: an item costs Python up to 200 bytes, and the sender one."""
MOST_TEXT_BYTES = 2**20
"""Text of a message together: one character beyond U+FFFF makes four bytes of every other one of its text."""
DEEPEST = 32
_SIZES = {0xC0: 0, 0xC2: 0, 0xC3: 0, 0xCA: 4, 0xCB: 8}
_SIZES |= {0xCC: 1, 0xCD: 2, 0xCE: 4, 0xCF: 8, 0xD0: 1, 0xD1: 2, 0xD2: 4, 0xD3: 8}
"""First byte -> bytes that follow, of what has a fixed size (nil, booleans, floats, integers)."""
_LENGTHS = {0xC4: 1, 0xC5: 2, 0xC6: 4, 0xD9: 1, 0xDA: 2, 0xDB: 4, 0xDC: 2, 0xDD: 4, 0xDE: 2, 0xDF: 4}
"""First byte -> bytes of the length, of what has one (bytes, text, lists, maps)."""


class _Item(NamedTuple):
    """The head of one item: what it is, and where its content begins."""

    kind: str
    """`plain`, `bytes`, `text`, `list` or `map`."""
    start: int
    size: int
    """Bytes of its content, or entries."""


def vet(data: bytes) -> None:
    """Refuse a message before memory is taken for it.

    Raises:
        ValueError: too large, too many items, too much text, too deep, cut short, with bytes behind its end, or with
            types that the protocol does not have.
    """
    if len(data) > MOST_BYTES:
        raise ValueError(f"the message has {len(data):,} bytes; at most {MOST_BYTES:,} are read")
    place = items = text_bytes = 0
    left = [1]  # items to come, of every list and map that is open
    while left:
        if left[-1] == 0:
            left.pop()
            continue
        left[-1] -= 1
        item = _head(data, place)
        place = item.start
        if item.kind in ("list", "map"):
            left.append(item.size * (2 if item.kind == "map" else 1))
            items += left[-1]
        else:
            place += item.size
            text_bytes += item.size if item.kind == "text" else 0
        _refuse_more(items, text_bytes, depth=len(left) - 1)
    if place > len(data):
        raise ValueError(f"the message ends early: {place:,} bytes are announced, {len(data):,} came")
    if place < len(data):
        raise ValueError(f"the message has {len(data) - place:,} bytes behind its end")


def _refuse_more(items: int, text_bytes: int, *, depth: int) -> None:
    if items > MOST_ITEMS:
        raise ValueError(f"the message has more than {MOST_ITEMS:,} items; numbers travel as arrays")
    if text_bytes > MOST_TEXT_BYTES:
        raise ValueError(f"the message has more than {MOST_TEXT_BYTES:,} bytes of text")
    if depth > DEEPEST:
        raise ValueError(f"the message is nested more than {DEEPEST} deep")


def _head(data: bytes, place: int) -> _Item:
    """The item that begins at a byte."""
    if place >= len(data):
        raise ValueError(f"the message ends early: an item is missing at byte {place:,}")
    first, start = data[place], place + 1
    if first < 0x80 or first >= 0xE0:
        return _Item("plain", start, 0)
    if first < 0x90:
        return _Item("map", start, first & 0x0F)
    if first < 0xA0:
        return _Item("list", start, first & 0x0F)
    if first < 0xC0:
        return _Item("text", start, first & 0x1F)
    if first in _SIZES:
        return _Item("plain", start, _SIZES[first])
    if first not in _LENGTHS:
        raise ValueError(f"the message has the type 0x{first:02x} at byte {place:,}, which openpi's does not have")
    end = start + _LENGTHS[first]
    if end > len(data):
        raise ValueError(f"the message ends early: a length is missing at byte {start:,}")
    kind = "bytes" if first <= 0xC6 else "text" if first <= 0xDB else "list" if first <= 0xDD else "map"
    return _Item(kind, end, int.from_bytes(data[start:end], "big"))
