"""The verb serve: a policy for clients of openpi's websocket protocol."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

from robokata.learn.open_policy import is_address, open_policy
from robokata.policies._openpi.server import PolicyServer


def serve(
    policy: str | os.PathLike[str],
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    protocol: str = "openpi",
    api_key: str | None = None,
    device: str = "cpu",
    threads: int = 1,
    options: Mapping[str, str] | None = None,
    on_line: Callable[[str], None] = lambda line: None,
) -> None:
    """Answer observations with actions until Ctrl-C, to several clients at once; `/healthz` says OK.

    `policy` is the folder of a trained policy, or the address of another server. `port` 0 takes any free one; `host`
    0.0.0.0 opens it to the network: then set an `api_key`. `protocol` is openpi or roboarena. `on_line` hears what the
    server is and who connects.

    Raises:
        PolicyFailed: the policy cannot be opened, or the port is taken.
        KeyboardInterrupt: Ctrl-C was pressed: the server has ended.
    """
    where = str(policy)
    # A server behind this one has no threads of ours.
    ours = {} if is_address(where) else {"threads": str(threads)}
    opened = open_policy(where, device=device, options={**ours, **(options or {})})
    spec = opened.hello()
    on_line(f"{spec.name}: {spec.chunk_steps} actions at {spec.rate_hz:g} Hz ({spec.action_stream})")
    server = PolicyServer(opened, protocol=protocol, api_key=api_key, say=on_line)
    server.serve(host, port, ready=lambda taken: on_line(f"listening on ws://{host}:{taken}"))
