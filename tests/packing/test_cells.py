"""Cells of texts, bytes and arrays as one run of bytes, and back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from robokata.core.values import ArrayValues, IndexedValues, LazyValues
from robokata.packing.cells import is_unicode, pack_cells, unpack_cells

TEXT = st.text(st.characters(), max_size=8)
NUMBERS = st.builds(
    lambda dtype, shape: np.arange(int(np.prod(shape))).reshape(shape).astype(dtype),
    st.sampled_from(["bool", "int8", "uint16", "float16", "float64", ">i4"]),
    st.lists(st.integers(0, 3), max_size=3).map(tuple),
)


def column(cells: list[Any]) -> NDArray[Any]:
    out = np.empty(len(cells), object)
    for row, cell in enumerate(cells):
        out[row] = cell
    return out


def assert_same(cell: Any, back: Any) -> None:
    assert type(back) is type(cell)
    if not isinstance(cell, np.ndarray):
        assert back == cell
    elif cell.dtype == object:
        assert back.shape == cell.shape
        for one, other in zip(cell.reshape(-1), back.reshape(-1), strict=True):
            assert_same(one, other)
    else:
        assert (back.dtype, back.shape, back.tobytes()) == (cell.dtype, cell.shape, cell.tobytes())


CELL = st.one_of(TEXT, st.binary(max_size=6), NUMBERS, st.none(), st.lists(TEXT, max_size=3).map(column))


@given(st.lists(CELL, max_size=6))
def test_every_cell_comes_back_as_it_was(cells: list[Any]) -> None:
    packed = pack_cells(column(cells))
    assert_same(column(cells), unpack_cells(packed, (len(cells),)))


def test_a_cell_of_something_else_is_refused() -> None:
    with pytest.raises(ValueError, match="a cell holds set, which is neither text nor bytes nor numbers"):
        pack_cells(column([{1}]))


def test_half_a_surrogate_pair_is_not_unicode() -> None:
    assert is_unicode(column(["Käse", "世界"]))
    assert not is_unicode(column(["fine", "\ud800"]))


@pytest.mark.parametrize("text", ["", "reach", "ends with NUL\0", b"", b"ends with NUL\0"])
def test_one_sample_of_text_is_the_text_itself_and_no_fixed_width_copy(text: str | bytes) -> None:
    cells = column([text])
    for values in (
        ArrayValues(cells),
        LazyValues((1,), object, lambda: cells),
        IndexedValues((1,), object, lambda _: text),
    ):
        assert values[0].dtype == object
        assert values[0].item() == text
        assert type(values[:][0]) is type(text)
