"""Windows without times: consecutive rows, pairs by a declared relation, and refusals that name the streams."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import h5py
import numpy as np
import pytest
import zarr

from makers import droid_json
from robokata.core.clock import ClockQuality, grid_clock, step_clock
from robokata.core.declared_rate import declare_rates, rates_from, with_rates
from robokata.core.detection import open_source
from robokata.core.episode import Episode, Instruction
from robokata.core.errors import RateRefused, TrainingRefused
from robokata.core.stream import Kind, Role, Stream
from robokata.core.values import ArrayValues
from robokata.loading.feed import Feed
from robokata.loading.gather import gather
from robokata.loading.pictures import resized
from robokata.loading.window_spec import WindowSpec

PICTURES, ROWS = "videos/0", "observation.state.cartesian_position"


def in_steps(action: str, *inputs: str, cameras: tuple[str, ...] = (), chunk_steps: int = 10) -> WindowSpec:
    return WindowSpec(action, inputs, cameras, chunk_steps=chunk_steps, rate_hz=None, picture_px=32)


def numbers(name: str, count: int, *, first_step: int = 0, role: Role = Role.STATE, counter: str = "step") -> Stream:
    clock = step_clock(count, first_step=first_step, counter=counter)
    return Stream(name, Kind.TENSOR, role, clock, ArrayValues(np.arange(count, dtype=np.float32)[:, None] + first_step))


def refused(episode: Episode, spec: WindowSpec) -> str:
    with pytest.raises(TrainingRefused) as caught:
        gather(episode, spec=spec)
    return str(caught.value)


def chunks_are_rows(episode: Episode, action: str, state: str, actions: np.ndarray, states: np.ndarray) -> None:
    """Sample t holds state t and actions t, t + 1, ... as an independent reader reads them."""
    spec = in_steps(action, state)
    feed = Feed([gather(episode, spec=spec)], spec)
    (part,) = feed.batch(np.arange(len(feed))).parts
    assert len(feed) == len(actions)
    for t in range(len(actions)):
        np.testing.assert_array_equal(part.numbers[state][t, 0], states[t].astype(np.float32))
        wanted = actions[t : t + 10].astype(np.float32)
        np.testing.assert_array_equal(part.actions[t, : len(wanted)], wanted)
        assert part.is_action[t].tolist() == [k < len(wanted) for k in range(10)]


def test_chunks_of_a_replay_buffer_are_consecutive_rows(shared_data: Path) -> None:
    path = shared_data / "zarr-pusht-replay" / "pusht_first.zarr"
    data = zarr.open(str(path), mode="r")
    first, end = (int(n) for n in data["meta/episode_ends"][3:5])
    episode = open_source(path).episode("4")
    chunks_are_rows(episode, "action", "state", data["data/action"][first:end], data["data/state"][first:end])


def test_chunks_of_human_demonstrations_are_consecutive_rows(shared_data: Path) -> None:
    path = shared_data / "adroit-human-demos"
    source = open_source(path)
    with h5py.File(path / "door-human.hdf5") as file:
        demo = file["data"][source.keys()[2].rpartition("/")[2]]
        actions, states = demo["actions"][:], demo["obs/flat"][:]
    chunks_are_rows(source.episode(source.keys()[2]), "actions", "obs/flat", actions, states)


def test_pictures_of_droid_meet_the_rows_of_their_time_once_the_rates_are_declared(shared_data: Path) -> None:
    path = shared_data / "droid-json-mp4" / "droid_subset"
    spec = WindowSpec(
        "action.joint_position", ("observation.state.joint_position",), (PICTURES,), rate_hz=15.0, picture_px=32
    )
    source = with_rates(open_source(path), rates_from(["observation.*=15", "action.*=15"]))
    made = gather(source.episode("train/3"), spec=spec)
    said = json.loads((path / "annotation/train/3.json").read_text())
    with av.open(str(path / "videos/train/3/0.mp4")) as video:
        frames = [frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)]
    feed = Feed([made], spec)
    batch = feed.batch(np.arange(len(feed)))
    states, actions = (np.float32(said[f"{n}.joint_position"]) for n in ("observation.state", "action"))
    # Pictures at 5 Hz, rows at 15 Hz, both from one moment on: picture k is of row 3 k.
    for k in range(len(feed)):
        np.testing.assert_array_equal(batch.pictures[PICTURES][k], resized(frames[k][None], picture_px=32)[0])
        np.testing.assert_array_equal(batch.parts[0].numbers["observation.state.joint_position"][k, 0], states[3 * k])
        wanted = actions[3 * k : 3 * k + 16]
        np.testing.assert_array_equal(batch.parts[0].actions[k, : len(wanted)], wanted)


def test_pictures_and_rows_without_a_declared_relation_are_refused_by_name(tmp_path: Path) -> None:
    episode = open_source(droid_json.make(tmp_path, episodes=1, steps=8)).episode("train/0")
    for spec in (WindowSpec("action.cartesian_position", (ROWS,), (PICTURES,)), in_steps("states", ROWS)):
        message = refused(episode, spec)
        assert "nothing says which samples of" in message
        assert f"--rate-hz {spec.action}=RATE" in message
    with pytest.raises(
        RateRefused, match=r"states .8 samples, a picture each. and observation.* number different steps"
    ):
        declare_rates(episode, rates_from(["15"]))


def test_seconds_of_steps_are_refused_with_both_ways_out() -> None:
    episode = Episode("7", {"action": numbers("action", 50, role=Role.ACTION), "state": numbers("state", 50)})
    assert refused(episode, WindowSpec("action", ("state",))) == (
        "episode 7: action (50 samples, a step each, no times) has no seconds, and the window is in seconds. Declare "
        "the rate of its steps (--rate-hz 10; rate_hz = 10 in its [[source]]), or learn in steps (--in-steps; "
        "in_steps = true in [window])."
    )


def test_a_chunk_that_is_shorter_than_an_action_is_refused() -> None:
    episode = Episode("7", {"action": numbers("action", 50, role=Role.ACTION), "state": numbers("state", 50)})
    slow = declare_rates(episode, rates_from(["1"]))
    assert "covers 0.75 s, and one action of action lasts 1 s" in refused(slow, WindowSpec("action", ("state",)))
    assert len(gather(slow, spec=WindowSpec("action", ("state",), rate_hz=1.0))) == 50


@pytest.mark.parametrize(("observations", "first_step"), [(51, 0), (50, 0), (50, 1), (49, 0)])
def test_one_observation_more_or_less_is_paired_by_its_step(observations: int, first_step: int) -> None:
    state = numbers("state", observations, first_step=first_step)
    episode = Episode("7", {"action": numbers("action", 50, role=Role.ACTION), "state": state})
    spec = in_steps("action", "state", chunk_steps=3)
    feed = Feed([gather(episode, spec=spec)], spec)
    (part,) = feed.batch(np.arange(len(feed))).parts
    steps = part.actions[:, 0, 0]
    np.testing.assert_array_equal(steps, np.arange(first_step, 50))
    has_state = steps < first_step + observations
    np.testing.assert_array_equal(part.numbers["state"][has_state, 0, 0], steps[has_state])
    assert np.isnan(part.numbers["state"][~has_state]).all()


def test_streams_of_other_lengths_are_not_laid_beside_each_other() -> None:
    episode = Episode("7", {"action": numbers("action", 50, role=Role.ACTION), "force": numbers("force", 500)})
    assert "samples of force (500 samples, a step each, no times) belong to those of action (50" in refused(
        episode, in_steps("action", "force")
    )


def test_history_and_thinning_count_actions() -> None:
    episode = Episode("7", {"action": numbers("action", 20, role=Role.ACTION), "state": numbers("state", 20)})
    spec = replace(in_steps("action", "state", chunk_steps=2), history_steps=(-3, 0), every_steps=4)
    feed = Feed([gather(episode, spec=spec)], spec)
    (part,) = feed.batch(np.arange(len(feed))).parts
    assert part.actions[:, :, 0].tolist() == [[0, 1], [4, 5], [8, 9], [12, 13], [16, 17]]
    assert part.numbers["state"][1:, :, 0].tolist() == [[1, 4], [5, 8], [9, 12], [13, 16]]
    assert np.isnan(part.numbers["state"][0, 0, 0])


def test_texts_with_seconds_are_not_said_of_steps() -> None:
    said = (Instruction("reach", 0.0, 1.0), Instruction("put it down"))
    streams = {"action": numbers("action", 9, role=Role.ACTION), "state": numbers("state", 9)}
    made = gather(Episode("7", streams, instructions=said), spec=in_steps("action", "state"))
    assert set(made.instructions) == {("put it down",)}


def test_a_rate_for_a_stream_with_times_or_for_none_is_refused() -> None:
    timed = replace(numbers("state", 9), clock=grid_clock(9, Fraction(5), quality=ClockQuality.SYNTHESIZED))
    episode = Episode("7", {"state": timed, "action": numbers("action", 9, role=Role.ACTION)})
    with pytest.raises(RateRefused, match=r"state has times .synthesized., and --rate-hz state=10 is for streams that"):
        declare_rates(episode, rates_from(["state=10"]))
    with pytest.raises(RateRefused, match=r"no stream is called 'arm'. Streams without times: action"):
        declare_rates(episode, rates_from(["arm=10"]))
    for word in ("0", "fast", "action=", "nan"):
        with pytest.raises(RateRefused, match=r"is no rate. Write a number of hertz"):
            rates_from([word])
    paced = declare_rates(episode, rates_from(["10"]))
    assert [s.clock.quality for s in paced.streams.values()] == ["synthesized", "declared by the user"]
