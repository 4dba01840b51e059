"""Stores behind fsspec: in memory, and on a real S3 server on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from robokata.core.detection import open_source
from robokata.core.errors import DamagedData, NotADataset, WriteRefused
from robokata.store.commit import Wish, make_snapshot
from robokata.store.edit import merged, without
from robokata.store.resolve import open_snapshot
from robokata.store.store import open_store
from robokata.store.verification import verify

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """URL of an empty bucket on an S3 server that runs for this test on a free port of the loopback."""
    server = pytest.importorskip("moto.server").ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    s3fs = pytest.importorskip("s3fs")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    server.start()
    host, port = server.get_host_and_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    s3fs.S3FileSystem.clear_instance_cache()
    bucket = f"robots-{port}"
    s3fs.S3FileSystem().mkdir(bucket)
    yield f"s3://{bucket}/towels"
    s3fs.S3FileSystem.clear_instance_cache()
    server.stop()


def keep_and_change(url: str, recorded: Path) -> None:
    source = open_source(recorded)
    make_snapshot(open_store(url, is_new=True), source, Wish(is_materialised=True))
    first = open_snapshot(url)
    for key in source.keys():
        for stream in source.episode(key).streams.values():
            again = first.episode(key).stream(stream.name)
            np.testing.assert_array_equal(np.asarray(again.values[:]), np.asarray(stream.values[:]))
    gone = first.keys()[0]
    make_snapshot(open_store(url), first, Wish(edits=[lambda e: without(e, [gone])]))
    assert list(open_snapshot(url).keys()) == list(first.keys())[1:]
    assert len(open_snapshot(f"{url}@1").keys()) == 4
    assert verify(open_store(url)).is_sound


def test_a_store_in_memory_keeps_and_changes_versions(recorded: Path) -> None:
    keep_and_change("memory://towels", recorded)


def test_a_store_on_s3_keeps_and_changes_versions(recorded: Path, s3: str) -> None:
    keep_and_change(s3, recorded)


def test_a_snapshot_moves_from_a_folder_to_s3_with_the_same_id(recorded: Path, s3: str, keep) -> None:
    local = keep(recorded, Wish(is_materialised=True))
    record = make_snapshot(open_store(s3, is_new=True), local, Wish())
    assert record.id == local.id
    assert verify(open_store(s3)).is_sound


def test_of_two_writers_on_s3_both_get_their_versions(recorded: Path, s3: str) -> None:
    open_store(s3, is_new=True)

    def write(tag: str) -> None:
        for turn in range(3):
            prefix = f"{tag}{turn}/"
            wish = Wish(keys=["episode_0"], is_materialised=True, join=lambda o, n, p=prefix: merged(o, n, prefix=p))
            make_snapshot(open_store(s3), open_source(recorded), wish)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(write, "ab"))
    assert len(open_store(s3).history()) == 6
    assert len(open_snapshot(s3).keys()) == 6


def test_bytes_that_changed_on_s3_are_named(recorded: Path, s3: str) -> None:
    import s3fs

    make_snapshot(open_store(s3, is_new=True), open_source(recorded), Wish(is_materialised=True))
    snapshot = open_snapshot(s3)
    numbers = snapshot.manifest.entries[0].data.numbers
    s3fs.S3FileSystem().pipe_file(f"{s3}/objects/{numbers[:2]}/{numbers}", b"other")
    with pytest.raises(DamagedData, match="holds other bytes than its name says"):
        snapshot.episode(snapshot.keys()[0])
    assert [p.problem for p in verify(open_store(s3)).problems] == ["holds other bytes than its name says."]


def test_a_bucket_or_scheme_that_does_not_exist_is_one_clear_error(s3: str) -> None:
    with pytest.raises(NotADataset, match="no store of snapshots"):
        open_store(f"{s3}/nothing")
    with pytest.raises(WriteRefused, match="s3://no-such-bucket/x: cannot be written"):
        open_store("s3://no-such-bucket/x", is_new=True)
    with pytest.raises(WriteRefused, match="Robokata opens what fsspec opens"):
        open_store("nonsense://x")
