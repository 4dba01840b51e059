"""Writing robomimic HDF5: what h5py finds there, and what comes back."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import h5py
import numpy as np
import pytest

import makers.lerobot_v2
import makers.rlds
import makers.robomimic_hdf5
from robokata.core.clock import grid_clock, step_clock
from robokata.core.detection import open_source
from robokata.core.episode import Episode
from robokata.core.errors import DamagedData, UnknownName, WriteRefused
from robokata.core.layout import Way
from robokata.core.stream import Kind, Role, Stream
from robokata.core.values import ArrayValues
from robokata.formats import robomimic_hdf5
from robokata.media.images import RawImages
from robokata.testing import tiny_episode
from robokata.testing.tiny import CAMERA


def same_episode(before: Episode, after: Episode) -> None:
    assert list(after.streams) == list(before.streams)
    for name, stream in before.streams.items():
        back = after.stream(name)
        assert back.values.dtype == stream.values.dtype
        np.testing.assert_array_equal(back.values[:], stream.values[:])
        np.testing.assert_array_equal(back.clock.places, stream.clock.places)
        assert back.clock.quality == stream.clock.quality
        # Frames of a video are pictures of their own once they are decoded.
        kind = Kind.IMAGE if stream.is_picture else stream.kind
        assert (back.kind, back.role, back.channels) == (kind, stream.role, stream.channels)
    assert after.outcome == before.outcome
    assert after.origin == before.origin
    assert after.embodiment == before.embodiment
    assert after.instructions == before.instructions


def column(name: str, array: np.ndarray, role: Role = Role.SENSOR, rate_hz: Fraction | None = Fraction(50)) -> Stream:
    clock = step_clock(len(array)) if rate_hz is None else grid_clock(len(array), rate_hz)
    return Stream(name, Kind.TENSOR, role, clock, ArrayValues(array))


def small(*streams: Stream) -> Episode:
    return Episode("a", {stream.name: stream for stream in streams})


def test_two_rates_and_measured_times_come_back_from_one_file(tmp_path: Path) -> None:
    before = [tiny_episode(n, duration_s=1.0, split="val" if n else "train") for n in range(2)]
    robomimic_hdf5.write(tmp_path / "a.hdf5", before)
    source = open_source(tmp_path / "a.hdf5")
    assert list(source.keys()) == ["demo_0", "demo_1"]
    for number, episode in enumerate(before):
        same_episode(episode, source.episode(f"demo_{number}"))


def test_h5py_finds_the_demonstrations_where_robomimic_looks_for_them(tmp_path: Path) -> None:
    episodes = [tiny_episode(n, duration_s=1.0, split="val" if n else "train") for n in range(2)]
    robomimic_hdf5.write(tmp_path / "a.hdf5", episodes, anchor="action")
    with h5py.File(tmp_path / "a.hdf5") as file:
        assert file["data"].attrs["total"] == 100
        assert json.loads(file["data"].attrs["env_args"])["env_kwargs"] == {"control_freq": 50, "robots": ["tiny_arm"]}
        demo = file["data/demo_1"]
        assert demo.attrs["num_samples"] == 50
        assert json.loads(demo.attrs["ep_meta"]) == {"lang": "open the top drawer"}
        np.testing.assert_array_equal(demo["actions"][:], episodes[1].stream("action").table)
        np.testing.assert_array_equal(demo["obs/observation.state"][:], episodes[1].stream("observation.state").table)
        pictures = demo[f"obs/{CAMERA}"]
        assert pictures.shape == (50, 48, 64, 3)
        assert pictures.chunks == (1, 48, 64, 3)
        assert sorted(demo["obs"]) == [CAMERA, "observation.state"]
        assert [name.decode() for name in file["mask/train"]] == ["demo_0"]
        assert [name.decode() for name in file["mask/valid"]] == ["demo_1"]


def test_robomimics_own_file_comes_back_with_its_simulator_states_and_splits(tmp_path: Path) -> None:
    source = open_source(makers.robomimic_hdf5.make(tmp_path / "in", episodes=3, steps=12))
    episodes = list(map(source.episode, source.keys()))
    layout = robomimic_hdf5.layout(episodes[0])
    assert {place.way for place in layout.places} == {Way.COPIED}
    robomimic_hdf5.write(tmp_path / "out.hdf5", episodes)
    written = open_source(tmp_path / "out.hdf5")
    for before in episodes:
        after = written.episode(before.id)
        same_episode(before, after)
        assert after.extra == before.extra
    with h5py.File(tmp_path / "in" / "demo.hdf5") as old, h5py.File(tmp_path / "out.hdf5") as new:
        assert new["data"].attrs["env_args"] == old["data"].attrs["env_args"]
        assert new["data/demo_1"].attrs["model_file"] == old["data/demo_1"].attrs["model_file"]
        names: list[str] = []
        old["data/demo_1"].visit(names.append)
        for name in (name for name in names if isinstance(old[f"data/demo_1/{name}"], h5py.Dataset)):
            np.testing.assert_array_equal(new[f"data/demo_1/{name}"][:], old[f"data/demo_1/{name}"][:])
        np.testing.assert_array_equal(new["mask/valid"][:], old["mask/valid"][:])


def test_the_state_after_the_last_step_is_written_where_it_was(tmp_path: Path) -> None:
    streams = [
        column("actions", np.zeros((10, 2), np.float32), Role.ACTION),
        column("obs/joints", np.ones((10, 3)), Role.STATE),
        column("states", np.arange(22.0).reshape(11, 2)),
    ]
    robomimic_hdf5.write(tmp_path / "a.hdf5", [small(*streams)])
    with h5py.File(tmp_path / "a.hdf5") as file:
        assert file["data/demo_0/states"].shape == (11, 2)
    same_episode(small(*streams), open_source(tmp_path / "a.hdf5").episode("demo_0"))


def test_several_actions_stand_side_by_side_and_each_by_itself(tmp_path: Path) -> None:
    arm, hand = np.arange(20, dtype=np.float32).reshape(10, 2), np.arange(10, dtype=np.float64)
    episode = small(
        column("/arm/command", arm, Role.ACTION), column("hand", hand, Role.ACTION), column("q", arm, Role.STATE)
    )
    robomimic_hdf5.write(tmp_path / "a.hdf5", [episode])
    with h5py.File(tmp_path / "a.hdf5") as file:
        demo = file["data/demo_0"]
        np.testing.assert_array_equal(demo["actions"][:], np.column_stack([arm, hand]))
        np.testing.assert_array_equal(demo["action_dict/arm.command"][:], arm)
        np.testing.assert_array_equal(demo["action_dict/hand"][:], hand)
    same_episode(episode, open_source(tmp_path / "a.hdf5").episode("demo_0"))
    assert robomimic_hdf5.layout(episode).notes[1] == (
        "`actions` is /arm/command, hand side by side; each also stands in action_dict/"
    )


def test_reward_and_done_stand_where_robomimic_reads_them(tmp_path: Path) -> None:
    reward = np.linspace(0, 1, 10, dtype=np.float32).reshape(10, 1)
    episode = small(
        column("action", np.zeros((10, 2), np.float32), Role.ACTION),
        column("next.reward", reward, Role.REWARD),
        column("next.done", np.arange(10) == 9, Role.ENDING),
    )
    robomimic_hdf5.write(tmp_path / "a.hdf5", [episode])
    with h5py.File(tmp_path / "a.hdf5") as file:
        np.testing.assert_array_equal(file["data/demo_0/rewards"][:], reward[:, 0])
        assert file["data/demo_0/dones"].shape == (10,)
    same_episode(episode, open_source(tmp_path / "a.hdf5").episode("demo_0"))


def test_names_of_topics_become_one_level_and_never_leave_the_demonstration(tmp_path: Path) -> None:
    names = ["/imu/data", "imu.data", "../../data", "..", "robokata", "a\0b", "\ud800x"]
    streams = [column(name, np.full((5, 1), i, np.float32)) for i, name in enumerate(names)]
    episode = small(column("action", np.zeros((5, 2), np.float32), Role.ACTION), *streams)
    robomimic_hdf5.write(tmp_path / "a.hdf5", [episode])
    with h5py.File(tmp_path / "a.hdf5") as file:
        assert sorted(file["data"]) == ["demo_0"]
        assert sorted(file["data/demo_0/obs"]) == sorted(
            ["......data", "a.b", "imu.data", "imu.data_2", "robokata", "stream..", ".x"]
        )
    same_episode(episode, open_source(tmp_path / "a.hdf5").episode("demo_0"))


def test_encoded_pictures_are_decoded_and_video_too(tmp_path: Path) -> None:
    for name, maker in (("rlds", makers.rlds), ("lerobot_v2", makers.lerobot_v2)):
        source = open_source(maker.make(tmp_path / name, episodes=1, steps=8))
        episode = source.episode(source.keys()[0])
        ways = {
            place.way for place in robomimic_hdf5.layout(episode).places if episode.streams[place.stream].is_picture
        }
        assert ways == {Way.DECODED}
        out = tmp_path / f"{name}.hdf5"
        robomimic_hdf5.write(out, [episode])
        same_episode(episode, open_source(out).episode("demo_0"))


def test_pictures_that_stand_in_no_row_are_named_as_lost_and_the_others_keep_their_times(tmp_path: Path) -> None:
    before = tiny_episode(0, duration_s=1.0, camera_rate_hz=Fraction(100))
    place = robomimic_hdf5.layout(before, anchor="observation.state").of(CAMERA)
    assert place.way is Way.THINNED
    kept = len(place.appears_at if place.appears_at is not None else [])
    assert f"{100 - kept} of 100 pictures stand in no row" in place.note
    robomimic_hdf5.write(tmp_path / "a.hdf5", [before], anchor="observation.state")
    after = open_source(tmp_path / "a.hdf5").episode("demo_0")
    stream, back = before.stream(CAMERA), after.stream(CAMERA)
    assert len(back) == len(back.clock) == kept
    where = np.searchsorted(stream.clock.places, back.clock.places)
    np.testing.assert_array_equal(stream.clock.places[where], back.clock.places)
    np.testing.assert_array_equal(back.values[:], stream.values[where])
    assert len(list(back.pictures.luma(8))) == kept


def test_depth_without_a_channel_axis_comes_back_as_pictures(tmp_path: Path) -> None:
    depth = np.arange(5 * 6 * 7, dtype=np.uint16).reshape(5, 6, 7)
    stream = replace(column("d", depth, Role.CAMERA), kind=Kind.IMAGE, values=RawImages(ArrayValues(depth), where="d"))
    episode = small(column("action", np.zeros((5, 2), np.float32), Role.ACTION), stream)
    robomimic_hdf5.write(tmp_path / "a.hdf5", [episode])
    back = open_source(tmp_path / "a.hdf5").episode("demo_0").stream("d")
    np.testing.assert_array_equal(back.pictures[:], depth)


def test_a_rate_that_nobody_knows_is_not_declared(tmp_path: Path) -> None:
    action = column("action", np.zeros((5, 2), np.float32), Role.ACTION, rate_hz=None)
    robomimic_hdf5.write(tmp_path / "a.hdf5", [small(action)])
    robomimic_hdf5.write(tmp_path / "b.hdf5", [small(action)], rate_hz=Fraction(30000, 1001))
    with h5py.File(tmp_path / "a.hdf5") as file:
        assert json.loads(file["data"].attrs["env_args"]) == {"env_name": "", "type": None, "env_kwargs": {}}
    assert open_source(tmp_path / "b.hdf5").facts().declared_rate_hz == Fraction(30000, 1001)


def test_the_same_episodes_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        robomimic_hdf5.write(tmp_path / f"{name}.hdf5", [tiny_episode(n, duration_s=0.5) for n in range(2)])
    assert (tmp_path / "a.hdf5").read_bytes() == (tmp_path / "b.hdf5").read_bytes()


def test_a_path_without_an_ending_is_a_folder_of_one_file(tmp_path: Path) -> None:
    robomimic_hdf5.write(tmp_path / "out", [tiny_episode(0, duration_s=0.5)])
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["demo.hdf5"]
    assert list(open_source(tmp_path / "out").keys()) == ["demo/demo_0"]


def test_a_damaged_carried_part_costs_its_episode_only(tmp_path: Path) -> None:
    path = tmp_path / "a.hdf5"
    robomimic_hdf5.write(path, [tiny_episode(n, duration_s=0.5) for n in range(2)])
    with h5py.File(path, "r+") as file:
        file["data/demo_0/robokata"][10:40] = 255
        del file["data/demo_1/robokata"]
        file["data/demo_1/robokata"] = np.zeros((3, 2))
    source = robomimic_hdf5.read(path)
    with pytest.raises(DamagedData, match="what was carried beside the episode cannot be unpacked"):
        # What is carried is unpacked when a stream is touched.
        [stream.clock.places for stream in source.episode("demo_0").streams.values()]
    with pytest.raises(DamagedData) as caught:
        source.episode("demo_1")
    assert str(caught.value) == (
        f"{path}: 'data/demo_1/robokata': is float64 of shape (3, 2), not the bytes that were carried there."
    )


def test_a_carried_part_that_does_not_fit_its_rows_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.hdf5"
    robomimic_hdf5.write(path, [tiny_episode(n, duration_s=0.5 + n) for n in range(2)])
    with h5py.File(path, "r+") as file:
        del file["data/demo_0/robokata"]
        file["data/demo_0/robokata"] = file["data/demo_1/robokata"][:]
    with pytest.raises(DamagedData) as caught:
        robomimic_hdf5.read(path).episode("demo_0")
    assert str(caught.value) == (f"{path}: 'data/demo_0/robokata': {CAMERA} has 15 samples beside 45 carried times.")


def test_what_cannot_be_written_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.hdf5"
    with pytest.raises(WriteRefused) as caught:
        robomimic_hdf5.write(path, [Episode("7", {})])
    assert str(caught.value) == "episode 7 has no stream of numbers or pictures to make rows of."
    with pytest.raises(UnknownName, match="No stream of episode 0 is called 'actoin'"):
        robomimic_hdf5.write(path, [tiny_episode(0, duration_s=0.5)], anchor="actoin")
    assert list(tmp_path.iterdir()) == []
    robomimic_hdf5.write(path, [tiny_episode(0, duration_s=0.5)])
    with pytest.raises(WriteRefused) as caught:
        robomimic_hdf5.write(path, [tiny_episode(0, duration_s=0.5)])
    assert str(caught.value) == f"{path} exists and is not empty. Choose another target; nothing is ever overwritten."


def test_a_process_that_dies_while_writing_leaves_no_file(tmp_path: Path) -> None:
    code = (
        "import os, sys\nfrom pathlib import Path\nfrom robokata.formats import robomimic_hdf5\n"
        "from robokata.testing import tiny_episode\n"
        "def episodes():\n    yield tiny_episode(0, duration_s=0.5)\n    os._exit(9)\n"
        "robomimic_hdf5.write(Path(sys.argv[1]), episodes())\n"
    )
    path = tmp_path / "a.hdf5"
    assert subprocess.run([sys.executable, "-c", code, str(path)], check=False).returncode == 9
    assert not path.exists()
    robomimic_hdf5.write(path, [tiny_episode(0, duration_s=0.5)])
    assert [file.name for file in tmp_path.iterdir()] == ["a.hdf5"]
