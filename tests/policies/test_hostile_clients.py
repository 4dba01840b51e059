"""A policy server among strangers: web pages, half requests, idle connections and nonsense."""

from __future__ import annotations

import contextlib
import socket
import struct
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from websockets.sync.client import connect

from policies.test_serving import STATE, Counting, Echo, serving
from robokata.learn.open_policy import open_policy
from robokata.policies._openpi.codec import packed


@contextlib.contextmanager
def strangers(port: int, count: int, say: bytes = b"") -> Iterator[list[socket.socket]]:
    """Connections that say so much and no more."""
    with contextlib.ExitStack() as held:
        all_ = []
        for _ in range(count):
            each = held.enter_context(socket.create_connection(("127.0.0.1", port)))
            with contextlib.suppress(OSError):
                each.sendall(say)
            all_.append(each)
        yield all_


def status(port: int, *lines: str, path: str = "/") -> int:
    head = [f"GET {path} HTTP/1.1", "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13"]
    head += ["Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==", *lines, "", ""]
    with socket.create_connection(("127.0.0.1", port), timeout=5) as asking:
        asking.sendall("\r\n".join(head).encode())
        answer = asking.recv(4096)
    return int(answer.split()[1]) if answer else 0


OTHERS = [
    ("Host: 127.0.0.1:{port}", "Origin: http://evil.example"),
    ("Host: 127.0.0.1:{port}", "Origin: null"),
    ("Host: 127.0.0.1:{port}", "Origin: https://127.0.0.1:{port}"),
    ("Host: 127.0.0.1:{port}", "Origin: http://127.0.0.1:1"),
    ("Host: 127.0.0.1:{port}", "Origin:"),
    ("Host: 127.0.0.1:{port}", "Origin: http://127.0.0.1:{port}", "Origin: http://evil.example"),
    ("Host: evil.example",),
    ("Host: evil.example:{port}",),
    ("Host: evil.example:{port}", "Origin: http://evil.example:{port}"),
    ("Host: 127.0.0.1.evil.example:{port}",),
    ("Host: localhost@evil.example:{port}",),
    ("Host: 127.0.0.1:1",),
    ("Host: 127.0.0.1",),
    ("Host: 127.0.0.1:{port}", "Host: evil.example:{port}"),
    (),
]


@pytest.mark.parametrize("path", ["/", "/healthz"])
@pytest.mark.parametrize("lines", OTHERS)
def test_pages_of_others_and_rebound_names_are_refused(lines: tuple[str, ...], path: str) -> None:
    with serving(Echo()) as port:
        assert status(port, *(line.format(port=port) for line in lines), path=path) == 403


@pytest.mark.parametrize(
    "lines",
    [
        ("Host: 127.0.0.1:{port}",),
        ("Host: LOCALHOST:{port}",),
        ("Host: [::1]:{port}",),
        ("Host: localhost:{port}", "Origin: http://localhost:{port}"),
    ],
)
def test_names_of_this_machine_are_let_in(lines: tuple[str, ...]) -> None:
    with serving(Echo()) as port:
        assert status(port, *(line.format(port=port) for line in lines)) == 101


def test_on_the_network_every_origin_is_refused_and_any_host_is_fine() -> None:
    with serving(Echo(), host="0.0.0.0") as port:
        assert status(port, "Host: robot-7.lab") == 101
        assert status(port, "Host: evil.example", "Origin: http://evil.example") == 403


def test_the_refusal_says_what_was_expected() -> None:
    with serving(Echo()) as port, socket.create_connection(("127.0.0.1", port), timeout=5) as asking:
        asking.sendall(b"GET /healthz HTTP/1.1\r\nHost: evil.example\r\n\r\n")
        said = asking.makefile("rb").read().decode()
        assert said.endswith(f"this server is at 127.0.0.1:{port} and localhost:{port}, not at evil.example\n")


@pytest.mark.parametrize("say", [b"", b"GET / HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nHost: " + b"a" * 9000])
def test_a_hundred_half_requests_keep_nobody_out_and_end_in_time(say: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("robokata.runtime.listener.HEAD_S", 2.0)
    with serving(Echo()) as port, strangers(port, 100, say) as held:
        policy = open_policy(f"ws://127.0.0.1:{port}", options={"timeout_s": "5"})
        assert policy.act(STATE).actions.shape == (4, 3)
        time.sleep(2.5)
        for each in held:
            each.settimeout(2)
            with contextlib.suppress(ConnectionResetError):
                while each.recv(4096):
                    pass
        assert policy.act(STATE).actions.shape == (4, 3), "who is known stays"
        policy.close()


def test_a_hundred_clients_that_ask_nothing_keep_nobody_out() -> None:
    with serving(Counting()) as port, contextlib.ExitStack() as held:
        first = open_policy(f"ws://127.0.0.1:{port}", options={"timeout_s": "5"})
        assert first.act(STATE).actions[0, 0] == 1.0
        for _ in range(100):
            held.enter_context(connect(f"ws://127.0.0.1:{port}", compression=None, close_timeout=0.1))
        last = open_policy(f"ws://127.0.0.1:{port}", options={"timeout_s": "5"})
        assert last.act(STATE).actions[0, 0] == 1.0
        assert first.act(STATE).actions[0, 0] == 2.0, "who asked before is not disturbed"
        first.close()
        last.close()


def test_a_policy_for_one_goes_to_the_next_where_its_client_asks_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("robokata.policies._openpi.server._FIRST_QUESTION_S", 2.0)
    with serving(Echo()) as port, connect(f"ws://127.0.0.1:{port}", compression=None, close_timeout=0.1):
        policy = open_policy(f"ws://127.0.0.1:{port}", options={"timeout_s": "5"})
        assert policy.act(STATE).actions.shape == (4, 3)
        policy.close()


BAD = {
    "NaN": packed({"observation.state": np.array([1, np.nan, 2]), "prompt": "go"}),
    "shape": packed({"observation.state": np.zeros((2, 2, 2)), "prompt": "go"}),
    "text for numbers": packed({"observation.state": "three", "prompt": "go"}),
    "mixed list": packed({"observation.state": [1, "two"], "prompt": "go"}),
    "ragged list": packed({"observation.state": [[1], [1, 2]], "prompt": "go"}),
    "bytes": packed({"observation.state": b"\x00\x01", "prompt": "go"}),
    "prompt is a number": packed({"observation.state": np.ones(3), "prompt": 5}),
    "no UTF-8": b"\x81\xa6prompt\xa2\xff\xfe",
    "nothing that is needed": packed({"something": np.ones(3)}),
    "huge number": b"\x81\xa1a\xcf" + b"\xff" * 8,
    "reset of a list": packed({"robokata/reset": [1]}),
    "reset with another field": packed({"robokata/reset": {"sed": 1}}),
    "reset with a seed of text": packed({"robokata/reset": {"seed": "1"}}),
    "text": "hello",
    "empty": b"",
    "deep": b"\x81\xa1a" + b"\x91" * 100_000,
    "59 MB nested": b"\x81\xa1a\xdd" + struct.pack(">I", 900) + (b"\xdc\xff\xff" + b"\x80" * 65535) * 900,
}


class Strict(Counting):
    """A policy that fails as one of somebody else does: with whatever Python raises."""

    def act(self, observation: Any) -> Any:
        state = np.asarray(observation["observation.state"], float).reshape(3)
        return super().act({**observation, "observation.state": state})

    def session(self) -> Strict:
        return Strict()


@pytest.mark.parametrize("message", BAD.values(), ids=BAD.keys())
def test_a_bad_value_is_answered_in_one_line_and_the_server_lives_on(message: bytes | str) -> None:
    with serving(Strict()) as port:
        with connect(f"ws://127.0.0.1:{port}", compression=None, max_size=None) as client:
            client.recv()
            client.send(message)
            said = client.recv(timeout=20)
        assert isinstance(said, str)
        assert "\n" not in said
        assert "Traceback" not in said
        policy = open_policy(f"ws://127.0.0.1:{port}", options={"timeout_s": "5"})
        assert policy.act(STATE).actions.shape == (4, 3)
        policy.close()


def test_fragments_without_end_are_hung_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("robokata.runtime.message_fragments.MOST_FRAGMENTS", 100)
    with serving(Counting()) as port:
        with connect(f"ws://127.0.0.1:{port}", compression=None) as client:
            client.recv()
            raw = client.socket
            with contextlib.suppress(OSError):
                raw.sendall(b"\x02\x80" + bytes(4))
                for _ in range(5000):
                    raw.sendall(b"\x00\x80" + bytes(4))
                    time.sleep(0.0002)
                pytest.fail("it listened for ever")
        open_policy(f"ws://127.0.0.1:{port}").close()
