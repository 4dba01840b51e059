"""Steps that change words, cameras, noise and rest, and steps that leave episodes out."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from robokata.core.ancestry import ancestry_of
from robokata.core.clock import measured_clock
from robokata.core.episode import Episode, Instruction, Origin
from robokata.core.errors import RecipeRefused, StepRefused
from robokata.core.source import EpisodeList
from robokata.core.values import ArrayValues
from robokata.inspection.run import check_dataset
from robokata.media.images import RawImages
from robokata.steps import (
    add_noise,
    drop_duplicate,
    drop_found,
    keep_cameras,
    paraphrase_instruction,
    plant_defect,
    take_subset,
    trim_idle,
)
from robokata.testing import tiny_episode
from robokata.testing.clauses import only
from robokata.testing.curation_clauses import described
from steps.simulated import lifted


def rested(rest_s: float = 2.0) -> Episode:
    """A tiny episode that stands still before and after its motion."""
    episode = tiny_episode(0, duration_s=4.0, is_measured=False)
    streams = {}
    for name, stream in episode.streams.items():
        rate_hz = 30 if stream.is_picture else 50
        before = round(rest_s * rate_hz)
        rows = np.concatenate([np.arange(1).repeat(before), np.arange(len(stream)), np.full(before, len(stream) - 1)])
        values = ArrayValues(np.asarray(stream.values[rows]))
        clock = measured_clock((np.arange(len(rows)) * (1e9 / rate_hz)).astype(np.int64))
        picked = RawImages(values, where=name) if stream.is_picture else values
        streams[name] = stream.with_values(picked, clock=clock)
    return replace(episode, streams=streams)


def test_rest_at_both_ends_is_cut_on_every_stream_and_the_motion_stays() -> None:
    episode = rested()
    (made,) = trim_idle.step(episode)
    assert made.duration_s == pytest.approx(episode.duration_s - 2 * 2.0, abs=1.0)
    cut_s = made.extra["steps"][-1]["cut_s"]
    assert 1.2 < cut_s[0] < 2.5
    assert 1.2 < cut_s[1] < 2.7
    before, after = episode.streams["action"], made.streams["action"]
    first = int(np.searchsorted(before.clock.times_ns, after.clock.times_ns[0]))
    np.testing.assert_array_equal(after.table, before.table[first : first + len(after)])
    assert made.declared_steps == len(after)
    for check in ("streams_end_apart", "idle_stretch"):
        assert not check_dataset(EpisodeList([made]), suite=only(check)).findings


def test_an_episode_without_rest_stays_as_it_is() -> None:
    episode = lifted()
    assert next(iter(trim_idle.step(episode))) is episode


def test_only_the_cameras_asked_for_stay() -> None:
    (made,) = keep_cameras.step(lifted(), cameras=("wrist",))
    assert [stream.name for stream in made.pictures()] == ["observation.images.wrist"]
    assert made.embodiment is not None
    assert made.embodiment.cameras == ("wrist",)
    (blind,) = keep_cameras.step(lifted(), cameras=("",))
    assert not list(blind.pictures())
    with pytest.raises(StepRefused, match=r"it has no camera 'top'\. It has: scene, wrist\."):
        list(keep_cameras.step(lifted(), cameras=("top",)))


def test_noise_has_the_size_that_was_asked_for_and_spares_commands_of_the_gripper() -> None:
    episode = tiny_episode(1, duration_s=8.0)
    (made,) = add_noise.step(episode, numbers_share=0.05, pixel_levels=6.0)
    for name in ("observation.state", "action"):
        was, now = episode.streams[name].table, made.streams[name].table
        np.testing.assert_allclose((now - was).std(axis=0)[:5], 0.05 * np.ptp(was, axis=0)[:5], rtol=0.15)
    camera = "observation.images.front"
    was, now = (np.asarray(e.streams[camera].values[4], np.float64) for e in (episode, made))
    assert 4.0 < (now - was).std() < 7.5
    (some,) = add_noise.step(lifted(), numbers_share=0.05, streams=("observation.tip_pose",))
    quat = some.streams["observation.tip_pose"].table[:, 3:7]
    np.testing.assert_allclose(np.linalg.norm(quat, axis=1), 1.0)
    np.testing.assert_array_equal(some.streams["action"].table, lifted().streams["action"].table)


def test_a_task_is_asked_for_in_all_its_other_wordings_once() -> None:
    made = list(paraphrase_instruction.step(lifted(), wordings=3, seed=1))
    from robokata.tasks.lift import INSTRUCTIONS

    texts = {each.instructions[0].text for each in made}
    assert texts | {lifted().instructions[0].text} == set(INSTRUCTIONS)
    assert [each.id for each in made] == [f"{lifted().id}-said{n}" for n in (1, 2, 3)]
    with pytest.raises(StepRefused, match="3 other wordings are known, and 4 are asked for"):
        list(paraphrase_instruction.step(lifted(), wordings=4))


def said(text: str) -> Episode:
    return replace(tiny_episode(0, duration_s=1.0), instructions=(Instruction(text),))


def test_words_that_decide_what_is_done_survive_a_users_table(tmp_path: Path) -> None:
    table = tmp_path / "words.toml"
    table.write_text(
        '[[paraphrase]]\ntexts = ["put the {colour} cube in the {place}", "into the {place} with {colour}"]'
    )
    (made,) = paraphrase_instruction.step(said("put the dark red cube in the bowl"), table=str(table))
    assert made.instructions[0].text == "into the bowl with dark red"
    with pytest.raises(StepRefused, match="nobody knows other words for 'wipe'"):
        list(paraphrase_instruction.step(said("wipe"), table=str(table)))
    for number, (text, message) in enumerate(
        [
            ('[[paraphrase]]\ntexts = ["put the {colour} cube", "put it"]', "'put it' has other slots than"),
            ('[[paraphrase]]\ntexts = ["alone"]', "two texts or more are needed"),
            ("words = 1", "write one [[paraphrase]]"),
            ("x = ", "is no TOML"),
        ]
    ):
        wrong = tmp_path / f"wrong{number}.toml"
        wrong.write_text(text)
        with pytest.raises(RecipeRefused) as refusal:
            list(paraphrase_instruction.step(said("put the red cube"), table=str(wrong)))
        assert str(refusal.value).startswith(str(wrong))
        assert message in str(refusal.value)


def test_a_planted_defect_is_what_its_check_finds() -> None:
    (made,) = plant_defect.step(tiny_episode(3), check="stuck_encoder", magnitude=1.0)
    report = check_dataset(EpisodeList([made]), suite=only("stuck_encoder"))
    assert [finding.check for finding in report.findings] == ["stuck_encoder"]
    with pytest.raises(StepRefused, match="is a defect of whole datasets"):
        list(plant_defect.step(tiny_episode(3), check="split_leak"))
    with pytest.raises(StepRefused, match="nothing to plant"):
        list(plant_defect.step(Episode(id="bare", streams={}), check="stuck_encoder"))


def test_cleaning_leaves_out_what_the_checks_find_and_says_which() -> None:
    episodes = [tiny_episode(n) for n in range(5)]
    (episodes[2],) = plant_defect.step(episodes[2], check="stuck_encoder")
    (episodes[4],) = plant_defect.step(episodes[4], check="not_finite")
    rows = described(drop_found.describe, episodes, {})
    report = check_dataset(EpisodeList(episodes))
    for level in ("error", "warning"):
        selection = drop_found.choose(rows, level=level)
        ranks = {"error": 0, "warning": 1}
        found = {f.episode for f in report.findings if f.level.rank <= ranks[level] and f.episode is not None}
        assert set(selection.left_out) == found, "exactly what kata check says"
    assert drop_found.choose(rows, level="warning").left_out["2"].startswith("stuck_encoder: ")
    with pytest.raises(RecipeRefused, match="level is 'fatal'"):
        drop_found.choose(rows, level="fatal")
    with pytest.raises(RecipeRefused, match="No check is called 'stuck'"):
        drop_found.describe(episodes[0], checks=("stuck",))


def test_checks_across_episodes_and_waivers_count_in_cleaning(tmp_path: Path) -> None:
    twin = replace(tiny_episode(0), id="twin")
    episodes = [tiny_episode(n) for n in range(4)] + [twin]
    options = {"checks": ("duplicate_episode",)}
    rows = described(drop_found.describe, episodes, options)
    left_out = drop_found.choose(rows, level="warning", **options).left_out
    assert left_out
    suite = tmp_path / "suite.toml"
    suite.write_text('[[waive]]\ncheck = "duplicate_episode"\nreason = "known"\nexpires = 2099-01-01\n')
    assert not drop_found.choose(rows, level="warning", suite=str(suite), **options).left_out


def test_cleaning_drops_every_copy_of_a_group_but_those_that_are_waived(tmp_path: Path) -> None:
    copies = [replace(tiny_episode(n), id=str(at), ref=None) for at, n in enumerate((0, 1, 0, 2, 0))]
    options = {"checks": ("duplicate_episode",)}
    rows = described(drop_found.describe, copies, options)
    assert set(drop_found.choose(rows, **options).left_out) == {"2", "4"}
    suite = tmp_path / "suite.toml"
    waiver = '[[waive]]\ncheck = "duplicate_episode"\nepisode = "4"\nreason = "known"\nexpires = 2099-01-01\n'
    suite.write_text(waiver)
    assert set(drop_found.choose(rows, suite=str(suite), **options).left_out) == {"2"}


def test_of_copies_the_original_stays() -> None:
    original = tiny_episode(0)
    (noisy,) = add_noise.step(original, numbers_share=0.001)
    copies = [replace(noisy, id="a-noisy"), original, replace(original, id="zz"), tiny_episode(1), tiny_episode(2)]
    selection = drop_duplicate.choose(described(drop_duplicate.describe, copies, {}))
    assert set(selection.episodes) == {"0", "1", "2"}
    assert selection.left_out == {"a-noisy": "is the recording of episode 0", "zz": "is the recording of episode 0"}


def test_subsets_of_one_seed_are_nested_of_the_size_asked_for_and_families_come_together() -> None:
    episodes = []
    for number in range(4):
        root = tiny_episode(number, duration_s=1.0)
        episodes.append(root)
        for child in range(2):
            made = replace(tiny_episode(10 + 2 * number + child, duration_s=1.0), ref=None)
            episodes.append(replace(made, origin=Origin(made_from=ancestry_of(root))))
    rows = described(take_subset.describe, episodes, {})
    sets = [set(take_subset.choose(rows, episodes=n, seed=2).episodes) for n in range(13)]
    assert [len(each) for each in sets] == list(range(13))
    assert all(small <= large for small, large in itertools.pairwise(sets))
    assert set(take_subset.choose(rows, share=0.5, seed=3).episodes) != set(
        take_subset.choose(rows, share=0.5, seed=4).episodes
    )
    whole = take_subset.choose(rows, episodes=6, by_family=True, seed=2).episodes
    roots = {str(number): {str(10 + 2 * number), str(11 + 2 * number)} for number in range(4)}
    assert sum(root in whole for root in roots) == 2
    assert all(children <= set(whole) for root, children in roots.items() if root in whole)
    for options, message in [({}, "one of the two"), ({"episodes": 99}, "there are 12"), ({"share": 2.0}, "0 to 1")]:
        with pytest.raises(RecipeRefused, match=message):
            take_subset.choose(rows, **options)
