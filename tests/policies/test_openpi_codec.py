"""Tests of openpi's bytes: the published ones, and hostile ones."""

from __future__ import annotations

import contextlib
from typing import Any

import msgpack
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from robokata.core.errors import PolicyFailed
from robokata.policies._openpi.codec import packed, unpacked

GOLDEN = bytes.fromhex(
    "81a7616374696f6e73"  # {"actions":
    "84c40b5f5f6e6461727261795f5fc3"  # {b"__ndarray__": true,
    "c40464617461c4080000000000000000"  # b"data": 8 zero bytes,
    "c4056474797065a33c6634"  # b"dtype": "<f4",
    "c4057368617065920102"  # b"shape": [1, 2]}}
)
"""The message of evaluation.md, 4.1: `{"actions": zeros(1, 2, float32)}`."""


def test_the_published_message_is_met_to_the_byte() -> None:
    message = {"actions": np.zeros((1, 2), np.float32)}
    assert len(GOLDEN) == 61
    assert packed(message) == GOLDEN
    found = unpacked(GOLDEN)["actions"]
    assert (found.dtype.str, found.shape) == ("<f4", (1, 2))


NUMBERS = st.one_of(
    arrays.arrays(
        st.sampled_from([np.float32, np.float64, np.uint8, np.int64, np.bool_]),
        arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
    ),
    st.integers(-(2**31), 2**31).map(np.int64),
    st.floats(allow_nan=False, width=32).map(np.float32),
)


@given(st.dictionaries(st.text(max_size=8), st.one_of(NUMBERS, st.text(max_size=9), st.none(), st.booleans())))
def test_what_is_packed_comes_back(message: dict[str, Any]) -> None:
    again = unpacked(packed(message))
    assert again.keys() == message.keys()
    for name, value in message.items():
        assert type(again[name]) is type(value)
        if isinstance(value, (np.ndarray, np.generic)):
            assert again[name].dtype == value.dtype
            np.testing.assert_array_equal(again[name], value)
        else:
            assert again[name] == value


def array_of(**changed: Any) -> bytes:
    told = {"__ndarray__": True, "data": bytes(8), "dtype": "<f4", "shape": [2], **changed}
    data: bytes = msgpack.packb({"a": {name.encode(): value for name, value in told.items()}})
    return data


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (array_of(shape=[2**62, 4]), "has 8 bytes"),
        (array_of(shape=[2**32, 2**32]), "has 8 bytes"),
        (array_of(shape=[-2]), "has the shape"),
        (array_of(shape=[True, 2]), "has the shape"),
        (array_of(shape=[1] * 40), "lacks its bytes or its shape"),
        (array_of(shape=[3]), "has 8 bytes"),
        (array_of(dtype="|O"), "are not read"),
        (array_of(dtype="O"), "are not read"),
        (array_of(dtype="<c8"), "are not read"),
        (array_of(dtype="|V8"), "are not read"),
        (array_of(dtype="f4,O"), "are not read"),
        (array_of(dtype=[["a", "O"]]), "are not read"),
        (array_of(dtype="<f9"), "are not read"),
        (array_of(data="text"), "lacks its bytes"),
        (msgpack.packb({"a": {b"__npgeneric__": True, b"data": "x", b"dtype": "<f4"}}), "a number of the message"),
        (msgpack.packb({"a": {b"__npgeneric__": True, b"data": 2**63, b"dtype": "|u1"}}), "a number of the message"),
        (msgpack.packb([1, 2]), "is list, not a map"),
        (b"\xdd\xff\xff\xff\xff", "has more than 100,000 items"),
        (b"\xdb\xff\xff\xff\xffabc", "more than 1,048,576 bytes of text"),
        (b"\x81\xa1a" + b"\x91" * 5000, "is nested more than 32 deep"),
        (b"", "ends early: an item is missing at byte 0"),
        (GOLDEN[:-1], "ends early: an item is missing at byte 60"),
        (GOLDEN + b"\x00", "has 1 bytes behind its end"),
    ],
)
def test_hostile_bytes_are_refused_before_anything_is_made_of_them(data: bytes, said: str) -> None:
    with pytest.raises(PolicyFailed, match=said) as caught:
        unpacked(data)
    assert caught.value.kind == "bad_message"


@given(st.binary(max_size=200))
def test_any_bytes_are_a_message_or_a_refusal(data: bytes) -> None:
    found = None
    with contextlib.suppress(PolicyFailed):
        found = unpacked(data)
    assert found is None or isinstance(found, dict)


def test_a_message_above_the_limit_is_not_even_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("robokata.policies._openpi.limits.MOST_BYTES", 60)
    with pytest.raises(PolicyFailed, match="has 61 bytes; at most 60 are read"):
        unpacked(GOLDEN)


@pytest.mark.parametrize("value", [np.asarray([object()]), np.asarray(["text"]), np.asarray([1j]), object()])
def test_what_cannot_travel_is_refused_by_the_sender(value: Any) -> None:
    with pytest.raises(PolicyFailed, match="cannot be sent"):
        packed({"a": value})
