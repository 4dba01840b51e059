"""A dataset that says one thing of itself and holds another."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from robokata.checks.metadata_contradicts_data import gather, judge, plant
from robokata.core.contracts import Gathered
from robokata.core.detection import open_source
from robokata.core.episode import Episode
from robokata.core.finding import Abstention, Finding, Level, Verdict
from robokata.core.source import Declaration, EpisodeList, Facts, Source
from robokata.core.values import ArrayValues
from robokata.testing import tiny_episode, tiny_source

CAMERA = "observation.images.front"


def judged(source: Source) -> list[Verdict]:
    rows = [Gathered(key, gather(source.episode(key))) for key in list(source.keys())]
    return list(judge(rows, source.facts()))


def declaring(*declarations: Declaration) -> EpisodeList:
    source = tiny_source(3, duration_s=1)
    return EpisodeList(list(source.episodes.values()), replace(source.facts(), declarations=declarations))


def swapped(source: EpisodeList, episode: Episode) -> EpisodeList:
    return EpisodeList([episode if e.id == episode.id else e for e in source.episodes.values()], source.facts())


def test_a_count_that_is_wrong_is_an_error_with_both_numbers() -> None:
    (finding,) = judged(declaring(Declaration("total_frames", 14983, 899, "meta/info.json")))
    assert finding == Finding(
        level=Level.ERROR,
        message="total_frames: 899 in the data, 14983 in meta/info.json",
        measured=899,
        expected=14983,
        repair="write 899 into meta/info.json, or restore what is missing from the original",
    )


def test_a_stale_split_text_is_a_warning_with_its_hint() -> None:
    (finding,) = judged(declaring(Declaration("splits.train", "0:50", "0:3", "meta/info.json", "it reaches too far")))
    assert isinstance(finding, Finding)
    assert finding.level is Level.WARNING
    assert finding.message == "splits.train: 0:3 in the data, 0:50 in meta/info.json (it reaches too far)"


@pytest.mark.parametrize("subject", ["video of top", "data file data/chunk-000/file-001.parquet"])
def test_absent_files_are_left_to_the_checks_that_name_their_episodes(subject: str) -> None:
    assert judged(declaring(Declaration(subject, "present", "absent", "meta/info.json"))) == []


def test_a_declared_camera_is_told_here_only_where_it_has_no_file_at_all() -> None:
    (finding,) = judged(declaring(Declaration("videos of top", 5, 0, "meta/info.json", "not a single file")))
    assert isinstance(finding, Finding)
    assert finding.message == "videos of top: 0 in the data, 5 in meta/info.json (not a single file)"
    assert judged(declaring(Declaration("videos of top", 5, 3, "meta/info.json"))) == []


def test_a_declared_type_of_numbers_that_differs_is_a_warning() -> None:
    (finding,) = judged(declaring(Declaration("dtype of action", "float64", "float32", "meta/info.json")))
    assert isinstance(finding, Finding)
    assert finding.level is Level.WARNING


@pytest.mark.parametrize(("found", "level"), [(0, Level.WARNING), (5, Level.ERROR)])
def test_an_array_without_any_chunk_may_hold_nothing_but_its_fill_value(found: int, level: Level) -> None:
    stated = Declaration("chunk files of data/is_pad", 6, found, "data/is_pad (shape and chunks)")
    (finding,) = judged(declaring(stated))
    assert isinstance(finding, Finding)
    assert finding.level is level


def test_a_statement_that_holds_is_silent_and_a_missing_one_is_a_finding() -> None:
    assert judged(declaring(Declaration("total_tasks", 3, 3, "meta/info.json"))) == []
    (finding,) = judged(declaring(Declaration("total_episodes", None, 3, "meta/info.json")))
    assert isinstance(finding, Finding)
    assert finding.message == "total_episodes: 3 in the data, nothing in meta/info.json"


def test_an_episode_with_fewer_rows_than_promised_is_named_once() -> None:
    source = declaring(Declaration("length of all episodes", 160, 150, "meta/episodes"))
    short = replace(source.episode("1"), declared_steps=60)
    (finding,) = judged(swapped(source, short))
    assert isinstance(finding, Finding)
    assert (finding.level, finding.episode, finding.measured, finding.expected) == (Level.ERROR, "1", 50, 60)
    assert finding.message == "the index promises 60 steps, and the table has 50 rows: 10 are missing"


def test_a_camera_that_all_siblings_have_is_missed() -> None:
    source = tiny_source(6, duration_s=1)
    (finding,) = judged(swapped(source, source.episode("4").without_stream(CAMERA)))
    assert isinstance(finding, Finding)
    assert (finding.level, finding.episode, finding.stream) == (Level.WARNING, "4", CAMERA)
    assert finding.message == f"{CAMERA}: the camera is absent, and 5 of 6 episodes have it"


def test_a_camera_that_only_some_episodes_have_is_an_option() -> None:
    episodes = [tiny_episode(n, duration_s=1) for n in range(6)]
    some = [e if n % 2 else e.without_stream(CAMERA) for n, e in enumerate(episodes)]
    assert judged(EpisodeList(some)) == []


def test_another_robot_is_not_a_sibling() -> None:
    source = tiny_source(6, duration_s=1)
    other = replace(source.episode("4").without_stream(CAMERA), embodiment=None, ref=None)
    assert judged(swapped(source, other)) == []


def test_an_action_of_another_width_is_found() -> None:
    source = tiny_source(6, duration_s=1)
    action = source.episode("2").streams["action"]
    wider = action.with_values(ArrayValues(np.zeros((len(action), 7), np.float32)))
    (finding,) = judged(swapped(source, source.episode("2").with_stream(wider)))
    assert isinstance(finding, Finding)
    assert finding.message == "action: a sample has 7 numbers, 5 of 6 episodes have 6"


def test_a_dataset_that_declares_nothing_abstains() -> None:
    episodes = [replace(tiny_episode(n, duration_s=1), declared_steps=None) for n in range(2)]
    (abstention,) = judged(EpisodeList(episodes))
    assert isinstance(abstention, Abstention)
    assert abstention.reason == "the dataset declares nothing that can be compared with its bytes"


def test_no_episodes_and_empty_episodes_are_judged_too() -> None:
    assert list(judge([], Facts(format="memory", version=None))) != []
    empty = EpisodeList([Episode("0", {}, declared_steps=0)])
    assert judged(empty) == []


def test_sound_sets_stay_silent_and_planted_statements_are_found() -> None:
    for seed in range(20):
        source = tiny_source(6, seed=seed, duration_s=1, is_measured=bool(seed % 2))
        assert judged(source) == []
        assert len(judged(plant(source, np.random.default_rng(seed), 1.0))) == 1
        assert judged(plant(source, np.random.default_rng(seed), 0.0)) == []


def test_the_reachy_2_set_declares_the_counts_of_its_original(shared_data: Path) -> None:
    said = [v.message for v in judged(open_source(shared_data / "lerobot-v3.0-reachy2-real" / "dataset"))
            if isinstance(v, Finding)]  # fmt: skip
    assert said[0] == "total_frames: 899 in the data, 14983 in meta/info.json"
    assert said[1].startswith("splits.train: 0:3 in the data, 0:50 in meta/info.json")
    assert len(said) == 2


def test_an_array_that_is_refused_is_told_in_words() -> None:
    refused = Declaration("metadata of data/state", "readable", "refused", "data/state", "x: holds Python objects.")
    (found,) = judged(declaring(refused))
    assert isinstance(found, Finding)
    assert found.message == "metadata of data/state cannot be read: x: holds Python objects."
    assert found.repair == "restore data/state from the original, or take it out of the dataset"
