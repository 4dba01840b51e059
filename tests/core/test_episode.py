"""Tests of episodes: time shared by all streams, copies in memory, and the journey to another process."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from robokata.core.clock import measured_clock
from robokata.core.detection import open_episode
from robokata.core.episode import Episode, EpisodeRef
from robokata.core.errors import NotADataset, UnknownName
from robokata.core.stream import Role
from robokata.core.values import ArrayValues
from robokata.testing import tiny_episode
from robokata.testing.tiny import CAMERA


@pytest.fixture(scope="module")
def episode() -> Episode:
    return tiny_episode(duration_s=1.0)


def test_second_zero_is_the_first_time_on_any_clock(episode: Episode) -> None:
    state = episode.stream("observation.state")
    early = measured_clock(state.clock.times_ns - 2_000_000_000)
    shifted = episode.with_stream(replace(state, clock=early))
    assert shifted.start_ns == int(early.times_ns[0])
    assert shifted.seconds(int(early.times_ns[0]) + 500_000_000) == 0.5
    assert shifted.duration_s == pytest.approx(episode.duration_s + 2, abs=0.01)


def test_times_that_run_backwards_do_not_confuse_the_ends() -> None:
    clock = measured_clock(np.asarray([5, 9, 2, 4], np.int64))
    stream = replace(tiny_episode(duration_s=0.2).stream("action"), clock=clock, values=ArrayValues(np.zeros((4, 6))))
    episode = Episode("backwards", {"action": stream})
    assert (episode.start_ns, episode.end_ns) == (2, 9)


def test_an_episode_without_samples_lasts_no_time() -> None:
    assert Episode("empty", {}).duration_s == 0


def test_an_unknown_stream_lists_those_that_exist(episode: Episode) -> None:
    with pytest.raises(UnknownName) as caught:
        episode.stream("actions")
    assert str(caught.value) == (
        "No stream of episode 0 is called 'actions'. Did you mean 'action'? Known: observation.state, action, "
        "observation.images.front, frame_index, episode_index, index."
    )


def test_streams_are_found_by_what_they_are_for(episode: Episode) -> None:
    assert [s.name for s in episode.numeric()] == ["observation.state", "action"]
    assert [s.name for s in episode.numeric(Role.ACTION)] == ["action"]
    assert [s.name for s in episode.pictures()] == [CAMERA]
    assert [s.name for s in episode.of_role(Role.STATE, Role.CAMERA)] == ["observation.state", CAMERA]


def test_copies_leave_the_original_and_forget_where_it_lay(episode: Episode) -> None:
    lying = replace(episode, ref=EpisodeRef("mcap", "somewhere", "0"))
    assert lying.without_stream("action").ref is None
    assert "action" not in lying.without_stream("action").streams
    added = lying.with_stream(replace(lying.stream("action"), name="again"))
    assert (list(added.streams)[-1], added.ref) == ("again", None)
    assert "again" not in lying.streams


def test_an_episode_in_a_file_travels_as_its_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    lying = Episode("7", {}, ref=EpisodeRef("lerobot_v3", "/data/set", "7"))
    packed = pickle.dumps(lying)
    assert len(packed) < 300
    with pytest.raises(NotADataset) as caught:
        pickle.loads(packed)
    assert str(caught.value) == "/data/set: no such file or directory. Check the path."


def test_an_episode_in_memory_travels_whole() -> None:
    sound = Episode("7", {}, declared_steps=3, extra={"robot": [1, 2]})
    _ = sound.start_ns
    again = pickle.loads(pickle.dumps(sound))
    assert (again.id, again.declared_steps, again.extra, again.start_ns) == ("7", 3, {"robot": [1, 2]}, 0)


def test_a_reference_to_an_unknown_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnknownName) as caught:
        open_episode(EpisodeRef("mcapp", str(tmp_path), "0"))
    assert str(caught.value).startswith("No format is called 'mcapp'. Did you mean 'mcap'? Known: aloha_hdf5, ")


def test_an_episode_is_shown_by_its_streams() -> None:
    assert repr(tiny_episode(3, duration_s=0.2).without_stream("index")) == (
        "Episode('3', 5 streams: observation.state, action, observation.images.front, frame_index, episode_index)"
    )
