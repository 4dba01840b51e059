"""Expansion by mirror images: the same episodes as the robot's mirror image would have done them."""

from __future__ import annotations

from collections.abc import Sequence

from robokata.core.contracts import ExpansionJobs
from robokata.core.source import Source
from robokata.expanders._steps import step_jobs


def plan(source: Source, *, keys: Sequence[str], seed: int = 0) -> ExpansionJobs:
    """One job per episode: it has one mirror image. See the step `mirror_episode`."""
    return step_jobs(source, keys=keys, by="mirror", step="mirror_episode", options={}, rounds=1, seed=seed)
