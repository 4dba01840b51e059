"""LeRobot v2.0 and v2.1, plain and in GR00T's dialect: one table per episode, and lists that may not match."""

from __future__ import annotations

import json
import shutil
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from makers import lerobot_v2 as maker
from makers._lerobot_parts import CAMERAS, write_json, write_lines
from robokata.containers import parquet as _parquet
from robokata.core.clock import ClockQuality
from robokata.core.detection import detect
from robokata.core.episode import Instruction
from robokata.core.errors import DamagedData, MediaMissing, TooLarge, UnknownName
from robokata.core.stream import Kind, Role
from robokata.formats import lerobot_v2
from robokata.formats._lerobot.lines import read_lines
from robokata.testing import barcode_picture, read_barcode

LIST = "meta/episodes.jsonl"


@pytest.fixture
def made(tmp_path: Path) -> Path:
    return maker.make(tmp_path, episodes=4, steps=30)


def table_file(path: Path, number: int) -> Path:
    return path / f"data/chunk-{number // 3:03d}/episode_{number:06d}.parquet"


def video_file(path: Path, number: int, camera: str = CAMERAS[0]) -> Path:
    return path / f"videos/chunk-{number // 3:03d}/{camera}/episode_{number:06d}.mp4"


def change_info(path: Path, **fields: Any) -> None:
    info = json.loads((path / "meta/info.json").read_text())
    write_json(path / "meta/info.json", info | fields)


def change_data(path: Path, number: int, column: str, cells: Any) -> None:
    table = pq.read_table(table_file(path, number))
    kept = [name for name in table.column_names if name != column]
    pq.write_table(table.select(kept).append_column(column, cells), table_file(path, number))


def broken(source: lerobot_v2.LeRobotV2) -> dict[str, tuple[Any, Any]]:
    return {d.subject: (d.declared, d.found) for d in source.facts().declarations if not d.holds}


def png_bytes(picture: np.ndarray) -> bytes:
    """A picture as PNG bytes, written by hand (PNG 1.2, chapters 3 and 11)."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    height, width = picture.shape[:2]
    rows = b"".join(b"\0" + row.tobytes() for row in picture)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    signature = b"\x89PNG\r\n\x1a\n"
    return signature + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def test_every_frame_of_every_camera_is_the_one_asked_for(made: Path) -> None:
    source = lerobot_v2.read(made)
    for number, episode in enumerate(map(source.episode, source.keys())):
        for stream in episode.pictures():
            assert [read_barcode(picture) for picture in stream.values[:]] == [(number, f) for f in range(30)]


def test_a_video_belongs_to_its_episode_whole(made: Path) -> None:
    media = lerobot_v2.read(made).episode("3").stream(CAMERAS[1]).pictures.media()
    assert (media.frames_expected, media.frames_in_span, media.frames_in_file, media.first_frame) == (30, 30, 30, 0)


def test_a_partial_copy_holds_the_episodes_that_it_has_and_says_what_it_lacks(made: Path) -> None:
    """94 of 100 absent episodes are one statement about the dataset, and not 94 damaged episodes."""
    for number in (0, 2):
        table_file(made, number).unlink()
    source = lerobot_v2.read(made)
    assert list(source.keys()) == ["1", "3"]
    found = broken(source)
    assert found["episodes of meta/episodes.jsonl"] == (4, 2)
    assert found["total_episodes"] == (4, 2)
    assert found["total_frames"] == (120, 60)
    declaration = next(d for d in source.facts().declarations if d.subject == "episodes of meta/episodes.jsonl")
    assert declaration.hint == "2 listed episodes have no data file: a partial copy, or lost files"
    with pytest.raises(MediaMissing) as caught:
        source.episode("2")
    assert str(caught.value) == (
        f"{table_file(made, 2)}: the file does not exist, and meta/episodes.jsonl lists episode 2. Restore it from "
        "the original."
    )


def test_a_table_without_a_line_is_an_episode_and_told(made: Path) -> None:
    lines = read_lines(made / LIST).objects
    write_lines(made / LIST, [lines[3], lines[0]])
    source = lerobot_v2.read(made)
    assert list(source.keys()) == ["3", "0", "1", "2"]
    assert broken(source) == {"episodes without a line": (0, 2)}
    episode = source.episode("1")
    assert (episode.declared_steps, len(episode.stream("action"))) == (None, 30)
    assert episode.instructions == (Instruction("open the drawer", source="task_index"),)


def test_a_broken_line_costs_its_episode_and_is_named(made: Path) -> None:
    text = (made / LIST).read_text().splitlines()
    text[2] = text[2][:-5]
    (made / LIST).write_text("\n".join(text) + "\n")
    source = lerobot_v2.read(made)
    assert sorted(source.keys()) == ["0", "1", "2", "3"]
    with pytest.raises(DamagedData) as caught:
        source.episode("2")
    offset = len(text[0]) + len(text[1]) + 2
    assert str(caught.value) == (
        f"{made / LIST} at byte {offset}: line 3, which lists episode 2, is broken: not JSON: Expecting ':' delimiter. "
        "Restore the line from the original."
    )
    assert len(source.episode("3").stream("action")) == 30
    declaration = next(d for d in source.facts().declarations if d.subject == "readable lines")
    assert (declaration.declared, declaration.found, declaration.where) == (4, 3, "meta/episodes.jsonl, line 3")


def test_lines_that_are_no_objects_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_bytes(b'{"a": 1}\n\n[1]\n"\xe9"\n{"a": 2}')
    lines = read_lines(tmp_path / "x.jsonl")
    assert lines.objects == [{"a": 1}, {"a": 2}]
    assert [(line.number, line.offset, line.reason) for line in lines.broken] == [
        (3, 10, "not an object: list"),
        (4, 14, "not UTF-8, in which JSON is written: byte 0xe9"),
    ]


def test_an_unknown_key_is_an_unknown_name(made: Path) -> None:
    source = lerobot_v2.read(made)
    for key in ("9", "01", "-1", "", "1" * 400):
        with pytest.raises(UnknownName):
            source.episode(key)


def test_a_length_that_the_table_does_not_have_is_told(made: Path) -> None:
    lines = read_lines(made / LIST).objects
    write_lines(made / LIST, [{**line, "length": 31 if line["episode_index"] == 1 else 30} for line in lines])
    assert broken(lerobot_v2.read(made)) == {"length of episode 1": (31, 30), "length of 4 episodes": (121, 120)}
    assert lerobot_v2.read(made).episode("1").declared_steps == 31


def test_a_cut_table_costs_its_episode_only(made: Path) -> None:
    table_file(made, 1).write_bytes(table_file(made, 1).read_bytes()[:700])
    source = lerobot_v2.read(made)
    with pytest.raises(DamagedData, match="cannot be read as Parquet"):
        source.episode("1")
    assert len(source.episode("0").stream("action").table) == 30
    assert broken(source)["data file of episode 1"] == ("readable", "damaged")


def test_a_camera_without_a_single_file_is_a_statement_and_no_stream(made: Path) -> None:
    for number in range(4):
        video_file(made, number).unlink()
    source = lerobot_v2.read(made)
    assert [stream.name for stream in source.episode("0").pictures()] == [CAMERAS[1]]
    assert broken(source) == {"total_videos": (8, 4), f"videos of {CAMERAS[0]}": (4, 0)}


def test_a_video_that_one_episode_lacks_is_missing_media_of_that_episode(made: Path) -> None:
    video_file(made, 2).unlink()
    source = lerobot_v2.read(made)
    assert source.episode("2").stream(CAMERAS[0]).pictures.media().is_absent
    assert not source.episode("1").stream(CAMERAS[0]).pictures.media().is_absent
    assert broken(source) == {"total_videos": (8, 7), f"videos of {CAMERAS[0]}": (4, 3)}


def test_groups_of_modality_json_are_kept_with_their_stream_and_with_the_dataset(made: Path) -> None:
    source = lerobot_v2.read(made)
    assert source.episode("0").stream("action").extra["groups"] == {"arm": [0, 5], "gripper": [5, 6]}
    assert source.facts().extra["modality"]["state"]["arm"] == {"start": 0, "end": 5}


def test_groups_follow_the_original_key(made: Path) -> None:
    write_json(made / "meta/modality.json", {"state": {"g": {"start": 2, "end": 4, "original_key": "action"}, "x": 3}})
    episode = lerobot_v2.read(made).episode("0")
    assert episode.stream("action").extra["groups"] == {"g": [2, 4]}
    assert "groups" not in episode.stream("observation.state").extra


def test_annotation_columns_are_instructions_with_their_column_as_source(made: Path) -> None:
    change_data(made, 0, "annotation.human.validity", pa.array([2] * 30))
    change_data(made, 0, "annotation.human.coarse_action", pa.array([0] * 10 + [1] * 20))
    texts = [(i.text, i.start_s, i.source) for i in lerobot_v2.read(made).episode("0").instructions]
    assert texts == [
        ("pick up the red block", None, "task_index"),
        ("stack the cubes", None, "annotation.human.validity"),
        ("pick up the red block", 0.0, "annotation.human.coarse_action"),
        ("open the drawer", pytest.approx(1 / 3), "annotation.human.coarse_action"),
    ]


def test_texts_that_only_the_list_names_are_no_instructions_and_are_told(made: Path) -> None:
    lines = read_lines(made / LIST).objects
    write_lines(made / LIST, [{**lines[0], "tasks": ["fold the towel", "pick up the red block"]}, *lines[1:]])
    source = lerobot_v2.read(made)
    assert source.episode("0").instructions == (Instruction("pick up the red block", source="task_index"),)
    (false,) = [d for d in source.facts().declarations if not d.holds]
    assert (false.subject, false.found) == (
        "tasks that meta/episodes.jsonl names",
        "1 are not there ('fold the towel')",
    )


def test_an_episode_that_nobody_named_has_an_empty_instruction(made: Path) -> None:
    (made / "meta/tasks.jsonl").unlink()
    lines = read_lines(made / LIST).objects
    write_lines(made / LIST, [{"episode_index": line["episode_index"], "length": 30} for line in lines])
    assert lerobot_v2.read(made).episode("0").instructions == (Instruction("", source="meta/episodes.jsonl: tasks"),)


def test_statistics_of_an_episode_come_from_its_own_line(made: Path) -> None:
    source = lerobot_v2.read(made)
    for number in (3, 0):
        episode = source.episode(str(number))
        np.testing.assert_allclose(
            episode.declared_statistics["action"]["mean"], episode.stream("action").table.mean(0), rtol=1e-5
        )
    assert dict(source.facts().statistics) == {}


def test_a_broken_line_of_statistics_is_named_when_asked_for(made: Path) -> None:
    file = made / "meta/episodes_stats.jsonl"
    text = file.read_text().splitlines()
    text[1] = text[1][:100]
    file.write_text("\n".join(text))
    source = lerobot_v2.read(made)
    with pytest.raises(DamagedData) as caught:
        len(source.episode("1").declared_statistics)
    assert str(caught.value) == (
        f"{file} at byte {len(text[0]) + 1}: the line of episode 1 is broken: not JSON: "
        f"{caught.value.reason.rsplit(': ', 1)[1]} Restore the line from the original."
    )
    assert source.episode("2").declared_statistics["action"]["count"] == 30


def test_pictures_in_the_table_are_passed_through(made: Path) -> None:
    cells = [{"bytes": png_bytes(barcode_picture(1, frame)), "path": None} for frame in range(30)]
    change_data(made, 1, "observation.images.hand", pa.array(cells))
    stream = lerobot_v2.read(made).episode("1").stream("observation.images.hand")
    encoded = stream.pictures.encoded(4)
    assert encoded is not None
    assert (encoded.data, encoded.codec) == (cells[4]["bytes"], "png")
    assert read_barcode(stream.values[29]) == (1, 29)


def test_pictures_by_path_are_read_inside_the_dataset_only(made: Path, tmp_path: Path) -> None:
    (made / "images").mkdir()
    (made / "images/a.png").write_bytes(png_bytes(barcode_picture(0, 7)))
    (tmp_path / "secret.png").write_bytes(png_bytes(barcode_picture(0, 8)))
    paths = ["images/a.png", "../secret.png", str(tmp_path / "secret.png"), "images/gone.png", *["images/a.png"] * 26]
    change_data(made, 0, "observation.images.hand", pa.array([{"bytes": None, "path": path} for path in paths]))
    stream = lerobot_v2.read(made).episode("0").stream("observation.images.hand")
    where = f"{table_file(made, 0)}: observation.images.hand"
    assert read_barcode(stream.values[0]) == (0, 7)
    for row in (1, 2):
        with pytest.raises(MediaMissing) as caught:
            _ = stream.values[row]
        assert str(caught.value) == (
            f"{where}, row {row}: the picture {paths[row]!r} lies outside the dataset, and is not read from there."
        )
    with pytest.raises(MediaMissing) as caught:
        _ = stream.values[3]
    assert str(caught.value) == (
        f"{where}, row 3: the picture 'images/gone.png' is not there. Restore it from the original."
    )


def test_a_picture_file_that_is_gone_is_absent_media(made: Path) -> None:
    cells = pa.array([{"bytes": None, "path": f"images/{row}.png"} for row in range(30)])
    change_data(made, 0, "observation.images.hand", cells)
    media = lerobot_v2.read(made).episode("0").stream("observation.images.hand").pictures.media()
    assert (media.is_absent, media.codec, media.frames_expected) == (True, None, 30)


def test_pictures_as_files_of_the_recording_layout(made: Path) -> None:
    features = json.loads((made / "meta/info.json").read_text())["features"]
    features["observation.images.hand"] = {"dtype": "image", "shape": [64, 64, 3], "names": ["height", "width", "c"]}
    change_info(made, features=features)
    folder = made / "images/observation.images.hand/episode_000001"
    folder.mkdir(parents=True)
    for frame in range(30):
        (folder / f"frame_{frame:06d}.png").write_bytes(png_bytes(barcode_picture(1, frame)))
    source = lerobot_v2.read(made)
    stream = source.episode("1").stream("observation.images.hand")
    assert (stream.kind, stream.role) == (Kind.IMAGE, Role.CAMERA)
    assert [read_barcode(stream.values[frame]) for frame in (29, 3)] == [(1, 29), (1, 3)]
    assert "observation.images.hand" not in source.episode("0").streams


def test_v2_0_keeps_statistics_of_the_whole_dataset(made: Path) -> None:
    (made / "meta/episodes_stats.jsonl").unlink()
    write_json(made / "meta/stats.json", {"action": {"mean": [1, 2, 3, 4, 5, 6], "note": "no number"}})
    source = lerobot_v2.read(made)
    np.testing.assert_array_equal(source.facts().statistics["action"]["mean"], [1, 2, 3, 4, 5, 6])
    assert dict(source.episode("0").declared_statistics) == {}


def test_a_table_that_claims_more_rows_than_anyone_records_is_refused(
    made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_parquet, "MAX_ROWS", 29)
    with pytest.raises(TooLarge) as caught:
        lerobot_v2.read(made).episode("0")
    assert str(caught.value) == f"{table_file(made, 0)}: the footer claims 30 rows."


def test_a_mislabelled_info_is_still_recognised_by_its_files(made: Path) -> None:
    (made / "meta/info.json").write_bytes(b"{ broken")
    assert detect(made) == "lerobot_v2"
    with pytest.raises(DamagedData) as caught:
        lerobot_v2.read(made)
    assert str(caught.value) == (
        f"{made / 'meta/info.json'} at byte 2: not JSON: Expecting property name enclosed in double quotes. Restore it."
    )


def test_no_list_of_episodes_is_told(made: Path) -> None:
    (made / LIST).unlink()
    with pytest.raises(MediaMissing) as caught:
        lerobot_v2.read(made)
    assert str(caught.value) == f"{made / LIST}: the file does not exist. Restore it from the original."


def test_tables_in_another_place_than_the_template_says_are_found_and_told(made: Path) -> None:
    shutil.move(table_file(made, 0), made / "data/episode_000000.parquet")
    source = lerobot_v2.read(made)
    assert list(source.keys()) == ["0", "1", "2", "3"]
    assert broken(source)["data files away from data_path"] == (0, 1)
    assert len(source.episode("0").stream("action")) == 30


# -- real data -------------------------------------------------------------------------------------


def test_gr1_tells_its_camera_its_placeholder_and_its_counts(shared_data: Path) -> None:
    source = lerobot_v2.read(shared_data / "lerobot-v2.0-gr1-sim" / "dataset")
    assert broken(source) == {
        "total_videos": (2, 5),
        "total_chunks": (0, 1),
        "splits.train": ("0:100", "0:5"),
        "column frame_index": ("a column", "no column"),
        "videos of observation.images.egoview": (5, 0),
    }
    episode = source.episode("0")
    pear = "pick the pear from the counter and place it in the plate"
    assert [(i.text, i.source) for i in episode.instructions] == [
        (pear, "task_index"),
        (pear, "annotation.human.action.task_description"),
        ("valid", "annotation.human.validity"),
    ]
    assert [stream.name for stream in episode.pictures()] == ["observation.images.ego_view"]
    assert episode.stream("action").extra["groups"]["waist"] == [41, 44]
    assert episode.stream("observation.state").table.shape == (416, 44)
    for opened in map(source.episode, source.keys()):
        media = opened.stream("observation.images.ego_view").pictures.media()
        assert media.frames_in_file == len(opened.stream("action")) == opened.declared_steps


def test_g1_has_six_episodes_of_a_hundred(shared_data: Path) -> None:
    source = lerobot_v2.read(shared_data / "lerobot-v2.1-g1-real" / "dataset")
    assert list(source.keys()) == ["28", "29", "30", "31", "59", "82"]
    assert broken(source) == {
        "total_episodes": (100, 6),
        "episodes of meta/episodes.jsonl": (100, 6),
        "total_frames": (35965, 1583),
        "total_videos": (100, 6),
    }
    for episode in map(source.episode, source.keys()):
        state = episode.stream("observation.state")
        assert state.channels is not None
        assert (state.channels[0], len(state.channels)) == ("kLeftShoulderPitch", 26)
        assert state.clock.quality is ClockQuality.SYNTHESIZED
        np.testing.assert_allclose(
            episode.declared_statistics["observation.state"]["mean"], state.table.mean(0), atol=1e-4
        )
        media = episode.stream("observation.images.cam_high").pictures.media()
        assert (media.frames_in_file, media.codec) == (len(state), "av1")
