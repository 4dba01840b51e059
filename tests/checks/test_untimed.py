"""Formats that keep no times: findings speak of samples, and limits in seconds are strict."""

from __future__ import annotations

import re
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from robokata.core.clock import step_clock
from robokata.core.contracts import Need
from robokata.core.episode import Episode
from robokata.core.finding import Level
from robokata.core.shelf import shelf
from robokata.core.source import EpisodeList
from robokata.core.suite import Suite
from robokata.inspection.run import check_dataset
from robokata.testing import tiny_episode

CHECKS = [name for name in shelf("checks").names() if Need.MEASURED_CLOCK not in shelf("checks")[name].NEEDS]
OF_TIMES = {"rate_contradicts_declaration"}
"""Its plant writes times into the episode."""
SECONDS = re.compile(r"\d ?m?s\b|seconds?\b|\bHz\b")


def untimed(number: int) -> Episode:
    episode = tiny_episode(number, camera_rate_hz=Fraction(50))
    clock = step_clock(len(episode.streams["action"]))
    streams = {name: s.with_values(s.values, clock=clock) for name, s in episode.streams.items()}
    return replace(episode, streams=streams, declared_rate_hz=None)


def planted(check: str, magnitude: float = 1.0) -> EpisodeList:
    episodes, leaf, rng = [untimed(n) for n in range(3)], shelf("checks")[check], np.random.default_rng(0)
    if hasattr(leaf, "judge"):
        changed: EpisodeList = leaf.plant(EpisodeList(episodes), rng, magnitude)
        return changed
    return EpisodeList([leaf.plant(episodes[0], rng, magnitude), *episodes[1:]])


@pytest.mark.parametrize("check", sorted(set(CHECKS) - OF_TIMES))
def test_no_message_speaks_of_seconds(check: str) -> None:
    only = Suite(off=frozenset(set(shelf("checks").names()) - {check}))
    report = check_dataset(planted(check), suite=only)
    for finding in report.findings:
        assert not SECONDS.search(finding.message)
        assert finding.unit != "s"
    for abstention in report.abstentions:
        assert not SECONDS.search(abstention.reason)


@pytest.mark.parametrize("check", ["frozen_camera", "stuck_encoder", "idle_stretch", "joint_teleport", "blank_camera"])
def test_the_defect_is_found_without_times(check: str) -> None:
    only = Suite(off=frozenset(set(shelf("checks").names()) - {check}))
    found = [f for f in check_dataset(planted(check), suite=only).findings if f.level is not Level.INFO]
    assert [(f.check, f.episode) for f in found if f.check == check]


def test_sound_episodes_without_times_are_silent() -> None:
    report = check_dataset(EpisodeList([untimed(n) for n in range(6)]))
    assert [f.message for f in report.findings if f.level is not Level.INFO] == []
