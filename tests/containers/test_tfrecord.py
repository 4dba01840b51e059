"""TFRecord framing and the protobuf of tf.train.Example."""

from __future__ import annotations

import struct
from pathlib import Path

import google_crc32c
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from makers import rlds as maker
from robokata.containers.crc32c import crc32c, crc32c_of_numpy
from robokata.containers.tf_example import (
    Feature,
    WireError,
    count_of,
    floats_of,
    ints_of,
    items_of,
    parse_example,
)
from robokata.containers.tfrecord import BAD_LENGTH, TRUNCATED, index_shard, read_record
from robokata.core.errors import DamagedData, MediaMissing

INT64 = np.dtype(np.int64)


def test_crc32c_of_numpy_gives_the_value_that_rfc_3720_prints():
    assert crc32c_of_numpy(bytes(32)) == 0x8A9136AA
    assert crc32c_of_numpy(b"123456789") == crc32c(b"123456789") == 0xE3069283


@pytest.mark.parametrize("size", [0, 1, 4095, 4096, 4097, 65_537, 300_001])
def test_crc32c_of_numpy_agrees_with_the_library_at_every_size(size: int):
    data = np.random.default_rng(size).bytes(size)
    assert crc32c_of_numpy(data) == google_crc32c.value(data)


def shard(tmp_path: Path, *records: bytes) -> Path:
    path = tmp_path / "x.tfrecord"
    path.write_bytes(b"".join(map(maker.framed, records)))
    return path


def test_records_are_found_by_hopping_and_read_alone(tmp_path: Path):
    path = shard(tmp_path, b"one", b"", b"three" * 1000)
    index = index_shard(path)
    assert index.lengths.tolist() == [3, 0, 5000]
    assert index.offsets.tolist() == [0, 19, 35]
    assert not index.is_damaged
    assert read_record(path, 35, 5000) == b"three" * 1000


def test_a_wrong_length_costs_its_record_and_the_next_is_found(tmp_path: Path):
    path = shard(tmp_path, b"a" * 5000, bytes(2_500_000), b"c" * 5000)
    data = bytearray(path.read_bytes())
    data[5016] ^= 1
    path.write_bytes(data)
    index = index_shard(path)
    assert index.lengths.tolist() == [5000, BAD_LENGTH, 5000]
    assert read_record(path, int(index.offsets[2]), 5000) == b"c" * 5000
    with pytest.raises(DamagedData) as error:
        read_record(path, 5016, BAD_LENGTH)
    assert str(error.value) == (
        f"{path} at byte 5016: no TFRecord starts here: the crc32c of the length differs. Fetch this file again."
    )


def test_a_cut_record_is_in_the_index_as_cut(tmp_path: Path):
    path = shard(tmp_path, b"a" * 100, b"b" * 100)
    path.write_bytes(path.read_bytes()[:150])
    index = index_shard(path)
    assert index.lengths.tolist() == [100, TRUNCATED]
    with pytest.raises(DamagedData) as error:
        read_record(path, 116, TRUNCATED)
    assert str(error.value) == f"{path} at byte 116: the file ends inside this record. Fetch this file again."


def test_a_flipped_bit_in_the_data_is_told_by_its_crc(tmp_path: Path):
    path = shard(tmp_path, b"a" * 100)
    data = bytearray(path.read_bytes())
    data[50] ^= 4
    path.write_bytes(data)
    with pytest.raises(DamagedData) as error:
        read_record(path, 0, 100)
    assert str(error.value) == (
        f"{path} at byte 0: the record's 100 bytes are not those that were written (crc32c differs). "
        "Fetch this file again."
    )


def test_a_huge_length_with_a_right_crc_allocates_nothing(tmp_path: Path):
    path = tmp_path / "x.tfrecord"
    length = struct.pack("<Q", 2**31 - 1)
    path.write_bytes(length + struct.pack("<I", maker.masked(length)) + b"tiny")
    assert index_shard(path).lengths.tolist() == [TRUNCATED]
    with pytest.raises(DamagedData, match="the file ends inside this record"):
        read_record(path, 0, 2**31 - 1)


def test_a_missing_file_is_told_as_missing(tmp_path: Path):
    with pytest.raises(MediaMissing) as error:
        index_shard(tmp_path / "gone")
    assert str(error.value) == f"{tmp_path / 'gone'}: the file is not there. Fetch it again."


@given(st.lists(st.integers(-(2**63), 2**63 - 1), max_size=40), st.booleans())
def test_integers_come_back_packed_or_not(values: list[int], packed: bool):
    feature = parse_example(example_of(values, packed=packed))["x"]
    assert ints_of(feature, INT64).tolist() == values
    assert count_of(feature) == len(values)


@given(st.lists(st.floats(width=32, allow_nan=False), max_size=40), st.booleans())
def test_floats_come_back_packed_or_not(values: list[float], packed: bool):
    feature = parse_example(example_of(values, packed=packed))["x"]
    assert floats_of(feature).tolist() == values
    assert count_of(feature) == len(values)


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=20))
def test_byte_strings_come_back(values: list[bytes]):
    items = items_of(parse_example(example_of(values))["x"])
    assert [items.copy(i) for i in range(len(items.starts))] == values


@given(st.binary(max_size=60))
@settings(max_examples=300)
def test_any_bytes_parse_or_raise_one_error(data: bytes):
    for kind, decode in (("float", floats_of), ("bytes", items_of), ("int64", lambda f: ints_of(f, INT64))):
        try:
            parse_example(data)
            decode(Feature(kind, memoryview(data)))
        except WireError:
            pass


def test_a_list_of_more_than_a_block_of_integers_is_decoded_in_parts():
    values = np.random.default_rng(0).integers(0, 256, 1_500_000)
    pieces = b"".join(maker.varint(int(v)) for v in values[:3000]) * 500
    feature = Feature("int64", maker.field(1, pieces))
    assert np.array_equal(ints_of(feature, np.dtype(np.uint8)), np.tile(values[:3000], 500))


def test_a_value_that_does_not_fit_is_refused_and_not_wrapped():
    feature = parse_example(example_of([1, 300]))["x"]
    with pytest.raises(WireError) as error:
        ints_of(feature, np.dtype(np.uint8))
    assert str(error.value) == "the value 300 does not fit into uint8"


def example_of(values: list, *, packed: bool = True) -> bytes:
    return maker.field(1, maker.field(1, maker.field(1, b"x") + maker.field(2, maker.feature(values, packed=packed))))
