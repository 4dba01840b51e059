"""Writing ACT / ALOHA files: what h5py finds there, and what comes back."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import h5py
import numpy as np
import pytest
import simplejpeg

import makers.aloha_hdf5
import makers.rlds
from robokata.core.clock import grid_clock
from robokata.core.detection import detect, open_source
from robokata.core.episode import Episode, Instruction
from robokata.core.errors import DamagedData, UnknownName, WriteRefused
from robokata.core.layout import Way
from robokata.core.stream import Kind, Role, Stream
from robokata.core.values import ArrayValues
from robokata.formats import aloha_hdf5
from robokata.media.images import EncodedImages, RawImages
from robokata.testing import barcode_picture, read_barcode, tiny_episode
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
    assert after.instructions == before.instructions


def column(name: str, array: np.ndarray, role: Role) -> Stream:
    return Stream(name, Kind.TENSOR, role, grid_clock(len(array), Fraction(50)), ArrayValues(array))


def camera(name: str, pictures: Sequence[bytes]) -> Stream:
    images = EncodedImages(len(pictures), lambda index: pictures[index], where=name)
    return Stream(name, Kind.IMAGE, Role.CAMERA, grid_clock(len(pictures), Fraction(50)), images, encoding="jpeg")


def jpegs(count: int, *, quality: int = 90) -> list[bytes]:
    return [simplejpeg.encode_jpeg(barcode_picture(0, i), quality=quality) for i in range(count)]


def small(*streams: Stream) -> Episode:
    return Episode("a", {stream.name: stream for stream in streams})


ACTION = column("action", np.zeros((5, 2), np.float32), Role.ACTION)
STATE = column("state", np.ones((5, 2), np.float32), Role.STATE)


def test_two_rates_and_measured_times_come_back_from_a_folder(tmp_path: Path) -> None:
    before = [tiny_episode(n, duration_s=1.0) for n in range(2)]
    aloha_hdf5.write(tmp_path / "out", before)
    source = open_source(tmp_path / "out")
    assert list(source.keys()) == ["episode_0", "episode_1"]
    for number, episode in enumerate(before):
        same_episode(episode, source.episode(f"episode_{number}"))


def test_h5py_finds_what_act_reads(tmp_path: Path) -> None:
    episode = tiny_episode(0, duration_s=1.0)
    aloha_hdf5.write(tmp_path / "out", [episode], anchor="action")
    with h5py.File(tmp_path / "out" / "episode_0.hdf5") as file:
        assert not file.attrs["sim"]
        assert not file.attrs["compress"]
        assert file.attrs["language_instruction"] == "pick up the red block and place it in the bowl"
        np.testing.assert_array_equal(file["action"][:], episode.stream("action").table)
        np.testing.assert_array_equal(file["observations/qpos"][:], episode.stream("observation.state").table)
        pictures = file[f"observations/images/{CAMERA}"]
        assert (pictures.shape, pictures.chunks, pictures.dtype) == ((50, 48, 64, 3), (1, 48, 64, 3), np.uint8)
        assert sorted(file) == ["action", "observations", "robokata"]


def test_alohas_own_files_come_back_with_every_byte_of_their_jpegs(tmp_path: Path) -> None:
    source = open_source(makers.aloha_hdf5.make(tmp_path / "in", episodes=2, steps=9))
    episodes = list(map(source.episode, source.keys()))
    assert {place.way for episode in episodes for place in aloha_hdf5.layout(episode).places} == {Way.COPIED}
    aloha_hdf5.write(tmp_path / "out", episodes)
    written = open_source(tmp_path / "out")
    for number, before in enumerate(episodes):
        after = written.episode(f"episode_{number}")
        same_episode(before, after)
        np.testing.assert_equal(after.extra, before.extra)
        for stream in before.pictures():
            for index in range(len(stream)):
                assert after.stream(stream.name).pictures.encoded(index) == stream.pictures.encoded(index)


def test_jpegs_are_copied_and_padded_to_the_longest_as_the_recorder_does(tmp_path: Path) -> None:
    pictures = {"left": jpegs(5, quality=50), "right": jpegs(5, quality=95)}
    episode = small(ACTION, STATE, *(camera(name, data) for name, data in pictures.items()))
    aloha_hdf5.write(tmp_path / "out", [episode])
    with h5py.File(tmp_path / "out" / "episode_0.hdf5") as file:
        assert file.attrs["compress"]
        for row, (name, data) in enumerate(pictures.items()):
            lengths = file["compress_len"][row].astype(int)
            assert lengths.tolist() == [len(picture) for picture in data]
            stored = file[f"observations/images/{name}"]
            assert stored.shape == (5, max(lengths))
            assert [stored[i, :n].tobytes() for i, n in enumerate(lengths)] == data
            assert not any(stored[i, n:].any() for i, n in enumerate(lengths))
    after = open_source(tmp_path / "out").episode("episode_0")
    assert [after.stream("left").pictures.encoded(i).data for i in range(5)] == pictures["left"]  # type: ignore[union-attr]  # a JPEG has bytes


def test_one_raw_camera_makes_all_cameras_raw_because_the_file_says_it_once(tmp_path: Path) -> None:
    raw = np.stack([barcode_picture(1, i) for i in range(5)])
    right = Stream(
        "right",
        Kind.IMAGE,
        Role.CAMERA,
        grid_clock(5, Fraction(50)),
        RawImages(ArrayValues(raw), where="right"),
        encoding="raw",
    )
    episode = small(ACTION, STATE, camera("left", jpegs(5)), right)
    layout = aloha_hdf5.layout(episode)
    assert (layout.of("left").way, layout.of("right").way) == (Way.DECODED, Way.COPIED)
    assert layout.of("left").note == "jpeg decoded to raw pixels"
    aloha_hdf5.write(tmp_path / "out", [episode])
    with h5py.File(tmp_path / "out" / "episode_0.hdf5") as file:
        assert not file.attrs["compress"]
        assert file["observations/images/left"].shape == (5, 64, 64, 3)
    same_episode(episode, open_source(tmp_path / "out").episode("episode_0"))


def test_raw_pixels_packed_as_jpeg_are_lossy_and_say_by_how_much(tmp_path: Path) -> None:
    episode = tiny_episode(0, duration_s=0.5)
    place = aloha_hdf5.layout(episode, pictures="jpeg").of(CAMERA)
    assert place.way is Way.REENCODED
    assert place.way.is_lossy
    assert place.psnr_db is not None
    assert 30 < place.psnr_db < 60
    worse = aloha_hdf5.layout(episode, pictures="jpeg", jpeg_quality=50).of(CAMERA).psnr_db
    assert worse is not None
    assert worse < place.psnr_db
    aloha_hdf5.write(tmp_path / "out", [episode], pictures="jpeg")
    back = open_source(tmp_path / "out").episode("episode_0").stream(CAMERA)
    error = np.mean((back.values[:].astype(float) - episode.stream(CAMERA).values[:]) ** 2)
    assert abs(10 * np.log10(255**2 / error) - place.psnr_db) < 3


def test_png_is_copied_and_raw_can_be_asked_for(tmp_path: Path) -> None:
    source = open_source(makers.rlds.make(tmp_path / "in", episodes=1, steps=6))
    episode = source.episode(source.keys()[0])
    name = next(episode.pictures()).name
    for wanted, way in (("copy", Way.COPIED), ("raw", Way.DECODED)):
        assert aloha_hdf5.layout(episode, pictures=wanted).of(name).way is way  # type: ignore[arg-type]  # from a loop
        aloha_hdf5.write(tmp_path / wanted, [episode], pictures=wanted)  # type: ignore[arg-type]  # from a loop
        same_episode(episode, open_source(tmp_path / wanted).episode("episode_0"))


def test_positions_velocities_and_efforts_are_told_apart_by_their_names(tmp_path: Path) -> None:
    names = {"/joint_states/velocity": "qvel", "/joint_states/position": "qpos", "/joint_states/effort": "effort"}
    streams = [column(name, np.full((5, 3), i, np.float64), Role.STATE) for i, name in enumerate(names)]
    episode = small(ACTION, *streams, column("base_velocity", np.ones((5, 2)), Role.ACTION))
    aloha_hdf5.write(tmp_path / "out", [episode])
    with h5py.File(tmp_path / "out" / "episode_0.hdf5") as file:
        for stream, short in zip(streams, names.values(), strict=True):
            np.testing.assert_array_equal(file[f"observations/{short}"][:], stream.table)
        assert file["base_action"].shape == (5, 2)
        assert file["action"].shape == (5, 2)
    same_episode(episode, open_source(tmp_path / "out").episode("episode_0"))


def test_the_caller_says_which_stream_is_action_and_state(tmp_path: Path) -> None:
    episode = small(
        column("x", np.ones(5, np.float32), Role.UNKNOWN),
        column("y", np.zeros((5, 2, 2)), Role.UNKNOWN),
        ACTION,
    )
    aloha_hdf5.write(tmp_path / "out", [episode], action="x", state="y", anchor="x")
    with h5py.File(tmp_path / "out" / "episode_0.hdf5") as file:
        assert file["action"].shape == (5, 1)
        assert file["observations/qpos"].shape == (5, 4)
    same_episode(episode, open_source(tmp_path / "out").episode("episode_0"))


def test_two_arms_stand_side_by_side_in_one_action(tmp_path: Path) -> None:
    left, right = (column(n, np.full((5, 2), i, np.float32), Role.ACTION) for i, n in enumerate(("left", "right")))
    episode = small(left, right, STATE)
    assert aloha_hdf5.layout(episode).of("right").target == "action[2:4]"
    aloha_hdf5.write(tmp_path / "out", [episode])
    with h5py.File(tmp_path / "out" / "episode_0.hdf5") as file:
        np.testing.assert_array_equal(file["action"][:], np.column_stack([left.table, right.table]))
    same_episode(episode, open_source(tmp_path / "out").episode("episode_0"))


def test_an_episode_without_action_is_written_recognised_and_told(tmp_path: Path) -> None:
    episode = small(column("imu", np.ones((5, 3)), Role.UNKNOWN))
    notes = aloha_hdf5.layout(episode).notes
    assert (
        "no stream is an action: ACT cannot train on the files. Name one with action= (--option action=NAME)" in notes
    )
    aloha_hdf5.write(tmp_path / "out", [episode])
    assert detect(tmp_path / "out") == "aloha_hdf5"
    same_episode(episode, open_source(tmp_path / "out").episode("episode_0"))


def test_names_never_leave_their_group_nor_take_a_place_that_act_reads(tmp_path: Path) -> None:
    names = ["../x", "images", "qpos", "/observations/qpos", "a\0b"]
    streams = [column(name, np.full((5, 1), i, np.float32), Role.SENSOR) for i, name in enumerate(names)]
    odd = [column(name, np.ones((5, 1)), Role.UNKNOWN) for name in ("observations", "task", "compress_len")]
    episode = small(ACTION, STATE, *streams, *odd)
    aloha_hdf5.write(tmp_path / "out", [episode])
    same_episode(episode, open_source(tmp_path / "out").episode("episode_0"))
    with h5py.File(tmp_path / "out" / "episode_0.hdf5") as file:
        np.testing.assert_array_equal(file["observations/qpos"][:], STATE.table)
        assert isinstance(file["observations"], h5py.Group)


def test_several_sentences_are_all_kept(tmp_path: Path) -> None:
    told = (Instruction("pick it", source="task"), Instruction("", source="task"))
    episode = replace(small(ACTION, STATE), instructions=told)
    aloha_hdf5.write(tmp_path / "out", [episode])
    with h5py.File(tmp_path / "out" / "episode_0.hdf5") as file:
        assert list(file.attrs["language_instruction"]) == ["pick it", ""]
    assert open_source(tmp_path / "out").episode("episode_0").instructions == told


def test_the_same_episodes_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        aloha_hdf5.write(tmp_path / name, [tiny_episode(0, duration_s=0.5)], pictures="jpeg")
    first, second = ((tmp_path / name / "episode_0.hdf5").read_bytes() for name in ("a", "b"))
    assert first == second


def test_a_damaged_carried_part_costs_its_episode_only(tmp_path: Path) -> None:
    aloha_hdf5.write(tmp_path / "out", [tiny_episode(n, duration_s=0.5) for n in range(2)])
    with h5py.File(tmp_path / "out" / "episode_0.hdf5", "r+") as file:
        file["robokata"][:] = 0
    source = aloha_hdf5.read(tmp_path / "out")
    with pytest.raises(DamagedData) as caught:
        source.episode("episode_0")
    assert str(caught.value) == (
        f"{tmp_path}/out/episode_0.hdf5: 'robokata': what was carried beside the episode cannot be unpacked: "
        "File is not a zip file."
    )
    assert len(source.episode("episode_1").streams) == 6


def test_what_cannot_be_written_is_refused(tmp_path: Path) -> None:
    out = tmp_path / "out"
    short = [data + b"\0" for data in jpegs(5)]
    depth = Stream(
        "depth",
        Kind.IMAGE,
        Role.CAMERA,
        ACTION.clock,
        RawImages(ArrayValues(np.zeros((5, 9, 9, 1), np.uint16)), where="depth"),
    )
    refusals = [
        (lambda: aloha_hdf5.write(out, []), f"{out}: no episodes were given, and ALOHA has no file that says so."),
        (
            lambda: aloha_hdf5.write(tmp_path / "a.hdf5", []),
            f"{tmp_path}/a.hdf5: ALOHA keeps each episode in a file of its own. Name a folder, not a file.",
        ),
        (
            lambda: aloha_hdf5.write(out, [small(ACTION, camera("left", short))]),
            "stream left: picture 0 ends in zeros, and ALOHA pads with zeros, so its end would be lost. Write pixels "
            "with pictures='raw' (--option pictures=raw).",
        ),
        (
            lambda: aloha_hdf5.write(out, [small(ACTION, depth)], pictures="jpeg"),
            "stream depth: pictures of uint16 (9, 9, 1) cannot be JPEG, which holds 8-bit grey or RGB. Write them with "
            "pictures='raw' (--option pictures=raw).",
        ),
        (
            lambda: aloha_hdf5.layout(small(ACTION), pictures="png"),  # type: ignore[arg-type]  # that is the point
            "pictures='png' is none of copy, raw, jpeg.",
        ),
    ]
    for attempt, message in refusals:
        with pytest.raises(WriteRefused) as caught:
            attempt()
        assert str(caught.value) == message
        assert list(tmp_path.iterdir()) == []
    with pytest.raises(UnknownName, match="No stream of episode a is called 'q'"):
        aloha_hdf5.write(out, [small(ACTION)], state="q")
    aloha_hdf5.write(out, [small(ACTION)])
    with pytest.raises(WriteRefused, match="exists and is not empty"):
        aloha_hdf5.write(out, [small(ACTION)])


def test_a_process_that_dies_while_writing_leaves_no_folder(tmp_path: Path) -> None:
    code = (
        "import os, sys\nfrom pathlib import Path\nfrom robokata.formats import aloha_hdf5\n"
        "from robokata.testing import tiny_episode\n"
        "def episodes():\n    yield tiny_episode(0, duration_s=0.5)\n    os._exit(9)\n"
        "aloha_hdf5.write(Path(sys.argv[1]), episodes())\n"
    )
    path = tmp_path / "out"
    assert subprocess.run([sys.executable, "-c", code, str(path)], check=False).returncode == 9
    assert not path.exists()
    aloha_hdf5.write(path, [tiny_episode(0, duration_s=0.5)])
    assert [file.name for file in tmp_path.iterdir()] == ["out"]


def test_the_pictures_say_which_frames_they_are(tmp_path: Path) -> None:
    aloha_hdf5.write(tmp_path / "out", [small(ACTION, STATE, camera("left", jpegs(5)))])
    back = open_source(tmp_path / "out").episode("episode_0").stream("left")
    assert [read_barcode(picture).frame for picture in back.values[:]] == [0, 1, 2, 3, 4]
