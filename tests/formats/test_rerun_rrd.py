"""Rerun recordings, read with the SDK's own reader: every stream on its own clock, encoded bytes as they were."""

from __future__ import annotations

import importlib
from dataclasses import replace
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from robokata.conversion.convert import convert, plan_conversion
from robokata.core.clock import grid_clock
from robokata.core.detection import detect, open_source
from robokata.core.episode import Annotation, Episode, Instruction
from robokata.core.errors import NotADataset, Unsupported, WriteRefused
from robokata.core.selected_values import PickedPictures
from robokata.core.source import EpisodeList
from robokata.core.stream import Fact, Kind, Meaning, Role, Stream
from robokata.core.values import ArrayValues
from robokata.formats import rerun_rrd
from robokata.formats._rerun import readback as _rerun_readback
from robokata.media.images import RawImages
from robokata.media.video import VideoFrames
from robokata.testing import Barcode, barcode_video, read_barcode, tiny_episode

rerun_chunk = pytest.importorskip("rerun.chunk")
av = pytest.importorskip("av")


class Seen(dict[str, dict[str, Any]]):
    """Entity -> component (without its archetype) or timeline -> its rows."""


def seen(file: Path) -> Seen:
    found = Seen()
    for chunk in rerun_chunk.RrdReader(file).stream():
        batch = chunk.to_record_batch()
        rows = found.setdefault(chunk.entity_path, {})
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            if "RowId" in name:
                continue
            is_time = name in chunk.timeline_names
            held = np.asarray(column).astype(np.int64).tolist() if is_time else column.to_pylist()
            own = f"static {name}" if chunk.is_static else name
            rows[own] = [*rows.get(own, []), *held]
    return found


def written(tmp_path: Path, episode: Episode) -> Seen:
    out = tmp_path / "out.rrd"
    rerun_rrd.write(out, [episode])
    return seen(out)


def blobs(rows: dict[str, Any], component: str) -> list[bytes]:
    return [bytes(cell[0]) for cell in rows[component]]


def only(*streams: Stream) -> Episode:
    return Episode(id="0", streams={stream.name: stream for stream in streams})


def test_numbers_times_pictures_and_words_stand_in_the_recording(tmp_path: Path) -> None:
    episode = tiny_episode(0, duration_s=1.0)
    found = written(tmp_path, episode)
    for stream in episode.numeric(Role.STATE, Role.ACTION, Role.BOOKKEEPING):
        rows = found[f"/{stream.name}"]
        np.testing.assert_array_equal(np.asarray(rows["Scalars:scalars"], float), stream.table)
        np.testing.assert_array_equal(rows["time"], stream.clock.times_ns)
        assert rows["static SeriesLines:names"] == [[stream.channel_name(n) for n in range(stream.table.shape[1])]]
    for stream in episode.pictures():
        rows = found[f"/{stream.name}"]
        np.testing.assert_array_equal(rows["time"], stream.clock.times_ns)
        held = blobs(rows, "EncodedImage:blob")
        for index, data in enumerate(held):
            encoded = stream.pictures.encoded(index)
            if encoded is not None:
                assert data == encoded.data
            else:
                picture = next(av.open(BytesIO(data)).decode(video=0)).to_ndarray(format="rgb24")
                np.testing.assert_array_equal(picture, np.asarray(stream.pictures[index]))
    assert found["/instruction"]["TextLog:text"] == [[i.text] for i in episode.instructions]
    assert found["/__properties"]["static RecordingInfo:name"] == [["episode 0"]]


def filmed(path: Path, codec: str, count: int, *, options: dict[str, Any]) -> VideoFrames:
    barcode_video(path, [Barcode(5, frame) for frame in range(count)], codec=codec, **options)
    return VideoFrames(path, count)


@pytest.mark.parametrize(("codec", "name"), [("libsvtav1", "AV1"), ("mpeg4", None)])
def test_video_packets_are_copied_where_rerun_shows_the_codec(codec: str, name: str | None, tmp_path: Path) -> None:
    frames = filmed(tmp_path / "video.mp4", codec, 24, options={"gop": 6})
    camera = Stream("cam", Kind.VIDEO, Role.CAMERA, grid_clock(24, Fraction(30)), frames)
    rows = written(tmp_path, only(camera))["/cam"]
    np.testing.assert_array_equal(rows["time"], camera.clock.times_ns)
    if name is None:
        pictures = [next(av.open(BytesIO(b)).decode(video=0)) for b in blobs(rows, "EncodedImage:blob")]
    else:
        context = av.CodecContext.create("libdav1d", "r")
        packets = [av.Packet(data) for data in blobs(rows, "VideoStream:sample")]
        pictures = [frame for packet in [*packets, None] for frame in context.decode(packet)]
    assert [read_barcode(p.to_ndarray(format="rgb24")) for p in pictures] == [Barcode(5, n) for n in range(24)]


def shown_at(rows: dict[str, Any]) -> list[Barcode]:
    """What a viewer shows for each reference: the frame of the movie whose stamp is nearest."""
    (movie,) = blobs(rows, "static AssetVideo:blob")
    container = av.open(BytesIO(movie))
    stamps = {frame.time: read_barcode(frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)}
    first = min(stamps)
    asked = [cell[0] / 1e9 for cell in rows["VideoFrameReference:timestamp"]]
    return [stamps[min(stamps, key=lambda at, a=a: abs(at - first - a))] for a in asked]


def test_video_whose_packets_are_reordered_is_a_cut_with_a_reference_per_sample(tmp_path: Path) -> None:
    path = importlib.import_module("makers.lerobot_v3").make(tmp_path / "made", episodes=3, steps=24)
    source = open_source(path)
    for key in source.keys():
        episode = source.episode(key)
        rerun_rrd.write(tmp_path / f"{key}.rrd", [episode])
        found = seen(tmp_path / f"{key}.rrd")
        for camera in episode.pictures():
            expected = [read_barcode(np.asarray(camera.pictures[n])) for n in range(len(camera))]
            assert shown_at(found[f"/{camera.name}"]) == expected


def test_packets_between_samples_have_times_of_their_own_and_move_none(tmp_path: Path) -> None:
    frames = filmed(tmp_path / "video.mp4", "libsvtav1", 24, options={"gop": 12})
    picked = np.array([3, 7, 8, 20], np.int64)
    clock = grid_clock(4, Fraction(10))
    camera = Stream("cam", Kind.VIDEO, Role.CAMERA, clock, PickedPictures(frames, picked))
    rows = written(tmp_path, only(camera))["/cam"]
    times = np.asarray(rows["time"])
    assert len(times) == len(set(times.tolist())) == len(rows["VideoStream:sample"])
    assert (np.diff(times) > 0).all()
    assert set(clock.times_ns.tolist()) <= set(times.tolist())


def test_an_episode_that_begins_between_two_key_frames_is_read_back_and_a_picture_without_its_time_is_not(
    tmp_path: Path,
) -> None:
    frames = filmed(tmp_path / "video.mp4", "libsvtav1", 24, options={"gop": 12})
    picked = np.arange(7, 20)
    camera = Stream("cam", Kind.VIDEO, Role.CAMERA, grid_clock(13, Fraction(10)), PickedPictures(frames, picked))
    receipt = convert(EpisodeList([only(camera)]), tmp_path / "out.rrd", "rerun_rrd", workers=1)
    assert receipt.verified["difference_count"] == 0
    found = _rerun_readback.read_entities(tmp_path / "out.rrd")["/cam"]
    later = replace(camera, clock=grid_clock(13, Fraction(11)))
    assert list(_rerun_readback.differences(camera, found, is_curves=False)) == []
    (what,) = _rerun_readback.differences(later, found, is_curves=False)
    assert what.endswith("times on the timeline 'time' are not its 13 times")


def test_poses_of_a_declared_convention_are_transforms(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    quats = rng.normal(size=(6, 4))
    quats /= np.linalg.norm(quats, axis=1)[:, None]
    positions = rng.normal(size=(6, 3))
    clock = grid_clock(6, Fraction(10))
    meaning = Meaning(rotation=Fact("quat_xyzw"))
    tip = Stream("tip", Kind.TENSOR, Role.STATE, clock, ArrayValues(np.hstack([positions, quats])), meaning=meaning)
    turned = replace(tip, name="arm.pose.orientation", values=ArrayValues(quats))
    moved = replace(tip, name="arm.pose.position", values=ArrayValues(positions), meaning=Meaning())
    wxyz = Stream(
        "wxyz",
        Kind.TENSOR,
        Role.STATE,
        clock,
        ArrayValues(quats[:, [3, 0, 1, 2]]),
        meaning=Meaning(rotation=Fact("quat_wxyz")),
    )
    unknown = replace(tip, name="unknown", meaning=Meaning())
    found = written(tmp_path, only(tip, turned, moved, wxyz, unknown))
    for name in ("/poses/tip", "/poses/arm.pose"):
        np.testing.assert_allclose([c[0] for c in found[name]["Transform3D:translation"]], positions, atol=1e-6)
    for name in ("/poses/tip", "/poses/arm.pose", "/poses/wxyz"):
        np.testing.assert_allclose([c[0] for c in found[name]["Transform3D:quaternion"]], quats, atol=1e-6)
    assert "/poses/unknown" not in found


def test_a_matrix_and_a_rotation_vector_turn_the_same_way(tmp_path: Path) -> None:
    from robokata.geometry.poses import rotation_from_vector

    vectors = np.array([[0.0, 0.0, 0.0], [0.3, -0.2, 0.9], [0.0, 3.0, 0.0]])
    matrices = np.tile(np.eye(4), (3, 1, 1))
    matrices[:, :3, :3] = [rotation_from_vector(v) for v in vectors]
    clock = grid_clock(3, Fraction(10))
    matrix = Stream("matrix", Kind.TENSOR, Role.STATE, clock, ArrayValues(matrices))
    vector = Stream(
        "vector", Kind.TENSOR, Role.STATE, clock, ArrayValues(vectors), meaning=Meaning(rotation=Fact("axis_angle"))
    )
    found = written(tmp_path, only(matrix, vector))
    columns = np.asarray([c[0] for c in found["/poses/matrix"]["Transform3D:mat3x3"]]).reshape(-1, 3, 3)
    np.testing.assert_allclose(columns.transpose(0, 2, 1), matrices[:, :3, :3], atol=1e-6)
    for cell, turned in zip(found["/poses/vector"]["Transform3D:rotation_axis_angle"], vectors, strict=True):
        angle = cell[0]["angle"]
        np.testing.assert_allclose(np.asarray(cell[0]["axis"]) * angle, turned, atol=1e-6)


def test_raw_pictures_and_depth_keep_every_pixel(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    clock = grid_clock(3, Fraction(10))
    kinds = {
        "rgb": rng.integers(0, 256, (3, 16, 24, 3), np.uint8),
        "millimetres": rng.integers(0, 65536, (3, 16, 24, 1), np.uint16),
        "metres": rng.random((3, 16, 24, 1), np.float32),
    }
    streams = [
        Stream(name, Kind.IMAGE, Role.CAMERA, clock, RawImages(ArrayValues(array), where=name))
        for name, array in kinds.items()
    ]
    found = written(tmp_path, only(*streams))
    for name, component in (("rgb", "EncodedImage:blob"), ("millimetres", "EncodedDepthImage:blob")):
        form = "rgb24" if name == "rgb" else "gray16le"
        for data, picture in zip(blobs(found[f"/{name}"], component), kinds[name], strict=True):
            decoded = next(av.open(BytesIO(data)).decode(video=0))
            np.testing.assert_array_equal(decoded.to_ndarray(format=form).reshape(picture.shape), picture)
    for data, picture in zip(blobs(found["/metres"], "DepthImage:buffer"), kinds["metres"], strict=True):
        np.testing.assert_array_equal(np.frombuffer(data, np.float32).reshape(picture.shape), picture)


def test_words_stand_where_they_hold_and_facts_are_properties(tmp_path: Path) -> None:
    episode = tiny_episode(0, duration_s=2.0)
    episode = replace(
        episode,
        instructions=(Instruction("pick", 0.0, 0.5), Instruction("place", 0.5, 1.5)),
        annotations=(Annotation("slip", 1.0, 1.2),),
        ref=None,
    )
    found = written(tmp_path, episode)
    assert found["/instruction"]["TextLog:text"] == [["pick"], ["place"]]
    np.testing.assert_array_equal(found["/instruction"]["time"], [episode.start_ns, episode.start_ns + 500_000_000])
    assert found["/annotation"]["TextLog:text"] == [["slip"], ["end of: slip"]]
    properties = found["/__properties/episode"]
    assert any("id" in name and cells == [["0"]] for name, cells in properties.items()), properties


def made(name: str, folder: Path) -> Path:
    path: Path = importlib.import_module(f"makers.{name}").make(folder, episodes=2, steps=24)
    return path


@pytest.mark.parametrize(
    "name", ["lerobot_v2", "mcap", "rlds", "robomimic_hdf5", "aloha_hdf5", "zarr_replay", "rosbag1"]
)
def test_every_source_is_shown_and_the_sdk_finds_nothing_wrong(name: str, tmp_path: Path) -> None:
    source = open_source(made(name, tmp_path / "made"))
    out = tmp_path / "out"
    report = plan_conversion(source, "rerun_rrd")
    convert(source, out, "rerun_rrd", report=report, accept_loss=True)
    files = sorted(out.glob("*.rrd"))
    assert len(files) == len(source.keys())
    # By its manifest, as a catalog does: the SDK raises where chunks and manifest disagree. Not its command line, which
    # would send its own analytics.
    for file in files:
        assert len(rerun_chunk.RrdReader(file).store().schema().entity_paths()) > 2
    found = seen(files[0])
    first = source.episode(source.keys()[0])
    kept = {loss.stream for loss in report.losses if not loss.is_lossy}
    for stream in (stream for stream in first.streams.values() if stream.name in kept and len(stream)):
        rows = found["/" + stream.name.strip("/")]
        times = rows.get("time", rows.get("step"))
        assert times is not None
        assert len(times) >= len(stream)


def test_a_file_holds_one_episode_and_the_refusal_names_the_folder(tmp_path: Path) -> None:
    episodes = [tiny_episode(n, duration_s=0.5) for n in range(2)]
    with pytest.raises(WriteRefused) as caught:
        rerun_rrd.write(tmp_path / "out.rrd", episodes)
    assert str(caught.value) == (
        f"{tmp_path}/out.rrd: a Rerun recording holds one episode, and several were given. Name a folder "
        f"({tmp_path}/out) for a file per episode, or choose one (--episode ID)."
    )
    assert list(tmp_path.iterdir()) == []
    rerun_rrd.write(tmp_path / "out", episodes)
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == ["0.rrd", "1.rrd"]


def test_the_same_episode_is_the_same_recording_and_another_dataset_has_others(tmp_path: Path) -> None:
    def ids(path: Path, out: str) -> list[str]:
        source = open_source(path)
        rerun_rrd.write(tmp_path / out, map(source.episode, source.keys()))
        return [rerun_chunk.RrdReader(file).recordings()[0].recording_id for file in sorted((tmp_path / out).iterdir())]

    a, b = (made("aloha_hdf5", tmp_path / name) for name in ("a", "b"))
    first = ids(a, "first")
    assert len(set(first)) == 2
    assert ids(a, "again") == first
    assert not set(ids(b, "other")) & set(first)


def test_curves_with_gaps_and_infinities_are_what_was_written(tmp_path: Path) -> None:
    values = ArrayValues(np.asarray([[0.5, np.nan], [np.inf, -0.0], [-np.inf, 1.0]], np.float32))
    stream = Stream("force", Kind.TENSOR, Role.SENSOR, grid_clock(3, Fraction(10)), values)
    receipt = convert(EpisodeList([only(stream)]), tmp_path / "out.rrd", "rerun_rrd", workers=1)
    assert receipt.verified["difference_count"] == 0


def test_a_recording_is_not_read_back_and_that_is_said(tmp_path: Path) -> None:
    out = tmp_path / "out.rrd"
    rerun_rrd.write(out, [tiny_episode(0, duration_s=0.5)])
    with pytest.raises(Unsupported) as caught:
        open_source(out, format="rerun_rrd")
    assert str(caught.value) == f"{out}: rerun_rrd is written for other programs, and Robokata does not read it back."
    with pytest.raises(NotADataset, match="holds no dataset that Robokata recognises"):
        detect(out)
    assert not hasattr(rerun_rrd, "read")


def test_logging_that_is_switched_off_is_refused_not_written_empty(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("RERUN", "off")
    with pytest.raises(WriteRefused, match="the environment variable RERUN switches Rerun's logging off"):
        rerun_rrd.write(tmp_path / "out.rrd", [tiny_episode(0, duration_s=0.5)])
    assert list(tmp_path.iterdir()) == []


def test_a_camera_whose_file_is_absent_is_named_and_the_rest_is_shown(tmp_path: Path) -> None:
    absent = VideoFrames(tmp_path / "absent.mp4", 5, shape=(16, 16, 3))
    episode = only(
        Stream("cam", Kind.VIDEO, Role.CAMERA, grid_clock(5, Fraction(10)), absent),
        Stream("state", Kind.TENSOR, Role.STATE, grid_clock(5, Fraction(10)), ArrayValues(np.zeros((5, 2)))),
    )
    assert rerun_rrd.layout(episode).of("cam").note == f"its file is not there: {tmp_path}/absent.mp4"
    found = written(tmp_path, episode)
    assert "/state" in found
    assert "/cam" not in found


def test_what_rerun_cannot_show_is_named_before(tmp_path: Path) -> None:
    cloud = np.empty(2, dtype=object)
    cloud[:] = [np.zeros((3, 3)), np.zeros((5, 3))]
    points = Stream("points", Kind.RAGGED, Role.SENSOR, grid_clock(2, Fraction(10)), ArrayValues(cloud))
    source = EpisodeList([tiny_episode(0, duration_s=0.5).with_stream(points)])
    (lost,) = [loss for loss in plan_conversion(source, "rerun_rrd").losses if loss.is_lossy]
    assert (lost.stream, lost.note) == ("points", "Rerun has no view of ragged samples")
    with pytest.raises(WriteRefused, match="points would not come back"):
        convert(source, tmp_path / "out.rrd", "rerun_rrd")


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "int64", "uint8", "bool"])
def test_samples_of_many_numbers_are_a_tensor_each_and_are_read_back(dtype: str, tmp_path: Path) -> None:
    chunks = np.arange(6 * 30 * 7).reshape(6, 30, 7).astype(dtype)
    stream = Stream("chunk", Kind.TENSOR, Role.ACTION, grid_clock(6, Fraction(10)), ArrayValues(chunks))
    source = EpisodeList([only(stream)])
    convert(source, tmp_path / "out.rrd", "rerun_rrd")
    cells = seen(tmp_path / "out.rrd")["/chunk"]["Tensor:data"]
    assert [cell[0]["shape"] for cell in cells] == [[30, 7]] * 6
    np.testing.assert_array_equal(np.asarray([cell[0]["buffer"] for cell in cells]).reshape(chunks.shape), chunks)
    other = replace(stream, values=ArrayValues(np.flip(chunks.astype("float64"), 0) + 1))
    (found,) = rerun_rrd.compare(tmp_path / "out.rrd", [only(other)])
    assert [what for _, what in found.differences] == ["the numbers of its tensors differ"]


def test_curves_that_hold_nan_are_read_back_as_the_same(tmp_path: Path) -> None:
    values = np.asarray([[0.0, np.nan], [np.nan, 1.0], [2.0, 3.0]])
    stream = Stream("state", Kind.TENSOR, Role.STATE, grid_clock(3, Fraction(10)), ArrayValues(values))
    convert(EpisodeList([only(stream)]), tmp_path / "out.rrd", "rerun_rrd")
