"""Messages between processes: what is none, or announces too much, is refused before memory is taken."""

from __future__ import annotations

import io
import json
import struct
import subprocess
import sys
import time

import pytest

from robokata.collection.robot import wire
from robokata.collection.robot.robot_session import _Bridge
from robokata.core.errors import RobotFailed


def message(head: bytes) -> io.BytesIO:
    return io.BytesIO(struct.pack("<I", len(head)) + head)


def test_a_message_comes_back_as_it_was_sent() -> None:
    pipe = io.BytesIO(wire.packed({"type": "step", "list": [1, 2]}, [b"one", b""]))
    assert wire.receive(pipe) == ({"type": "step", "list": [1, 2]}, [b"one", b""])
    assert wire.receive(pipe) is None


@pytest.mark.parametrize(
    ("head", "said"),
    [
        (b"[" * 90_000, "nested too deeply"),
        (b"[" + b"[]," * 150_000 + b"0]", "more than 100000 items"),
        (b"[]", "no object"),
        (b'"\xff"', "utf-8"),
        (json.dumps({"blobs": 5}).encode(), "blobs of 5 bytes"),
        (json.dumps({"blobs": "text"}).encode(), "blobs of text bytes"),
        (json.dumps({"blobs": [True]}).encode(), "more than can be"),
        (json.dumps({"blobs": [-1]}).encode(), "more than can be"),
        (json.dumps({"blobs": [1.5]}).encode(), "more than can be"),
        (json.dumps({"blobs": [1] * 65}).encode(), "more than can be"),
        (json.dumps({"blobs": [60 << 20] * 5}).encode(), "bytes together: more than 268435456"),
    ],
)
def test_what_is_no_message_is_refused(head: bytes, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        wire.receive(message(head))


@pytest.mark.parametrize(
    ("says", "message"),
    [
        ("b'no message of ours at all'", "sends what is no message"),
        ("struct.pack('<I', 2) + b'[]'", "sends what is no message"),
        ("(struct.pack('<I', 13) + b'{\"type\": \"a\"}') ", "stalls: nothing was heard of it for 1 s"),
    ],
)
def test_a_robots_process_that_talks_nonsense_is_given_up_in_time(says: str, message: str) -> None:
    again = f"sys.stdout.buffer.write({says}); sys.stdout.flush(); time.sleep(0.1)"
    code = f"import struct, sys, time\nfor _ in range(60): {again}"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    bridge = _Bridge(process, 1.0)
    began = time.monotonic()
    with pytest.raises(RobotFailed, match=message):
        bridge.step()
    assert time.monotonic() - began < 4
    process.kill()
    process.wait()
    bridge.close()
