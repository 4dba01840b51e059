"""A policy as a server of openpi's websocket protocol."""

from __future__ import annotations

import http
import threading
import time
import traceback
from collections.abc import Callable
from typing import Any, cast

from robokata.core.contracts import Policy, PolicySpec
from robokata.core.errors import PolicyFailed, RobokataError
from robokata.core.require import require
from robokata.policies._openpi_codec import MOST_BYTES, packed, unpacked

_PATIENCE_S = 5.0
"""How long a client waits for another to leave: longer than a goodbye takes, shorter than a client's own patience."""


class PolicyServer:
    """Serves one policy: to many clients where it has a `session()` for each, else to one after another.

    A class, because it holds the lock of the policy.

    `protocol` is `openpi`, or `roboarena`, whose requests name an endpoint.
    """

    def __init__(self, policy: Policy, *, protocol: str = "openpi", api_key: str | None = None) -> None:
        if protocol not in ("openpi", "roboarena"):
            raise PolicyFailed("refused", f"the protocol is {protocol!r}. It is openpi or roboarena.")
        self.policy, self.protocol, self.api_key = policy, protocol, api_key
        # A policy remembers its attempt: without sessions, two clients would mix theirs.
        self._has_sessions = hasattr(policy, "session")
        self._lock = threading.Lock()
        self._running: Any = None

    def serve(self, host: str, port: int, *, ready: Callable[[int], None] = lambda port: None) -> None:
        """Serve until interrupted. `ready` is told the port (which the system chooses where `port` is 0).

        Raises:
            PolicyFailed: the port is taken, or the host is not this machine's.
        """
        server = require("websockets.sync.server", extra="serve")
        try:
            opened = server.serve(
                self._talk, host, port, compression=None, max_size=MOST_BYTES, process_request=self._first
            )
        except OSError as error:
            raise PolicyFailed(
                "unreachable", f"{host}:{port} cannot be listened at: {error.strerror}. --port 0 takes any free one."
            ) from None
        with opened as running:
            self._running = running
            ready(int(running.socket.getsockname()[1]))
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
        if request.path == "/healthz":
            return connection.respond(http.HTTPStatus.OK, "OK\n")
        if self.api_key is not None and request.headers.get("Authorization") != f"Api-Key {self.api_key}":
            return connection.respond(http.HTTPStatus.UNAUTHORIZED, "this server wants its Api-Key\n")
        return None

    def _talk(self, connection: Any) -> None:
        exceptions = require("websockets.exceptions", extra="serve")
        try:
            if self._has_sessions:
                self._converse(connection, cast(Any, self.policy).session())
            elif self._lock.acquire(timeout=_PATIENCE_S):
                try:
                    self._converse(connection, self.policy)
                finally:
                    self._lock.release()
            else:
                connection.send("this server answers another client, and this policy takes one at a time")
                connection.close(code=1013, reason="try again later")
        except exceptions.ConnectionClosed:
            return
        except Exception as error:  # noqa: BLE001  # the boundary to the client: whatever it is, it is told and we live on
            told = str(error) if isinstance(error, RobokataError) else traceback.format_exc()
            try:
                connection.send(told)
                connection.close(code=1011, reason="the policy failed; the last frame says why")
            except exceptions.ConnectionClosed:
                return

    def _converse(self, connection: Any, policy: Policy) -> None:
        connection.send(packed(self.metadata()))
        previous_ms: float | None = None
        for message in connection:
            began = time.perf_counter()
            connection.send(self._answer(policy, message, previous_ms))
            previous_ms = (time.perf_counter() - began) * 1000

    def _answer(self, policy: Policy, message: bytes | str, previous_ms: float | None) -> bytes | str:
        if isinstance(message, str):
            raise PolicyFailed("bad_message", "the request is text; observations are msgpack.")
        seen = unpacked(message)
        if self.protocol == "roboarena":
            endpoint = seen.pop("endpoint", None)
            if endpoint == "reset":
                policy.reset(str(seen.get("session_id", "")), seed=0)
                return "reset successful"
            if endpoint != "infer":
                raise PolicyFailed("bad_message", f"the endpoint is {endpoint!r}; it is infer or reset.")
        if "robokata/reset" in seen:
            return self._reset(policy, seen["robokata/reset"])
        seen["instruction"] = seen.pop("prompt", seen.get("instruction", ""))
        began = time.perf_counter()
        chunk = policy.act(seen)
        timing: dict[str, float] = {"infer_ms": (time.perf_counter() - began) * 1000}
        if previous_ms is not None:
            timing["prev_total_ms"] = previous_ms
        return packed({"actions": chunk.actions, "server_timing": timing})

    @staticmethod
    def _reset(policy: Policy, told: Any) -> bytes:
        told = told if isinstance(told, dict) else {}
        body = told.get("embodiment")
        seed = told.get("seed")
        seed = seed if isinstance(seed, int) and abs(seed) < 2**63 else 0
        policy.reset(str(told.get("episode", "")), seed=seed, embodiment=None if body is None else str(body))
        return packed({"robokata/reset": True})


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
