"""A policy by its name: a checkpoint folder, or the address of a server."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from robokata.core.contracts import Policy, PolicyRef
from robokata.core.errors import PolicyFailed
from robokata.core.shelf import shelf
from robokata.learn.checkpoint import read_card
from robokata.learn.device import why_no_name


def open_policy(where: str | Path, *, device: str = "cpu", options: Mapping[str, str] | None = None) -> Policy:
    """Open a policy: `ws://host:port` is a server, anything else a checkpoint folder whose card names its leaf.

    Raises:
        NotADataset: the folder holds no policy.
        DamagedData: its card or weights are damaged.
        UnknownName: the card names a leaf that does not exist here.
        PolicyFailed: the server does not answer, the address is none of a policy server, or the device is none.
    """
    if "://" in str(where) and not is_address(where):
        raise PolicyFailed("refused", f"{where}: is no address of a policy server. Write ws://HOST:PORT.")
    if not is_address(where) and (why := why_no_name(device)) is not None:
        raise PolicyFailed("refused", f"{where}: {why}")
    name = "remote" if is_address(where) else read_card(Path(where)).policy
    leaf = shelf("policies")[name]
    return leaf.load(PolicyRef(str(where), device, dict(options or {})))


def is_address(where: str | Path) -> bool:
    """True for the address of a policy server."""
    return str(where).startswith(("ws://", "wss://"))
