"""Episodes that are in two splits."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from robokata.checks.split_leak import gather, judge, plant
from robokata.core.contracts import Gathered
from robokata.core.detection import open_source
from robokata.core.episode import Episode, Origin
from robokata.core.finding import Abstention, Finding, Level, Verdict
from robokata.core.source import EpisodeList, Source
from robokata.testing import tiny_episode, tiny_source


def judged(source: Source) -> list[Verdict]:
    values = {key: gather(source.episode(key)) for key in list(source.keys())}
    return list(judge([Gathered(key, v) for key, v in values.items() if v is not None], source.facts()))


def placed(number: int, split: str | None, *, name: str, made_from: tuple[str, ...] = ()) -> Episode:
    episode = tiny_episode(number, duration_s=1)
    return replace(episode, id=name, origin=Origin(split=split, made_from=made_from), ref=None)


def test_a_validation_episode_names_its_training_twin() -> None:
    episodes = [placed(n, "train", name=f"t{n}") for n in range(4)] + [placed(2, "val", name="v0")]
    (finding,) = judged(EpisodeList([*episodes, placed(9, "val", name="v1")]))
    assert isinstance(finding, Finding)
    assert (finding.level, finding.episode) == (Level.ERROR, "v0")
    assert finding.message == "is the recording of episode t2 in split 'train', bit for bit, and is in 'val' too"
    assert finding.repair == "drop it from split 'val', or split again by scene or session"


def test_the_smaller_split_is_the_one_that_leaks_whatever_its_name_and_place() -> None:
    first = [placed(n, "a", name=f"a{n}") for n in (0, 9)]
    rest = [placed(n, "b", name=f"b{n}") for n in range(4)]
    assert [finding.episode for finding in judged(EpisodeList([*first, *rest]))] == ["a0"]


def test_a_recording_in_three_splits_is_one_finding_that_names_the_episode_to_keep() -> None:
    episodes = [placed(n, "train", name=f"t{n}") for n in range(4)]
    held_out = [placed(2, "val", name="v0"), placed(9, "val", name="v1"), placed(2, "test", name="x0")]
    (finding,) = judged(EpisodeList([*held_out, *episodes]))
    assert isinstance(finding, Finding)
    assert (finding.episode, finding.also, finding.twin) == ("v0", ("x0",), "t2")
    assert finding.message == (
        "episodes v0 and x0 are the recording of episode t2 in split 'train', bit for bit, and are in 'val' and 'test' "
        "too"
    )


def test_copies_inside_one_split_are_left_to_duplicate_episode() -> None:
    episodes = [placed(0, "train", name="t0"), placed(0, "train", name="t1"), placed(1, "val", name="v0")]
    assert judged(EpisodeList(episodes)) == []


def test_one_split_and_none_abstain() -> None:
    one = EpisodeList([placed(0, "train", name="0"), placed(1, "train", name="1")])
    assert judged(one) == [Abstention("all episodes are in the split 'train': there is nothing to leak into")]
    none = EpisodeList([placed(0, None, name="0")])
    assert judged(none) == [Abstention("no episode names its split: there is nothing to leak into")]


def test_episodes_made_from_one_demonstration_leak() -> None:
    episodes = [
        placed(0, "train", name="t0", made_from=("demo_7",)),
        placed(1, "train", name="t1"),
        placed(2, "train", name="t2"),
        placed(3, "val", name="v0", made_from=("demo_7",)),
        placed(4, "val", name="v1", made_from=("demo_8",)),
    ]
    (finding,) = judged(EpisodeList(episodes))
    assert finding.episode == "v0"
    assert isinstance(finding, Finding)
    assert finding.message == "descends from demo_7, as does episode t0 in split 'train', and is in 'val'"


def test_a_grandchild_of_a_training_episode_leaks() -> None:
    episodes = [
        placed(0, "train", name="t0"),
        placed(1, "train", name="t1", made_from=("t0",)),
        placed(2, "train", name="t2"),
        placed(3, "val", name="v0", made_from=("t1",)),
    ]
    assert [finding.episode for finding in judged(EpisodeList(episodes))] == ["v0"]


def test_ancestors_that_go_in_a_circle_end() -> None:
    episodes = [placed(0, "train", name="a", made_from=("b",)), placed(1, "val", name="b", made_from=("a",))]
    assert len(judged(EpisodeList(episodes))) == 1


def test_sound_sets_stay_silent_and_planted_leaks_are_found() -> None:
    for seed in range(20):
        source = tiny_source(6, seed=seed, duration_s=1, is_measured=bool(seed % 2))
        assert judged(source) == []
        (finding,) = judged(plant(source, np.random.default_rng(seed), 1.0))
        assert finding.episode == "6"
        assert judged(plant(source, np.random.default_rng(seed), 0.0)) == []


def test_a_dataset_of_one_split_can_be_planted_too() -> None:
    source = EpisodeList([placed(n, "train", name=str(n)) for n in range(4)])
    assert [finding.episode for finding in judged(plant(source, np.random.default_rng(0), 1.0))] == ["4"]


def test_all_25_validation_episodes_of_the_bridge_excerpt_are_training_episodes(shared_data: Path) -> None:
    source = open_source(shared_data / "rlds-bridge-octo" / "bridge_dataset" / "1.0.0")
    findings = judged(source)
    assert len(findings) == 25
    assert {finding.level for finding in findings if isinstance(finding, Finding)} == {Level.ERROR}
    twins = {finding.message.split(" in split")[0].split()[-1] for finding in findings if isinstance(finding, Finding)}
    assert len(twins) == 25
    assert all(str(finding.episode).startswith("val") for finding in findings)
    assert all(twin.startswith("train") for twin in twins)
