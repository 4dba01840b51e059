"""Files that the MCAP specification allows and few writers make."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import lz4.frame
import numpy as np
import pytest
import zstandard
from mcap.writer import CompressionType, IndexType, Writer

from makers import mcap_conformance as raw
from robokata.containers.mcap.file import McapFile
from robokata.conversion.convert import convert
from robokata.core.detection import open_source

SCHEMA, CHANNEL = (1, "S", "jsonschema", b"{}"), (1, 1, "/a", "json", {})


def stamps(file: McapFile, topic: str = "/a") -> list[int]:
    number = next(i for i, t in enumerate(file.topics) if t.name == topic)
    places = file.index(number).places
    return [m.receive_ns for m in file.read(np.full(len(places), number, np.int64), places)]


def save(path: Path, body: bytes, summary: bytes = b"", footer_padding: bytes = b"") -> Path:
    """A file of these records, with a summary where there is one."""
    start = len(raw.MAGIC) + len(body)
    head = struct.pack("<QQI", start if summary else 0, 0, 0)
    path.write_bytes(raw.MAGIC + body + summary + raw.record(raw.FOOTER, head, footer_padding) + raw.MAGIC)
    return path


HEADER = raw.record(raw.HEADER, raw.text("") + raw.text(""))
ANNOUNCED = raw.schema_record(SCHEMA) + raw.channel_record(CHANNEL)


def chunk(records: bytes, packed: bytes | None = None, compression: str = "", span: tuple[int, int] = (0, 0)) -> bytes:
    packed = records if packed is None else packed
    head = struct.pack("<QQQI", *span, len(records), zlib.crc32(records)) + raw.text(compression)
    return raw.record(raw.CHUNK, head + struct.pack("<Q", len(packed)) + packed)


def chunk_index(at: int, made: bytes, index: bytes = b"", channels: tuple[int, ...] = ()) -> bytes:
    offsets = b"".join(struct.pack("<HQ", number, at + len(made)) for number in channels)
    body = struct.pack("<QQQQI", 0, 0, at, len(made), len(offsets)) + offsets
    return raw.record(raw.CHUNK_INDEX, body + struct.pack("<Q", len(index)) + raw.text("") + struct.pack("<QQ", 0, 0))


PACKERS = {
    "": bytes,
    "none": bytes,
    "lz4": lz4.frame.compress,
    "zstd": zstandard.ZstdCompressor().compress,
}


@pytest.mark.parametrize("compression", PACKERS)
def test_every_compression_and_empty_chunks_are_read(tmp_path: Path, compression: str) -> None:
    filled = ANNOUNCED + raw.message_record(1, (5, 5, 0), b"")
    body = HEADER + chunk(b"", PACKERS[compression](b""), compression) + chunk(b"", b"", compression)
    file = McapFile(save(tmp_path / "a.mcap", body + chunk(filled, PACKERS[compression](filled), compression)))
    assert stamps(file) == [5]


def test_records_of_unknown_kinds_are_passed_over_everywhere(tmp_path: Path) -> None:
    odd = raw.record(0x55, b"later version") + raw.record(0x90, b"private")
    inside = odd + ANNOUNCED + odd + raw.message_record(1, (7, 7, 0))
    summary = odd + ANNOUNCED + odd
    assert stamps(McapFile(save(tmp_path / "a.mcap", HEADER + odd + chunk(inside) + odd, summary))) == [7]


def test_a_closed_file_whose_footer_has_further_bytes_is_not_called_unclosed(tmp_path: Path) -> None:
    body = HEADER + ANNOUNCED + raw.message_record(1, (7, 7, 0))
    file = McapFile(save(tmp_path / "a.mcap", body, footer_padding=raw.PADDING))
    assert (stamps(file), list(file.declarations())) == ([7], [])


def test_messages_at_time_zero_in_a_chunk_without_an_index_are_found(tmp_path: Path) -> None:
    made = chunk(ANNOUNCED + raw.message_record(1, (0, 0, 0)))
    at = len(raw.MAGIC) + len(HEADER)
    path = save(tmp_path / "a.mcap", HEADER + made, ANNOUNCED + chunk_index(at, made))
    assert stamps(McapFile(path)) == [0]


def test_messages_outside_of_chunks_are_found_where_a_summary_lists_chunks_alone(tmp_path: Path) -> None:
    filled = ANNOUNCED + raw.message_record(1, (1, 1, 0))
    pairs = struct.pack("<QQ", 1, len(ANNOUNCED))
    made, index = chunk(filled), raw.record(raw.MESSAGE_INDEX, struct.pack("<HI", 1, 16) + pairs)
    listed = chunk_index(len(raw.MAGIC) + len(HEADER), made, index, (1,))
    body = HEADER + made + index + raw.message_record(1, (2, 2, 1))
    assert stamps(McapFile(save(tmp_path / "a.mcap", body, ANNOUNCED + listed))) == [1, 2]


def test_channels_that_the_summary_leaves_away_are_found(tmp_path: Path) -> None:
    other = (2, 1, "/b", "json", {})
    filled = ANNOUNCED + raw.channel_record(other) + raw.message_record(1, (1, 1, 0)) + raw.message_record(2, (2, 2, 0))
    at = [len(ANNOUNCED) + len(raw.channel_record(other))]
    at.append(at[0] + len(raw.message_record(1, (1, 1, 0))))
    index = b"".join(
        raw.record(raw.MESSAGE_INDEX, struct.pack("<HIQQ", number, 16, number, place))
        for number, place in zip((1, 2), at, strict=True)
    )
    made = chunk(filled)
    listed = chunk_index(len(raw.MAGIC) + len(HEADER), made, index, (1, 2))
    file = McapFile(save(tmp_path / "a.mcap", HEADER + made + index, ANNOUNCED + listed))
    assert (stamps(file, "/a"), stamps(file, "/b")) == ([1], [2])


def test_a_message_index_in_any_order_gives_messages_by_time_and_equal_times_as_they_lie(tmp_path: Path) -> None:
    messages = [raw.message_record(1, (t, t, n)) for n, t in enumerate((30, 10, 10))]
    offsets = [len(ANNOUNCED) + sum(map(len, messages[:n])) for n in range(3)]
    pairs = b"".join(struct.pack("<QQ", t, offsets[n]) for t, n in ((10, 2), (30, 0), (10, 1)))
    index = raw.record(raw.MESSAGE_INDEX, struct.pack("<HI", 1, len(pairs)) + pairs, raw.PADDING)
    made = chunk(ANNOUNCED + b"".join(messages))
    listed = chunk_index(len(raw.MAGIC) + len(HEADER), made, index, (1,))
    file = McapFile(save(tmp_path / "a.mcap", HEADER + made + index, ANNOUNCED + listed))
    assert file.index(0).places[:, 2].tolist() == [offsets[n] for n in (1, 2, 0)]
    assert stamps(file) == [10, 10, 30]


@pytest.mark.parametrize("use_statistics", [True, False])
def test_attachments_and_metadata_that_no_index_lists_are_found(tmp_path: Path, use_statistics: bool) -> None:
    path = tmp_path / "a.mcap"
    settings = {"use_statistics": use_statistics, "chunk_size": 200, "compression": CompressionType.NONE}
    indexes = {"index_types": IndexType.CHUNK | IndexType.MESSAGE}
    with path.open("wb") as out:
        writer = Writer(out, **settings, **indexes)
        fill(writer)
    file = McapFile(path)
    assert [record["values"] for record in file.extra["metadata"]] == [{"n": "0"}, {"n": "1"}, {}]
    assert [data for _, data in file.attachments()] == [b"", b"abc"]
    assert len(stamps(file)) == 50


def fill(writer: Writer) -> None:
    """Fifty messages, three metadata records of one name, and two attachments of one name."""
    writer.start("", "robokata tests")
    channel = writer.register_channel("/a", "json", writer.register_schema("S", "jsonschema", b"{}"))
    for number in range(50):
        writer.add_message(channel, number, b'{"x": %d}' % number, number)
        if number in (10, 20):
            writer.add_metadata("rosbag2", {"n": str(number // 20)})
            writer.add_attachment(7, 5, "same", "text/plain", b"abc" if number == 20 else b"")
    writer.add_metadata("rosbag2", {})
    writer.finish()


def test_records_of_one_name_and_both_times_of_attachments_come_through_a_conversion(tmp_path: Path) -> None:
    path = tmp_path / "a.mcap"
    with path.open("wb") as out:
        fill(Writer(out))
    convert(open_source(path), tmp_path / "b.mcap", "mcap")
    before, after = McapFile(path), McapFile(tmp_path / "b.mcap")
    copied = [r for r in after.extra["metadata"] if not r["name"].startswith("robokata/")]
    assert copied == before.extra["metadata"]
    rows = [(r["create_time_ns"], r["log_time_ns"], d) for r, d in after.attachments() if r["name"] == "same"]
    assert rows == [(7, 5, b""), (7, 5, b"abc")] or rows == [(5, 7, b""), (5, 7, b"abc")]
