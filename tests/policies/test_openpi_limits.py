"""A message costs a small multiple of its bytes, whatever it holds: measured in a process with an address limit."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from robokata.core.errors import PolicyFailed
from robokata.policies._openpi.codec import unpacked
from robokata.policies._openpi.limits import MOST_ITEMS

SRC = Path(__file__).parents[2] / "src"
MIB = 2**20
MEASURED = """
import resource, sys
from robokata.policies._openpi.codec import unpacked
unpacked(b"\\x80")
message = sys.stdin.buffer.read()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
taken = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (taken + 4 * len(message), -1))
try:
    found = unpacked(message)
    print("read", len(found), end=" ")
except Exception as error:
    print(type(error).__name__, error, end=" ")
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 // len(message))
"""


def a_list(count: int, each: bytes) -> bytes:
    return b"\xdd" + struct.pack(">I", count) + each * count


def in_a_map(value: bytes) -> bytes:
    return b"\x81\xa1a" + value


HOSTILE = {
    "lists of empty maps": lambda: in_a_map(a_list(400, b"\xdc\xff\xff" + b"\x80" * 65_535)),
    "nulls": lambda: in_a_map(a_list(26 * MIB, b"\xc0")),
    "empty texts": lambda: in_a_map(a_list(26 * MIB, b"\xa0")),
    "lists of one": lambda: in_a_map(a_list(13 * MIB, b"\x91\x00")),
    "numbers as floats": lambda: in_a_map(a_list(3 * MIB, b"\xcb" + bytes(8))),
    "many keys": lambda: (
        b"\xdf" + struct.pack(">I", MIB) + b"".join(b"\xa3" + struct.pack(">I", n)[1:] + b"\xc0" for n in range(MIB))
    ),
    "one wide character": lambda: in_a_map(
        b"\xdb" + struct.pack(">I", 26 * MIB) + "\U0001f600".encode() + b"a" * (26 * MIB - 4)
    ),
    "wide text in pieces": lambda: in_a_map(a_list(900, b"\xda\x7f\xff" + "\U0001f600".encode() + b"a" * 32_763)),
}


def measured(message: bytes) -> str:
    done = subprocess.run(
        [sys.executable, "-c", MEASURED],
        input=message,
        capture_output=True,
        env={**os.environ, "PYTHONPATH": str(SRC)},
        timeout=120,
        check=True,
    )
    return done.stdout.decode()


@pytest.mark.parametrize("message", HOSTILE.values(), ids=HOSTILE.keys())
def test_what_would_cost_gigabytes_is_refused_before_memory_is_taken(message: Callable[[], bytes]) -> None:
    said, times = measured(message()).rsplit(" ", 1)
    assert said.startswith("PolicyFailed the message has more than ")
    assert int(times) <= 1


def test_pictures_are_read_with_less_than_four_times_their_bytes() -> None:
    picture = b"\x84\xc4\x0b__ndarray__\xc3\xc4\x04data\xc6" + struct.pack(">I", 26 * MIB) + bytes(26 * MIB)
    picture += b"\xc4\x05dtype\xa3|u1\xc4\x05shape\x91\xce" + struct.pack(">I", 26 * MIB)
    said, times = measured(in_a_map(picture)).rsplit(" ", 1)
    assert (said, int(times) <= 2) == ("read 1", True)


def test_items_are_counted_over_the_whole_message() -> None:
    assert len(unpacked(in_a_map(a_list(MOST_ITEMS - 2, b"\x00")))["a"]) == MOST_ITEMS - 2
    halves = b"\x82\xa1a" + a_list(MOST_ITEMS // 2, b"\x00") + b"\xa1b" + a_list(MOST_ITEMS // 2, b"\x00")
    with pytest.raises(PolicyFailed, match="has more than 100,000 items; numbers travel as arrays"):
        unpacked(halves)


@pytest.mark.parametrize("data", [b"\x81\xa1a\xc7\x01\x01x", b"\x81\xa1a\xd6\xff\x00\x00\x00\x00", b"\x81\xa1a\xc1"])
def test_types_that_the_protocol_lacks_are_refused_by_their_byte(data: bytes) -> None:
    with pytest.raises(PolicyFailed, match=r"the message has the type 0x.. at byte 3, which openpi's does not have\."):
        unpacked(data)


@pytest.mark.parametrize(
    "data", [b"\x81\x01\x01", b"\x81\xcb" + bytes(8) + b"\x01", b"\x81\x90\x01", b"\x81\xa1\xff\x01"]
)
def test_keys_that_are_no_text_are_refused(data: bytes) -> None:
    with pytest.raises(PolicyFailed, match="is no msgpack"):
        unpacked(data)
