"""References to byte ranges: an episode is pinned by its own bytes, and what happens elsewhere in the file is not its
business."""

from __future__ import annotations

import importlib
import zipfile
from pathlib import Path

import numpy as np
import pytest

from robokata.containers.tfrecord import index_shard
from robokata.core.detection import open_source, reopen
from robokata.core.errors import DamagedData
from robokata.core.extent import Located
from robokata.media.video import forget
from robokata.store.commit import Wish
from robokata.store.entry import Reference
from robokata.store.references import Pinned, files_referred_to
from robokata.store.resolve import open_snapshot
from robokata.store.verification import verify

PACKED = ["rlds", "lerobot_v3", "zarr_replay"]


def made(name: str, folder: Path, *, episodes: int = 3) -> Path:
    path: Path = importlib.import_module(f"makers.{name}").make(folder, episodes=episodes, steps=30)
    return path


def pins_of(snapshot, key: str) -> list[Pinned]:
    entry = next(entry for entry in snapshot.manifest.entries if entry.id == key)
    assert isinstance(entry.data, Reference)
    return files_referred_to(snapshot.store, entry.data)


def opened_afresh(snapshot):
    """As another process would: nothing that was read of the files before they changed is believed."""
    reopen.cache_clear()
    forget()
    return open_snapshot(f"{snapshot.store.url}@{snapshot.id}")


def broken_keys(snapshot) -> list[str]:
    again, broken = opened_afresh(snapshot), []
    for key in again.keys():
        try:
            again.episode(key)
        except DamagedData:
            broken.append(key)
    return broken


def flip(file: Path, at: int) -> None:
    data = bytearray(file.read_bytes())
    data[at] ^= 0x40
    file.write_bytes(data)


@pytest.mark.parametrize("name", PACKED)
def test_every_byte_of_an_episode_is_pinned_and_no_byte_that_it_never_reads(name: str, tmp_path: Path, keep) -> None:
    """By experiment: flip a byte, and ask whether the episode reads the same; then whether its reference noticed."""
    path = made(name, tmp_path / "made")
    snapshot = keep(path)
    key, other = snapshot.keys()[0], snapshot.keys()[-1]
    assert any(pin.start is not None for pin in pins_of(snapshot, key)) or path.is_dir()
    own = {(pin.name, pin.start) for pin in pins_of(snapshot, key)}
    alien = next(pin for pin in pins_of(snapshot, other) if (pin.name, pin.start) not in own)
    flip(alien.at(path), (alien.start or 0) + alien.size // 2)
    assert other in broken_keys(snapshot)
    assert key not in broken_keys(snapshot)
    flip(alien.at(path), (alien.start or 0) + alien.size // 2)
    for pin in pins_of(snapshot, key):
        for share in (0.1, 0.5, 0.9):
            at = (pin.start or 0) + int(pin.size * share)
            flip(pin.at(path), at)
            assert key in broken_keys(snapshot), f"{pin.name} byte {at}"
            problems = verify(opened_afresh(snapshot).store).problems
            assert any(str(pin.at(path)) in f"{p.place} {p.problem}" for p in problems), problems
            flip(pin.at(path), at)
    assert verify(opened_afresh(snapshot).store).is_sound


def test_a_record_that_is_appended_to_a_shard_leaves_the_references_to_it_whole(tmp_path: Path, keep) -> None:
    path = made("rlds", tmp_path / "made")
    snapshot = keep(path)
    shard = sorted(path.glob("*.tfrecord*"))[-1]
    record = shard.read_bytes()[: int(index_shard(shard).lengths[0]) + 16]
    with shard.open("ab") as file:
        file.write(record)
    assert broken_keys(snapshot) == []
    assert verify(opened_afresh(snapshot).store).is_sound


def test_a_shard_whose_records_changed_places_gives_no_wrong_episode(tmp_path: Path, keep) -> None:
    path = made("rlds", tmp_path / "made", episodes=4)
    snapshot = keep(path)
    shard = max(path.glob("*.tfrecord*"), key=lambda file: len(index_shard(file).offsets))
    index, data = index_shard(shard), shard.read_bytes()
    assert len(index.offsets) >= 2, "two records to exchange"
    (a, b), (la, lb) = index.offsets[:2].tolist(), (index.lengths[:2] + 16).tolist()
    shard.write_bytes(data[b : b + lb] + data[a : a + la] + data[b + lb :])
    broken = broken_keys(snapshot)
    assert len(broken) == 2, "the bytes are all there, and the reader would find others"
    with pytest.raises(
        DamagedData,
        match=r"refers to \d+ bytes of this file as episode train/\d; they have changed, or are no longer its",
    ):
        opened_afresh(snapshot).episode(broken[0])


def test_a_table_written_anew_with_more_episodes_leaves_the_references_whole(tmp_path: Path, keep) -> None:
    """LeRobot appends by writing the file again: the row groups of the old episodes are the same bytes."""
    pq = pytest.importorskip("pyarrow.parquet")
    pa = pytest.importorskip("pyarrow")
    path = made("lerobot_v3", tmp_path / "made")
    for file in path.glob("data/*/*.parquet"):
        pq.write_table(pq.read_table(file), file, row_group_size=30, write_page_checksum=True)
    reopen.cache_clear()
    snapshot = keep(path)
    for file in path.glob("data/*/*.parquet"):
        table = pq.read_table(file)
        more = table.slice(0, 30).set_column(
            table.column_names.index("episode_index"), "episode_index", pa.array(np.full(30, 99))
        )
        pq.write_table(pa.concat_tables([table, more]), file, row_group_size=30, write_page_checksum=True)
    assert broken_keys(snapshot) == []
    assert verify(opened_afresh(snapshot).store).is_sound


def test_an_index_that_points_into_the_video_elsewhere_is_noticed(tmp_path: Path, keep) -> None:
    """The bytes at the old place are as they were; the reader would show other frames."""
    pq = pytest.importorskip("pyarrow.parquet")
    pa = pytest.importorskip("pyarrow")
    path = made("lerobot_v3", tmp_path / "made")
    snapshot = keep(path)
    (index,) = path.glob("meta/episodes/*/*.parquet")
    table = pq.read_table(index)
    name = next(n for n in table.column_names if n.startswith("videos/") and n.endswith("from_timestamp"))
    moved = np.asarray(table[name]).copy()
    moved[0], moved[1] = moved[1], moved[0]
    pq.write_table(table.set_column(table.column_names.index(name), name, pa.array(moved)), index)
    assert {"0", "1"} <= set(broken_keys(snapshot))


def test_a_replay_buffer_that_grows_keeps_what_it_held(tmp_path: Path, keep) -> None:
    zarr = pytest.importorskip("zarr")
    path = made("zarr_replay", tmp_path / "made")
    snapshot = keep(path)
    first = snapshot.keys()[0]
    group = zarr.open_group(str(path), mode="r+")
    ends = np.asarray(group["meta/episode_ends"])
    more = int(ends[-1] - ends[-2])
    for array in group["data"].arrays() if hasattr(group["data"], "arrays") else ():
        array = array[1]
        rows = array.shape[0]
        array.resize((rows + more, *array.shape[1:]))
        array[rows:] = array[:more]
    group["meta/episode_ends"].resize((len(ends) + 1,))
    group["meta/episode_ends"][-1] = ends[-1] + more
    assert first not in broken_keys(snapshot)


def test_a_member_of_a_zip_is_pinned_with_its_header_and_neighbours_are_joined(tmp_path: Path, keep) -> None:
    path = made("zarr_replay", tmp_path / "made")
    packed = tmp_path / "packed" / "dataset.zarr.zip"
    packed.parent.mkdir()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        for file in sorted(path.rglob("*")):
            if file.is_file():
                archive.write(file, str(file.relative_to(path)))
    snapshot = keep(packed)
    data = packed.read_bytes()
    for key in snapshot.keys():
        pins = pins_of(snapshot, key)
        assert all(pin.start is not None and data[pin.start :][:4] == b"PK\x03\x04" for pin in pins)
    with zipfile.ZipFile(packed, "a", zipfile.ZIP_STORED) as archive:
        archive.writestr("notes.txt", "a member more")
    assert broken_keys(snapshot) == []
    assert verify(opened_afresh(snapshot).store).is_sound


@pytest.mark.parametrize("name", PACKED)
def test_a_kept_hash_is_that_of_the_bytes_alone(name: str, tmp_path: Path, keep) -> None:
    """So that anybody can check it with `tail | head | sha256sum`, without us."""
    import hashlib

    path = made(name, tmp_path / "made")
    snapshot = keep(path)
    for key in snapshot.keys():
        for pin in pins_of(snapshot, key):
            start = pin.start or 0
            data = pin.at(path).read_bytes()[start : start + pin.size]
            assert (len(data), hashlib.sha256(data).hexdigest()) == (pin.size, pin.sha256)


def test_readers_tell_extents_that_lie_in_their_files(tmp_path: Path) -> None:
    for name in PACKED:
        path = made(name, tmp_path / name)
        source = open_source(path)
        assert isinstance(source, Located)
        for key in source.keys():
            for extent in source.extents(key) or ():
                size = extent.file.stat().st_size
                assert extent.start is None or 0 <= extent.start < (extent.end or 0) <= size


def test_what_was_carried_beside_an_episode_is_pinned_with_it(tmp_path: Path, keep) -> None:
    from robokata.conversion.convert import convert

    source = open_source(made("mcap", tmp_path / "made", episodes=2))
    for name in ("lerobot_v3", "lerobot_v2"):
        out = tmp_path / name
        convert(source, out, name, accept_loss=True)
        snapshot = keep(out, Wish(), store=str(tmp_path / f"store of {name}"))
        carried = sorted(out.glob("meta/robokata/*.npz"))
        assert carried, "clocks of a log are carried"
        flip(carried[0], carried[0].stat().st_size // 2)
        assert broken_keys(snapshot) == [snapshot.keys()[0]]
