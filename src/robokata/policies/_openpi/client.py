"""Client of a policy server that speaks openpi's websocket protocol."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from robokata.core.contracts import Chunk, PolicySpec, Sensed, StreamNeed
from robokata.core.errors import PolicyFailed
from robokata.core.require import require
from robokata.policies._openpi.codec import packed, unpacked
from robokata.policies._openpi.limits import MOST_BYTES
from robokata.runtime.deadline import Deadline
from robokata.runtime.message_fragments import bounded

_MOST_STEPS, _MOST_NUMBERS = 1000, 1000
"""Largest chunk that is believed: ten times the longest published (100 steps of 32 numbers)."""
_SLOWEST_HZ, _FASTEST_HZ = 0.01, 1000.0
"""Rates that are believed: from an action that lasts longer than any task here, to the Franka's own controller (FCI
documentation, 1 kHz)."""
_LONGEST_S = 86_400.0
"""Longest patience: a day."""
_OLDEST_S = 60.0
"""Longest past that a policy may ask for: a picture of every control step of it is kept."""
_GOODBYE_S = 2.0
"""Time to hang up: a server that takes nothing more is cut off."""
_PROTOCOLS = ("openpi", "roboarena")


class RemotePolicy:
    """The client. A class, because it holds the connection and connects again after a failure."""

    def __init__(self, url: str, options: Mapping[str, str]) -> None:
        self.url = url
        known = ("rate_hz", "channels", "action_stream", "embodiments", "protocol", "names", "prompt", "timeout_s")
        unknown = next((name for name in options if name not in (*known, "api_key")), None)
        if unknown is not None:
            raise PolicyFailed(
                "refused", f"remote knows no option {unknown!r}. Known: {', '.join((*known, 'api_key'))}."
            )
        self._options = dict(options)
        self._timeout_s = _option(options, "timeout_s", 30.0, 0.001, _LONGEST_S)
        _option(options, "rate_hz", 20.0, _SLOWEST_HZ, _FASTEST_HZ)
        protocol = options.get("protocol", "openpi")
        if protocol not in _PROTOCOLS:
            raise PolicyFailed("refused", f"option protocol is {protocol!r}. It is {' or '.join(_PROTOCOLS)}.")
        self._is_roboarena = protocol == "roboarena"
        pairs = (pair.partition("=") for pair in options.get("names", "").split(",") if pair)
        self._names = {ours: theirs for ours, _, theirs in pairs}
        self._socket: Any = None
        self._open = ExitStack()
        self._session = ""
        self._embodiment: str | None = None
        self.latencies_s: list[float] = []
        """Time that each answer took, for percentiles."""
        self.metadata: dict[str, Any] = {}
        self._connect()

    def hello(self, embodiment: str | None = None) -> PolicySpec:
        """What the server said of itself.

        Raises:
            PolicyFailed: it makes no sense.
        """
        told = self.metadata.get("robokata", {})
        try:
            of_body = told.get("bodies", {})
            own = of_body.get(embodiment or next(iter(of_body), ""), {})
            return self._spec({**told, **own})
        except (TypeError, KeyError, ValueError, AttributeError, OverflowError) as error:
            raise self._failed("bad_message", f"says something of itself that makes no sense: {error}") from None

    def _spec(self, told: Mapping[str, Any]) -> PolicySpec:
        """What the server says, overruled by what the user says."""
        said = self._options
        channels = said["channels"].split(",") if "channels" in said else told.get("channels", ())
        embodiments = said["embodiments"].split(",") if "embodiments" in said else told.get("embodiments", ())
        return PolicySpec(
            name=f"remote {self.url}",
            needs=self._needs(told),
            channels=tuple(map(str, channels)),
            chunk_steps=self._count("chunk_steps", told.get("chunk_steps", 0)),
            rate_hz=self._number("rate_hz", said.get("rate_hz", told.get("rate_hz", 20.0)), _SLOWEST_HZ, _FASTEST_HZ),
            action_stream=str(said.get("action_stream", told.get("action_stream", "action"))),
            execute_steps=self._count("execute_steps", told.get("execute_steps", 0)),
            embodiments=tuple(map(str, embodiments)),
            extra={name: value for name, value in self.metadata.items() if name != "robokata"},
        )

    def _needs(self, told: Mapping[str, Any]) -> tuple[StreamNeed, ...]:
        """What the server wants to see; one that does not say it is shown what the user has a name for."""
        if "needs" not in told:
            return tuple(StreamNeed(name, ()) for name in self._names)
        needs = tuple(map(_need, told["needs"]))
        for need in needs:
            if not need.at_s:
                raise self._failed("bad_message", f"asks for {need.name} at no time: its at_s is empty")
            for at_s in need.at_s:
                self._number(f"at_s of {need.name}", at_s, -_OLDEST_S, 0.0)
        return needs

    def _number(self, field: str, value: Any, least: float, most: float) -> float:
        number = _within(value, least, most)
        if number is None:
            wanted = f"a number from {least:g} to {most:g}"
            raise self._failed("bad_message", f"says that its {field} is {value!r:.80}; {wanted} is needed")
        return number

    def _count(self, field: str, value: Any) -> int:
        number = self._number(field, value, 0, _MOST_STEPS)
        if not number.is_integer():
            raise self._failed("bad_message", f"says that its {field} is {value!r:.80}; a whole number is needed")
        return int(number)

    def reset(self, episode_id: str, *, seed: int, embodiment: str | None = None) -> None:
        """Begin a new attempt, and connect again where the last one lost the server.

        Raises:
            PolicyFailed: the server does not answer.
        """
        self._session, self._embodiment = episode_id, embodiment
        if self._socket is None:
            self._connect()
        if self._is_roboarena:
            answer = self._ask({"endpoint": "reset", "session_id": episode_id}, text_is_fine=True)
            if not isinstance(answer, str):
                raise self._failed("bad_message", "answers a reset with something else than text")
        elif "robokata" in self.metadata:
            # openpi has no reset on the wire; our own server takes one, and no other server is sent it.
            self._ask({"robokata/reset": {"episode": episode_id, "seed": seed, "embodiment": embodiment}})

    def act(self, observation: Sensed) -> Chunk:
        message = {self._names.get(name, name): value for name, value in observation.items() if name != "instruction"}
        message[self._options.get("prompt", "prompt")] = str(observation.get("instruction") or "")
        if self._is_roboarena:
            message |= {"endpoint": "infer", "session_id": self._session}
        began = time.perf_counter()
        answer = self._ask(message)
        self.latencies_s.append(time.perf_counter() - began)
        actions = answer.get("actions") if isinstance(answer, dict) else answer
        return self._chunk(actions)

    def close(self) -> None:
        if self._socket is not None:
            connection, self._socket = self._socket, None
            with Deadline(_GOODBYE_S) as deadline, suppress(OSError):
                deadline.watch(connection.socket)
                self._open.close()

    def _chunk(self, actions: Any) -> Chunk:
        spec = self.hello(self._embodiment)
        if not isinstance(actions, np.ndarray) or actions.ndim != 2:
            shape = getattr(actions, "shape", type(actions).__name__)
            raise self._failed("wrong_shape", f"answers actions of {shape}; expected numbers (steps, channels)")
        if actions.dtype.kind not in "fiu":
            raise self._failed("wrong_shape", f"answers actions of type {actions.dtype}; expected numbers")
        steps, width = actions.shape
        for what, count, most in (("rows", steps, _MOST_STEPS), ("columns", width, _MOST_NUMBERS)):
            if not 1 <= count <= most:
                limits = f"at least 1 and at most {most} {what} are read"
                raise self._failed("wrong_shape", f"answers actions of {count} {what} {actions.shape}; {limits}")
        expected = (spec.chunk_steps or steps, len(spec.channels) or width)
        if (steps, width) != expected:
            raise self._failed("wrong_shape", f"answers actions of shape ({steps}, {width}); expected {expected}")
        if not np.isfinite(actions).all():
            raise self._failed("not_finite", "answers actions that are not finite")
        channels = spec.channels or tuple(str(column) for column in range(width))
        return Chunk(actions.astype(np.float64), channels, spec.rate_hz)

    def _connect(self) -> None:
        client = require("websockets.sync.client", extra="serve")
        key = self._options.get("api_key")
        headers = {"Authorization": f"Api-Key {key}"} if key else None
        with Deadline(self._timeout_s) as deadline:
            try:
                parts = urlsplit(self.url)
                port = parts.port or (443 if parts.scheme == "wss" else 80)
                connection = client.connect(
                    self.url,
                    sock=deadline.connect(parts.hostname or "", port),  # the library adds TLS
                    compression=None,
                    max_size=MOST_BYTES,
                    open_timeout=deadline.left_s(),
                    # A stalled server must not stall the goodbye too.
                    close_timeout=min(1.0, self._timeout_s),
                    additional_headers=headers,
                    proxy=None,
                    create_connection=bounded(client.ClientConnection),
                )
                self._socket = self._open.enter_context(connection)
                deadline.watch(connection.socket)
            except TimeoutError:
                raise self._failed("stalled", f"does not open a connection within {self._timeout_s:g} s") from None
            except Exception as error:  # noqa: BLE001  # websockets raises a family of its own beside OSError and ValueError
                if deadline.is_over:
                    raise self._failed("stalled", f"does not open a connection within {self._timeout_s:g} s") from None
                raise self._failed("unreachable", f"cannot be reached: {_last_line(str(error))}") from None
            first = self._receive(deadline)
        if isinstance(first, str):
            raise self._failed("server_error", f"begins with an error: {_last_line(first)}")
        self.metadata = self._unpacked(first)

    def _ask(self, message: Mapping[str, Any], *, text_is_fine: bool = False) -> dict[str, Any] | str:
        if self._socket is None:
            self._connect()
        data = packed(message)
        with Deadline(self._timeout_s) as deadline:
            # A server that reads nothing, or a byte now and then, must not hold the question up for ever.
            deadline.watch(self._socket.socket)
            try:
                self._socket.send(data)
            except Exception as error:  # noqa: BLE001  # as above: ConnectionClosed and its kin
                if deadline.is_over:
                    raise self._failed("stalled", f"does not take a question within {self._timeout_s:g} s") from None
                raise self._failed("died", f"is gone: {error}") from None
            answer = self._receive(deadline)
        if isinstance(answer, str):
            if text_is_fine:
                return answer
            raise self._failed("server_error", f"failed: {_last_line(answer)}")
        return self._unpacked(answer)

    def _receive(self, deadline: Deadline) -> bytes | str:
        try:
            answer: bytes | str = self._socket.recv(timeout=deadline.left_s())
        except TimeoutError:
            raise self._failed("stalled", f"does not answer within {self._timeout_s:g} s") from None
        except Exception as error:  # noqa: BLE001  # as above
            if deadline.is_over:
                raise self._failed("stalled", f"does not answer within {self._timeout_s:g} s") from None
            raise self._failed("died", f"is gone: {error}") from None
        return answer

    def _unpacked(self, data: bytes) -> dict[str, Any]:
        try:
            return unpacked(data)
        except PolicyFailed as error:
            raise self._failed(error.kind, f"sends what cannot be read: {error}") from None

    def _failed(self, kind: str, what: str) -> PolicyFailed:
        # After a failure the next answer could be that to an old question: begin anew.
        self.close()
        return PolicyFailed(kind, f"{self.url}: the policy server {what.rstrip('.')}.")


def _option(options: Mapping[str, str], name: str, usual: float, least: float, most: float) -> float:
    """A number that the user may say, refused before anybody is called."""
    number = _within(options.get(name, usual), least, most)
    if number is None:
        raise PolicyFailed(
            "refused", f"option {name} is {options[name]!r}, and a number from {least:g} to {most:g} is needed."
        )
    return number


def _within(value: Any, least: float, most: float) -> float | None:
    """A value as a number in a range, None where it is none."""
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    # NaN is in no range.
    return number if not isinstance(value, bool) and least <= number <= most else None


def _need(told: Any) -> StreamNeed:
    return StreamNeed(
        str(told["name"]),
        tuple(map(int, told["shape"])),
        tuple(map(str, told.get("channels", ()))),
        tuple(map(float, told.get("at_s", (0.0,)))),
        bool(told.get("is_optional", False)),
    )


def _last_line(text: str) -> str:
    lines = [line for line in text.strip().splitlines() if line.strip()]
    return lines[-1][:300] if lines else "no reason given"
