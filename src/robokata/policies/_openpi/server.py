"""A policy as a server of openpi's websocket protocol."""

from __future__ import annotations

import contextlib
import http
import ipaddress
import logging
import time
from collections.abc import Callable, Hashable
from typing import Any, cast

from robokata.core.contracts import Policy, PolicySpec
from robokata.core.errors import PolicyFailed, RobokataError
from robokata.core.require import require
from robokata.policies._openpi.clients import Clients
from robokata.policies._openpi.codec import packed, unpacked
from robokata.policies._openpi.limits import MOST_BYTES
from robokata.policies._openpi.observation import observation_in, reset_in
from robokata.policies._openpi.request import Asked, refusal
from robokata.runtime.listener import Listener
from robokata.runtime.message_fragments import bounded

_PATIENCE_S = 5.0
"""How long a client waits for another to leave: longer than a goodbye takes, shorter than a client's own patience."""
_MOST_CLIENTS = 32
"""Attempts at once, of a policy with sessions: some network's worth of robots, and workers of an evaluation."""
_FIRST_QUESTION_S = 10.0
"""A client that has a policy without sessions for itself and asks nothing for so long gives way to another."""


class PolicyServer:
    """Serves one policy: to many clients where it has a `session()` for each, else to one after another.

    A class, because its clients come and go.

    `protocol` is `openpi`, or `roboarena`, whose requests name an endpoint. `say` is called with one line about what
    the server's user should know.
    """

    def __init__(
        self,
        policy: Policy,
        *,
        protocol: str = "openpi",
        api_key: str | None = None,
        say: Callable[[str], None] = lambda line: None,
    ) -> None:
        if protocol not in ("openpi", "roboarena"):
            raise PolicyFailed("refused", f"the protocol is {protocol!r}. It is openpi or roboarena.")
        self.policy, self.protocol, self.api_key, self._say = policy, protocol, api_key, say
        # A policy remembers its attempt: without sessions, two clients would mix theirs.
        self._has_sessions = hasattr(policy, "session")
        most, first_s = (_MOST_CLIENTS, 0.0) if self._has_sessions else (1, _FIRST_QUESTION_S)
        self._clients = Clients(most, first_question_s=first_s, cut=self._cut)
        self._listener: Listener | None = None
        self._is_local = True
        self._running: Any = None

    def serve(self, host: str, port: int, *, ready: Callable[[int], None] = lambda port: None) -> None:
        """Serve until interrupted. `ready` is told the port (which the system chooses where `port` is 0).

        Raises:
            PolicyFailed: the port is taken, or the host is not this machine's.
        """
        server = require("websockets.sync.server", extra="serve")
        try:
            listener = self._listener = Listener(host, port, trouble=self._say)
        except OSError as error:
            raise PolicyFailed(
                "unreachable", f"{host}:{port} cannot be listened at: {error.strerror}. --port 0 takes any free one."
            ) from None
        self._is_local = _is_local(listener)
        opened = server.serve(
            self._talk,
            sock=listener,
            compression=None,
            max_size=MOST_BYTES,
            open_timeout=listener.head_s,
            close_timeout=1.0,
            process_request=self._first,
            create_connection=bounded(server.ServerConnection),
            logger=_silent(),
        )
        with opened as running:
            self._running = running
            ready(listener.port)
            running.serve_forever()

    def stop(self) -> None:
        """End `serve` from another thread."""
        if self._running is not None:
            self._running.shutdown()

    def metadata(self) -> dict[str, Any]:
        """What the server says first: openpi leaves it open, `robokata` is ours."""
        first = self.policy.hello()
        bodies = {name: _spec(self.policy.hello(name)) for name in first.embodiments}
        return {
            "robokata": {**_spec(first), "name": first.name, "embodiments": list(first.embodiments), "bodies": bodies}
        }

    def _first(self, connection: Any, request: Any) -> Any:
        assert self._listener is not None
        sent = {name: request.headers.get_all(name) for name in ("Host", "Origin", "Authorization")}
        asked = Asked(sent["Host"], sent["Origin"], sent["Authorization"])
        # Whether it is alive is no secret, and those who ask that have no key.
        key = None if request.path == "/healthz" else self.api_key
        why = refusal(asked, port=self._listener.port, is_local=self._is_local, api_key=key)
        if why is not None:
            return connection.respond(http.HTTPStatus(why.status), f"{why.why}\n")
        return connection.respond(http.HTTPStatus.OK, "OK\n") if request.path == "/healthz" else None

    def _talk(self, connection: Any) -> None:
        exceptions = require("websockets.exceptions", extra="serve")
        who = connection.socket.peer
        try:
            if not self._clients.take(who, patience_s=_PATIENCE_S):
                connection.send(_BUSY if self._has_sessions else _TAKEN)
                connection.close(code=1013, reason="try again later")
                return
            try:
                assert self._listener is not None
                self._listener.admit(who)
                policy = cast(Any, self.policy).session() if self._has_sessions else self.policy
                self._converse(who, connection, policy)
            finally:
                self._clients.leave(who)
        except exceptions.ConnectionClosed:
            return
        except Exception as error:  # noqa: BLE001  # the boundary to the client: whatever it is, it is told and we live on
            with contextlib.suppress(exceptions.ConnectionClosed):
                connection.send(_one_line(error))
                connection.close(code=1011, reason="the policy failed; the last frame says why")

    def _cut(self, who: Hashable) -> None:
        assert self._listener is not None
        self._listener.cut(who)

    def _converse(self, who: Hashable, connection: Any, policy: Policy) -> None:
        connection.send(packed(self.metadata()))
        previous_ms: float | None = None
        for message in connection:
            if not self._clients.begin(who):
                return
            began = time.perf_counter()
            try:
                connection.send(self._answer(policy, message, previous_ms))
            finally:
                self._clients.end(who)
            previous_ms = (time.perf_counter() - began) * 1000

    def _answer(self, policy: Policy, message: bytes | str, previous_ms: float | None) -> bytes | str:
        if isinstance(message, str):
            raise PolicyFailed("bad_message", "the request is text; observations are msgpack.")
        seen = unpacked(message)
        if self.protocol == "roboarena":
            endpoint = seen.pop("endpoint", None)
            if endpoint == "reset":
                policy.reset(reset_in({"episode": seen.get("session_id", "")}).episode, seed=0)
                return "reset successful"
            if endpoint != "infer":
                raise PolicyFailed("bad_message", f"the endpoint is {endpoint!r:.80}; it is infer or reset.")
        if "robokata/reset" in seen:
            asked = reset_in(seen["robokata/reset"])
            policy.reset(asked.episode, seed=asked.seed, embodiment=asked.embodiment)
            return packed({"robokata/reset": True})
        observation = observation_in(seen)
        began = time.perf_counter()
        chunk = policy.act(observation)
        timing: dict[str, float] = {"infer_ms": (time.perf_counter() - began) * 1000}
        if previous_ms is not None:
            timing["prev_total_ms"] = previous_ms
        return packed({"actions": chunk.actions, "server_timing": timing})


_TAKEN = "this server answers another client, and this policy takes one at a time"
_BUSY = f"this server answers {_MOST_CLIENTS} clients already, which is its limit"


def _is_local(listener: Listener) -> bool:
    """True where only this machine can connect."""
    return ipaddress.ip_address(listener.getsockname()[0]).is_loopback


def _one_line(error: Exception) -> str:
    """What a client is told: no traceback, which shows this machine's files to others."""
    said = str(error) if isinstance(error, RobokataError) else f"the policy failed: {type(error).__name__}: {error}"
    return " ".join(said.split())[:_LONGEST_LINE]


_LONGEST_LINE = 1000


def _silent() -> logging.Logger:
    """The library logs a traceback for every request that is none: what a stranger sends must not fill the terminal."""
    logger = logging.getLogger("robokata.serve")
    logger.disabled = True
    return logger


def _spec(spec: PolicySpec) -> dict[str, Any]:
    return {
        "needs": [
            {
                "name": need.name,
                "shape": list(need.shape),
                "channels": list(need.channels),
                "at_s": list(need.at_s),
                "is_optional": need.is_optional,
            }
            for need in spec.needs
        ],
        "channels": list(spec.channels),
        "chunk_steps": spec.chunk_steps,
        "rate_hz": spec.rate_hz,
        "action_stream": spec.action_stream,
        "execute_steps": spec.execute_steps,
    }
