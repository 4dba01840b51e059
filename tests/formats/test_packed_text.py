"""Small files that would unpack to gigabytes are refused before they are unpacked."""

from __future__ import annotations

import resource
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from robokata.containers.arrow_messages import refuse_packed_batches
from robokata.containers.arrow_stream import ArrowStreamRows
from robokata.containers.parquet import ParquetRows
from robokata.core.errors import TooLarge

LONG = "A" * 40_000_000


def peak_kb() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


@pytest.mark.parametrize("codec", ["zstd", "snappy", "none"])
@pytest.mark.parametrize("value", [LONG, [LONG], {"deep": [LONG]}], ids=["text", "list", "struct"])
def test_one_long_text_in_every_row_is_refused(tmp_path: Path, value: object, codec: str) -> None:
    file = tmp_path / "episodes.parquet"
    pq.write_table(pa.table({"tasks": [value] * 8}), file, compression=codec)
    before = peak_kb()
    with pytest.raises(TooLarge, match=r"column 'tasks' (claims to unpack|would unpack to 320,000,000 bytes)"):
        ParquetRows().rows(file, 0, 8, ("tasks",))
    assert peak_kb() - before < 200_000


def test_texts_that_share_their_beginning_are_counted_before_they_are_read(tmp_path: Path) -> None:
    file = tmp_path / "episodes.parquet"
    table = pa.table({"tasks": ["A" * 8_000_000] * 60})
    pq.write_table(table, file, use_dictionary=False, column_encoding={"tasks": "DELTA_BYTE_ARRAY"}, compression=None)
    assert file.stat().st_size < 9_000_000
    with pytest.raises(TooLarge, match="column 'tasks' would unpack to more than 268,435,456 bytes of text"):
        ParquetRows().rows(file, 0, 60, ("tasks",))


def test_texts_that_real_tables_repeat_are_read(tmp_path: Path) -> None:
    file = tmp_path / "episodes.parquet"
    sentences = ["pick up the red cube and put it into the drawer", "x" * 5000] * 20_000
    pq.write_table(pa.table({"tasks": [[s] for s in sentences], "n": range(40_000)}), file, compression="zstd")
    read = ParquetRows().rows(file, 0, 40_000, ("tasks", "n"))
    assert read.column("tasks").to_pylist() == [[s] for s in sentences]


@pytest.mark.parametrize("codec", ["zstd", "lz4"])
def test_a_packed_batch_of_an_arrow_stream_is_refused_by_what_it_claims(tmp_path: Path, codec: str) -> None:
    file = tmp_path / "data.arrow"
    table = pa.table({"a": np.zeros(1 << 26)})
    write(file, table, codec)
    before = peak_kb()
    with pytest.raises(TooLarge, match=r"data.arrow: a batch of [0-9,]+ bytes claims to unpack to 536,870,912"):
        len(ArrowStreamRows([file], folder=tmp_path))
    assert peak_kb() - before < 100_000


@pytest.mark.parametrize("codec", ["zstd", "lz4", None])
def test_sound_streams_are_read_packed_or_not(tmp_path: Path, codec: str | None) -> None:
    file = tmp_path / "data.arrow"
    words = pa.array(["a", "b", None, "a"]).dictionary_encode()
    table = pa.table({"a": np.random.default_rng(0).normal(size=4), "text": ["x", "", "yy", None], "words": words})
    write(file, table, codec)
    with pa.memory_map(str(file)) as mapped:
        refuse_packed_batches(file, mapped)
    rows = ArrowStreamRows([file], folder=tmp_path)
    assert rows.column("a", 0, 4).to_pylist() == table.column("a").to_pylist()
    assert rows.column("text", 1, 2).to_pylist() == ["", "yy"]


def write(file: Path, table: pa.Table, codec: str | None) -> None:
    options = pa.ipc.IpcWriteOptions(compression=codec)
    with pa.OSFile(str(file), "wb") as out, pa.ipc.new_stream(out, table.schema, options=options) as writer:
        writer.write_table(table)
