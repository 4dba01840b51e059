"""Tests of lazy values: whatever they are asked for, they answer as numpy would."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robokata.core.values import ArrayValues, IndexedValues, LazyValues, Pictures, Values, ordinals
from robokata.media.images import RawImages

NUMBERS = np.arange(7 * 2, dtype=np.float32).reshape(7, 2)
ENDS = st.none() | st.integers(-12, 12)
STEPS = st.none() | st.integers(-4, 4).filter(bool)


@given(count=st.integers(0, 9), first=ENDS, end=ENDS, step=STEPS)
def test_slices_mean_what_they_mean_to_numpy(count: int, first: int | None, end: int | None, step: int | None) -> None:
    wanted = slice(first, end, step)
    assert ordinals(wanted, count).tolist() == np.arange(count)[wanted].tolist()


@given(count=st.integers(1, 9), data=st.data())
def test_numbers_and_arrays_of_them_mean_what_they_mean_to_numpy(count: int, data: st.DataObject) -> None:
    asked = data.draw(st.lists(st.integers(-count, count - 1), max_size=6))
    assert ordinals(np.asarray(asked, np.int64), count).tolist() == [np.arange(count)[i] for i in asked]
    mask = np.asarray(data.draw(st.lists(st.booleans(), min_size=count, max_size=count)))
    assert ordinals(mask, count).tolist() == np.arange(count)[mask].tolist()


@pytest.mark.parametrize(("index", "named"), [(5, 5), (-6, -1), (np.asarray([0, 9]), 9)])
def test_a_sample_outside_is_refused_by_its_number(index: Any, named: int) -> None:
    with pytest.raises(IndexError) as caught:
        ordinals(index, 5)
    assert str(caught.value) == f"sample {named} asked of 5 samples"


def test_a_mask_of_another_length_is_refused() -> None:
    with pytest.raises(IndexError) as caught:
        ordinals(np.asarray([True, False]), 5)
    assert str(caught.value) == "a mask of 2 samples asked of 5 samples"


def every_kind() -> list[Values]:
    return [
        ArrayValues(NUMBERS),
        LazyValues(NUMBERS.shape, NUMBERS.dtype, lambda: NUMBERS),
        IndexedValues(NUMBERS.shape, NUMBERS.dtype, lambda i: NUMBERS[i]),
    ]


@pytest.mark.parametrize("values", every_kind(), ids=repr)
@pytest.mark.parametrize(
    "index", [0, -1, slice(None), slice(5, 1, -2), slice(3, 3), np.asarray([6, 0, 6]), np.int64(2)]
)
def test_all_kinds_of_values_agree_with_numpy(values: Values, index: Any) -> None:
    assert (values.shape, values.dtype, len(values)) == (NUMBERS.shape, NUMBERS.dtype, 7)
    np.testing.assert_array_equal(values[index], NUMBERS[index])
    assert values[index].shape == NUMBERS[index].shape


@pytest.mark.parametrize("values", every_kind(), ids=repr)
def test_reading_past_the_end_is_an_index_error_in_all_kinds(values: Values) -> None:
    with pytest.raises(IndexError):
        values[7]


def test_values_read_whole_are_read_once_and_at_first_use() -> None:
    reads = []
    values = LazyValues((3,), "int64", lambda: reads.append(1) or np.arange(3))
    assert (len(values), values.shape, reads) == (3, (3,), [])
    assert (values[1], values[:2].tolist(), reads) == (1, [0, 1], [1])


def test_values_read_by_sample_read_only_the_samples_asked_for() -> None:
    reads: list[int] = []
    values = IndexedValues((1000, 2), "float32", lambda i: reads.append(i) or np.zeros(2))
    assert (values[np.asarray([3, -1])].shape, reads) == ((2, 2), [3, 999])


def test_text_is_held_as_objects() -> None:
    texts = IndexedValues((2,), object, lambda i: "ab"[i])
    assert texts[:].tolist() == ["a", "b"]
    assert texts[0].item() == "a"


def test_the_protocols_recognise_what_keeps_them() -> None:
    pictures = RawImages(ArrayValues(np.zeros((2, 4, 4, 3), np.uint8)), where="memory")
    assert isinstance(pictures, Pictures)
    assert all(isinstance(values, Values) and not isinstance(values, Pictures) for values in every_kind())
