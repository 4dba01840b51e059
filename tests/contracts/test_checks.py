"""Every check, the moment its file exists: it fires on its own counterexample and is silent on sound data."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from types import ModuleType

import numpy as np
import pytest

from robokata.checkup import check_dataset
from robokata.core.contracts import Need
from robokata.core.episode import Episode
from robokata.core.finding import Finding, Level
from robokata.core.shelf import shelf
from robokata.core.source import EpisodeList
from robokata.core.suite import Suite, thresholds_of
from robokata.testing import tiny_episode, tiny_source

CHECKS = shelf("checks").names()
SECTIONS = ("What it finds:", "Why it hurts:", "Example:", "Limits:", "Repair:")
SEEDS = range(8)


def only(check: str) -> Suite:
    return Suite(off=frozenset(name for name in CHECKS if name != check))


def leaf_of(check: str) -> ModuleType:
    return shelf("checks")[check]


def planted_source(check: str, seed: int, magnitude: float = 1.0) -> EpisodeList:
    leaf, rng = leaf_of(check), np.random.default_rng(seed)
    source = tiny_source(6, seed=seed)
    if hasattr(leaf, "judge"):
        planted: EpisodeList = leaf.plant(source, rng, magnitude)
        return planted
    victim = leaf.plant(source.episode("2"), rng, magnitude)
    return EpisodeList([victim if key == "2" else source.episode(key) for key in source.keys()], source.facts())


def findings_of(source: EpisodeList, suite: Suite) -> Sequence[Finding]:
    return check_dataset(source, suite=suite).findings


@pytest.mark.parametrize("check", CHECKS)
def test_the_docstring_has_a_first_line_and_the_five_sections_in_order(check: str) -> None:
    text = leaf_of(check).__doc__ or ""
    assert text.splitlines()[0].endswith("."), "the first line is one sentence"
    places = [text.find(section) for section in SECTIONS]
    assert -1 not in places, (
        f"missing section in {check}: {[s for s, p in zip(SECTIONS, places, strict=True) if p < 0]}"
    )
    assert places == sorted(places), "the sections come in the order of the contract"


@pytest.mark.parametrize("check", CHECKS)
def test_the_leaf_defines_what_the_contract_asks_for(check: str) -> None:
    leaf = leaf_of(check)
    assert all(isinstance(need, Need) for need in leaf.NEEDS)
    assert hasattr(leaf, "plant")
    assert hasattr(leaf, "check") != (hasattr(leaf, "gather") and hasattr(leaf, "judge")), "check, or gather and judge"


@pytest.mark.parametrize("check", CHECKS)
def test_every_threshold_is_keyword_only_with_a_plain_default(check: str) -> None:
    for name, default in thresholds_of(leaf_of(check)).items():
        assert default is not inspect.Parameter.empty, f"{check}.{name} has no default"
        assert isinstance(default, (bool, int, float, str)), f"{check}.{name} cannot be written in a suite file"


@pytest.mark.parametrize("check", CHECKS)
def test_the_check_fires_on_its_own_counterexample(check: str) -> None:
    for seed in SEEDS:
        found = [f for f in findings_of(planted_source(check, seed), only(check)) if f.level is not Level.INFO]
        assert found, f"{check} does not find its own plant with seed {seed}"
        assert all(f.check == check for f in found)


@pytest.mark.parametrize("check", [name for name in CHECKS if hasattr(leaf_of(name), "check")])
def test_the_finding_names_the_planted_episode_and_seconds_inside_it(check: str) -> None:
    source = planted_source(check, seed=1)
    for finding in findings_of(source, only(check)):
        assert finding.episode == "2"
        assert finding.repair, "a finding says what to do"
        assert finding.stream is None or finding.stream in source.episode("2").streams
        if finding.start_s is not None:
            assert -0.05 <= finding.start_s <= (finding.end_s or finding.start_s) <= 60


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("is_measured", [True, False])
def test_the_check_is_silent_on_sound_data(check: str, is_measured: bool) -> None:
    for seed in SEEDS:
        found = findings_of(tiny_source(6, seed=seed, is_measured=is_measured), only(check))
        assert [f for f in found if f.level is not Level.INFO] == []


@pytest.mark.parametrize("check", CHECKS)
def test_planting_is_deterministic_and_leaves_the_sound_episode_alone(check: str) -> None:
    before = findings_of(tiny_source(6, seed=3), Suite())
    first = findings_of(planted_source(check, seed=3), only(check))
    second = findings_of(planted_source(check, seed=3), only(check))
    assert first == second
    assert findings_of(tiny_source(6, seed=3), Suite()) == before


@pytest.mark.parametrize("check", [name for name in CHECKS if leaf_of(name).NEEDS])
def test_unmet_needs_are_an_abstention_with_a_reason_and_never_a_pass(check: str) -> None:
    bare = Episode(id="bare", streams={})
    report = check_dataset(EpisodeList([bare]), suite=only(check))
    assert report.findings == ()
    assert [a for a in report.abstentions if a.episode == "bare" and a.reason]


@pytest.mark.parametrize("check", CHECKS)
def test_episodes_without_samples_or_with_one_break_nothing(check: str) -> None:
    whole = tiny_episode(0, duration_s=1.0)
    for count in (0, 1, 2):
        streams = {}
        for name, stream in whole.streams.items():
            from robokata.core.clock import measured_clock
            from robokata.core.values import ArrayValues
            from robokata.media.images import RawImages

            kept = ArrayValues(np.asarray(stream.values[:count]))
            values = RawImages(kept, where="short") if stream.is_picture else kept
            streams[name] = stream.with_values(values, clock=measured_clock(stream.clock.times_ns[:count]))
        short = Episode(id="short", streams=streams, instructions=whole.instructions)
        report = check_dataset(EpisodeList([short]), suite=only(check))
        assert not [a for a in report.abstentions if "failed" in a.reason], report.abstentions
