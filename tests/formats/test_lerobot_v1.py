"""LeRobot v1: rows in Arrow streams, an index beside them, and videos that the rows point to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from makers import lerobot_v1 as maker
from makers._lerobot_parts import CAMERAS, RATE_HZ, numbers, write_json, write_video
from robokata.containers.safetensors import read_safetensors
from robokata.core.clock import ClockQuality
from robokata.core.detection import detect
from robokata.core.errors import DamagedData, MediaMissing
from robokata.core.stream import Kind, Role
from robokata.formats import lerobot_v1
from robokata.testing import Barcode, read_barcode

INDEX = "meta_data/episode_data_index.safetensors"
ROWS = ("train/data-00000-of-00002.arrow", "train/data-00001-of-00002.arrow")


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """Four episodes of 30 rows; the second file starts at row 48, inside episode 1."""
    return maker.make(tmp_path, episodes=4, steps=30)


def broken(source: lerobot_v1.LeRobotV1) -> dict[str, tuple[Any, Any]]:
    return {d.subject: (d.declared, d.found) for d in source.facts().declarations if not d.holds}


def write_stream(file: Path, table: pa.Table) -> None:
    with pa.OSFile(str(file), "wb") as out, pa.ipc.new_stream(out, table.schema) as stream:
        stream.write_table(table, max_chunksize=20)


def read_stream(file: Path) -> pa.Table:
    with pa.OSFile(str(file)) as source, pa.ipc.open_stream(source) as stream:
        return stream.read_all()


def change(file: Path, column: str, cells: Any) -> None:
    table = read_stream(file)
    write_stream(file, table.set_column(table.column_names.index(column), column, cells))


def write_index(path: Path, first: list[int], end: list[int]) -> None:
    maker.write_safetensors(path / INDEX, {"from": np.asarray(first), "to": np.asarray(end)})


def test_every_frame_and_every_number_is_the_one_of_its_row(made: Path) -> None:
    source = lerobot_v1.read(made)
    for number, episode in enumerate(map(source.episode, source.keys())):
        wrote = numbers(number, 30, number * 30, seed=0)
        for name in ("observation.state", "action", "timestamp", "frame_index", "index"):
            np.testing.assert_array_equal(episode.stream(name).values[:], wrote[name])
        for camera in CAMERAS:
            assert [read_barcode(p) for p in episode.stream(camera).values[:]] == [(number, f) for f in range(30)]


def test_the_stamps_of_a_camera_are_kept_beside_it(made: Path) -> None:
    episode = lerobot_v1.read(made).episode("2")
    stamps, camera = episode.stream(f"{CAMERAS[0]}.timestamp"), episode.stream(CAMERAS[0])
    assert (stamps.role, stamps.values.dtype, camera.kind) == (Role.BOOKKEEPING, np.dtype(np.float32), Kind.VIDEO)
    np.testing.assert_array_equal(stamps.values[:], (np.arange(30) / RATE_HZ).astype(np.float32))


def test_there_is_no_language_no_robot_and_no_measured_clock(made: Path) -> None:
    episode = lerobot_v1.read(made).episode("0")
    assert (episode.instructions, episode.embodiment) == ((), None)
    assert episode.stream("action").clock.quality is ClockQuality.SYNTHESIZED
    assert (episode.origin.split, episode.declared_steps, float(episode.declared_rate_hz or 0)) == ("train", 30, 30.0)


def test_an_episode_across_two_files_is_whole(made: Path) -> None:
    episode = lerobot_v1.read(made).episode("1")
    np.testing.assert_array_equal(episode.stream("index").values[:], np.arange(30, 60))


def test_rows_go_by_their_own_number_and_a_false_index_is_told(made: Path) -> None:
    write_index(made, [0, 31, 60, 90], [31, 60, 90, 120])
    source = lerobot_v1.read(made)
    np.testing.assert_array_equal(source.episode("1").stream("index").values[:], np.arange(30, 60))
    assert broken(source) == {"rows of episode 0": ("0:31", "others"), "rows of episode 1": ("31:60", "others")}


def test_an_index_that_promises_more_than_there_is_is_told(made: Path) -> None:
    write_index(made, [0, 30, 60, 90, 120], [30, 60, 90, 120, 150])
    source = lerobot_v1.read(made)
    assert broken(source) == {
        "rows of train": (150, 120),
        "episodes of train": (5, 4),
        "rows of episode 4": ("120:150", "others"),
        "video files": (10, 8),
    }
    with pytest.raises(DamagedData) as caught:
        source.episode("4")
    assert str(caught.value) == (
        f"{made / 'train'}: the index gives rows 120:150 to episode 4, and no row has its number. Restore the rows "
        "from the original, or drop the episode."
    )


def test_a_lost_index_is_replaced_by_the_rows(made: Path) -> None:
    (made / INDEX).unlink()
    assert detect(made) == "lerobot_v1"
    source = lerobot_v1.read(made)
    assert [(row.id, row.first_row, row.end_row) for row in source.facts().rows] == [
        (str(n), n * 30, n * 30 + 30) for n in range(4)
    ]


def test_scattered_rows_cost_their_episode(made: Path) -> None:
    owner = np.repeat([0, 1], [30, 18])
    owner[40] = 0
    change(made / ROWS[0], "episode_index", pa.array(owner))
    with pytest.raises(DamagedData) as caught:
        lerobot_v1.read(made).episode("0")
    assert str(caught.value) == (
        f"{made / 'train'}: the rows of episode 0 are scattered among those of other episodes."
    )


def test_a_file_cut_in_the_middle_costs_the_episodes_behind_the_cut_only(made: Path) -> None:
    data = (made / ROWS[1]).read_bytes()
    (made / ROWS[1]).write_bytes(data[: len(data) // 2])
    source = lerobot_v1.read(made)
    assert len(source.episode("0").stream("action").table) == 30
    with pytest.raises(DamagedData) as caught:
        source.episode("3")
    assert str(caught.value).startswith(f"{made / ROWS[1]}: cannot be read as an Arrow stream: ")
    assert str(caught.value).endswith(" Restore it from the original.")
    subjects = [d.subject for d in source.facts().declarations if not d.holds]
    assert "rows of train" in subjects


def test_an_absent_file_of_rows_is_named(made: Path) -> None:
    (made / ROWS[1]).unlink()
    source = lerobot_v1.read(made)
    assert len(source.episode("0").stream("action")) == 30
    for key in ("1", "3"):
        with pytest.raises(MediaMissing) as caught:
            source.episode(key)
        assert str(caught.value) == (f"{made / ROWS[1]}: the file does not exist. Restore it from the original.")


def test_a_video_path_out_of_the_dataset_is_a_video_that_is_not_there(made: Path, tmp_path: Path) -> None:
    write_video(tmp_path / "secret.mp4", [Barcode(9, f) for f in range(30)])
    for outside in ("../secret.mp4", str(tmp_path / "secret.mp4")):
        cells = [{"path": outside, "timestamp": f / RATE_HZ} for f in range(48)]
        kind = pa.struct([("path", pa.string()), ("timestamp", pa.float32())])
        change(made / ROWS[0], CAMERAS[0], pa.array(cells, kind))
        assert lerobot_v1.read(made).episode("0").stream(CAMERAS[0]).pictures.media().is_absent


def test_stamps_that_start_inside_a_video_point_to_its_frames(made: Path) -> None:
    write_video(made / "videos/packed.mp4", [Barcode(n, f) for n in (7, 0) for f in range(30)])
    cells = [{"path": "videos/packed.mp4", "timestamp": (30 + f) / RATE_HZ} for f in range(48)]
    kind = pa.struct([("path", pa.string()), ("timestamp", pa.float32())])
    change(made / ROWS[0], CAMERAS[0], pa.array(cells, kind))
    stream = lerobot_v1.read(made).episode("0").stream(CAMERAS[0])
    assert [read_barcode(stream.values[f]) for f in (0, 29, 13)] == [(0, 0), (0, 29), (0, 13)]


def test_other_splits_have_their_name_in_the_key(made: Path) -> None:
    rows = {name: array for name, array in numbers(0, 10, 0, seed=5).items() if name != "task_index"}
    maker.write_rows(made / "test", maker.table_of(rows, 1, 10))
    source = lerobot_v1.read(made)
    assert list(source.keys()) == ["train/0", "train/1", "train/2", "train/3", "test/0"]
    assert source.facts().splits == {"train": 4, "test": 1}
    assert len(source.episode("test/0").stream("action")) == 10
    np.testing.assert_array_equal(source.episode("train/1").stream("index").values[:], np.arange(30, 60))


def test_statistics_come_from_the_safetensors_file(made: Path) -> None:
    source = lerobot_v1.read(made)
    actions = np.concatenate([e.stream("action").table for e in map(source.episode, source.keys())])
    np.testing.assert_allclose(source.facts().statistics["action"]["mean"], actions.mean(0), rtol=1e-5)
    (made / "meta_data/stats.safetensors").unlink()
    assert dict(lerobot_v1.read(made).facts().statistics) == {}


def with_entry(shape: list[int], offsets: list[int]) -> bytes:
    header = json.dumps({"from": {"dtype": "I64", "shape": shape, "data_offsets": offsets}}).encode()
    return len(header).to_bytes(8, "little") + header + bytes(16)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "header too small"),
        (b"\xff" * 16, "header too large"),
        (b"\x04" + b"\0" * 7 + b"nope", "invalid JSON in header: expected ident at line 1 column 2"),
        (with_entry([2], [0, 8]), "invalid shape, data type, or offset for tensor"),
        (with_entry([2], [8, 24]), "invalid offset for tensor `from`"),
        (with_entry([2**40, 2**40], [0, 16]), "overflow computing buffer size from shape and/or element type"),
    ],
)
def test_what_is_no_safetensors_file_is_damage(tmp_path: Path, data: bytes, reason: str) -> None:
    (tmp_path / "x.safetensors").write_bytes(data)
    with pytest.raises(DamagedData) as caught:
        read_safetensors(tmp_path / "x.safetensors")
    assert str(caught.value) == (
        f"{tmp_path / 'x.safetensors'}: is no safetensors file: {reason}. Restore it from the original."
    )


def test_types_that_numpy_lacks_are_left_out(tmp_path: Path) -> None:
    header = json.dumps(
        {
            "__metadata__": {"format": "pt"},
            "a": {"dtype": "BF16", "shape": [4], "data_offsets": [0, 8]},
            "b": {"dtype": "I64", "shape": [1], "data_offsets": [8, 16]},
            "scalar": {"dtype": "F32", "shape": [], "data_offsets": [16, 20]},
        }
    ).encode()
    (tmp_path / "x.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(20))
    arrays = read_safetensors(tmp_path / "x.safetensors")
    assert {name: array.shape for name, array in arrays.items()} == {"b": (1,), "scalar": ()}


def test_a_list_of_files_that_leads_elsewhere_is_refused(made: Path) -> None:
    write_json(made / "train/state.json", {"_data_files": [{"filename": "../../etc/passwd"}]})
    with pytest.raises(DamagedData) as caught:
        lerobot_v1.read(made)
    assert str(caught.value) == (
        f"{made / 'train/state.json'}: '../../etc/passwd' is no name of a file in this folder."
    )


def test_an_info_without_a_rate_is_refused(made: Path) -> None:
    write_json(made / "meta_data/info.json", {"video": 1})
    with pytest.raises(DamagedData) as caught:
        lerobot_v1.read(made)
    assert str(caught.value) == (
        f"{made / 'meta_data/info.json'}: 'fps' is None, not a rate. Write the true rate there."
    )


def test_no_episodes_are_legal(tmp_path: Path) -> None:
    source = lerobot_v1.read(maker.make(tmp_path, episodes=0, steps=3))
    assert list(source.keys()) == []
    assert broken(source) == {}


def test_reading_maps_the_rows_and_copies_none(made: Path) -> None:
    before = pa.total_allocated_bytes()
    source = lerobot_v1.read(made)
    episode = source.episode("3")
    assert len(episode.stream("action")) == 30
    # The column of owners (960 bytes) and the pointers of the cameras; the 120 rows themselves are 10 kB.
    assert pa.total_allocated_bytes() - before < 8000


# -- real data -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "steps", "rate_hz", "camera", "has_action"),
    [
        ("umi_cup_in_the_wild", 400, 10, "observation.image", False),
        ("aloha_sim_insertion_human", 500, 50, "observation.images.top", True),
        ("pusht", 161, 10, "observation.image", True),
    ],
)
def test_the_first_public_datasets_read_without_a_contradiction(
    shared_data: Path, name: str, steps: int, rate_hz: int, camera: str, has_action: bool
) -> None:
    path = shared_data / "lerobot-v1-arrow" / name
    assert detect(path) == "lerobot_v1"
    source = lerobot_v1.read(path)
    assert broken(source) == {}
    assert (list(source.keys()), source.facts().rows[0].steps) == (["0"], steps)
    episode = source.episode("0")
    assert (episode.declared_rate_hz, "action" in episode.streams) == (rate_hz, has_action)
    media = episode.stream(camera).pictures.media()
    assert (media.frames_in_file, media.frames_expected, media.problem) == (steps, steps, None)
    assert episode.stream(camera).values[steps - 1].ndim == 3
    state = episode.stream("observation.state").table
    np.testing.assert_allclose(source.facts().statistics["observation.state"]["max"].shape, state.shape[1:])
    assert episode.instructions == ()


def test_umi_has_a_gripper_width_and_no_action(shared_data: Path) -> None:
    episode = lerobot_v1.read(shared_data / "lerobot-v1-arrow" / "umi_cup_in_the_wild").episode("0")
    assert episode.stream("gripper_width").table.shape == (400, 1)
    np.testing.assert_array_equal(
        episode.stream("gripper_width").table[:, 0], episode.stream("observation.state").table[:, 6]
    )
