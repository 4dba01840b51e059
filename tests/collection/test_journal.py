"""A recording survives whatever happens to the process that writes it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from robokata.collection.recording.journal import Journal, mark_kept, read_journal
from robokata.core.errors import DamagedData


def a_journal(path: Path, rows: int) -> bytes:
    path.unlink(missing_ok=True)
    journal = Journal(path, {"task": "lift"})
    for row in range(rows):
        journal.append({"row": row, "state": np.array([row / 3, -0.0, 1e-300]), "touching": frozenset({(1, 2)})})
    journal.close()
    assert journal.problem is None
    return path.read_bytes()


def test_numbers_read_back_exactly(tmp_path: Path) -> None:
    a_journal(tmp_path / "a.journal", 5)
    recording = read_journal(tmp_path / "a.journal")
    assert recording.head == {"task": "lift"}
    assert [row["state"] for row in recording.rows] == [[row / 3, -0.0, 1e-300] for row in range(5)]
    assert recording.kept is None


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(st.data())
def test_cut_at_any_byte_every_line_before_is_whole_and_it_can_be_kept(tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / "cut.journal"
    whole = a_journal(path, 6)
    at = data.draw(st.integers(0, len(whole)))
    path.write_bytes(whole[:at])
    lines = whole[:at].count(b"\n")
    if lines == 0:
        with pytest.raises(DamagedData, match="its first line was never finished"):
            read_journal(path)
        return
    assert [row["row"] for row in read_journal(path).rows] == list(range(lines - 1))
    mark_kept(path, {"was_cut": True})
    kept = read_journal(path)
    assert [row["row"] for row in kept.rows] == list(range(lines - 1))
    assert kept.kept == {"was_cut": True}


def test_a_line_whose_bytes_changed_ends_the_recording_there(tmp_path: Path) -> None:
    path = tmp_path / "a.journal"
    whole = bytearray(a_journal(path, 6))
    whole[whole.index(b'"row":3') + 6] = ord("9")
    path.write_bytes(whole)
    assert [row["row"] for row in read_journal(path).rows] == [0, 1, 2]


def test_a_full_disk_is_a_problem_that_is_told_and_not_raised_in_the_loop(tmp_path: Path) -> None:
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    journal = Journal(tmp_path / "a.journal", {})
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, hard))
    try:
        for row in range(100):
            journal.append({"row": row, "filling": "x" * 50})
        journal.close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert journal.problem == "File too large"
    rows = [row["row"] for row in read_journal(tmp_path / "a.journal").rows]
    assert rows == list(range(len(rows)))
    assert len(rows) > 10
