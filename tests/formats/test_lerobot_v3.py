"""LeRobot v3.0: what is packed together must come apart again, frame by frame."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import simplejpeg

from makers import lerobot_v3 as maker
from makers._lerobot_parts import CAMERAS, RATE_HZ, numbers, write_json, write_video
from robokata.core.clock import ClockQuality
from robokata.core.episode import Instruction
from robokata.core.errors import DamagedData, MediaMissing, Unsupported
from robokata.core.stream import Kind, Role
from robokata.formats import lerobot_v3
from robokata.testing import Barcode, barcode_picture, read_barcode

INDEX = "meta/episodes/chunk-000/file-000.parquet"
DATA = "data/chunk-000/file-000.parquet"


@pytest.fixture
def made(tmp_path: Path) -> Path:
    return maker.make(tmp_path, episodes=5, steps=40)


def change_info(path: Path, **fields: Any) -> None:
    info = json.loads((path / "meta/info.json").read_text())
    write_json(path / "meta/info.json", info | fields)


def change_index(path: Path, column: str, cells: list[Any]) -> None:
    table = pq.read_table(path / INDEX)
    kept = [name for name in table.column_names if name != column]
    pq.write_table(table.select(kept).append_column(column, pa.array(cells)), path / INDEX)


def change_data(path: Path, column: str, cells: Any, file: str = DATA) -> None:
    table = pq.read_table(path / file)
    kept = [name for name in table.column_names if name != column]
    pq.write_table(table.select(kept).append_column(column, cells), path / file)


def broken(source: lerobot_v3.LeRobotV3) -> dict[str, tuple[Any, Any]]:
    return {d.subject: (d.declared, d.found) for d in source.facts().declarations if not d.holds}


def test_every_frame_of_every_camera_is_the_one_asked_for_in_a_thousand_random_accesses(made: Path) -> None:
    source = lerobot_v3.read(made)
    episodes = list(map(source.episode, source.keys()))
    rng = np.random.default_rng(1)
    for _ in range(1000):
        number, frame, camera = int(rng.integers(5)), int(rng.integers(40)), CAMERAS[rng.integers(2)]
        assert read_barcode(episodes[number].stream(camera).values[frame]) == (number, frame)


def test_a_camera_that_is_packed_in_another_order_and_file_than_the_rows_starts_elsewhere(made: Path) -> None:
    # The wrist videos are packed backwards: the last episode alone, then the rest.
    firsts = [lerobot_v3.read(made).episode(str(n)).stream(CAMERAS[1]).pictures.media().first_frame for n in range(5)]
    assert firsts == [120, 80, 40, 0, 0]
    media = lerobot_v3.read(made).episode("1").stream(CAMERAS[1]).pictures.media()
    assert (media.frames_in_span, media.frames_in_file, Path(media.path).parts[-2:]) == (
        40,
        160,
        ("chunk-001", "file-004.mp4"),
    )


def test_rows_are_found_by_their_own_number_when_the_index_counts_wrong(made: Path) -> None:
    change_index(made, "length", [10, 40, 40, 40, 40])
    change_index(made, "dataset_from_index", [7, 7, 7, 7, 7])
    episode = lerobot_v3.read(made).episode("1")
    np.testing.assert_array_equal(episode.stream("index").values[:], np.arange(40, 80))
    assert lerobot_v3.read(made).episode("0").declared_steps == 10
    assert len(lerobot_v3.read(made).episode("0").stream("action")) == 40
    assert broken(lerobot_v3.read(made)) == {"length of all episodes": (170, 200)}


def test_episodes_keep_the_order_of_the_index(made: Path) -> None:
    table = pq.read_table(made / INDEX)
    pq.write_table(table.take([3, 0, 4, 1, 2]), made / INDEX)
    source = lerobot_v3.read(made)
    assert list(source.keys()) == ["3", "0", "4", "1", "2"]
    for episode in map(source.episode, source.keys()):
        assert episode.stream("episode_index").values[0] == int(episode.id)
        assert read_barcode(episode.stream(CAMERAS[1]).values[7]) == (int(episode.id), 7)


def test_an_episode_that_is_listed_twice_is_one_episode_and_told(made: Path) -> None:
    change_index(made, "episode_index", [0, 1, 1, 3, 4])
    source = lerobot_v3.read(made)
    assert list(source.keys()) == ["0", "1", "3", "4"]
    assert broken(source)["listings of an episode"] == (5, 4)


def test_scattered_rows_are_refused_for_their_episode_only(made: Path) -> None:
    owner = np.repeat([0, 1, 2], 40)
    owner[100] = 0
    change_data(made, "episode_index", pa.array(owner))
    source = lerobot_v3.read(made)
    with pytest.raises(DamagedData) as caught:
        source.episode("0")
    assert str(caught.value) == f"{made / DATA}: the rows of episode 0 are scattered among those of other episodes."
    assert len(source.episode("1").stream("action")) == 40


def test_an_episode_without_rows_names_what_the_file_holds(made: Path) -> None:
    change_index(made, "data/file_index", [0, 0, 1, 1, 1])
    with pytest.raises(DamagedData) as caught:
        lerobot_v3.read(made).episode("2")
    assert str(caught.value) == (
        f"{made / 'data/chunk-000/file-001.parquet'}: the index puts episode 2 into this file, and it holds rows of "
        "episodes 3..4 only. Rebuild the table of episodes, or drop the episode."
    )


def test_an_absent_data_file_costs_its_episodes_and_is_declared(made: Path) -> None:
    (made / "data/chunk-000/file-001.parquet").unlink()
    source = lerobot_v3.read(made)
    assert len(source.episode("2").stream("action")) == 40
    with pytest.raises(MediaMissing) as caught:
        source.episode("3")
    assert str(caught.value) == (
        f"{made / 'data/chunk-000/file-001.parquet'}: the file does not exist. Restore it from the original."
    )
    assert broken(source)["data file data/chunk-000/file-001.parquet"] == ("present", "absent")


def test_a_cut_data_file_is_named(made: Path) -> None:
    (made / DATA).write_bytes((made / DATA).read_bytes()[:500])
    with pytest.raises(DamagedData) as caught:
        lerobot_v3.read(made).episode("0")
    assert str(caught.value) == (
        f"{made / DATA}: cannot be read as Parquet: Parquet magic bytes not found in footer. Either the file is "
        "corrupted or this is not a parquet file. Restore it from the original."
    )
    assert broken(lerobot_v3.read(made))[f"data file {DATA}"] == ("readable", "damaged")


@pytest.mark.parametrize("field", ["data_path", "video_path"])
@pytest.mark.parametrize("template", ["../../{chunk_index}/{file_index}", "/etc/{chunk_index}"])
def test_a_template_that_leads_out_of_the_dataset_is_refused(made: Path, field: str, template: str) -> None:
    change_info(made, **{field: template})
    with pytest.raises(DamagedData) as caught:
        lerobot_v3.read(made)
    assert str(caught.value) == f"{made / 'meta/info.json'}: {field!r} leads out of the dataset: {template!r}."


@pytest.mark.parametrize("template", ["{chunk_index.__class__}", "{chunk_index:99999999999d}", "{"])
def test_a_template_that_reaches_into_objects_or_asks_for_gigabytes_is_refused(made: Path, template: str) -> None:
    change_info(made, data_path=template)
    with pytest.raises(DamagedData, match="'data_path' is no usable template"):
        lerobot_v3.read(made)


def test_a_video_that_is_not_there_is_told_and_the_numbers_still_read(made: Path) -> None:
    (made / f"videos/{CAMERAS[0]}/chunk-000/file-003.mp4").unlink()
    source = lerobot_v3.read(made)
    stream = source.episode("0").stream(CAMERAS[0])
    assert stream.pictures.media().is_absent
    assert len(source.episode("0").stream("action").table) == 40
    assert broken(source) == {
        f"video of {CAMERAS[0]}": (
            "present",
            f"1 of 1 files absent (videos/{CAMERAS[0]}/chunk-000/file-003.mp4)",
        )
    }


def test_a_camera_without_pointer_in_the_index_has_no_media(made: Path) -> None:
    change_index(made, f"videos/{CAMERAS[0]}/from_timestamp", [None, 40 / RATE_HZ, 80 / RATE_HZ, 4.0, 160 / RATE_HZ])
    source = lerobot_v3.read(made)
    assert source.episode("0").stream(CAMERAS[0]).pictures.media().is_absent
    assert read_barcode(source.episode("1").stream(CAMERAS[0]).values[3]) == (1, 3)


def test_pictures_inside_the_table_are_passed_through(made: Path) -> None:
    jpegs = [simplejpeg.encode_jpeg(np.ascontiguousarray(barcode_picture(n // 40, n % 40))) for n in range(120)]
    cells = [{"bytes": data, "path": f"frame_{n}.jpg"} for n, data in enumerate(jpegs)]
    change_data(made, "observation.images.hand", pa.array(cells))
    stream = lerobot_v3.read(made).episode("2").stream("observation.images.hand")
    assert (stream.kind, stream.role, stream.values.shape) == (Kind.IMAGE, Role.CAMERA, (40, 64, 64, 3))
    assert read_barcode(stream.values[39]) == (2, 39)
    encoded = stream.pictures.encoded(5)
    assert encoded is not None
    assert (encoded.data, encoded.codec) == (jpegs[85], "jpeg")


def test_strings_and_language_columns_keep_their_content(made: Path) -> None:
    change_data(made, "note", pa.array([f"row {n}" for n in range(119)] + [None]))
    said = [[{"role": "user", "content": "go", "style": "subtask", "timestamp": 0.5}]] * 120
    change_data(made, "language_events", pa.array(said))
    streams = lerobot_v3.read(made).episode("2").streams
    assert streams["note"].kind is Kind.TEXT
    assert list(streams["note"].values[38:]) == ["row 118"]  # a null is no text
    assert (streams["language_events"].kind, streams["language_events"].role) == (Kind.MESSAGE, Role.LANGUAGE)
    assert json.loads(streams["language_events"].values[0].item()) == said[0]


@pytest.mark.parametrize(("fps", "exact"), [(29.97, Fraction(30000, 1001)), (12.5, Fraction(25, 2)), (7, Fraction(7))])
def test_fractional_rates_are_exact_and_stamps_of_that_rate_are_synthesized(
    made: Path, fps: float, exact: Fraction
) -> None:
    change_info(made, fps=fps)
    change_data(made, "timestamp", pa.array(np.tile(np.arange(40) / fps, 3).astype(np.float32)))
    episode = lerobot_v3.read(made).episode("1")
    clock = episode.stream("action").clock
    assert (episode.declared_rate_hz, clock.quality) == (exact, ClockQuality.SYNTHESIZED)
    assert clock.times_ns[39] == round(39 * 10**9 / exact)


def test_stamps_that_are_not_the_grid_are_measured_even_when_they_run_backwards(made: Path) -> None:
    stamps = np.tile(np.arange(40) / RATE_HZ, 3)
    stamps[45] += 0.3
    change_data(made, "timestamp", pa.array(stamps))
    clock = lerobot_v3.read(made).episode("1").stream("action").clock
    assert clock.quality is ClockQuality.MEASURED
    assert clock.times_ns[5] == round((5 / RATE_HZ + 0.3) * 1e9) > clock.times_ns[6]


def test_an_fps_that_is_none_is_refused(made: Path) -> None:
    change_info(made, fps=0)
    with pytest.raises(DamagedData) as caught:
        lerobot_v3.read(made)
    assert str(caught.value) == f"{made / 'meta/info.json'}: 'fps' is 0, not a rate. Write the true rate there."


def test_null_tasks_fall_back_to_the_column_of_task_numbers(made: Path) -> None:
    change_index(made, "tasks", pa.array([None] * 5, pa.list_(pa.string())).to_pylist())
    episode = lerobot_v3.read(made).episode("1")
    assert episode.instructions == (Instruction("open the drawer", source="task_index"),)


def test_task_texts_in_a_pandas_index_column_are_found(made: Path) -> None:
    change_index(made, "tasks", [[], [], [], [], []])
    table = pa.table({"task_index": [0, 1, 2], "__index_level_0__": ["a", "b", "c"]})
    pq.write_table(table, made / "meta/tasks.parquet")
    texts = [i.text for key in "012" for i in lerobot_v3.read(made).episode(key).instructions]
    assert texts == ["a", "b", "c"]


def test_an_episode_that_nobody_named_has_an_empty_instruction(made: Path) -> None:
    change_index(made, "tasks", [[], [], [], [], []])
    (made / "meta/tasks.parquet").unlink()
    assert lerobot_v3.read(made).episode("0").instructions == (Instruction("", source="meta/episodes: tasks"),)


def test_a_task_that_changes_in_the_episode_has_a_span(made: Path) -> None:
    change_index(made, "tasks", [["pick up the red block", "open the drawer"], ["x"], ["x"], ["x"], ["x"]])
    change_data(made, "task_index", pa.array(np.repeat([0, 1, 2], [30, 50, 40])))
    first, second = lerobot_v3.read(made).episode("0").instructions
    assert (first.text, first.start_s, first.end_s, first.source) == ("pick up the red block", 0.0, 1.0, "task_index")
    assert (second.text, second.start_s, second.end_s) == ("open the drawer", 1.0, pytest.approx(39 / 30))


def test_missing_statistics_are_empty_and_present_ones_are_arrays(made: Path) -> None:
    source = lerobot_v3.read(made)
    declared = source.episode("3").declared_statistics["observation.state"]
    np.testing.assert_allclose(declared["mean"], source.episode("3").stream("observation.state").table.mean(0), 1e-5)
    assert declared["count"] == 40
    (made / "meta/stats.json").unlink()
    table = pq.read_table(made / INDEX)
    pq.write_table(table.select([n for n in table.column_names if not n.startswith("stats/")]), made / INDEX)
    assert dict(lerobot_v3.read(made).facts().statistics) == {}
    assert dict(lerobot_v3.read(made).episode("3").declared_statistics) == {}


def test_a_declared_feature_without_column_and_a_false_number_type_are_told(made: Path) -> None:
    features = json.loads((made / "meta/info.json").read_text())["features"]
    features["observation.force"] = {"dtype": "float32", "shape": [6], "names": None}
    features["action"] = {**features["action"], "dtype": "float64"}
    change_info(made, features=features)
    assert broken(lerobot_v3.read(made)) == {
        "feature observation.force": ("a column", "no column"),
        "dtype of action": ("float64", "float32"),
    }


def test_lists_of_another_length_than_declared_are_damage_of_that_stream(made: Path) -> None:
    change_data(made, "action", pa.array([[0.0] * 5] * 120))
    episode = lerobot_v3.read(made).episode("0")
    with pytest.raises(DamagedData) as caught:
        episode.stream("action").values[:]
    assert str(caught.value) == f"{made / DATA}: action: 40 rows hold 200 numbers, and the shape [6] promises 240."
    assert episode.stream("observation.state").table.shape == (40, 6)


def test_empty_cells_are_damage_and_never_zeros(made: Path) -> None:
    change_data(made, "observation.force", pa.array([1.0] * 39 + [None] + [1.0] * 80))
    with pytest.raises(DamagedData) as caught:
        lerobot_v3.read(made).episode("0").stream("observation.force").values[:]
    assert str(caught.value) == f"{made / DATA}: observation.force: 1 of 40 cells are empty (null)."


def test_a_list_that_is_absent_within_lists_is_damage(made: Path) -> None:
    change_data(made, "action", pa.array([[[0.0] * 3, None]] * 120, pa.list_(pa.list_(pa.float32()))))
    with pytest.raises(DamagedData, match=r"action: 40 lists are empty \(null\)\.$"):
        lerobot_v3.read(made).episode("0").stream("action").values[:]


def test_categories_are_the_texts_and_numbers_that_they_stand_for(made: Path) -> None:
    change_data(made, "observation.note", pa.array(["grasp", ""] * 60).dictionary_encode())
    change_data(made, "observation.mode", pa.array([7, 9] * 60).dictionary_encode())
    episode = lerobot_v3.read(made).episode("0")
    assert episode.stream("observation.note").values[:].tolist() == ["grasp", ""] * 20
    assert episode.stream("observation.mode").table[:, 0].tolist() == [7, 9] * 20


def test_another_version_says_so(made: Path) -> None:
    change_info(made, codebase_version="v4.0")
    assert lerobot_v3.sniff(made) == 0.4
    with pytest.raises(Unsupported) as caught:
        lerobot_v3.read(made)
    assert str(caught.value) == (
        f"{made / 'meta/info.json'}: 'codebase_version' is 'v4.0', and this reads LeRobot v3.x only."
    )


def test_a_table_of_episodes_that_lacks_its_columns_is_damage(made: Path) -> None:
    pq.write_table(pq.read_table(made / INDEX).drop_columns(["length"]), made / INDEX)
    with pytest.raises(DamagedData) as caught:
        lerobot_v3.read(made)
    assert str(caught.value) == f"{made / INDEX}: the table of episodes lacks the columns length."


def test_names_of_channels_in_a_dictionary_are_in_their_order(made: Path) -> None:
    features = json.loads((made / "meta/info.json").read_text())["features"]
    features["action"]["names"] = {"f": 5, "a": 0, "b": 1, "c": 2, "d": 3, "e": 4}
    features["observation.state"]["names"] = {"left": ["a", "b"], "right": ["c", "d", "e", "f"]}
    change_info(made, features=features)
    episode = lerobot_v3.read(made).episode("0")
    assert episode.stream("action").channels == tuple("abcdef") == episode.stream("observation.state").channels


def test_two_episodes_at_different_starts_of_two_cameras_in_two_files_each(tmp_path: Path) -> None:
    """Ten episodes of different lengths, every camera packed in its own way: no frame may shift."""
    lengths, rng = rng_lengths(), np.random.default_rng(0)
    path = tmp_path / "packed"
    columns, rows, first = [], [], 0
    for number, length in enumerate(lengths):
        columns.append(numbers(number, length, first, seed=0))
        rows.append(
            {
                "episode_index": number,
                "tasks": ["x"],
                "length": length,
                "data/chunk_index": number % 2,
                "data/file_index": number // 5,
            }
        )
        first += length
    for chunk in (0, 1):
        for file in (0, 1):
            mine = [c for n, c in enumerate(columns) if (n % 2, n // 5) == (chunk, file)]
            joined = {name: np.concatenate([c[name] for c in mine]) for name in mine[0]}
            maker.write_table(path / f"data/chunk-{chunk:03d}/file-{file:03d}.parquet", joined)
    for camera in CAMERAS:
        order = rng.permutation(10)
        for file, pack in enumerate((order[:3], order[3:])):
            write_video(
                path / f"videos/{camera}/chunk-000/file-{file:03d}.mp4",
                [Barcode(int(n), f) for n in pack for f in range(lengths[n])],
            )
            start = 0
            for n in pack:
                rows[n] |= {f"videos/{camera}/chunk_index": 0, f"videos/{camera}/file_index": file}
                rows[n] |= {f"videos/{camera}/from_timestamp": start / RATE_HZ}
                start += lengths[n]
                rows[n] |= {f"videos/{camera}/to_timestamp": start / RATE_HZ}
    maker.write_meta(path, rows, {}, 10, 1)
    source = lerobot_v3.read(path)
    episodes = [source.episode(str(n)) for n in range(10)]
    for _ in range(1000):
        n = int(rng.integers(10))
        frame, camera = int(rng.integers(lengths[n])), CAMERAS[rng.integers(2)]
        assert read_barcode(episodes[n].stream(camera).values[frame]) == (n, frame)
    for n, episode in enumerate(episodes):
        np.testing.assert_array_equal(episode.stream("action").table, columns[n]["action"])


def rng_lengths() -> list[int]:
    return [13, 1, 47, 29, 30, 31, 8, 90, 2, 17]


# -- real data -------------------------------------------------------------------------------------


def test_reachy_reads_by_its_rows_although_its_counts_are_stale(shared_data: Path) -> None:
    source = lerobot_v3.read(shared_data / "lerobot-v3.0-reachy2-real" / "dataset")
    assert [len(episode.stream("action")) for episode in map(source.episode, source.keys())] == [299, 300, 300]
    assert broken(source) == {
        "total_frames": (14983, 899),
        "splits.train": ("0:50", "0:3"),
        "video of observation.image": (
            "present",
            "1 of 1 files absent (videos/observation.image/chunk-000/file-000.mp4)",
        ),
    }
    assert source.episode("0").instructions[0].text == "place the apple in the plate"
    assert source._tasks == {0: "place the apple in the plate"}


@pytest.mark.parametrize(("name", "rows"), [("av1", [300] * 3), ("h264", [300] * 4)])
def test_what_lerobot_itself_wrote_is_read_without_a_contradiction(
    shared_data: Path, name: str, rows: list[int]
) -> None:
    source = lerobot_v3.read(shared_data / "foreign-writers" / f"lerobot-v3.0-{name}")
    assert broken(source) == {}
    assert [row.steps for row in source.facts().rows] == rows
    last = source.episode(source.keys()[-1])
    for stream in last.pictures():
        media = stream.pictures.media()
        assert (media.frames_in_span, media.first_frame, media.problem) == (300, 300 * (len(rows) - 1), None)
        assert stream.values[299].shape == (224, 224, 3)
    np.testing.assert_allclose(
        last.declared_statistics["action"]["mean"], last.stream("action").table.mean(0), atol=1e-5
    )
