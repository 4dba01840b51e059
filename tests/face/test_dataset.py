"""Tests of the front door: datasets, episodes and streams as a notebook meets them."""

from __future__ import annotations

import pickle
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import robokata as rk
from makers import rlds
from robokata.core.clock import step_clock
from robokata.core.declared_rate import rates_in
from robokata.core.errors import ClockUnknown, QueryRefused, UnknownName
from robokata.core.shelf import shelf
from robokata.testing import tiny_source


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("face") / "set"
    source = tiny_source(5)
    shelf("formats")["lerobot_v3"].write(path, (source.episode(key) for key in source.keys()))
    return path


def test_a_dataset_is_indexed_sliced_and_iterated_like_a_list(folder: Path) -> None:
    dataset = rk.open(folder)
    assert len(dataset) == 5
    assert [episode.id for episode in dataset] == list(dataset.keys())
    assert dataset[0].id == dataset[dataset.keys()[0]].id
    assert dataset[-1].id == dataset.keys()[-1]
    assert list(dataset[1:3].keys()) == list(dataset.keys()[1:3])
    assert list(dataset[["0", "4"]].keys()) == ["0", "4"]
    assert "0" in dataset
    assert "9" not in dataset
    assert repr(dataset).startswith(f"Dataset({str(folder)!r}, lerobot_v3, 5 episodes")


def test_a_slice_opens_its_own_episodes_only(folder: Path) -> None:
    part = rk.open(folder)[1:3]
    with pytest.raises(UnknownName, match="episode"):
        part["4"]
    with pytest.raises(IndexError):
        part[2]
    with pytest.raises(UnknownName, match="episode"):
        rk.open(folder)[["no"]]


def test_sql_leaves_the_episodes_that_meet_it(folder: Path) -> None:
    dataset = rk.open(folder)
    assert list(dataset.where("id IN ('1', '2')").keys()) == ["1", "2"]
    with pytest.raises(QueryRefused, match="none of 5 episodes meets"):
        dataset.where("steps > 1000000")


def test_the_table_holds_a_row_for_each_episode(folder: Path) -> None:
    table = rk.open(folder)[:3].table()
    assert table.column("id").to_pylist() == ["0", "1", "2"]
    assert all(steps > 0 for steps in table.column("steps").to_pylist())


def test_a_notebook_shows_a_table_and_one_filmstrip(folder: Path) -> None:
    dataset = rk.open(folder)
    shown = dataset._repr_html_()
    assert shown.count("data:image/jpeg;base64,") == 8
    assert "lerobot_v3" in shown
    episode = dataset[0]
    assert "observation.state" in episode._repr_html_()
    assert "samples" in episode["observation.state"]._repr_html_()


def test_streams_are_reached_by_name_and_by_time(folder: Path) -> None:
    episode = rk.open(folder)[0]
    state = episode["observation.state"]
    assert "observation.state" in episode
    assert [stream.name for stream in episode] == list(episode.streams)
    assert state.values[3:9].shape == (6, *state.shape)
    seconds = float(episode.seconds(int(state.clock.times_ns[4])))
    np.testing.assert_array_equal(episode.at(seconds)["observation.state"], state.values[4])
    np.testing.assert_array_equal(state.at(0.0), state.values[0])
    with pytest.raises(IndexError, match="has no sample at -1 s"):
        state.at(-1)
    with pytest.raises(UnknownName, match=r"observation\.state"):
        episode["observation.stat"]


def test_row_numbers_that_count_from_0_do_not_make_an_episode_last_since_1970(folder: Path) -> None:
    episode = rk.open(folder)[0]
    assert episode["frame_index"].clock.times_ns[0] == 0
    assert episode["observation.state"].clock.times_ns[0] > 1e18
    assert episode.duration_s is not None
    assert episode.duration_s < 60


def test_a_stream_without_times_knows_no_moment() -> None:
    episode = tiny_source(1).episode("0")
    state = next(stream for stream in episode if stream.is_numeric)
    with pytest.raises(ClockUnknown):
        replace(state, clock=step_clock(len(state))).at(0.0)


def test_frames_are_arrays_and_images(folder: Path) -> None:
    camera = next(rk.open(folder)[0].pictures())
    assert camera.frames[2].dtype == np.uint8
    assert len(camera.frames) == len(camera)
    image = camera.frames.image(2)
    assert (image.height, image.width) == camera.shape[:2]
    with pytest.raises(TypeError, match="not pictures"):
        _ = rk.open(folder)[0]["observation.state"].frames


def test_a_curve_is_drawn_over_seconds(folder: Path) -> None:
    pytest.importorskip("matplotlib").use("Agg")
    state = rk.open(folder)[0]["observation.state"]
    axes = state.plot(channels=[0])
    assert axes.get_xlabel() == "seconds"
    assert len(axes.lines) == 1
    with pytest.raises(KeyError, match="has no channel"):
        state.plot(channels=["nothing"])


def test_the_verbs_take_a_path_a_dataset_and_a_part_of_one(folder: Path, tmp_path: Path) -> None:
    dataset = rk.open(folder)
    assert rk.look(folder).episodes == dataset.look().episodes == 5
    assert rk.check(dataset[:2], workers=1).episodes_checked == 2
    receipt = dataset[1:3].convert(tmp_path / "out", to="mcap", workers=1)
    assert receipt.episodes == 2
    assert receipt.verified
    assert [episode.id for episode in rk.open(tmp_path / "out")] == ["1", "2"]
    assert rk.measure(folder, split="all", workers=1).episodes == 5
    for shown in (rk.look(folder), rk.check(folder, workers=1), receipt, rk.explain("clock_gap")):
        assert shown._repr_html_().startswith("<div>")
        assert shown.to_json()


def test_the_path_of_the_text_is_refused_as_the_command_line_refuses_it() -> None:
    with pytest.raises(rk.errors.NotADataset, match="no such file"):
        rk.open("/nowhere/at/all")


def test_a_recipe_is_planned_and_written_and_a_snapshot_kept_compared_and_verified(
    folder: Path, tmp_path: Path
) -> None:
    recipe = tmp_path / "r.toml"
    recipe.write_text(f'[[source]]\npath = "{folder}"\n[selection]\ncurator = "random"\nkeep = 2\n')
    assert len(rk.plan_curation(recipe, workers=1).left_out) == 3
    written = rk.curate(recipe, tmp_path / "curated", workers=1)
    assert len(rk.open(tmp_path / "curated")) == written.episodes == 2
    store = str(tmp_path / "store")
    first = rk.snapshot(folder, store, message="all")
    second = rk.snapshot(f"{store}@{first.id}", delete=["0"])
    assert [record.id for record in rk.history(store)] == [second.id, first.id]
    assert rk.diff(f"{store}@{first.id}", f"{store}@{second.id}").removed == ("0",)
    assert rk.verify(store).is_sound


def test_verbs_run_in_worker_processes_on_a_dataset_and_on_a_part(folder: Path, tmp_path: Path) -> None:
    dataset = rk.open(folder)
    for chosen in (dataset, dataset[1:4], dataset.where("id = '2'")):
        report = rk.check(chosen, workers=2)
        assert report.episodes_checked == len(chosen)
        assert [each.reason for each in report.abstentions if "failed" in each.reason] == []
    receipt = dataset[["1", "3"]].convert(tmp_path / "out", to="mcap", workers=2)
    assert receipt.verified
    assert rk.measure(dataset[1:3], split="all", workers=2).episodes == 2


def test_a_dataset_travels_as_a_reference(folder: Path) -> None:
    dataset = rk.open(folder)
    assert len(pickle.dumps(dataset)) < 500
    again = pickle.loads(pickle.dumps(dataset[1:3]))
    assert list(again.keys()) == list(dataset[1:3].keys())
    np.testing.assert_array_equal(again[0]["action"].values[:], dataset[1]["action"].values[:])


def test_episodes_in_memory_are_a_dataset_too() -> None:
    part = rk.open(tiny_source(4))[1:3]
    assert rk.check(part, workers=2).episodes_checked == len(part) == len(part.facts().rows) == 2


def test_declared_rates_stay_with_a_part(tmp_path: Path) -> None:
    path = rlds.make(tmp_path, episodes=3, steps=20)
    part = rk.open(path, rate_hz=[10])[1:]
    episode = pickle.loads(pickle.dumps(part))[0]
    assert episode["action"].at(0.5).shape == episode["action"].shape
    assert [str(rate) for rate in rates_in(part)] == ["10"]
    with pytest.raises(ClockUnknown):
        rk.open(path)[0]["action"].at(0.5)


def test_a_condition_on_what_no_index_says_is_refused_with_the_reason(tmp_path: Path) -> None:
    dataset = rk.open(rlds.make(tmp_path, episodes=2, steps=5))
    with pytest.raises(QueryRefused, match="does not say steps of any episode"):
        dataset.where("steps > 1")


def test_hours_are_shown_where_the_index_says_them_of_every_episode(folder: Path, tmp_path: Path) -> None:
    assert re.search(r", 5 episodes, [\d.e-]+ h", repr(rk.open(folder)))
    assert repr(rk.open(rlds.make(tmp_path, episodes=2, steps=5))).endswith("rlds, 2 episodes)")
