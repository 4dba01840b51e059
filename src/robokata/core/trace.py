"""What a step leaves behind: what it did, to which episode, with which options."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from robokata.core.ancestry import ancestry_of
from robokata.core.episode import Episode


def traced(
    changed: Episode,
    *,
    of: Episode,
    step: str,
    parameters: Mapping[str, Any],
    id: str | None = None,
    said: Mapping[str, Any] | None = None,
) -> Episode:
    """A changed episode that says what was done to it; `of` is what it was before, `said` what the step wants known.

    Raises:
        DamagedData: the numbers of what it was cannot be read.
    """
    entry = {"step": step, "parameters": {name: _plain(value) for name, value in parameters.items()}, **(said or {})}
    before = of.extra.get("steps", ())
    return replace(
        changed,
        id=id or changed.id,
        origin=replace(changed.origin, made_from=ancestry_of(of)),
        # What the source declared of its own bytes is not true of these.
        declared_statistics={},
        extra={**changed.extra, "steps": [*before, entry]},
        ref=None,
    )


def rng_of(step: str, seed: int, episode: Episode) -> np.random.Generator:
    """The chance of one step on one episode: the same whatever was done to other episodes, and in which order."""
    text = f"{step}|{seed}|{episode.id}"
    return np.random.default_rng(int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]))


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
