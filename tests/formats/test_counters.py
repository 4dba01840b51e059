"""A subset in another format counts its own episodes and rows."""

from __future__ import annotations

import importlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from robokata.checks import broken_episode_index
from robokata.conversion.convert import convert
from robokata.core.contracts import Gathered
from robokata.core.declared_rate import rates_from, with_rates
from robokata.core.detection import open_source
from robokata.core.finding import Finding
from robokata.core.source import EpisodeList, Source
from robokata.core.values import ArrayValues
from robokata.formats._counters import Counting

TARGETS = {"zarr_replay": "out", "robomimic_hdf5": "out.hdf5", "aloha_hdf5": "out"}
SOURCES = ("lerobot_v2", "lerobot_v3", "lerobot_v1", "zarr_replay", "robomimic_hdf5", "droid_json")


def findings(source: Source) -> list[Finding]:
    rows = [Gathered(key, broken_episode_index.gather(source.episode(key))) for key in source.keys()]
    return [verdict for verdict in broken_episode_index.judge(rows, source.facts()) if isinstance(verdict, Finding)]


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("origin", SOURCES)
def test_a_subset_in_another_format_has_a_sound_index(origin: str, target: str, tmp_path: Path) -> None:
    made = open_source(importlib.import_module(f"makers.{origin}").make(tmp_path / "made", episodes=4, steps=12))
    # DROID's rows and pictures go at two rates that no file says.
    rates = rates_from(["states=5", "action.*=15", "observation.*=15"] if origin == "droid_json" else [])
    source, out = with_rates(made, rates), tmp_path / TARGETS[target]
    convert(source, out, target, keys=source.keys()[2:], accept_loss=True)
    assert findings(open_source(out)) == []


@pytest.mark.parametrize("target", TARGETS)
def test_episodes_and_rows_are_counted_from_the_first_that_was_written(target: str, tmp_path: Path) -> None:
    source = open_source(importlib.import_module("makers.lerobot_v3").make(tmp_path / "made", episodes=4, steps=12))
    out = tmp_path / TARGETS[target]
    convert(source, out, target, keys=["1", "3"], accept_loss=True)
    written = open_source(out)
    episodes = [written.episode(key) for key in written.keys()]
    assert [set(e.streams["episode_index"].table[:, 0].tolist()) for e in episodes] == [{0}, {1}]
    assert [e.streams["index"].table[:, 0].tolist() for e in episodes] == [list(range(12)), list(range(12, 24))]


def test_a_counter_that_is_broken_inside_stays_a_finding(tmp_path: Path) -> None:
    source = open_source(importlib.import_module("makers.lerobot_v3").make(tmp_path / "made", episodes=2, steps=12))
    episode = source.episode("1")
    index = episode.streams["index"]
    jumped = np.asarray(index.values[:]).copy()
    jumped[6:] += 3
    broken = replace(episode.with_stream(index.with_values(ArrayValues(jumped))), id="0")
    again = Counting().own(broken)
    np.testing.assert_array_equal(again.streams["index"].values[:], jumped)
    assert set(again.streams["episode_index"].table[:, 0].tolist()) == {0}
    assert [f.stream for f in findings(EpisodeList([again]))] == ["index"]
