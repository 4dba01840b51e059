"""The page's server among half requests and idle connections, with as many descriptors as a desktop of old has."""

from __future__ import annotations

import contextlib
import resource
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from collection.served import Served, served
from robokata.collection.client import Operator


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("crowd") / "out", "lift", most_files=256) as running:
        yield running


@pytest.fixture(scope="module")
def operator(server: Served) -> Iterator[Operator]:
    with Operator(server.url) as driving:
        yield driving


def place(server: Served) -> tuple[str, int]:
    host, _, port = server.url.split("/")[2].rpartition(":")
    return host, int(port)


@contextlib.contextmanager
def crowd(server: Served, say: bytes, *, count: int = 200) -> Iterator[list[socket.socket]]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert soft > 2 * count, hard
    with contextlib.ExitStack() as held:
        all_ = [held.enter_context(socket.create_connection(place(server))) for _ in range(count)]
        for each in all_:
            with contextlib.suppress(OSError):
                each.sendall(say)
        yield all_


@pytest.mark.parametrize(
    "say", [b"", b"GET / HTTP/1.1\r\n", b"POST /link HTTP/1.1\r\nHost: a\r\nContent-Length: 99\r\n\r\n"]
)
def test_the_driver_records_and_the_page_opens_among_two_hundred_half_requests(
    server: Served, operator: Operator, say: bytes
) -> None:
    with crowd(server, say):
        operator.until(lambda: operator.status["phase"] == "ready")
        operator.act("record")
        operator.until(lambda: operator.status["phase"] == "recording")
        answer = httpx.get(server.url.partition("?")[0], cookies={"robokata_session": operator.cookie}, timeout=5)
        assert answer.status_code == 200
        operator.act("discard")
        operator.until(lambda: operator.status["phase"] == "ready")
    assert not [event for event in server.events if event["event"] == "problem"]


def test_a_request_that_never_ends_is_ended_and_the_driver_stays(server: Served, operator: Operator) -> None:
    began = time.monotonic()
    with crowd(server, b"GET / HTTP/1.1\r\n", count=3) as held:
        for each in held:
            each.settimeout(20)
            with contextlib.suppress(ConnectionResetError):
                while each.recv(4096):
                    pass
    assert 5 < time.monotonic() - began < 15
    scene = operator.status["scene"]
    operator.act("reset")
    operator.until(lambda: operator.status["scene"] > scene)


def test_watchers_are_few_and_the_driver_has_room_of_its_own(server: Served, operator: Operator) -> None:
    with contextlib.ExitStack() as held:
        watcher = held.enter_context(Operator(server.url))
        for _ in range(15):
            held.enter_context(Operator(server.url, cookie=watcher.cookie))
        with pytest.raises(Exception, match="403"):
            Operator(server.url, cookie=watcher.cookie)
        held.enter_context(Operator(server.url, cookie=operator.cookie))


def test_nothing_was_said_on_the_terminal(tmp_path: Path) -> None:
    with served(tmp_path / "out", "lift", most_files=128) as running:
        with crowd(running, b"\x16\x03\x01 no request\r\n\r\n"):
            time.sleep(0.5)
        with Operator(running.url) as driving:
            driving.until(lambda: driving.status["phase"] == "ready")
        running.end()
        assert running.process.stderr is not None
        assert running.process.stderr.read() == ""
