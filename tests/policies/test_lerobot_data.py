"""Tests of what lerobot is given to learn from: the same numbers, on one grid, and back without loss."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loading.reaching import CAMERA, TIP, reaching_episode
from robokata.core.clock import measured_clock
from robokata.core.detection import open_source
from robokata.core.episode import Episode
from robokata.core.errors import DamagedData, TrainingRefused
from robokata.core.stream import Fact, Meaning
from robokata.core.values import ArrayValues
from robokata.loading.layout import BodyLayout
from robokata.loading.window_spec import WindowSpec
from robokata.policies._lerobot.adapter import ACTION, STATE, View, spread_out, view_from
from robokata.policies._lerobot.data import rows_of, survey, write_dataset
from robokata.training.data import in_memory

WINDOW = WindowSpec(
    "action.tip_pose", ("observation.state", "observation.tip_pose"), (CAMERA,), chunk_steps=8, picture_px=32
)
TOY = View(
    BodyLayout(
        "toy",
        {
            "observation.state": ("j0", "j1", "j2"),
            "observation.tip_pose": TIP,
            "action.tip_pose": (*TIP, "opening"),
        },
    ),
    WINDOW,
)


@given(
    st.lists(st.floats(-2, 2), min_size=3, max_size=3),
    st.lists(st.floats(-1, 1), min_size=4, max_size=4).filter(lambda q: sum(x * x for x in q) > 0.1),
    st.floats(0, 0.1),
)
def test_an_action_comes_back_as_it_was_with_the_sign_of_the_present_hand(
    position_m: list[float], quat_xyzw: list[float], opening_m: float
) -> None:
    quat = np.asarray(quat_xyzw) / np.linalg.norm(quat_xyzw)
    action = np.concatenate([position_m, quat, [opening_m]])
    for sign in (1, -1):
        present = {"observation.state": np.zeros(3), "observation.tip_pose": np.concatenate([position_m, sign * quat])}
        again = TOY.actions(TOY.learnt(action[None]), present)
        np.testing.assert_allclose(again[0], np.concatenate([position_m, sign * quat, [opening_m]]), atol=2e-6)


def test_the_dataset_holds_the_numbers_and_pictures_of_every_moment(tmp_path: Path) -> None:
    episodes = [reaching_episode(n, px=32) for n in range(3)]
    written = write_dataset(survey([in_memory(episodes)], WINDOW), tmp_path / "data")
    assert (written.episodes, written.rows, written.left_out) == (3, 120, ())
    again = open_source(tmp_path / "data")
    for number, episode in enumerate(episodes):
        read = again.episode(again.keys()[number])
        numbers = {name: episode.stream(name).table for name in WINDOW.inputs}
        np.testing.assert_array_equal(read.stream(STATE).table, TOY.state(numbers))
        np.testing.assert_array_equal(read.stream(ACTION).table, TOY.learnt(episode.stream("action.tip_pose").table))
        np.testing.assert_array_equal(read.stream(CAMERA).values[:], episode.stream(CAMERA).values[:])
    assert set(json.loads((tmp_path / "data/meta/info.json").read_text())["features"]) >= {STATE, ACTION, CAMERA}


def test_a_channel_that_never_moved_is_divided_by_what_an_arm_notices(tmp_path: Path) -> None:
    write_dataset(survey([in_memory([reaching_episode(0, px=32)])], WINDOW), tmp_path / "data")
    statistics = json.loads((tmp_path / "data/meta/stats.json").read_text())
    still = TOY.action_channels.index("tip.r1")
    assert statistics[ACTION]["std"][still] == 0.02
    assert statistics[ACTION]["max"][still] - statistics[ACTION]["min"][still] == pytest.approx(0.08)
    moving = TOY.action_channels.index("tip.x")
    table = TOY.learnt(reaching_episode(0).stream("action.tip_pose").table)
    assert statistics[ACTION]["std"][moving] == pytest.approx(table[:, moving].std(), rel=1e-3)


def test_statistics_that_are_wide_enough_stay_as_they_are() -> None:
    wide = {"std": [1.0], "min": [-3.0], "max": [3.0], "q01": [-2.0], "q99": [2.0], "mean": [0.5], "count": [9]}
    assert spread_out(wide, [0.02]) == wide


def test_a_faster_jittered_clock_is_brought_to_the_grid_by_the_newest_sample_that_is_known() -> None:
    episode = reaching_episode(0, px=32, steps=60)
    rng = np.random.default_rng(0)
    times_ns = np.sort((np.arange(60) * 33_333_333 + rng.integers(-4_000_000, 4_000_000, 60)).clip(0))
    state = replace(episode.stream("observation.state"), clock=measured_clock(times_ns))
    made = rows_of(episode.with_stream(state), TOY)
    at_ns = np.arange(len(made.stream(STATE))) * 50_000_000
    newest = np.searchsorted(times_ns, at_ns + max(0, times_ns[0]) + 1_000_000, side="right") - 1
    np.testing.assert_array_equal(made.stream(STATE).table[:, :3], state.table[newest])


def test_pictures_of_another_size_are_made_small_once(tmp_path: Path) -> None:
    made = rows_of(reaching_episode(0, px=64), TOY)
    assert made.stream(CAMERA).shape == (32, 32, 3)


def without_number(episode: Episode) -> Episode:
    table = episode.stream("observation.state").table.copy()
    table[7, 1] = np.nan
    return episode.with_stream(episode.stream("observation.state").with_values(ArrayValues(table)))


def test_a_number_that_is_absent_costs_the_episode_and_is_named() -> None:
    with pytest.raises(TrainingRefused) as refused:
        rows_of(without_number(reaching_episode(0, px=32)), TOY)
    assert str(refused.value) == "episode toy-0: 'observation.state:j1' is no number in row 7."


def test_an_episode_that_cannot_be_learnt_from_is_left_out_with_its_reason(tmp_path: Path) -> None:
    episodes = [without_number(reaching_episode(0, px=32)), reaching_episode(1, px=32), reaching_episode(2)]
    written = write_dataset(survey([in_memory(episodes)], WINDOW), tmp_path / "data")
    assert written.episodes == 1
    assert [each.key for each in written.left_out] == ["toy-2", "toy-0"]
    assert "has no 'observation.images.scene' to learn from. It has numbers: " in written.left_out[0].reason


def test_what_lerobot_cannot_learn_together_is_refused_before_anything_is_written() -> None:
    def refusal(*sources: Any) -> str:
        with pytest.raises(TrainingRefused) as refused:
            survey(sources, WINDOW)
        return str(refused.value)

    toy = reaching_episode(0, px=32)
    two = in_memory([toy, reaching_episode(1, robot="other", px=32)])
    assert refusal(two) == (
        "lerobot's policies know one robot, and the data has toy and other. Choose one with where = "
        "(small_vla learns from several)."
    )
    assert "holds j0, j1, j2 in some episodes and j0, j1, j2, j3 in others, and lerobot knows no masks" in refusal(
        in_memory([toy, reaching_episode(1, joints=4, px=32)])
    )
    weighted = in_memory([toy], weight=0.5), in_memory([reaching_episode(1, px=32)], weight=0.5)
    assert refusal(*weighted).startswith("lerobot's training takes every sample once, so weights cannot be kept.")
    delta = replace(toy.stream("action.tip_pose"), meaning=Meaning(reference=Fact("delta_prev_command")))
    assert "holds targets in some episodes and differences in others" in refusal(
        in_memory([reaching_episode(1, px=32), toy.with_stream(delta)])
    )
    assert refusal(in_memory([reaching_episode(0)])).startswith("none of 1 episodes can be learnt from: episode toy-0")


def test_a_view_comes_back_from_its_card_and_a_damaged_one_is_named() -> None:
    told = json.loads(json.dumps(TOY.to_json()))
    assert view_from(told, where="card.json") == TOY
    for broken in ({}, {**told, "is_change": 1}, {**told, "layout": {"embodiment": "toy", "channels": {}}}):
        with pytest.raises(DamagedData, match=r"^card\.json"):
            view_from(broken, where="card.json")


def test_cameras_get_names_that_lerobot_takes_and_no_two_the_same() -> None:
    window = replace(WINDOW, cameras=("/cam/left", "/cam_left", "observation.images.wrist"))
    assert list(View(TOY.layout, window).features.values()) == [
        "observation.images.cam_left",
        "observation.images.cam_left_1",
        "observation.images.wrist",
    ]
