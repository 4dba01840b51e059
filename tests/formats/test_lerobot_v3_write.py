"""Writing LeRobot v3.0: what goes in comes out, packets are copied, and what cannot be held is refused."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from io import BytesIO
from pathlib import Path

import av
import numpy as np
import pyarrow.parquet as pq
import pytest
import simplejpeg

from formats._lerobot_written import (
    CAMERA,
    all_episodes,
    assert_same,
    barcode_episode,
    broken,
    encoded_episode,
    packed_episodes,
    packets_of,
    shown_by_ffmpeg,
)
from makers import lerobot_v2 as v2_maker
from makers import lerobot_v3 as maker
from robokata.conversion.convert import convert, plan_conversion
from robokata.core.clock import grid_clock, measured_clock
from robokata.core.episode import Episode, Instruction
from robokata.core.errors import DamagedData, WriteRefused
from robokata.core.layout import Way
from robokata.core.source import EpisodeList
from robokata.core.stream import Kind, Role, Stream
from robokata.core.values import ArrayValues
from robokata.formats import lerobot_v2, lerobot_v3
from robokata.media.images import RawImages
from robokata.testing import Barcode, barcode_picture, read_barcode, tiny_episode


def test_measured_clocks_and_several_rates_come_back_to_the_bit(tmp_path: Path) -> None:
    episodes = [tiny_episode(n, duration_s=2 + n) for n in range(3)]
    assert not any(place.way.is_lossy for place in lerobot_v3.layout(episodes[0]).places)
    lerobot_v3.write(tmp_path / "out", episodes)
    source = lerobot_v3.read(tmp_path / "out")
    assert list(source.keys()) == ["0", "1", "2"]
    assert broken(source) == {}
    for wrote, read in zip(episodes, all_episodes(source), strict=True):
        assert_same(read, wrote)


def test_the_loss_report_says_how_old_samples_get(tmp_path: Path) -> None:
    layout = lerobot_v3.layout(tiny_episode(0, is_measured=False))
    state, camera = layout.of("observation.state"), layout.of(CAMERA)
    assert (state.way, state.is_native) == (Way.RESAMPLED, False)
    assert state.note == "50 Hz onto 30 Hz rows, samples up to 13.3 ms old; original carried"
    assert (camera.way, camera.note) == (Way.DECODED, "every pixel as PNG, in the table")
    assert layout.of("index").way is Way.CARRIED
    assert layout.notes[0] == "Rows are the samples of observation.images.front; their times become frame_index / 30."


def test_a_lerobot_dataset_keeps_names_types_and_every_packet(tmp_path: Path) -> None:
    source = lerobot_v3.read(maker.make(tmp_path, episodes=5, steps=40))
    ways = {loss.stream: loss.way for loss in plan_conversion(source, "lerobot_v3").losses}
    assert {name: way for name, way in ways.items() if way is not Way.COPIED} == dict.fromkeys(
        ("episode_index", "index", "task_index"), Way.CARRIED
    )
    convert(source, tmp_path / "out", "lerobot_v3")
    back = lerobot_v3.read(tmp_path / "out")
    assert broken(back) == {}
    for wrote, read in zip(all_episodes(source), all_episodes(back), strict=True):
        assert_same(read, wrote)
    video = "videos/observation.images.front/chunk-000/file-00{}.mp4"
    assert packets_of([tmp_path / "out" / video.format(0)]) == packets_of([source.path / video.format(3)])
    assert shown_by_ffmpeg(tmp_path / "out" / video.format(0)) == [Barcode(n, f) for n in range(5) for f in range(40)]


def test_there_and_back_through_v2_is_exact_in_a_thousand_random_accesses(tmp_path: Path) -> None:
    source = lerobot_v3.read(maker.make(tmp_path, episodes=4, steps=37))
    convert(source, tmp_path / "v2", "lerobot_v2")
    convert(lerobot_v2.read(tmp_path / "v2"), tmp_path / "v3", "lerobot_v3")
    back = lerobot_v3.read(tmp_path / "v3")
    assert broken(back) == {}
    episodes, rng = all_episodes(back), np.random.default_rng(0)
    for wrote, read in zip(all_episodes(source), episodes, strict=True):
        assert_same(read, wrote)
    for _ in range(1000):
        n, frame, camera = int(rng.integers(4)), int(rng.integers(37)), ("front", "wrist")[rng.integers(2)]
        assert read_barcode(episodes[n].stream(f"observation.images.{camera}").values[frame]) == (n, frame)


@pytest.mark.parametrize("gop", [2, 12])
def test_videos_of_single_episodes_join_without_changing_a_packet(tmp_path: Path, gop: int) -> None:
    source = lerobot_v2.read(v2_maker.make(tmp_path, episodes=4, steps=23))
    convert(source, tmp_path / "out", "lerobot_v3")
    files = sorted((source.path / "videos").rglob("*front/*.mp4"))
    joined = tmp_path / "out/videos/observation.images.front/chunk-000/file-000.mp4"
    assert packets_of([joined]) == packets_of(files)
    assert shown_by_ffmpeg(joined) == [Barcode(n, f) for n in range(4) for f in range(23)]
    rows = pq.read_table(tmp_path / "out/meta/episodes/chunk-000/file-000.parquet").to_pylist()
    assert [row["videos/observation.images.front/from_timestamp"] for row in rows] == [n * 23 / 30 for n in range(4)]


@pytest.mark.parametrize(("codec", "gop"), [("libx264", 2), ("libx264", 12), ("libsvtav1", 2), ("libsvtav1", 15)])
def test_a_part_of_a_packed_dataset_is_cut_to_the_frame(tmp_path: Path, codec: str, gop: int) -> None:
    episodes = packed_episodes(tmp_path / "packed.mp4", [13, 1, 28, 9, 30], codec=codec, gop=gop)
    chosen = [episodes[n] for n in (1, 2, 4)]
    layout = lerobot_v3.layout(chosen[0])
    assert layout.of(CAMERA).way is Way.COPIED
    lerobot_v3.write(tmp_path / "out", chosen)
    for wrote, read in zip(chosen, all_episodes(lerobot_v3.read(tmp_path / "out")), strict=True):
        codes = [read_barcode(picture) for picture in read.stream(CAMERA).values[:]]
        assert codes == [Barcode(int(wrote.id), frame) for frame in range(len(wrote.stream(CAMERA)))]
        np.testing.assert_array_equal(read.stream(CAMERA).values[:], wrote.stream(CAMERA).values[:])
    (file,) = (tmp_path / "out/videos").rglob("*.mp4")
    assert set(packets_of([file])) <= set(packets_of([tmp_path / "packed.mp4"]))


def test_videos_of_other_parameters_start_a_new_file(tmp_path: Path) -> None:
    episodes = [
        *packed_episodes(tmp_path / "a.mp4", [10, 11]),
        *packed_episodes(tmp_path / "b.mp4", [12], codec="libsvtav1"),
        *packed_episodes(tmp_path / "c.mp4", [6]),
    ]
    lerobot_v3.write(tmp_path / "out", [replace(e, id=str(n)) for n, e in enumerate(episodes)])
    back = all_episodes(lerobot_v3.read(tmp_path / "out"))
    assert len(list((tmp_path / "out/videos").rglob("*.mp4"))) == 3
    for wrote, read in zip(episodes, back, strict=True):
        np.testing.assert_array_equal(read.stream(CAMERA).values[:], wrote.stream(CAMERA).values[:])


def test_encoded_pictures_keep_their_bytes(tmp_path: Path) -> None:
    jpegs = [simplejpeg.encode_jpeg(barcode_picture(0, frame), quality=90) for frame in range(7)]
    episode = encoded_episode(jpegs)
    assert lerobot_v3.layout(episode).of(CAMERA).way is Way.COPIED
    lerobot_v3.write(tmp_path / "out", [episode])
    camera = lerobot_v3.read(tmp_path / "out").episode("0").stream(CAMERA)
    assert [camera.pictures.encoded(n).data for n in range(7)] == jpegs  # type: ignore[union-attr]
    table = pq.read_table(tmp_path / "out/data/chunk-000/file-000.parquet")
    assert table.column(CAMERA)[3].as_py() == {"bytes": jpegs[3], "path": "frame_000003.jpg"}
    stored = json.loads(table.schema.metadata[b"huggingface"])["info"]["features"]
    assert stored[CAMERA] == {"_type": "Image"}


def test_pictures_as_video_are_lossy_and_say_how_much(tmp_path: Path) -> None:
    episodes = [barcode_episode(n, 20 + n) for n in range(3)]
    place = lerobot_v3.layout(episodes[0], pictures="video", codec="libx264", gop=12, crf=23).of(CAMERA)
    assert place.way is Way.REENCODED
    assert place.way.is_lossy
    assert place.psnr_db is not None
    assert 25 < place.psnr_db < 70
    lerobot_v3.write(tmp_path / "out", episodes, pictures="video", codec="libx264", gop=12, crf=23)
    for n, episode in enumerate(all_episodes(lerobot_v3.read(tmp_path / "out"))):
        codes = [read_barcode(picture) for picture in episode.stream(CAMERA).values[:]]
        assert codes == [Barcode(n, frame) for frame in range(20 + n)]


def test_a_camera_that_is_faster_than_the_rows_is_thinned_and_keeps_the_clock_of_what_is_left(tmp_path: Path) -> None:
    episode = tiny_episode(0, duration_s=2)
    slow = Stream(
        "action", Kind.TENSOR, Role.ACTION, grid_clock(20, Fraction(10), start_ns=episode.start_ns),
        ArrayValues(np.arange(20.0)),
    )  # fmt: skip
    layout = lerobot_v3.layout(episode.with_stream(slow), anchor="action", rate_hz=Fraction(10))
    assert layout.of(CAMERA).way is Way.THINNED
    assert "pictures stand in no row" in layout.of(CAMERA).note
    lerobot_v3.write(tmp_path / "out", [episode.with_stream(slow)], anchor="action", rate_hz=Fraction(10))
    camera = lerobot_v3.read(tmp_path / "out").episode("0").stream(CAMERA)
    source = episode.stream(CAMERA)
    kept = np.searchsorted(source.clock.times_ns, camera.clock.times_ns)
    assert 15 <= len(camera) == len(camera.clock) <= 20
    np.testing.assert_array_equal(camera.values[:], source.values[kept])


def test_every_type_and_shape_of_numbers_comes_back(tmp_path: Path) -> None:
    rng, clock = np.random.default_rng(0), grid_clock(9, Fraction(20))
    arrays = {
        "observation.scalar": rng.normal(size=9),
        "observation.one": rng.normal(size=(9, 1)).astype(np.float32),
        "observation.grid": rng.integers(0, 255, (9, 4, 5)).astype(np.uint8),
        "observation.cube": rng.normal(size=(9, 2, 3, 4)),
        "observation.flags": rng.random((9, 3)) > 0.5,
        "observation.half": rng.normal(size=(9, 2)).astype(np.float16),
        "observation.big": rng.integers(0, 2**63, 9).astype(np.uint64),
        "observation.odd": np.asarray([[np.nan, -0.0], [np.inf, 5e-324]] * 4 + [[1, 2]]),
        "observation.swapped": rng.normal(size=(9, 2)).astype(">f4"),
        "observation.nothing": np.zeros((9, 0)),
    }
    streams = {n: Stream(n, Kind.TENSOR, Role.SENSOR, clock, ArrayValues(a)) for n, a in arrays.items()}
    text = np.asarray(["", "grün", "b"] * 3, dtype=object)
    streams["note"] = Stream("note", Kind.TEXT, Role.LANGUAGE, clock, ArrayValues(text))
    streams["raw"] = Stream("raw", Kind.MESSAGE, Role.UNKNOWN, clock, ArrayValues(np.asarray([b"\0x"] * 9, object)))
    lerobot_v3.write(tmp_path / "out", [Episode("0", streams)])
    back = lerobot_v3.read(tmp_path / "out").episode("0")
    for name, array in {**arrays, "note": text}.items():
        found = back.stream(name).values[:]
        assert found.shape == array.shape
        assert found.dtype.newbyteorder("=") == array.dtype.newbyteorder("=")
        np.testing.assert_array_equal(found, array)
    assert back.stream("raw").values[4] == b"\0x"


def test_names_that_lerobot_forbids_are_mapped_and_come_back(tmp_path: Path) -> None:
    clock, pictures = grid_clock(5, Fraction(10)), np.zeros((5, 32, 32, 3), np.uint8)
    numbers = ArrayValues(np.zeros((5, 2)))
    streams = [
        Stream("../qpos", Kind.TENSOR, Role.STATE, clock, numbers),
        Stream("actions", Kind.TENSOR, Role.ACTION, clock, numbers),
        Stream("/imu/data", Kind.TENSOR, Role.SENSOR, clock, numbers),
        Stream("/imu.data", Kind.TENSOR, Role.SENSOR, clock, numbers),
        Stream("obs/images/top", Kind.IMAGE, Role.CAMERA, clock, RawImages(ArrayValues(pictures), where="test")),
    ]
    episode = Episode("0", {s.name: s for s in streams})
    assert dict(lerobot_v3.layout(episode).names) == {
        "../qpos": "observation.state",
        "actions": "action",
        "/imu/data": "observation.imu_data",
        "/imu.data": "observation.imu_data_2",
        "obs/images/top": "observation.images.top",
    }
    lerobot_v3.write(tmp_path / "out", [episode])
    assert list(lerobot_v3.read(tmp_path / "out").episode("0").streams) == list(episode.streams)
    assert [file.name for file in tmp_path.iterdir()] == ["out"]


def test_of_several_states_the_joint_positions_are_what_policies_read() -> None:
    clock, numbers = grid_clock(5, Fraction(10)), ArrayValues(np.zeros((5, 2)))
    names = ("observations/effort", "observations/qpos", "observations/qvel")
    streams = {name: Stream(name, Kind.TENSOR, Role.STATE, clock, numbers) for name in names}
    assert list(lerobot_v3.layout(Episode("0", streams)).names.values()) == [
        *("observation.effort", "observation.state", "observation.qvel"),
    ]


def test_statistics_are_those_of_the_rows_with_quantiles(tmp_path: Path) -> None:
    episodes = [barcode_episode(n, 30 + n) for n in range(3)]
    lerobot_v3.write(tmp_path / "out", episodes)
    stated = json.loads((tmp_path / "out/meta/stats.json").read_text())["action"]
    whole = np.concatenate([e.stream("action").table for e in episodes]).astype(np.float64)
    for name, share in {"q01": 0.01, "q10": 0.1, "q50": 0.5, "q90": 0.9, "q99": 0.99}.items():
        np.testing.assert_allclose(stated[name], np.quantile(whole, share, axis=0), rtol=1e-12)
    np.testing.assert_allclose(stated["std"], whole.std(0), rtol=1e-9)
    assert stated["count"] == [93]
    own = lerobot_v3.read(tmp_path / "out").episode("1").declared_statistics
    np.testing.assert_allclose(own["action"]["q90"], np.quantile(episodes[1].stream("action").table, 0.9, axis=0))
    assert np.shape(own[CAMERA]["mean"]) == (3, 1, 1)


def test_instructions_and_their_spans_stand_in_the_rows(tmp_path: Path) -> None:
    spans = (Instruction("reach", 0.0, 0.5, source="task"), Instruction("grasp", 0.5, 1.0, source="task"))
    lerobot_v3.write(tmp_path / "out", [replace(barcode_episode(0, 30), instructions=spans)])
    table = pq.read_table(tmp_path / "out/data/chunk-000/file-000.parquet")
    assert table.column("task_index").to_pylist() == [0] * 15 + [1] * 15
    assert lerobot_v3.read(tmp_path / "out").episode("0").instructions == spans


def test_a_target_that_is_not_empty_is_refused_and_left_alone(tmp_path: Path) -> None:
    target = tmp_path / "out"
    target.mkdir()
    (target / "precious.txt").write_text("mine")
    with pytest.raises(WriteRefused) as caught:
        lerobot_v3.write(target, [tiny_episode(0)])
    assert str(caught.value) == f"{target} exists and is not empty. Choose another target; nothing is ever overwritten."
    assert [file.name for file in tmp_path.rglob("*")] == ["out", "precious.txt"]


def with_pictures(episode: Episode, pictures: np.ndarray) -> Episode:
    return episode.with_stream(episode.stream(CAMERA).with_values(RawImages(ArrayValues(pictures), where="test")))


@pytest.mark.parametrize(
    ("pictures", "message"),
    [
        (
            np.zeros((5, 64, 64, 1), np.uint16),
            "stream observation.images.front holds uint16[64, 64, 1] pictures, and LeRobot's videos hold 8-bit colour. "
            "Write it with pictures=image.",
        ),
        (
            np.zeros((5, 63, 64, 3), np.uint8),
            "stream observation.images.front is 64 x 63, and LeRobot's video encoders take even sizes only. Write it "
            "with pictures=image.",
        ),
    ],
)
def test_pictures_that_no_encoder_takes_are_refused_as_video_and_exact_as_images(
    tmp_path: Path, pictures: np.ndarray, message: str
) -> None:
    episode = with_pictures(barcode_episode(0, 5), pictures)
    with pytest.raises(WriteRefused) as caught:
        lerobot_v3.write(tmp_path / "out", [episode], pictures="video")
    assert str(caught.value) == message
    lerobot_v3.write(tmp_path / "out", [episode])
    back = lerobot_v3.read(tmp_path / "out").episode("0").stream(CAMERA).values
    assert back.dtype == pictures.dtype
    np.testing.assert_array_equal(back[:], pictures)


def test_episodes_that_differ_are_refused_and_nothing_appears(tmp_path: Path) -> None:
    first, other = barcode_episode(0, 5), barcode_episode(1, 5)
    doubles = other.stream("action").with_values(ArrayValues(np.zeros((5, 3))))
    cases = {
        "episode 1 has no stream observation.images.front, and the first episode had. LeRobot v3.0 holds one set of "
        "streams per dataset: write the episodes to two datasets.": other.without_stream(CAMERA),
        "episode 1 has the stream force, and the first episode had not. LeRobot v3.0 holds one set of streams per "
        "dataset: write the episodes to two datasets.": other.with_stream(
            replace(doubles, name="force", role=Role.UNKNOWN)
        ),
        "stream action of episode 1 holds float64[3], and in the first episode float32[3]. LeRobot v3.0 holds one "
        "shape and type per dataset.": other.with_stream(doubles),
        "episode 1 has the rate 10 Hz, and the first 30 Hz. LeRobot v3.0 holds one rate per dataset: write the "
        "episodes to two datasets.": barcode_episode(1, 5, rate_hz=10),
        "stream observation.images.front of episode 1 holds uint8[32, 32, 3] images, and in the first episode "
        "uint8[64, 64, 3] images. LeRobot v3.0 holds one shape and type per dataset.": with_pictures(
            other, np.zeros((5, 32, 32, 3), np.uint8)
        ),
    }
    for message, second in cases.items():
        with pytest.raises(WriteRefused) as caught:
            lerobot_v3.write(tmp_path / "out", [first, second])
        assert str(caught.value) == message
    assert list(tmp_path.iterdir()) == []


def test_one_sample_with_a_time_needs_a_rate_and_the_refusal_names_the_option_that_takes_it(tmp_path: Path) -> None:
    clock = measured_clock(np.asarray([5], np.int64))
    streams = [replace(s, clock=clock, values=ArrayValues(s.values[:1])) for s in barcode_episode(0, 5).numeric()]
    episode = Episode("0", {stream.name: stream for stream in streams})
    with pytest.raises(WriteRefused, match=r"Choose the target's with --option rate_hz=10\.$"):
        lerobot_v3.layout(episode)
    lerobot_v3.write(tmp_path / "out", [episode], rate_hz=Fraction(10))
    assert lerobot_v3.read(tmp_path / "out").episode("0").stream("action").clock.times_ns.tolist() == [5]


def test_no_episodes_no_rows_and_unknown_words_are_refused(tmp_path: Path) -> None:
    with pytest.raises(WriteRefused) as caught:
        lerobot_v3.write(tmp_path / "out", [])
    assert str(caught.value) == "there are no episodes to write: a LeRobot dataset holds at least one."
    with pytest.raises(WriteRefused) as caught:
        lerobot_v3.write(tmp_path / "out", [Episode("0", {})])
    assert str(caught.value) == "episode 0 has no stream of numbers or pictures to make rows of."
    with pytest.raises(WriteRefused) as caught:
        lerobot_v3.layout(barcode_episode(0, 5), pictures="gif")
    assert str(caught.value) == "pictures='gif' is none of auto, image, video."


def test_killed_in_the_middle_nothing_has_appeared_and_the_next_write_cleans_up(tmp_path: Path) -> None:
    script = (
        "import os\nfrom pathlib import Path\n"
        "from robokata.formats import lerobot_v3\nfrom robokata.testing import tiny_episode\n"
        "def episodes():\n    yield tiny_episode(0, duration_s=1)\n    os._exit(9)\n"
        f"lerobot_v3.write(Path({str(tmp_path / 'out')!r}), episodes())\n"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 9
    lock, left = sorted(tmp_path.iterdir())
    assert lock.name == ".out.lock"
    assert left.name.startswith(".out.unfinished-")
    lerobot_v3.write(tmp_path / "out", [tiny_episode(0, duration_s=1)])
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_an_episode_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def episodes() -> Iterator[Episode]:
        yield barcode_episode(0, 5)
        raise DamagedData("somewhere", "is broken.")

    with pytest.raises(DamagedData):
        lerobot_v3.write(tmp_path / "out", episodes(), pictures="video", codec="libx264")
    assert list(tmp_path.iterdir()) == []


def test_the_same_episodes_give_the_same_bytes(tmp_path: Path) -> None:
    source = lerobot_v3.read(maker.make(tmp_path, episodes=2, steps=20))
    for name in ("a", "b"):
        lerobot_v3.write(tmp_path / name, all_episodes(source))
    files = sorted(p.relative_to(tmp_path / "a") for p in (tmp_path / "a").rglob("*") if p.is_file())
    assert len(files) == 9
    assert all((tmp_path / "a" / f).read_bytes() == (tmp_path / "b" / f).read_bytes() for f in files)


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty"])
def test_a_damaged_archive_costs_its_episode_only(tmp_path: Path, damage: str) -> None:
    lerobot_v3.write(tmp_path / "out", [barcode_episode(n, 5) for n in range(2)])
    file = tmp_path / "out/meta/robokata/episode_000001.npz"
    data = file.read_bytes()
    middle = len(data) // 2
    flipped = data[:middle] + bytes([data[middle] ^ 0xFF]) + data[middle + 1 :]
    file.write_bytes({"cut": data[:-30], "flipped": flipped, "empty": b""}[damage])
    source = lerobot_v3.read(tmp_path / "out")
    assert len(source.episode("0").stream("action")) == 5
    with pytest.raises(DamagedData) as caught:
        source.episode("1").stream("action").values[:]
    assert caught.value.file == str(file)


def test_what_lerobot_says_of_itself_is_kept(tmp_path: Path) -> None:
    path = maker.make(tmp_path, episodes=2, steps=10)
    info = json.loads((path / "meta/info.json").read_text())
    info |= {"license": "apache-2.0", "tools": [{"name": "say"}], "robot_type": "tiny_arm"}
    (path / "meta/info.json").write_text(json.dumps(info))
    lerobot_v3.write(tmp_path / "out", all_episodes(lerobot_v3.read(path)))
    kept = json.loads((tmp_path / "out/meta/info.json").read_text())
    assert {name: kept[name] for name in ("license", "tools", "robot_type", "fps")} == {
        "license": "apache-2.0",
        "tools": [{"name": "say"}],
        "robot_type": "tiny_arm",
        "fps": 30,
    }
    assert list(kept["features"])[:4] == ["observation.state", "action", "observation.images.front",
                                          "observation.images.wrist"]  # fmt: skip


def test_writing_needs_no_pandas(tmp_path: Path) -> None:
    made = maker.make(tmp_path, episodes=1, steps=10)
    script = (
        "import sys\n"
        "class NoPandas:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'pandas': raise ModuleNotFoundError(name, name=name)\n"
        "sys.meta_path.insert(0, NoPandas())\n"
        "from pathlib import Path\n"
        "from robokata.formats import lerobot_v3\n"
        f"source = lerobot_v3.read(Path({str(made)!r}))\n"
        f"lerobot_v3.write(Path({str(tmp_path / 'again')!r}), [source.episode('0')])\n"
        "print('done')"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("done\n", "")


def test_a_clock_of_a_source_in_memory_is_exact_although_rows_are_on_a_grid(tmp_path: Path) -> None:
    times = np.sort(np.random.default_rng(0).integers(10**18, 10**18 + 10**9, 25))
    clock = measured_clock(times, declared_rate_hz=Fraction(25))
    stream = Stream("action", Kind.TENSOR, Role.ACTION, clock, ArrayValues(np.arange(25.0)))
    report = plan_conversion(EpisodeList([Episode("0", {"action": stream})]), "lerobot_v3")
    assert not report.is_lossy
    lerobot_v3.write(tmp_path / "out", [Episode("0", {"action": stream})])
    np.testing.assert_array_equal(lerobot_v3.read(tmp_path / "out").episode("0").stream("action").clock.times_ns, times)


# -- real data -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["lerobot-v3.0-av1", "lerobot-v3.0-h264"])
def test_what_lerobot_wrote_goes_through_v2_and_back_without_a_new_packet(
    shared_data: Path, tmp_path: Path, name: str
) -> None:
    source = lerobot_v3.read(shared_data / "foreign-writers" / name)
    convert(source, tmp_path / "v2", "lerobot_v2")
    convert(lerobot_v2.read(tmp_path / "v2"), tmp_path / "v3", "lerobot_v3")
    back = lerobot_v3.read(tmp_path / "v3")
    assert broken(back) == {}
    for wrote, read in zip(all_episodes(source), all_episodes(back), strict=True):
        assert_same(read, wrote, but=("observation.images.top", "observation.images.wrist"))
    for camera in ("top", "wrist"):
        file = f"videos/observation.images.{camera}/chunk-000/file-000.mp4"
        assert packets_of([source.path / file]) == packets_of([tmp_path / "v3" / file])


def _recorded_at(times_s: np.ndarray) -> Episode:
    clock = measured_clock(np.round(times_s * 1e9).astype(np.int64))
    action = ArrayValues(np.arange(len(times_s), dtype=np.float32)[:, None])
    return Episode("0", {"action": Stream("action", Kind.TENSOR, Role.ACTION, clock, action)})


def test_rows_that_were_recorded_with_a_pause_are_told_to_stand_elsewhere() -> None:
    even = np.arange(60) / 20
    jittered = even + np.random.default_rng(0).uniform(-0.01, 0.01, 60)
    paused = even + np.where(np.arange(60) >= 30, 2.0, 0.0)
    words = "action was not recorded that evenly (pauses, lost samples or another rate): some rows stand more than a"
    for times, is_told in ((even, False), (jittered, False), (paused, True)):
        notes = lerobot_v3.layout(_recorded_at(times)).notes
        assert any(note.startswith(words) for note in notes) == is_told
    assert any(note.startswith(words) for note in lerobot_v3.layout(_recorded_at(even), rate_hz=Fraction(10)).notes)


def test_times_without_a_rate_ask_for_the_rate_of_the_target_and_that_is_enough(tmp_path: Path) -> None:
    twice_each = EpisodeList([_recorded_at(np.arange(40) // 2 / 10)])
    with pytest.raises(WriteRefused) as caught:
        convert(twice_each, tmp_path / "out", "lerobot_v3")
    assert str(caught.value) == (
        "episode 0: the rate of action is neither declared nor measured (40 samples, times measured), and rows need "
        "one. Choose the target's with --option rate_hz=10."
    )
    convert(twice_each, tmp_path / "out", "lerobot_v3", options={"rate_hz": 20})
    assert json.loads((tmp_path / "out/meta/info.json").read_text())["fps"] == 20


@pytest.mark.parametrize("name", ["lerobot_v3", "lerobot_v2"])
def test_depth_without_an_axis_for_its_channel_is_written_with_one_and_says_so(name: str, tmp_path: Path) -> None:
    clock = grid_clock(4, Fraction(10))
    depth = (np.arange(4 * 6 * 8).reshape(4, 6, 8) * 97).astype(np.uint16)
    camera = Stream("depth", Kind.IMAGE, Role.CAMERA, clock, RawImages(ArrayValues(depth), where="test"))
    source = EpisodeList([Episode("0", {"depth": camera}, declared_rate_hz=Fraction(10))])
    (loss,) = [loss for loss in plan_conversion(source, name).losses if loss.stream == "depth"]
    assert loss.note == "every pixel as PNG, in the table; comes back with an axis for its one channel"
    convert(source, tmp_path / "out", name)
    (file,) = (tmp_path / "out/data").rglob("*.parquet")
    (column,) = [held for held in pq.read_schema(file).names if "depth" in held]
    for cell, expected in zip(pq.read_table(file)[column].to_pylist(), depth, strict=True):
        with av.open(BytesIO(cell["bytes"])) as png:
            (frame,) = png.decode(video=0)
        np.testing.assert_array_equal(frame.to_ndarray(format="gray16le"), expected)
