"""One recording that counts as several episodes."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from robokata.checks.duplicate_episode import Copyable, gather, judge, plant
from robokata.core.contracts import Gathered
from robokata.core.detection import open_source
from robokata.core.episode import Episode
from robokata.core.finding import Abstention, Finding, Level, Span, Verdict
from robokata.core.source import EpisodeList
from robokata.core.values import ArrayValues
from robokata.media.images import RawImages
from robokata.testing import tiny_episode, tiny_source


def judged(source: EpisodeList) -> list[Verdict]:
    gathered = [Gathered(key, gather(source.episode(key))) for key in list(source.keys())]
    rows = [row for row in gathered if isinstance(row.value, Copyable)]
    travelled = pickle.loads(pickle.dumps(rows))
    return list(judge(travelled, source.facts()))


def listed(*episodes: Episode) -> EpisodeList:
    return EpisodeList([replace(e, id=str(n), ref=None) for n, e in enumerate(episodes)])


def noisy(episode: Episode, noise_share: float) -> Episode:
    rng = np.random.default_rng(5)
    for name in ("observation.state", "action"):
        stream = episode.streams[name]
        noise = rng.normal(0, noise_share, stream.table.shape) * np.ptp(stream.table, axis=0)
        episode = episode.with_stream(stream.with_values(ArrayValues((stream.table + noise).astype(np.float32))))
    return episode


def test_an_exact_copy_names_the_episode_that_it_repeats() -> None:
    (finding,) = judged(listed(*(tiny_episode(n, duration_s=2) for n in (0, 1, 2, 1))))
    assert finding == Finding(
        level=Level.ERROR,
        message="the numbers are the same as in episode 1, bit for bit",
        episode="3",
        spans=(Span(0.0, tiny_episode(1, duration_s=2).duration_s),),
        twin="1",
        measured=0.0,
        unit="share",
        repair="drop this episode and keep 1",
    )


def test_a_recording_that_is_there_three_times_is_one_finding_that_names_all() -> None:
    (finding,) = judged(listed(*(tiny_episode(n, duration_s=2) for n in (0, 1, 0, 2, 0))))
    assert isinstance(finding, Finding)
    assert (finding.episode, finding.also, finding.twin) == ("2", ("4",), "0")
    assert finding.episodes == ("2", "4")
    assert finding.message == "the numbers of 2 episodes (2 and 4) are the same as in episode 0, bit for bit"
    assert finding.repair == "drop these episodes and keep 0"


def test_exact_and_noisy_copies_of_one_recording_keep_their_levels_and_name_the_group() -> None:
    episodes = [tiny_episode(n, duration_s=4) for n in (0, 1, 0, 2)]
    verdicts = judged(listed(*episodes, noisy(tiny_episode(0, duration_s=4), 0.01)))
    found = {(v.episode, v.level) for v in verdicts if isinstance(v, Finding)}
    assert found == {("2", Level.ERROR), ("4", Level.WARNING)}
    assert all(str(getattr(v, "message", "")).endswith("episodes 0, 2 and 4 are one recording") for v in verdicts)


@pytest.mark.parametrize("noise_share", [0.01, 0.03])
def test_a_noisy_copy_is_a_warning_with_its_distance(noise_share: float) -> None:
    copy = noisy(tiny_episode(1, duration_s=4), noise_share)
    (finding,) = judged(listed(*(tiny_episode(n, duration_s=4) for n in range(5)), copy))
    assert isinstance(finding, Finding)
    assert (finding.level, finding.episode) == (Level.WARNING, "5")
    assert finding.message.startswith("the numbers follow episode 1 to within ")


def test_the_same_numbers_under_other_pictures_are_a_warning() -> None:
    episode, other = tiny_episode(0, duration_s=2), tiny_episode(7, duration_s=2)
    camera = other.streams["observation.images.front"]
    (finding,) = judged(listed(episode, tiny_episode(1, duration_s=2), episode.with_stream(camera)))
    assert isinstance(finding, Finding)
    assert finding.level is Level.WARNING
    assert finding.message == "the numbers are the same as in episode 0, bit for bit, under different pictures"


def test_copies_in_two_splits_are_left_to_split_leak() -> None:
    train, val = tiny_episode(0, duration_s=2, split="train"), tiny_episode(0, duration_s=2, split="val")
    assert judged(listed(train, tiny_episode(1, duration_s=2), val)) == []


def test_episodes_without_numbers_are_compared_by_their_pictures() -> None:
    def filmed(number: int) -> Episode:
        episode = tiny_episode(number, duration_s=1)
        return replace(episode, streams={s.name: s for s in episode.pictures()}, ref=None)

    (finding,) = judged(listed(filmed(0), filmed(1), filmed(0)))
    assert isinstance(finding, Finding)
    assert finding.message == "the pictures are the same as in episode 0, bit for bit"


def test_an_episode_of_nothing_and_a_lone_episode_abstain() -> None:
    nothing = gather(Episode("0", {}))
    assert isinstance(nothing, Abstention)
    assert nothing.reason == "it has neither state, action nor pictures"
    (alone,) = judged(listed(tiny_episode(0, duration_s=1)))
    assert alone == Abstention("there are fewer than two episodes to compare")


def test_episodes_whose_pictures_all_look_alike_are_no_copies() -> None:
    dark = RawImages(ArrayValues(np.zeros((60, 48, 64, 3), np.uint8)), where="dark")
    episodes = [tiny_episode(n, duration_s=2) for n in range(4)]
    darkened = [e.with_stream(e.streams["observation.images.front"].with_values(dark)) for e in episodes]
    assert judged(listed(*darkened)) == []


def test_zeros_in_the_place_of_numbers_make_no_copies() -> None:
    def unrecorded(number: int) -> Episode:
        episode = tiny_episode(number, duration_s=1)
        for name in ("observation.state", "action"):
            stream = episode.streams[name]
            episode = episode.with_stream(stream.with_values(ArrayValues(np.zeros_like(stream.table))))
        return episode

    assert judged(listed(*(unrecorded(n) for n in range(4)))) == []
    assert [finding.episode for finding in judged(listed(*(unrecorded(n) for n in (0, 1, 1))))] == ["2"]


def test_sound_sets_stay_silent_and_planted_copies_are_found() -> None:
    for seed in range(20):
        source = tiny_source(6, seed=seed, duration_s=1, is_measured=bool(seed % 2))
        assert judged(source) == []
        planted = plant(source, np.random.default_rng(seed), 1.0)
        (finding,) = judged(planted)
        assert finding.episode == "6"
        assert judged(plant(source, np.random.default_rng(seed), 0.0)) == []


def test_a_planted_copy_is_in_every_index() -> None:
    planted = plant(tiny_source(6, duration_s=1), np.random.default_rng(0), 2.0)
    facts = planted.facts()
    assert len(planted.keys()) == len(facts.rows) == 8
    assert all(declaration.holds for declaration in facts.declarations)
    assert facts.rows[6].end_row == facts.rows[7].first_row == 350


@pytest.mark.parametrize("folder", ["lerobot-v3.0-reachy2-real/dataset", "zarr-pusht-replay/pusht_first.zarr"])
def test_separate_attempts_at_one_task_are_no_copies(folder: str, shared_data: Path) -> None:
    source = open_source(shared_data / folder)
    rows = [Gathered(key, gather(source.episode(key))) for key in list(source.keys())]
    assert list(judge(rows, source.facts())) == []
