"""Whether a request for a policy server may be answered: by its Host, its Origin and its key."""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import urlsplit


class Refusal(NamedTuple):
    """What a request is answered instead."""

    status: int
    why: str


class Asked(NamedTuple):
    """The headers of a request that decide, each as often as it was sent."""

    hosts: Sequence[str]
    origins: Sequence[str]
    keys: Sequence[str]


def refusal(asked: Asked, *, port: int, is_local: bool, api_key: str | None) -> Refusal | None:
    """Why a request is refused, None where it may be answered.

    A browser sends the Origin of the page that asks, robots' clients send none: any web page could query a server on
    this machine. On loopback the Host has to be a name of this machine, because a page may have had its own name point
    to us; elsewhere we do not know our names, and every Origin is refused.
    """
    host = asked.hosts[0].lower() if len(asked.hosts) == 1 else ""
    if is_local and not _is_loopback(host, port):
        return Refusal(403, f"this server is at 127.0.0.1:{port} and localhost:{port}, not at {_shown(asked.hosts)}")
    if asked.origins and not (is_local and [each.lower() for each in asked.origins] == [f"http://{host}"]):
        return Refusal(403, f"pages of {_shown(asked.origins)} may not ask this server")
    if api_key is not None:
        told = asked.keys[0] if len(asked.keys) == 1 else ""
        if not hmac.compare_digest(told.encode(), f"Api-Key {api_key}".encode()):
            return Refusal(401, "this server wants its Api-Key")
    return None


def _is_loopback(host: str, port: int) -> bool:
    try:
        parts = urlsplit(f"//{host}")
        named, at = parts.hostname or "", 80 if parts.port is None else parts.port
        if parts.username is not None or parts.path or parts.query or parts.fragment:
            return False
    except ValueError:
        return False
    if at != port:
        return False
    try:
        return ipaddress.ip_address(named).is_loopback
    except ValueError:
        return named == "localhost"


def _shown(values: Sequence[str]) -> str:
    return ", ".join(values)[:80].encode("ascii", "replace").decode() or "no name"
