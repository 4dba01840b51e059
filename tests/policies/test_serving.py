"""Tests of serving and asking: what a policy says arrives unchanged, and every way to fail has its name."""

from __future__ import annotations

import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from websockets.sync.client import connect
from websockets.sync.server import ServerConnection, serve

from robokata.core.contracts import Chunk, PolicySpec, Sensed, StreamNeed
from robokata.core.errors import PolicyFailed
from robokata.learn.open_policy import open_policy
from robokata.policies._openpi.client import RemotePolicy
from robokata.policies._openpi.codec import packed, unpacked
from robokata.policies._openpi.server import PolicyServer


class Echo:
    """A policy that answers what it saw."""

    def __init__(self) -> None:
        self.resets: list[tuple[str, int, str | None]] = []

    def hello(self, embodiment: str | None = None) -> PolicySpec:
        width = 3 if embodiment != "large" else 5
        return PolicySpec(
            "echo",
            (StreamNeed("observation.state", (width,), tuple(map(str, range(width))), (-0.1, 0.0)),),
            tuple(f"c{i}" for i in range(width)),
            chunk_steps=4,
            rate_hz=25.0,
            action_stream="action",
            execute_steps=2,
            embodiments=("small", "large"),
        )

    def reset(self, episode_id: str, *, seed: int, embodiment: str | None = None) -> None:
        self.resets.append((episode_id, seed, embodiment))

    def act(self, observation: Sensed) -> Chunk:
        state = np.asarray(observation["observation.state"], float)
        if observation["instruction"] == "fail":
            raise PolicyFailed("refused", "the policy will not")
        return Chunk(np.tile(state, (4, 1)), tuple(f"c{i}" for i in range(len(state))), 25.0)

    def close(self) -> None: ...


@contextmanager
def serving(policy: Any, *, host: str = "127.0.0.1", **words: Any) -> Iterator[int]:
    """A policy's server on a free port."""
    ports: list[int] = []
    server = PolicyServer(policy, **words)
    thread = threading.Thread(target=server.serve, args=(host, 0), kwargs={"ready": ports.append}, daemon=True)
    thread.start()
    while not ports:
        time.sleep(0.005)
    try:
        yield ports[0]
    finally:
        server.stop()
        thread.join(10)


@contextmanager
def other_server(talk: Callable[[ServerConnection], None]) -> Iterator[str]:
    """Somebody else's server."""
    with serve(talk, "127.0.0.1", 0, compression=None) as running:
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        yield f"ws://127.0.0.1:{running.socket.getsockname()[1]}"
        running.shutdown()
        thread.join(10)


STATE = {"observation.state": np.asarray([1.0, 2.0, 3.0]), "instruction": "go"}


def test_a_served_policy_says_and_does_what_it_does_at_home() -> None:
    echo = Echo()
    with serving(echo) as port:
        policy = open_policy(f"ws://127.0.0.1:{port}")
        spec = policy.hello()
        assert spec.needs == echo.hello().needs
        assert (spec.channels, spec.chunk_steps, spec.rate_hz, spec.execute_steps) == (("c0", "c1", "c2"), 4, 25.0, 2)
        assert spec.embodiments == ("small", "large")
        assert policy.hello("large").channels == ("c0", "c1", "c2", "c3", "c4")
        policy.reset("7", seed=3, embodiment="small")
        assert echo.resets == [("7", 3, "small")]
        chunk = policy.act(STATE)
        np.testing.assert_array_equal(chunk.actions, np.tile([1.0, 2.0, 3.0], (4, 1)))
        assert (chunk.channels, chunk.rate_hz) == (("c0", "c1", "c2"), 25.0)
        policy.close()


def test_a_plain_openpi_client_is_served() -> None:
    with serving(Echo()) as port, connect(f"ws://127.0.0.1:{port}", compression=None) as client:
        metadata = unpacked(client.recv())  # the server speaks first
        assert metadata["robokata"]["name"] == "echo"
        for asked in range(2):
            client.send(packed({"observation.state": np.ones(3), "prompt": "go"}))
            answer = unpacked(client.recv())
            assert answer["actions"].shape == (4, 3)
            assert answer["server_timing"]["infer_ms"] >= 0
            assert ("prev_total_ms" in answer["server_timing"]) == (asked > 0)


def test_healthz_says_ok() -> None:
    with serving(Echo()) as port, urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5) as answer:
        assert (answer.status, answer.read()) == (200, b"OK\n")


def test_a_failing_policy_is_told_in_text_and_the_connection_closed_with_1011() -> None:
    with serving(Echo()) as port:
        with connect(f"ws://127.0.0.1:{port}", compression=None) as client:
            client.recv()
            client.send(packed({"observation.state": np.ones(3), "prompt": "fail"}))
            assert client.recv() == "the policy will not"
            with pytest.raises(Exception, match="1011"):
                client.recv()
        policy = RemotePolicy(f"ws://127.0.0.1:{port}", {})
        with pytest.raises(PolicyFailed, match="failed: the policy will not") as caught:
            policy.act({**STATE, "instruction": "fail"})
        assert caught.value.kind == "server_error"
        assert policy.act(STATE).actions.shape == (4, 3)  # connected anew
        policy.close()


def test_a_key_is_wanted_where_one_is_set() -> None:
    with serving(Echo(), api_key="secret") as port:
        with pytest.raises(PolicyFailed, match="401") as caught:
            RemotePolicy(f"ws://127.0.0.1:{port}", {})
        assert caught.value.kind == "unreachable"
        policy = RemotePolicy(f"ws://127.0.0.1:{port}", {"api_key": "secret"})
        assert policy.act(STATE).rate_hz == 25.0
        policy.close()


def test_roboarena_names_its_endpoints_and_resets_in_text() -> None:
    echo = Echo()
    with serving(echo, protocol="roboarena") as port:
        policy = RemotePolicy(f"ws://127.0.0.1:{port}", {"protocol": "roboarena"})
        policy.reset("session-A", seed=0)
        assert echo.resets == [("session-A", 0, None)]
        assert policy.act(STATE).actions.shape == (4, 3)
        policy.close()


STALLED_S = 1.5
"""Long enough for a greeting on a busy machine."""


def answers(*frames: bytes | str, then_stalls: bool = False) -> Callable[[ServerConnection], None]:
    """A server that greets, then answers each request with the next frame."""

    def talk(connection: ServerConnection) -> None:
        connection.send(packed({}))
        for frame in frames:
            connection.recv()
            connection.send(frame)
        if then_stalls:
            connection.recv()
            time.sleep(STALLED_S + 1.0)

    return talk


def actions_of(value: Any) -> bytes:
    return packed({"actions": np.asarray(value, np.float32)})


@pytest.mark.parametrize(
    ("talk", "kind", "said"),
    [
        (answers(), "died", "is gone"),
        (answers(then_stalls=True), "stalled", r"does not answer within 1\.5 s"),
        (answers(actions_of([[np.nan, 1, 1]])), "not_finite", "not finite"),
        (answers(actions_of([[np.inf, 1, 1]])), "not_finite", "not finite"),
        (answers(actions_of([1, 2, 3])), "wrong_shape", r"answers actions of \(3,\)"),
        (answers(actions_of([[1, 2]])), "wrong_shape", r"shape \(1, 2\); expected \(1, 3\)"),
        (answers(actions_of(np.zeros((0, 3)))), "wrong_shape", r"of 0 rows \(0, 3\); at least 1 and at most 1000 rows"),
        (answers(actions_of(np.zeros((1600, 3)))), "wrong_shape", "of 1600 rows .*at most 1000 rows are read"),
        (answers(packed({"actions": np.ones((1, 3), bool)})), "wrong_shape", "of type bool; expected numbers"),
        (answers(packed({"action": 1})), "wrong_shape", "answers actions of NoneType"),
        (answers(b"\xc1"), "bad_message", r"the message has the type 0xc1 at byte 0, which openpi's does not have\.$"),
        (answers(b"\x90"), "bad_message", r"the message is list, not a map\.$"),
        (answers("Traceback\n  line 1\nValueError: too hot\n"), "server_error", "failed: ValueError: too hot"),
    ],
)
def test_every_way_to_fail_has_its_kind(talk: Callable[[ServerConnection], None], kind: str, said: str) -> None:
    with other_server(talk) as url:
        policy = RemotePolicy(url, {"timeout_s": str(STALLED_S), "channels": "x,y,z", "rate_hz": "15"})
        with pytest.raises(PolicyFailed, match=said) as caught:
            policy.act(STATE)
        assert caught.value.kind == kind
        assert url in str(caught.value)
        policy.close()


def test_a_server_that_is_not_there_or_greets_with_an_error_is_said_at_once() -> None:
    with pytest.raises(PolicyFailed, match="cannot be reached") as caught:
        RemotePolicy("ws://127.0.0.1:9", {"timeout_s": "2"})
    assert caught.value.kind == "unreachable"
    with (
        other_server(lambda connection: connection.send("no model")) as url,
        pytest.raises(PolicyFailed, match="begins with an error: no model"),
    ):
        RemotePolicy(url, {})


def test_metadata_that_makes_no_sense_is_refused() -> None:
    with other_server(lambda connection: connection.send(packed({"robokata": {"needs": 3}}))) as url:
        policy = RemotePolicy(url, {})
        with pytest.raises(PolicyFailed, match="says something of itself that makes no sense"):
            policy.hello()


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"rate_hz": 0}, "its rate_hz is 0; a number from 0.01 to 1000 is needed"),
        ({"rate_hz": float("nan")}, "its rate_hz is nan; a number from 0.01"),
        ({"rate_hz": "fast"}, "its rate_hz is 'fast'"),
        ({"chunk_steps": 10**9}, "its chunk_steps is 1000000000; a number from 0 to 1000 is needed"),
        ({"chunk_steps": float("nan")}, "its chunk_steps is nan"),
        ({"chunk_steps": 2.5}, "its chunk_steps is 2.5; a whole number"),
        ({"execute_steps": -1}, "its execute_steps is -1"),
        (
            {"needs": [{"name": "a", "shape": [7], "at_s": [-1e9]}]},
            r"its at_s of a is -1000000000.0; a number from -60",
        ),
        ({"needs": [{"name": "a", "shape": [7], "at_s": []}]}, "asks for a at no time"),
    ],
)
def test_a_number_that_cannot_be_meant_is_refused_with_server_field_and_value(told: dict[str, Any], said: str) -> None:
    with other_server(lambda connection: connection.send(packed({"robokata": told}))) as url:
        policy = RemotePolicy(url, {})
        with pytest.raises(PolicyFailed, match=said) as caught:
            policy.hello()
        assert str(caught.value).startswith(f"{url}: the policy server ")


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ({"timeout_s": "abc"}, r"option timeout_s is 'abc', and a number from 0\.001 to 86400 is needed"),
        ({"timeout_s": "-1"}, "option timeout_s is '-1'"),
        ({"timeout_s": "nan"}, "option timeout_s is 'nan'"),
        ({"rate_hz": "0"}, r"option rate_hz is '0', and a number from 0\.01 to 1000 is needed"),
        ({"protocol": "foo"}, r"option protocol is 'foo'\. It is openpi or roboarena\."),
    ],
)
def test_an_option_that_cannot_be_meant_is_refused_before_anybody_is_called(option: dict[str, str], said: str) -> None:
    called: list[Any] = []
    with other_server(called.append) as url:
        with pytest.raises(PolicyFailed, match=said) as caught:
            RemotePolicy(url, option)
        assert caught.value.kind == "refused"
    assert called == []


def test_names_and_prompt_are_the_servers_own_where_the_user_says_so() -> None:
    heard: list[dict[str, Any]] = []

    def talk(connection: ServerConnection) -> None:
        connection.send(packed({"model": "pi0"}))
        heard.append(unpacked(connection.recv()))  # type: ignore[arg-type]
        connection.send(actions_of(np.zeros((10, 8))))

    with other_server(talk) as url:
        policy = RemotePolicy(url, {"names": "observation.state=observation/joint_position", "rate_hz": "15"})
        assert policy.hello().extra == {"model": "pi0"}
        policy.reset("0", seed=0)  # nothing goes over the wire: openpi has no reset
        assert policy.act(STATE).actions.shape == (10, 8)
        assert heard[0].keys() == {"observation/joint_position", "prompt"}
        policy.close()


def test_an_unknown_option_lists_the_known_ones() -> None:
    with pytest.raises(PolicyFailed, match=r"remote knows no option 'tiemout'. Known: rate_hz, channels"):
        RemotePolicy("ws://127.0.0.1:9", {"tiemout": "1"})


class Counting(Echo):
    """A policy that remembers how often it was asked in its attempt, and has a session for each client."""

    asked = 0

    def session(self) -> Counting:
        return Counting()

    def act(self, observation: Sensed) -> Chunk:
        self.asked += 1
        return super().act({**observation, "observation.state": np.full(3, float(self.asked))})


def test_two_clients_at_once_have_an_attempt_each() -> None:
    with serving(Counting()) as port:
        one, other = (open_policy(f"ws://127.0.0.1:{port}", options={"timeout_s": "5"}) for _ in range(2))
        assert [one.act(STATE).actions[0, 0] for _ in range(2)] == [1.0, 2.0]
        assert other.act(STATE).actions[0, 0] == 1.0
        assert one.act(STATE).actions[0, 0] == 3.0
        one.close()
        other.close()


def test_a_policy_without_sessions_tells_a_second_client_that_it_is_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("robokata.policies._openpi.server._PATIENCE_S", 0.05)
    with serving(Echo()) as port:
        first = open_policy(f"ws://127.0.0.1:{port}")
        with pytest.raises(PolicyFailed, match="begins with an error: this server answers another client") as caught:
            open_policy(f"ws://127.0.0.1:{port}")
        assert caught.value.kind == "server_error"
        assert first.act(STATE).actions.shape == (4, 3), "the first one is not disturbed"
        first.close()
        monkeypatch.setattr("robokata.policies._openpi.server._PATIENCE_S", 5.0)
        open_policy(f"ws://127.0.0.1:{port}").close()


def test_a_server_that_says_nothing_of_itself_is_shown_what_has_a_name() -> None:
    shown: list[Any] = []

    def talk(connection: ServerConnection) -> None:
        connection.send(packed({}))
        for message in connection:
            shown.append(unpacked(message))  # type: ignore[arg-type]
            connection.send(packed({"actions": np.zeros((2, 3))}))

    with other_server(talk) as url:
        policy = open_policy(
            url, options={"names": "observation.state=observation/joint_position", "channels": "a,b,c"}
        )
        assert [need.name for need in policy.hello().needs] == ["observation.state"]
        assert policy.act(STATE).channels == ("a", "b", "c")
        policy.close()
    assert sorted(shown[0]) == ["observation/joint_position", "prompt"]


def test_an_address_that_is_none_of_a_policy_server_is_refused() -> None:
    with pytest.raises(PolicyFailed, match=r"http://here:1: is no address of a policy server\. Write ws://HOST:PORT\."):
        open_policy("http://here:1")
