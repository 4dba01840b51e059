"""Expansion by speed: the same motions, each variant at a speed of its own."""

from __future__ import annotations

from collections.abc import Sequence

from robokata.core.contracts import ExpansionJobs
from robokata.core.source import Source
from robokata.expanders._steps import step_jobs

_ROUNDS = 64


def plan(
    source: Source,
    *,
    keys: Sequence[str],
    seed: int = 0,
    # As the step's own.
    speed_ratio: float = 0.8,
    # Each variant draws its own speed, so that a second round is not the first one again.
    spread_ratio: float = 0.25,
    within_limits: bool = True,
) -> ExpansionJobs:
    """Jobs that retime these episodes. See the step `retime_motion`."""
    options = {"speed_ratio": speed_ratio, "spread_ratio": spread_ratio, "within_limits": within_limits}
    return step_jobs(source, keys=keys, by="retime", step="retime_motion", options=options, rounds=_ROUNDS, seed=seed)
