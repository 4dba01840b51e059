"""SQLite bags whose last messages lie in a write-ahead log: read, and not a byte or a name is changed."""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
from pathlib import Path

import pytest

from robokata.containers.logs.blocks import FileBytes
from robokata.containers.logs.sqlite_wal import has_commit
from robokata.core.detection import open_source

START_NS = 1_700_000_000_000_000_000


def broken_off(folder: Path, *, before: int = 30, logged: int = 20, unfinished: int = 10) -> Path:
    """A bag as a recorder leaves it that was killed: messages in the file, in its log, and in no transaction yet."""
    live = folder / "live"
    live.mkdir(parents=True)
    base = sqlite3.connect(live / "bag_0.db3", isolation_level=None)
    base.execute("PRAGMA journal_mode = WAL")
    base.execute("PRAGMA wal_autocheckpoint = 0")
    base.execute("PRAGMA cache_size = 1")
    columns = "id INTEGER PRIMARY KEY, name TEXT, type TEXT, serialization_format TEXT, offered_qos_profiles TEXT"
    base.execute(f"CREATE TABLE topics({columns})")
    base.execute("CREATE TABLE messages(id INTEGER PRIMARY KEY, topic_id INTEGER, timestamp INTEGER, data BLOB)")
    base.execute("INSERT INTO topics VALUES (1, '/blob', 'std_msgs/msg/UInt8MultiArray', 'cdr', '')")
    store(base, range(before))
    base.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    if logged:
        store(base, range(before, before + logged))
    base.execute("BEGIN")
    store(base, range(before + logged, before + logged + unfinished), is_open=True)
    bag = folder / "bag"
    bag.mkdir()
    for name in ("bag_0.db3", "bag_0.db3-wal"):
        shutil.copy(live / name, bag / name)
    base.close()
    return bag


def store(base: sqlite3.Connection, numbers: range, *, is_open: bool = False) -> None:
    if not is_open:
        base.execute("BEGIN")
    rows = [(START_NS + n * 10**7, bytes([n]) * 5000) for n in numbers]
    base.executemany("INSERT INTO messages(topic_id, timestamp, data) VALUES (1, ?, ?)", rows)
    if not is_open:
        base.execute("COMMIT")


def state(folder: Path) -> dict[str, tuple[str, int]]:
    return {
        p.name: (hashlib.sha256(p.read_bytes()).hexdigest(), p.stat().st_mtime_ns) for p in sorted(folder.iterdir())
    }


def read(path: Path) -> list[int]:
    """The first byte of each message."""
    source = open_source(path)
    return [m[0] for m in source.episode(source.keys()[0]).streams["/blob"].values[:]]


def test_messages_of_whole_transactions_in_the_log_are_read_and_nothing_is_touched(tmp_path: Path) -> None:
    bag = broken_off(tmp_path)
    before = state(bag)
    assert read(bag) == list(range(50))
    assert read(bag / "bag_0.db3") == list(range(50))
    assert state(bag) == before
    assert all(d.holds for d in open_source(bag).facts().declarations)


def test_messages_of_unfinished_transactions_alone_are_not_read(tmp_path: Path) -> None:
    bag = broken_off(tmp_path, logged=0)
    before = state(bag)
    assert (bag / "bag_0.db3-wal").stat().st_size > 0
    assert read(bag) == list(range(30))
    assert state(bag) == before


@pytest.mark.parametrize("cut", [3000, 20, -100])
def test_a_log_that_was_cut_is_read_as_sqlite_reads_it_and_is_never_deleted(tmp_path: Path, cut: int) -> None:
    bag = broken_off(tmp_path, unfinished=0)
    log = bag / "bag_0.db3-wal"
    log.write_bytes(log.read_bytes()[:cut])
    before = state(bag)
    assert read(bag) == list(range(30))
    assert state(bag) == before
    shutil.copytree(bag, tmp_path / "oracle")
    base = sqlite3.connect(tmp_path / "oracle" / "bag_0.db3")
    assert base.execute("SELECT count(*) FROM messages").fetchone() == (30,)
    base.close()


def test_a_log_of_other_bytes_is_declared_and_stays(tmp_path: Path) -> None:
    bag = broken_off(tmp_path)
    log = bag / "bag_0.db3-wal"
    log.write_bytes(b"garbage " * 1000)
    before = state(bag)
    assert read(bag) == list(range(30))
    assert state(bag) == before
    found = [d for d in open_source(bag).facts().declarations if not d.holds]
    assert [(d.subject, d.found) for d in found] == [
        ("write-ahead log", "is no write-ahead log: its header is broken.")
    ]


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root can become somebody else")
def test_a_bag_in_a_folder_that_may_not_be_written_is_read(tmp_path: Path) -> None:
    bag = broken_off(tmp_path)
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_mode & 0o055 != 0o055 and folder != Path("/"):
            folder.chmod(0o755)
    for name in bag.iterdir():
        name.chmod(0o444)
    bag.chmod(0o555)
    before = state(bag)
    child = os.fork()
    if not child:
        os.seteuid(65534)
        os._exit(0 if read(bag) == list(range(50)) else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert state(bag) == before


def test_a_bag_of_several_files_with_a_log_beside_the_last_is_one_episode(tmp_path: Path) -> None:
    bag = broken_off(tmp_path)
    shutil.move(bag / "bag_0.db3", bag / "bag_1.db3")
    shutil.move(bag / "bag_0.db3-wal", bag / "bag_1.db3-wal")
    first = broken_off(tmp_path / "other", logged=0, unfinished=0)
    shutil.copy(first / "bag_0.db3", bag / "bag_0.db3")
    before = state(bag)
    source = open_source(bag)
    assert source.facts().rows[0].steps == 80
    assert state(bag) == before


def test_a_rollback_journal_is_declared(tmp_path: Path) -> None:
    bag = broken_off(tmp_path)
    (bag / "bag_0.db3-wal").unlink()
    (bag / "bag_0.db3-journal").write_bytes(b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7" + bytes(504))
    found = [d.subject for d in open_source(bag).facts().declarations if not d.holds]
    assert found == ["rollback journal"]


@pytest.mark.parametrize("pages", [512, 4096, 65536])
@pytest.mark.parametrize("logged", [0, 1, 40])
def test_a_commit_is_found_where_sqlite_finds_one(tmp_path: Path, pages: int, logged: int) -> None:
    base = sqlite3.connect(tmp_path / "a.db", isolation_level=None)
    base.execute(f"PRAGMA page_size = {pages}")
    base.execute("PRAGMA journal_mode = WAL")
    base.execute("PRAGMA wal_autocheckpoint = 0")
    base.execute("PRAGMA cache_size = 1")
    base.execute("CREATE TABLE t(x)")
    base.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    for number in range(logged):
        base.execute("INSERT INTO t VALUES (?)", (os.urandom(700) + bytes([number]),))
    base.execute("BEGIN")
    base.executemany("INSERT INTO t VALUES (?)", [(os.urandom(3000),) for _ in range(60)])
    log = tmp_path / "a.db-wal"
    assert log.stat().st_size > 0
    assert has_commit(FileBytes(log)) is (logged > 0)
    base.close()
