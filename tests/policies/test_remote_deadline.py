"""A policy server that drips, floods, or takes nothing: every question ends in time, and so does the goodbye."""

from __future__ import annotations

import socket
import time

import numpy as np
import pytest

from robokata.core.errors import PolicyFailed
from robokata.policies._openpi.client import RemotePolicy
from robokata.policies._openpi.codec import packed
from runtime.dripping import HTTP, Talk, again, drip, server, shake_hands

HELLO = b"\x82\x01" + packed({})  # one frame of one byte: an empty map


def greets(talk: Talk) -> Talk:
    def whole(connection: socket.socket, ends_s: float) -> None:
        shake_hands(connection)
        connection.sendall(HELLO)
        talk(connection, ends_s)

    return whole


def shakes(talk: Talk) -> Talk:
    def whole(connection: socket.socket, ends_s: float) -> None:
        shake_hands(connection)
        talk(connection, ends_s)

    return whole


BEFORE = {
    "nothing": HTTP["nothing"],
    "status line": HTTP["status line"],
    "headers": HTTP["one header after the other"],
    "body of a refusal": lambda c, end: (c.sendall(b"HTTP/1.1 500 No\r\n\r\n"), drip(c, end, b"x" * 999))[1],
    "no greeting": shakes(HTTP["nothing"]),
    "greeting in drips": shakes(lambda c, end: drip(c, end, b"\x82\x7e\x03\xe8" + bytes(999))),
    "pings": shakes(lambda c, end: again(c, end, b"\x89\x00", pause_s=0.02)),
    "pings, fast": shakes(lambda c, end: again(c, end, b"\x89\x7d" + bytes(125))),
    "fragments": shakes(lambda c, end: (c.sendall(b"\x02\x00"), again(c, end, b"\x00\x00", pause_s=0.02))[1]),
}


@pytest.mark.parametrize("talk", BEFORE.values(), ids=BEFORE.keys())
def test_a_connection_is_open_and_greeted_in_time_or_refused(talk: Talk) -> None:
    with server(talk, reads=False) as port:
        began = time.monotonic()
        with pytest.raises(PolicyFailed) as caught:
            RemotePolicy(f"ws://127.0.0.1:{port}", {"timeout_s": "0.5"})
        assert time.monotonic() - began < 3.5
    assert caught.value.kind == "stalled"


AFTER = {
    "takes nothing": greets(HTTP["nothing"]),
    "answers in drips": greets(lambda c, end: (c.recv(9), drip(c, end, b"\x82\x7e\x03\xe8" + bytes(999)))[1]),
    # From the question on: a flood before it would be about the greeting, which BEFORE tries.
    "pings and takes nothing": greets(lambda c, end: (c.recv(9), again(c, end, b"\x89\x7d" + bytes(125)))[1]),
}
GREETED_S = 2.0
"""Long enough for a greeting on a busy machine; shorter than the servers live."""


@pytest.mark.parametrize("talk", AFTER.values(), ids=AFTER.keys())
def test_a_question_ends_in_time_and_so_does_the_goodbye(talk: Talk) -> None:
    with server(talk, reads=False) as port:
        policy = RemotePolicy(f"ws://127.0.0.1:{port}", {"timeout_s": str(GREETED_S)})
        began = time.monotonic()
        with pytest.raises(PolicyFailed) as caught:
            policy.act({"camera": np.zeros((4000, 4000), np.uint8), "instruction": ""})
        assert time.monotonic() - began < GREETED_S + 3
        policy.close()
    assert caught.value.kind == "stalled"


def test_fragments_without_end_are_hung_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("robokata.runtime.message_fragments.MOST_FRAGMENTS", 100)
    floods = shakes(lambda c, end: (c.sendall(b"\x02\x00"), again(c, end, b"\x00\x00" * 50))[1])
    with server(floods, reads=False) as port, pytest.raises(PolicyFailed, match="the policy server is gone"):
        RemotePolicy(f"ws://127.0.0.1:{port}", {"timeout_s": "5"})
