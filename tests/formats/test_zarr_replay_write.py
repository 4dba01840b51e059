"""Writing replay buffers: what the zarr library finds there, and what comes back."""

from __future__ import annotations

import json
import subprocess
import sys
import tracemalloc
import warnings
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import imagecodecs.numcodecs
import numpy as np
import pytest
import zarr

import makers.lerobot_v3
import makers.rlds
import makers.zarr_replay
from robokata.core.clock import grid_clock
from robokata.core.detection import detect, open_source
from robokata.core.episode import Episode
from robokata.core.errors import DamagedData, RobokataError, UnknownName, WriteRefused
from robokata.core.layout import Way
from robokata.core.stream import Kind, Role, Stream
from robokata.core.values import ArrayValues, IndexedValues
from robokata.formats import zarr_replay
from robokata.formats._counters import Counting
from robokata.media.images import RawImages
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
    np.testing.assert_equal(after.extra, before.extra)


def column(name: str, array: np.ndarray, role: Role = Role.SENSOR) -> Stream:
    return Stream(name, Kind.TENSOR, role, grid_clock(len(array), Fraction(50)), ArrayValues(array))


def camera(name: str, count: int) -> Stream:
    pictures = np.stack([barcode_picture(3, i) for i in range(count)])
    values = RawImages(ArrayValues(pictures), where=name)
    return Stream(name, Kind.IMAGE, Role.CAMERA, grid_clock(count, Fraction(50)), values, encoding="raw")


def small(*streams: Stream, id: str = "a") -> Episode:
    return Episode(id, {stream.name: stream for stream in streams})


def umi(count: int = 5) -> Episode:
    numbers = np.arange(count * 3, dtype=np.float32).reshape(count, 3)
    names = ("robot0_eef_pos", "robot0_eef_rot_axis_angle")
    poses = [column(name, numbers, Role.STATE) for name in names]
    return small(*poses, column("robot0_gripper_width", numbers[:, :1], Role.STATE), camera("camera0_rgb", count))


def opened(path: Path) -> Any:
    store: Any = zarr.storage.ZipStore(path, mode="r") if path.is_file() else str(path)
    imagecodecs.numcodecs.register_codecs(verbose=False)
    return zarr.open_group(store, mode="r", zarr_format=2)


@pytest.mark.parametrize("name", ["out", "out.zarr.zip"])
def test_two_rates_and_measured_times_come_back(tmp_path: Path, name: str) -> None:
    counting = Counting()  # tiny episodes count rows as if all were as long as themselves
    before = [counting.own(tiny_episode(n, duration_s=1.0 + n / 10)) for n in range(3)]
    zarr_replay.write(tmp_path / name, before)
    assert detect(tmp_path / name) == "zarr_replay"
    source = open_source(tmp_path / name)
    assert list(source.keys()) == ["0", "1", "2"]
    assert [d for d in source.facts().declarations if not d.holds] == []
    for number, episode in enumerate(before):
        same_episode(episode, source.episode(str(number)))


@pytest.mark.parametrize("name", ["out", "out.zarr.zip"])
def test_the_zarr_library_finds_a_replay_buffer(tmp_path: Path, name: str) -> None:
    episodes = [tiny_episode(n, duration_s=1.0) for n in range(3)]
    zarr_replay.write(tmp_path / name, episodes, anchor="action")
    root = opened(tmp_path / name)
    assert root["meta"]["episode_ends"][:].tolist() == [50, 100, 150]
    assert sorted(root["meta"].array_keys()) == ["episode_ends"]
    # Diffusion Policy asserts this of every array.
    assert {array.shape[0] for _, array in root["data"].arrays()} == {150}
    for key in ("action", "observation.state"):
        expected = np.concatenate([episode.stream(key).table for episode in episodes])
        np.testing.assert_array_equal(root["data"][key][:], expected)
        assert root["data"][key].dtype == np.float32
    pictures = root["data"][CAMERA]
    assert (pictures.shape, pictures.chunks) == ((150, 48, 64, 3), (1, 48, 64, 3))
    own = [episode.stream(CAMERA).values[0] for episode in episodes]
    np.testing.assert_array_equal(np.stack([pictures[0], pictures[50], pictures[100]]), own)


def test_a_replay_buffer_comes_back_from_a_replay_buffer(tmp_path: Path) -> None:
    source = open_source(makers.zarr_replay.make(tmp_path / "in", episodes=3, steps=10))
    episodes = list(map(source.episode, source.keys()))
    assert {place.way for place in zarr_replay.layout(episodes[0]).places} == {Way.COPIED}
    zarr_replay.write(tmp_path / "out.zarr", episodes)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        old, new = opened(tmp_path / "in" / "pusht.zarr"), opened(tmp_path / "out.zarr")
        for key in ("data/img", "data/state", "data/action", "meta/episode_ends"):
            np.testing.assert_array_equal(new[key][:], old[key][:])
            assert new[key].dtype == old[key].dtype
    for before in episodes:
        same_episode(before, open_source(tmp_path / "out.zarr").episode(before.id))


def test_published_pusht_comes_back_bit_by_bit(shared_data: Path, tmp_path: Path) -> None:
    source = open_source(next((shared_data / "zarr-pusht-replay").rglob("*.zarr*")))
    episodes = [source.episode(key) for key in list(source.keys())[:2]]
    zarr_replay.write(tmp_path / "out.zarr.zip", episodes)
    for number, before in enumerate(episodes):
        same_episode(before, open_source(tmp_path / "out.zarr.zip").episode(str(number)))


def test_chunks_cross_episodes_and_the_last_one_is_filled_up(tmp_path: Path) -> None:
    wide = [column("x", np.random.default_rng(n).normal(size=(90, 1000))) for n in range(4)]
    zarr_replay.write(tmp_path / "out", [small(stream) for stream in wide])
    array = opened(tmp_path / "out")["data/x"]
    assert array.chunks == (131, 1000)
    np.testing.assert_array_equal(array[:], np.concatenate([stream.table for stream in wide]))
    assert sorted(file.name for file in (tmp_path / "out" / "data" / "x").iterdir()) == [
        ".zarray",
        "0.0",
        "1.0",
        "2.0",
    ]


def test_video_and_encoded_pictures_are_decoded(tmp_path: Path) -> None:
    for name, maker in (("rlds", makers.rlds), ("lerobot_v3", makers.lerobot_v3)):
        source = open_source(maker.make(tmp_path / name, episodes=2, steps=8))
        episodes = list(map(source.episode, source.keys()))
        ways = {p.way for p in zarr_replay.layout(episodes[0]).places if episodes[0].streams[p.stream].is_picture}
        assert ways == {Way.DECODED}
        out = tmp_path / f"{name}.zarr"
        zarr_replay.write(out, episodes)
        for number, before in enumerate(episodes):
            same_episode(before, open_source(out).episode(str(number)))


def test_umi_gets_its_names_as_lossless_jpeg_xl_in_a_zip(tmp_path: Path) -> None:
    path = tmp_path / "dataset.zarr.zip"
    zarr_replay.write(path, [umi(5), umi(7)], flavour="umi")
    root = opened(path)
    assert root["meta/episode_ends"][:].tolist() == [5, 12]
    pictures = root["data/camera0_rgb"]
    assert pictures.chunks == (1, 64, 64, 3)
    # UMI decodes with a codec class of its own, which takes these settings and none of the newer ones.
    with zipfile.ZipFile(path) as archive:
        said = json.loads(archive.read("data/camera0_rgb/.zarray"))["compressor"]
    assert said == {"id": "imagecodecs_jpegxl", "effort": 1, "lossless": True, "numthreads": 1}
    assert [read_barcode(pictures[i]).frame for i in (0, 4, 5, 11)] == [0, 4, 0, 6]
    np.testing.assert_array_equal(pictures[3], umi(5).stream("camera0_rgb").values[3])
    same_episode(umi(7), open_source(path).episode("1"))


def test_a_level_of_jpeg_xl_is_lossy_and_says_by_how_much(tmp_path: Path) -> None:
    episode = tiny_episode(0, duration_s=0.5)
    place = zarr_replay.layout(episode, picture_codec="jpegxl", jpegxl_level=90).of(CAMERA)
    assert (place.way, place.note) == (Way.REENCODED, "JPEG XL of level 90")
    assert place.psnr_db is not None
    assert 30 < place.psnr_db < 60
    zarr_replay.write(tmp_path / "out", [episode], picture_codec="jpegxl", jpegxl_level=90)
    back = open_source(tmp_path / "out").episode("0").stream(CAMERA)
    error = np.mean((back.values[:].astype(float) - episode.stream(CAMERA).values[:]) ** 2)
    assert abs(10 * np.log10(255**2 / error) - place.psnr_db) < 3
    lossless = zarr_replay.layout(episode, picture_codec="jpegxl").of(CAMERA)
    assert (lossless.way, lossless.note) == (Way.COPIED, "packed as lossless JPEG XL")


def test_depth_and_small_pictures_come_back_as_pictures(tmp_path: Path) -> None:
    depth, tiny = np.arange(5 * 6 * 7, dtype=np.uint16).reshape(5, 6, 7), np.ones((5, 4, 4, 3), np.uint8)
    streams = [
        Stream(n, Kind.IMAGE, Role.CAMERA, grid_clock(5, Fraction(9)), RawImages(ArrayValues(a), where=n))
        for n, a in (("depth", depth), ("tiny", tiny))
    ]
    for codec in ("blosc", "jpegxl"):
        zarr_replay.write(tmp_path / codec, [small(*streams)], picture_codec=codec)  # type: ignore[arg-type]  # a loop
        back = open_source(tmp_path / codec).episode("0")
        np.testing.assert_array_equal(back.stream("depth").pictures[:], depth)
        np.testing.assert_array_equal(back.stream("tiny").pictures[:], tiny)
        assert len(list(back.stream("tiny").pictures.luma(4))) == 5


def test_numbers_of_every_type_come_back(tmp_path: Path) -> None:
    kinds = ("?", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8", ">f4", ">i2")
    streams = [column(f"s{i}", np.arange(12).reshape(4, 3).astype(kind)) for i, kind in enumerate(kinds)]
    streams += [column("scalar", np.asarray([1, np.nan, np.inf, -0.0])), column("pose", np.ones((4, 4, 4)))]
    zarr_replay.write(tmp_path / "out", [small(*streams)])
    same_episode(
        replace(small(*streams), extra=open_source(tmp_path / "out").episode("0").extra),
        open_source(tmp_path / "out").episode("0"),
    )
    assert opened(tmp_path / "out")["data/s12"][:].tolist() == np.arange(12).reshape(4, 3).tolist()


def test_names_of_topics_become_arrays_and_never_leave_the_store(tmp_path: Path) -> None:
    names = ["/imu/data", "imu.data", "../../x", ".zgroup", "..", "a\0b", "zarr.json", "n" * 300]
    streams = [column(name, np.full((5, 1), i, np.float32)) for i, name in enumerate(names)]
    episode = small(column("/cmd", np.zeros((5, 2)), Role.ACTION), *streams)
    assert zarr_replay.layout(episode).of("/cmd").note == "written as action"
    zarr_replay.write(tmp_path / "out", [episode])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"]
    same_episode(episode, open_source(tmp_path / "out").episode("0"))


def test_the_same_episodes_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a.zip", "b.zip"):
        zarr_replay.write(tmp_path / name, [tiny_episode(n, duration_s=1.0) for n in range(2)])
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


def test_memory_stays_that_of_one_episode(tmp_path: Path) -> None:
    def made(index: int) -> np.ndarray:
        return np.full((240, 320, 3), index, np.uint8)

    def episodes() -> Iterator[Episode]:
        for number in range(6):
            values = RawImages(IndexedValues((200, 240, 320, 3), np.uint8, made), where="cam")
            yield small(Stream("cam", Kind.IMAGE, Role.CAMERA, grid_clock(200, Fraction(30)), values), id=str(number))

    tracemalloc.start()
    zarr_replay.write(tmp_path / "out.zip", episodes())
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # 276 MB of pictures in all, 46 MB per episode; a block is 32 MB, and is gathered once.
    assert peak_bytes < 120e6


def test_episodes_of_other_streams_shapes_and_types_are_refused_with_the_way_out(tmp_path: Path) -> None:
    first = small(column("x", np.zeros((5, 2), np.float32)), column("y", np.zeros((5, 1))), id="1")
    other = small(column("x", np.zeros((5, 2), np.float32)), column("z", np.zeros((5, 1))), id="2")
    wider = small(column("x", np.zeros((5, 3), np.float32)), column("y", np.zeros((5, 1))), id="3")
    double = small(column("x", np.zeros((5, 2))), column("y", np.zeros((5, 1))), id="4")
    way_out = "Convert each kind to a buffer of its own (--where, --episode)."
    expected = {
        "2": "episode 2 lacks y and has also z, beside episode 1: a replay buffer has one length, so every episode "
        "needs the same streams. Convert the episodes that share their streams (--where, --episode), each kind to a "
        "buffer of its own.",
        "3": "episode 3: x is float32 [3] per row, but float32 [2] in episode 1: an array has one type and one shape. "
        + way_out,
        "4": "episode 4: x is float64 [2] per row, but float32 [2] in episode 1: an array has one type and one shape. "
        + way_out,
    }
    for episode in (other, wider, double):
        with pytest.raises(WriteRefused) as caught:
            zarr_replay.write(tmp_path / "out", [first, episode])
        assert str(caught.value) == expected[episode.id]
        assert list(tmp_path.iterdir()) == []


def test_options_that_make_no_sense_are_refused(tmp_path: Path) -> None:
    episode: Any = tiny_episode(0, duration_s=0.5)
    refusals: dict[str, dict[str, Any]] = {
        "episode 0 has no stream called robot0_eef_pos, robot0_eef_rot_axis_angle, robot0_gripper_width, camera0_rgb, "
        "and UMI's training reads it. Rename the streams that are these, or write flavour='diffusion_policy' (--option "
        "flavour=diffusion_policy).": {"flavour": "umi"},
        "flavour='act' is none of diffusion_policy, umi.": {"flavour": "act"},
        "picture_codec='png' is none of blosc, jpegxl.": {"picture_codec": "png"},
        "jpegxl_level= is for JPEG XL. Say picture_codec='jpegxl' too (--option picture_codec=jpegxl).": {
            "jpegxl_level": 99
        },
        "jpegxl_level=101 lies outside of 0 (worst) to 100 (best).": {"picture_codec": "jpegxl", "jpegxl_level": 101},
    }
    for message, options in refusals.items():
        with pytest.raises(WriteRefused) as caught:
            zarr_replay.write(tmp_path / "out", [episode], **options)
        assert str(caught.value) == message
    with pytest.raises(UnknownName, match="No stream of episode 0 is called 'cam'"):
        zarr_replay.write(tmp_path / "out", [episode], anchor="cam")
    assert list(tmp_path.iterdir()) == []
    zarr_replay.write(tmp_path / "out", [episode])
    with pytest.raises(WriteRefused, match="exists and is not empty"):
        zarr_replay.write(tmp_path / "out", [episode])


def test_no_episodes_are_an_empty_buffer(tmp_path: Path) -> None:
    zarr_replay.write(tmp_path / "out", [])
    assert opened(tmp_path / "out")["meta/episode_ends"].shape == (0,)
    assert list(open_source(tmp_path / "out").keys()) == []


def test_a_damaged_carried_part_costs_the_episodes_that_lie_in_it(tmp_path: Path) -> None:
    zarr_replay.write(tmp_path / "out", [tiny_episode(n, duration_s=0.5) for n in range(2)])
    ends = tmp_path / "out" / "robokata" / "ends" / "0"
    good = ends.read_bytes()
    numbers = np.frombuffer(good, "<i8").copy()
    numbers[1] = 10**9
    ends.write_bytes(numbers.tobytes())
    source = zarr_replay.read(tmp_path / "out")
    assert len(source.episode("0").streams) == 6
    with pytest.raises(DamagedData) as caught:
        source.episode("1")
    assert str(caught.value) == (
        f"{tmp_path}/out/robokata/ends: gives episode 1 the bytes {numbers[0]} to 1000000000, which do not exist."
    )
    ends.write_bytes(good)
    pages = tmp_path / "out" / "robokata" / "pages" / "0.0"
    pages.write_bytes(pages.read_bytes()[:50])
    with pytest.raises(RobokataError, match="the chunk cannot be decoded by blosc"):
        zarr_replay.read(tmp_path / "out").episode("0")


def test_a_process_that_dies_while_writing_leaves_nothing(tmp_path: Path) -> None:
    code = (
        "import os, sys\nfrom pathlib import Path\nfrom robokata.formats import zarr_replay\n"
        "from robokata.testing import tiny_episode\n"
        "def episodes():\n    yield tiny_episode(0, duration_s=0.5)\n    os._exit(9)\n"
        "zarr_replay.write(Path(sys.argv[1]), episodes())\n"
    )
    for path in (tmp_path / "out", tmp_path / "out.zarr.zip"):
        assert subprocess.run([sys.executable, "-c", code, str(path)], check=False).returncode == 9
        assert not path.exists()
        zarr_replay.write(path, [tiny_episode(0, duration_s=0.5)])
    assert sorted(file.name for file in tmp_path.iterdir()) == ["out", "out.zarr.zip"]
