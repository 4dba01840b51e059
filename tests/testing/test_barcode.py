"""Tests of the oracle: a picture that says which one it is, and a picture of anything else that says nothing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robokata.core.errors import DamagedData
from robokata.testing import Barcode, barcode_picture, read_barcode

SIZES = st.integers(32, 200)


@given(st.integers(0, 2**20 - 1), st.integers(0, 2**24 - 1), SIZES, SIZES)
def test_every_number_comes_back_from_every_size(episode: int, frame: int, height: int, width: int) -> None:
    picture = barcode_picture(episode, frame, height=height, width=width)
    assert picture.shape == (height, width, 3)
    assert read_barcode(picture) == Barcode(episode, frame)
    assert read_barcode(picture[..., 0]) == read_barcode(picture[..., :1]) == (episode, frame)
    assert read_barcode(picture.astype(np.float32) / 255, full_scale=1.0) == (episode, frame)


@pytest.mark.parametrize("level", [0, 128, 255])
def test_a_picture_of_anything_else_holds_no_barcode(level: int) -> None:
    with pytest.raises(DamagedData) as caught:
        read_barcode(np.full((64, 64, 3), level, np.uint8))
    assert str(caught.value) == "picture: holds no readable barcode."


def test_one_wrong_cell_is_noticed() -> None:
    for row in range(8):
        for column in range(8):
            picture = barcode_picture(3, 77)
            cell = picture[row * 8 : row * 8 + 8, column * 8 : column * 8 + 8]
            cell[:] = 255 - cell
            with pytest.raises(DamagedData):
                read_barcode(picture)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError) as caught:
        barcode_picture(2**20, 0)
    assert str(caught.value) == "episode=1048576 or frame=0 does not fit into the barcode"
    with pytest.raises(ValueError) as caught:
        barcode_picture(0, 0, height=31)
    assert str(caught.value) == "a barcode needs at least 32 x 32 pixels, got height=31 width=64"
