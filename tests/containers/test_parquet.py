"""Rows of Parquet files by number, and the damage in them by file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robokata.containers import parquet as _parquet
from robokata.containers.parquet import ParquetRows, guarded
from robokata.core.errors import DamagedData, MediaMissing, RobokataError, TooLarge


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Hundred rows in groups of seven."""
    path = tmp_path_factory.mktemp("parquet") / "rows.parquet"
    columns = {"n": np.arange(100), "x": np.arange(100) / 2, "text": [f"row {n}" for n in range(100)]}
    pq.write_table(pa.table(columns), path, row_group_size=7, write_page_checksum=True)
    return path


@settings(max_examples=60)
@given(first=st.integers(0, 99), count=st.integers(0, 100))
def test_any_run_of_rows_is_that_run(table: Path, first: int, count: int) -> None:
    rows = ParquetRows()
    count = min(count, 100 - first)
    for columns in (("n",), ("n", "x"), ("n",)):
        got = rows.rows(table, first, count, columns)
        assert got.column_names == list(columns)
        np.testing.assert_array_equal(got.column("n").to_numpy(), np.arange(first, first + count))


def test_columns_and_count_come_from_the_footer(table: Path) -> None:
    rows = ParquetRows()
    assert (list(rows.columns(table)), rows.count(table)) == (["n", "x", "text"], 100)


def test_more_files_than_are_kept_open_still_read(tmp_path: Path) -> None:
    rows = ParquetRows(keep_files=2)
    for number in range(5):
        pq.write_table(pa.table({"n": [number]}), tmp_path / f"{number}.parquet")
    for number in (0, 1, 2, 3, 4, 0, 3):
        assert rows.rows(tmp_path / f"{number}.parquet", 0, 1, ("n",)).column("n").to_pylist() == [number]


def test_an_absent_file_is_missing(tmp_path: Path) -> None:
    with pytest.raises(MediaMissing) as caught:
        ParquetRows().file(tmp_path / "gone.parquet")
    assert str(caught.value) == f"{tmp_path / 'gone.parquet'}: the file does not exist. Restore it from the original."


def test_a_page_whose_checksum_is_wrong_is_damage(table: Path, tmp_path: Path) -> None:
    data = bytearray(table.read_bytes())
    data[60] ^= 0xFF
    (tmp_path / "flipped.parquet").write_bytes(data)
    with pytest.raises(DamagedData, match="cannot be read as Parquet") as caught:
        ParquetRows().rows(tmp_path / "flipped.parquet", 0, 100, ("n", "x", "text"))
    assert caught.value.file == str(tmp_path / "flipped.parquet")


def test_damage_in_one_row_group_costs_no_row_of_another(table: Path, tmp_path: Path) -> None:
    data = bytearray(table.read_bytes())
    data[60] ^= 0xFF
    (tmp_path / "flipped.parquet").write_bytes(data)
    rows = ParquetRows()
    got = rows.rows(tmp_path / "flipped.parquet", 7, 93, ("n", "x", "text"))
    np.testing.assert_array_equal(got.column("n").to_numpy(), np.arange(7, 100))
    with pytest.raises(DamagedData):
        rows.rows(tmp_path / "flipped.parquet", 6, 2, ("n", "x", "text"))


def test_a_row_group_that_claims_gigabytes_is_refused(table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_parquet, "MAX_ROW_GROUP_BYTES", 10)
    with pytest.raises(TooLarge) as caught:
        ParquetRows().rows(table, 0, 5, ("n",))
    assert str(caught.value) == f"{table}: row group 0 claims to decode to 0.0 GiB."


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (pa.ArrowInvalid("first line\nsecond"), "cannot be read as Parquet: first line"),
        (OSError("no\x00\x1bsuch"), "cannot be read as Parquet: no??such"),
        (OverflowError(), "cannot be read as Parquet: OverflowError"),
    ],
)
def test_what_the_library_says_is_one_printable_line(tmp_path: Path, error: Exception, reason: str) -> None:
    def fail() -> None:
        raise error

    with pytest.raises(DamagedData) as caught:
        guarded(tmp_path / "x", fail)
    assert str(caught.value) == f"{tmp_path / 'x'}: {reason} Restore it from the original."


def test_running_out_of_memory_is_a_size_that_is_refused(tmp_path: Path) -> None:
    def fail() -> None:
        raise MemoryError

    with pytest.raises(TooLarge) as caught:
        guarded(tmp_path / "x", fail)
    assert str(caught.value) == f"{tmp_path / 'x'}: a size in the file asks for more memory than there is."


def test_errors_of_ours_pass_through_unchanged(tmp_path: Path) -> None:
    ours = DamagedData(tmp_path / "y", "its own words.")

    def fail() -> None:
        raise ours

    with pytest.raises(RobokataError) as caught:
        guarded(tmp_path / "x", fail)
    assert caught.value is ours
