"""Replay buffers of Diffusion Policy and UMI."""

from __future__ import annotations

import json
import pickle
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from makers.zarr_replay import make
from robokata.containers.zarr import array as _zarr
from robokata.core.clock import ClockQuality
from robokata.core.errors import DamagedData, TooLarge, UnknownName, Unsupported, UntrustedContent
from robokata.core.stream import Evidence, Kind, Role
from robokata.formats import zarr_replay
from robokata.testing import Barcode, barcode_picture, read_barcode

zarr = pytest.importorskip("zarr")
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")


def add(path: Path, name: str, values: np.ndarray[Any, Any], **settings: Any) -> None:
    """One more array in a replay buffer, with the zarr library."""
    group = zarr.open_group(str(path), mode="a")
    chunks = settings.pop("chunks", values.shape)
    array = group.create_array(name, shape=values.shape, chunks=chunks, dtype=values.dtype, **settings)
    array[:] = values


def set_ends(path: Path, ends: list[int]) -> None:
    """Another episode index in place of the one that is there."""
    group = zarr.open_group(str(path), mode="a")
    del group["meta/episode_ends"]
    add(path, "meta/episode_ends", np.asarray(ends, np.int64))


def edit(path: Path, **changes: Any) -> None:
    """Change fields of a `.zarray`."""
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def make_umi(root: Path, *, episodes: int = 3, steps: int = 6) -> Path:
    """What UMI's generator writes: one JPEG XL picture per chunk in a zip, poses, and no action."""
    codecs = pytest.importorskip("imagecodecs.numcodecs")
    codecs.register_codecs(verbose=False)
    path, rows = root / "dataset.zarr.zip", episodes * steps
    pictures = np.stack([barcode_picture(e, f) for e in range(episodes) for f in range(steps)])
    pose = np.random.default_rng(0).normal(size=(rows, 6))
    store = zarr.storage.ZipStore(str(path), mode="w")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        group = zarr.open_group(store, mode="w", zarr_format=2)
        for name, values in (
            ("data/robot0_eef_pos", pose[:, :3].astype(np.float32)),
            ("data/robot0_eef_rot_axis_angle", pose[:, 3:].astype(np.float32)),
            ("data/robot0_gripper_width", pose[:, :1].astype(np.float32)),
            ("data/robot0_demo_start_pose", np.repeat(pose[::steps], steps, axis=0)),
            ("meta/episode_ends", np.arange(1, episodes + 1) * steps),
        ):
            array = group.create_array(name, shape=values.shape, chunks=values.shape, dtype=values.dtype)
            array[:] = values
        compressor = codecs.Jpegxl(level=99, numthreads=1)
        shape, chunks = pictures.shape, (1, 64, 64, 3)
        array = group.create_array("data/camera0_rgb", shape=shape, chunks=chunks, dtype="u1", compressors=[compressor])
        array[:] = pictures
    store.close()
    return path


@pytest.mark.parametrize("version", [2, 3])
def test_each_picture_comes_from_its_own_episode_and_frame_although_chunks_cross_borders(
    tmp_path: Path, version: int
) -> None:
    source = zarr_replay.read(make(tmp_path, episodes=4, steps=10, version=version))
    assert source.keys() == ["0", "1", "2", "3"]
    for key, frame in (("3", 9), ("0", 0), ("2", 4)):
        values = source.episode(key).streams["img"].values
        assert read_barcode(values[frame]) == Barcode(int(key), frame)
    assert [read_barcode(p).frame for p in values[np.array([7, 1, 1, -1])]] == [7, 1, 1, 9]
    assert len(list(source.episode("1").streams["img"].pictures.luma(48))) == 10
    assert source.facts().version == str(version)
    assert all(declaration.holds for declaration in source.facts().declarations)


def test_diffusion_policy_names_give_roles_and_nothing_gives_meaning(tmp_path: Path) -> None:
    path = make(tmp_path, episodes=2, steps=5)
    add(path, "data/keypoint", np.zeros((10, 9, 2), np.float32))

    episode = pickle.loads(pickle.dumps(zarr_replay.read(path).episode("1")))  # our own bytes
    roles = {name: stream.role for name, stream in episode.streams.items()}
    assert roles == {"action": Role.ACTION, "img": Role.CAMERA, "keypoint": Role.SENSOR, "state": Role.STATE}
    assert episode.streams["action"].meaning.unit is None
    assert episode.streams["action"].clock.quality is ClockQuality.UNKNOWN
    assert episode.instructions == ()
    assert episode.declared_rate_hz is None


def test_a_umi_zip_gives_jpeg_xl_pictures_declared_axis_angles_and_no_action(tmp_path: Path) -> None:
    path = make_umi(tmp_path)
    assert zarr_replay.sniff(path) == 0.95
    source = zarr_replay.read(path)
    episode = source.episode("1")
    assert read_barcode(episode.streams["camera0_rgb"].values[4]) == Barcode(1, 4)
    assert episode.streams["camera0_rgb"].extra["codecs"] == ["imagecodecs_jpegxl"]
    rotation = episode.streams["robot0_eef_rot_axis_angle"].meaning.rotation
    assert rotation is not None
    assert (rotation.value, rotation.evidence) == ("axis_angle", Evidence.FILE)
    assert episode.streams["robot0_gripper_width"].meaning.unit is None
    assert episode.streams["robot0_eef_pos"].role is Role.STATE
    assert episode.streams["robot0_demo_start_pose"].role is Role.BOOKKEEPING
    assert not list(episode.of_role(Role.ACTION))
    assert all(declaration.holds for declaration in source.facts().declarations)


CODECS = ["Blosc", "Zlib", "GZip", "BZ2", "LZMA", "LZ4", "Zstd", None]


@pytest.mark.parametrize("name", CODECS)
@pytest.mark.parametrize("order", ["C", "F"])
def test_every_codec_of_zarr_2_reads_as_the_zarr_library_reads_it(tmp_path: Path, name: str, order: str) -> None:
    import numcodecs

    path = make(tmp_path, episodes=2, steps=5)
    values = np.random.default_rng(1).normal(size=(10, 4, 3)).astype(">f8")
    filters = [numcodecs.Delta(dtype=">f8"), numcodecs.Shuffle(8)] if name in ("Zlib", "LZ4") else None
    compressor = getattr(numcodecs, name)() if name else None
    add(path, "data/x", values, chunks=(3, 3, 2), compressors=compressor, order=order, filters=filters)
    mine = zarr_replay.read(path).episode("1").streams["x"].values[:]
    assert mine.dtype == np.dtype("f8")
    np.testing.assert_array_equal(mine, zarr.open_group(str(path), mode="r")["data/x"][5:10])


@pytest.mark.parametrize("endian", ["little", "big"])
@pytest.mark.parametrize("shards", [None, (6, 4, 4)])
def test_every_layout_of_zarr_3_reads_as_the_zarr_library_reads_it(
    tmp_path: Path, endian: str, shards: tuple[int, ...] | None
) -> None:
    codecs = zarr.codecs
    path = make(tmp_path, episodes=2, steps=5, version=3)
    values = np.random.default_rng(1).normal(size=(10, 4, 3))
    values[0:3] = 0  # a chunk of nothing but fill: the library leaves it out
    pack = [codecs.GzipCodec(), codecs.Crc32cCodec()] if endian == "big" else [codecs.BloscCodec()]
    settings = {"filters": [codecs.TransposeCodec(order=(2, 0, 1))], "serializer": codecs.BytesCodec(endian=endian)}
    add(path, "data/x", values, chunks=(3, 2, 2), shards=shards, compressors=pack, **settings)
    source = zarr_replay.read(path)
    for key, rows in (("0", slice(0, 5)), ("1", slice(5, 10))):
        np.testing.assert_array_equal(source.episode(key).streams["x"].values[:], values[rows])


def test_a_lost_chunk_is_named_with_its_rows_and_episode(tmp_path: Path) -> None:
    path = make(tmp_path, episodes=4, steps=10)
    (path / "data" / "action" / "2.0").unlink()
    broken = [d for d in zarr_replay.read(path).facts().declarations if not d.holds]
    assert [(d.subject, d.declared, d.found) for d in broken] == [("chunk files of data/action", 6, 5)]
    assert broken[0].hint == (
        "data/action/2.0 is the first that is not there: rows 14 to 20, from episode 1 on, read as 0.0. "
        "Sound only if the writer leaves out chunks of nothing but that value."
    )


def test_a_lost_chunk_of_an_array_without_fill_value_is_damage(tmp_path: Path) -> None:
    path = make(tmp_path, episodes=2, steps=10)
    edit(path / "data" / "action" / ".zarray", fill_value=None)
    (path / "data" / "action" / "1.0").unlink()
    values = zarr_replay.read(path).episode("1").streams["action"].values
    with pytest.raises(DamagedData) as caught:
        values[:]
    place = path / "data" / "action" / "1.0"
    assert str(caught.value) == f"{place}: the chunk is not there, and its array declares no fill value."
    assert values[4:].shape == (6, 2)


def test_an_array_that_ends_early_costs_the_rows_it_lacks_and_names_the_episodes(tmp_path: Path) -> None:
    path = make(tmp_path, episodes=3, steps=10)
    edit(path / "data" / "action" / ".zarray", shape=[14, 2])
    source = zarr_replay.read(path)
    episode = source.episode("1")
    assert (len(episode.streams["action"]), len(episode.streams["state"]), episode.declared_steps) == (4, 10, 10)
    assert len(source.episode("2").streams["action"]) == 0
    (broken, *_) = [d for d in source.facts().declarations if not d.holds]
    assert (broken.subject, broken.declared, broken.found) == ("rows of data/action", 30, 14)
    assert broken.hint == "Episodes without all their rows: 1, 2."


def test_an_episode_index_that_falls_costs_the_episodes_it_makes_doubtful(tmp_path: Path) -> None:
    path = make(tmp_path, episodes=5, steps=4)
    set_ends(path, [4, 2, 12, 16, 20])
    source = zarr_replay.read(path)
    reasons = {}
    for number in range(5):
        key = str(number)
        try:
            source.episode(key)
        except DamagedData as error:
            reasons[key] = str(error)
    index = path / "meta" / "episode_ends"
    assert reasons == {
        "1": f"{index}: gives episode 1 the rows 4 to 2, but rows only ever go up.",
        "2": f"{index}: gives episode 2 the rows 2 to 12, but rows only ever go up.",
    }
    assert [d.subject for d in source.facts().declarations if not d.holds] == [
        "rows of episode 1",
        "rows of episode 2",
    ]


def test_an_index_beyond_the_arrays_costs_the_last_episode_only(tmp_path: Path) -> None:
    path = make(tmp_path, episodes=3, steps=4)
    set_ends(path, [4, 8, 2**60])
    source = zarr_replay.read(path)
    assert len(source.episode("1").streams["state"]) == 4
    with pytest.raises(DamagedData) as caught:
        source.episode("2")
    assert str(caught.value) == (
        f"{path / 'meta' / 'episode_ends'}: gives episode 2 the rows 8 to {2**60}, but the longest array ends at 12."
    )


def test_a_cut_chunk_is_named_and_other_episodes_still_read(tmp_path: Path) -> None:
    path = make(tmp_path, episodes=2, steps=14)
    chunk = path / "data" / "state" / "3.0"
    chunk.write_bytes(chunk.read_bytes()[:-9])
    source = zarr_replay.read(path)
    assert source.episode("0").streams["state"].table.shape == (14, 5)
    with pytest.raises(DamagedData) as caught:
        _ = source.episode("1").streams["state"].table
    size = chunk.stat().st_size
    assert str(caught.value) == (
        f"{chunk}: the chunk cannot be decoded by blosc: its header promises {size + 9} bytes, {size} are there."
    )


@pytest.mark.parametrize(
    ("changes", "kind", "message"),
    [
        (
            {"dtype": "|O", "filters": [{"id": "pickle", "protocol": 4}]},
            UntrustedContent,
            "holds Python objects, which only code from the file can rebuild. "
            "If you trust the file, write the array again as numbers or fixed-width text.",
        ),
        (
            {"filters": [{"id": "pickle", "protocol": 4}]},
            UntrustedContent,
            "is encoded with 'pickle', which is not on the list of codecs that only decode numbers and pictures. "
            "If you trust the file, write it again with Blosc, Zstd or no compressor.",
        ),
        (
            {"filters": [{"id": "astype", "encode_dtype": "|u1", "decode_dtype": "|O"}]},
            UntrustedContent,
            "its codec 'astype' is told to make '|O', not numbers.",
        ),
        ({"chunks": [2**40, 5]}, TooLarge, f"one chunk would be {2**40 * 20} bytes and one row 20."),
        ({"order": "Q"}, DamagedData, "no valid array metadata: ValueError: order 'Q'."),
        ({"shape": [2**61, 5]}, TooLarge, f"the array claims {2**61} rows of 1 chunks each."),
        (
            {"dtype": [["a", "<f4"]]},
            Unsupported,
            "the data type \"[['a', '<f4']]\" is no number and no fixed-width text.",
        ),
    ],
)
def test_an_array_that_asks_too_much_is_refused_when_touched_and_costs_no_other(
    tmp_path: Path, changes: dict[str, Any], kind: type[Exception], message: str
) -> None:
    path = make(tmp_path, episodes=2, steps=5)
    edit(path / "data" / "state" / ".zarray", **changes)
    source = zarr_replay.read(path)
    episode = source.episode("0")
    assert len(episode.streams["action"].table) == 5
    assert episode.streams["state"].kind is Kind.MESSAGE
    with pytest.raises(kind) as caught:
        episode.streams["state"].values[:]
    assert str(caught.value) == f"{path / 'data' / 'state' / '.zarray'}: {message}"
    broken = [d for d in source.facts().declarations if not d.holds]
    assert [(d.subject, d.found) for d in broken] == [("metadata of data/state", "refused")]


def test_rows_that_only_the_header_claims_are_not_allocated(tmp_path: Path) -> None:
    path = make(tmp_path, episodes=2, steps=5)
    edit(path / "data" / "img" / ".zarray", shape=[10**6, 64, 64, 3])
    set_ends(path, [5, 10**6])
    with pytest.raises(TooLarge) as caught:
        zarr_replay.read(path).episode("1").streams["img"].values[:]
    assert str(caught.value) == (
        f"{path / 'data' / 'img'}: declares 1000000 rows of 12288 bytes, but only 2 of the 142858 chunk files "
        "for 999995 of them exist."
    )


@pytest.mark.parametrize("codec", ["Zlib", "GZip", "BZ2", "LZMA", "Zstd", "LZ4", "Blosc"])
def test_a_decompression_bomb_stops_at_what_the_array_promises(tmp_path: Path, codec: str) -> None:
    import numcodecs

    path = make(tmp_path, episodes=2, steps=5)
    add(path, "data/x", np.zeros((10, 1)), compressors=getattr(numcodecs, codec)())
    bomb = getattr(numcodecs, codec)().encode(np.zeros(2**22, np.uint8))
    (path / "data" / "x" / "0.0").write_bytes(bytes(bomb))
    with pytest.raises(DamagedData, match=r"x/0\.0: the chunk cannot be decoded by|x/0\.0: holds \d+ bytes where"):
        zarr_replay.read(path).episode("0").streams["x"].values[:]


def test_seconds_of_a_real_robot_become_a_measured_clock(tmp_path: Path) -> None:
    path = make(tmp_path, episodes=2, steps=5)
    stamps = 1_700_000_000.0 + np.arange(10) / 10 + np.random.default_rng(0).normal(0, 1e-3, 10)
    add(path, "data/timestamp", stamps)
    clock = zarr_replay.read(path).episode("1").streams["state"].clock
    assert clock.quality is ClockQuality.MEASURED
    assert abs(int(clock.times_ns[0]) - round(stamps[5] * 1e9)) < 500
    del zarr.open_group(str(path), mode="a")["data/timestamp"]
    add(path, "data/timestamp", np.arange(10) / 10)
    assert zarr_replay.read(path).episode("1").streams["state"].clock.quality is ClockQuality.SYNTHESIZED


def test_other_meta_arrays_and_attributes_are_kept(tmp_path: Path) -> None:
    path = make(tmp_path, episodes=2, steps=5)
    add(path, "meta/seed", np.asarray([41, 42]))
    zarr.open_group(str(path), mode="a").attrs["task"] = "push the T"
    source = zarr_replay.read(path)
    assert source.episode("1").extra["meta/seed"] == 42
    assert source.facts().extra["attributes of root"] == {"task": "push the T"}


def test_float_pictures_between_0_and_1_are_as_bright_as_those_up_to_255(tmp_path: Path) -> None:
    path = make(tmp_path, episodes=2, steps=5)
    bright = np.stack([barcode_picture(0, f) for f in range(10)]).astype(np.float32)
    add(path, "data/of_255", bright)
    add(path, "data/of_1", bright / 255)
    streams = zarr_replay.read(path).episode("0").streams
    for one, full in zip(streams["of_1"].pictures.luma(48), streams["of_255"].pictures.luma(48), strict=True):
        assert np.abs(one.astype(int) - full.astype(int)).max() <= 1


def test_an_empty_set_has_no_episodes_and_is_sound(tmp_path: Path) -> None:
    source = zarr_replay.read(make(tmp_path, episodes=0, steps=5))
    assert source.keys() == []
    assert list(source.facts().rows) == []
    assert all(declaration.holds for declaration in source.facts().declarations)


def test_an_unknown_episode_is_told_the_ones_that_exist(tmp_path: Path) -> None:
    with pytest.raises(UnknownName) as caught:
        zarr_replay.read(make(tmp_path, episodes=2, steps=5)).episode("7")
    assert str(caught.value) == "No episode is called '7'. Known: 0, 1."


def test_broken_stores_still_sniff_and_say_what_is_missing(tmp_path: Path) -> None:
    path = make(tmp_path, episodes=2, steps=5)
    for file in (path / "meta" / "episode_ends").iterdir():
        file.unlink()
    (path / "meta" / "episode_ends").rmdir()
    assert zarr_replay.sniff(path) == 0.5
    with pytest.raises(DamagedData) as caught:
        zarr_replay.read(path)
    assert str(caught.value) == (
        f"{path}: holds no meta/episode_ends, so nobody can say where episodes end. "
        "If the copy was cut short, copy it again."
    )
    fake = tmp_path / "dataset.zarr.zip"
    fake.write_bytes(b"not a zip at all")
    assert zarr_replay.sniff(fake) == 0.5
    with pytest.raises(DamagedData) as caught:
        zarr_replay.read(fake)
    assert str(caught.value) == (
        f"{fake}: cannot be opened as a zip: File is not a zip file. "
        "A zip keeps its directory at the end: copy the file again if it was cut."
    )


def test_zips_and_folders_of_other_things_are_not_ours(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "notes.zip", "w") as other:
        other.writestr("data/readme.txt", "no zarr here")
    (tmp_path / "meta").mkdir()
    assert zarr_replay.sniff(tmp_path / "notes.zip") == 0.0
    assert zarr_replay.sniff(tmp_path) == 0.0
    assert zarr_replay.sniff(tmp_path / "absent") == 0.0


def test_the_published_pusht_set_reads_as_the_zarr_library_reads_it(shared_data: Path) -> None:
    path = shared_data / "zarr-pusht-replay" / "pusht_first.zarr"
    assert zarr_replay.sniff(path) == 0.95
    source = zarr_replay.read(path)
    assert (len(source.keys()), sum(row.steps or 0 for row in source.facts().rows)) == (52, 6377)
    assert all(declaration.holds for declaration in source.facts().declarations)
    episode, group = source.episode("17"), zarr.open_group(str(path), mode="r")
    rows = slice(episode.extra["first_row"], episode.extra["end_row"])
    for name in ("action", "img", "keypoint", "n_contacts", "state"):
        np.testing.assert_array_equal(episode.streams[name].values[:], group["data"][name][rows])
    assert (episode.streams["img"].kind, episode.streams["img"].values.dtype) == (Kind.IMAGE, np.float32)
    assert np.mean(next(iter(episode.streams["img"].pictures.luma(48)))) > 100


def test_a_pass_over_all_pictures_decodes_each_chunk_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded = []
    real = _zarr.decode_chunk
    monkeypatch.setattr(_zarr, "decode_chunk", lambda *a, where: decoded.append(where) or real(*a, where=where))
    source = zarr_replay.read(make(tmp_path, episodes=4, steps=10))
    decoded.clear()
    for key in map(str, range(4)):
        for _ in source.episode(key).streams["img"].pictures.luma(48):
            pass
    assert len(decoded) == len(set(decoded)) == 6


def test_a_cut_jpeg_is_damage_and_not_a_grey_picture(tmp_path: Path) -> None:
    codecs = pytest.importorskip("imagecodecs.numcodecs")
    codecs.register_codecs(verbose=False)
    path = make(tmp_path, episodes=2, steps=5)
    pictures = np.stack([barcode_picture(n // 5, n % 5) for n in range(10)])
    add(path, "data/camera0_rgb", pictures, chunks=(1, 64, 64, 3), compressors=codecs.Jpeg(level=90))
    chunk = path / "data" / "camera0_rgb" / "6.0.0.0"
    chunk.write_bytes(chunk.read_bytes()[:-200])
    values = zarr_replay.read(path).episode("1").streams["camera0_rgb"].values
    assert read_barcode(values[2]) == Barcode(1, 2)
    with pytest.raises(DamagedData) as caught:
        values[1]
    assert str(caught.value) == (f"{chunk}: the chunk cannot be decoded by imagecodecs_jpeg: the picture ends early.")
