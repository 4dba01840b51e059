"""A world model that drips, in whatever part of its answer: the deadline holds from the first byte to the last."""

from __future__ import annotations

import json
import socket
import time
from typing import Any

import pytest

from robokata.core.errors import GeneratorFailed
from robokata.expanders._world_model.client import Server, ask
from robokata.expanders._world_model.message import pictures_in
from runtime.dripping import HTTP, OK, Talk, server


@pytest.mark.parametrize("talk", HTTP.values(), ids=HTTP.keys())
def test_no_answer_takes_longer_than_the_deadline(talk: Talk) -> None:
    with server(talk) as port:
        began = time.monotonic()
        with pytest.raises(GeneratorFailed, match="no answer") as caught:
            ask(Server(f"http://127.0.0.1:{port}/x", timeout_s=0.5, retries=0), {"id": "e"})
        assert time.monotonic() - began < 2.5
    assert caught.value.kind == "stalled"


def test_tls_that_does_not_shake_hands_is_within_the_deadline_too() -> None:
    with server(HTTP["nothing"]) as port:
        began = time.monotonic()
        with pytest.raises(GeneratorFailed, match=r"no answer within 0\.5 s"):
            ask(Server(f"https://127.0.0.1:{port}/x", timeout_s=0.5, retries=0), {"id": "e"})
        assert time.monotonic() - began < 2.5


def test_a_server_that_reads_nothing_is_within_the_deadline_too() -> None:
    with server(HTTP["nothing"], reads=False) as port:
        began = time.monotonic()
        with pytest.raises(GeneratorFailed, match=r"no answer within 0\.5 s"):
            ask(Server(f"http://127.0.0.1:{port}/x", timeout_s=0.5, retries=0), {"id": "e", "data": "x" * 30_000_000})
        assert time.monotonic() - began < 3.5


def answered(body: bytes) -> Any:
    def talk(connection: socket.socket, ends_s: float) -> None:
        connection.sendall(OK + b"Connection: close\r\n\r\n" + body)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(4096):  # what is left unread would reset the connection
            pass

    with server(talk) as port:
        return ask(Server(f"http://127.0.0.1:{port}/x", timeout_s=5, retries=0), {"id": "e"})


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"[" + b"[]," * 300_000 + b"0]", "answers with more than 200,000 items"),
        (b"{" + b",".join(b'"%d":0' % n for n in range(250_000)) + b"}", "answers with more than 200,000 items"),
        ('{"a": "😀'.encode() + b"a" * 17 * 2**20 + b'"}', "bytes that are not ASCII"),
        (b"[" * 150_000, "answers no JSON"),
        (b"1" * 10_000, "answers no JSON"),
        (b'{"a": "\xff"}', "answers no JSON"),
    ],
)
def test_an_answer_that_would_cost_many_times_its_bytes_is_refused(body: bytes, said: str) -> None:
    with pytest.raises(GeneratorFailed, match=said) as caught:
        answered(body)
    assert caught.value.kind == "bad_message"
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("data", ["text", {"0": "AA=="}, [5], [["AA=="]], None])
def test_pictures_that_are_no_list_of_texts_are_refused(data: Any) -> None:
    question = {"id": "e", "cameras": {"front": {"frames": 1, "height_px": 2, "width_px": 2}}}
    cameras = {"front": {"pictures": {"encoding": "png", "data": data}}}
    answer = json.loads(json.dumps({"protocol": "robokata-world-model/1", "id": "e", "cameras": cameras}))
    with pytest.raises(GeneratorFailed, match="camera front: no pictures can be read from it"):
        pictures_in(answer, question)
