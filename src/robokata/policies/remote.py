"""A policy behind a server that speaks openpi's websocket protocol: theirs, ours, anybody's.

The server speaks first (its metadata), then answers each observation with actions. What it does not say, the user may:
options `rate_hz`, `channels` (comma-separated), `action_stream`, `embodiments`, `protocol` (`openpi` or `roboarena`),
`names` (`ours=theirs`, comma-separated; a server that does not say what it wants to see is shown these), `prompt` (its
name for the instruction), `timeout_s`, `api_key`.
"""

from __future__ import annotations

from robokata.core.contracts import Policy, PolicyRef
from robokata.policies._openpi.client import RemotePolicy


def load(order: PolicyRef) -> Policy:
    """Connect to a server, `ws://host:port`.

    Raises:
        PolicyFailed: it does not answer in time, or not in this protocol.
    """
    return RemotePolicy(order.where, order.options)
