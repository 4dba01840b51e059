"""Tests of streams: what they promise about shape, and what they refuse."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from robokata.core.clock import grid_clock, step_clock
from robokata.core.stream import Fact, Kind, Role, Stream
from robokata.core.values import ArrayValues, LazyValues
from robokata.testing import tiny_episode
from robokata.testing.tiny import CAMERA


def numbers(shape: tuple[int, ...], dtype: str = "float32", channels: tuple[str, ...] | None = None) -> Stream:
    clock = grid_clock(shape[0], Fraction(50))
    return Stream("action", Kind.TENSOR, Role.ACTION, clock, ArrayValues(np.ones(shape, dtype)), channels=channels)


@pytest.mark.parametrize(
    ("shape", "table"), [((5,), (5, 1)), ((5, 7), (5, 7)), ((5, 2, 3), (5, 6)), ((0, 7), (0, 7)), ((5, 0), (5, 0))]
)
def test_the_table_is_one_row_per_sample(shape: tuple[int, ...], table: tuple[int, int]) -> None:
    stream = numbers(shape)
    assert stream.table.shape == table
    assert stream.table is stream.table, "read once"
    assert (len(stream), stream.shape) == (shape[0], shape[1:])


def test_only_numbers_of_one_shape_have_a_table() -> None:
    words = Stream("task", Kind.TEXT, Role.LANGUAGE, step_clock(1), ArrayValues(np.asarray(["pick"], object)))
    assert not words.is_numeric
    with pytest.raises(TypeError) as caught:
        _ = words.table
    assert str(caught.value) == "stream 'task' holds text of object, not numbers"


@pytest.mark.parametrize(
    ("dtype", "is_numeric"), [("f2", True), ("u1", True), ("?", True), ("S3", False), ("c8", False)]
)
def test_numbers_are_reals_integers_and_flags(dtype: str, is_numeric: bool) -> None:
    assert numbers((3,), dtype).is_numeric is is_numeric


def test_only_pictures_are_given_as_pictures() -> None:
    camera = tiny_episode(duration_s=0.2).stream(CAMERA)
    assert camera.is_picture
    assert camera.pictures is camera.values
    with pytest.raises(TypeError) as caught:
        _ = numbers((3, 2)).pictures
    assert str(caught.value) == "stream 'action' holds tensor, not pictures"


def test_asking_for_pictures_does_not_open_the_media() -> None:
    class Lost(LazyValues):
        def luma(self, points: int) -> None: ...

        @property
        def shape(self) -> tuple[int, ...]:
            raise AssertionError("the media was opened")

    stream = Stream("front", Kind.VIDEO, Role.CAMERA, step_clock(3), Lost((3,), "uint8", lambda: np.zeros(3)))
    assert type(stream.pictures) is Lost


def test_a_channel_has_its_own_name_or_its_number() -> None:
    assert [numbers((2, 3), channels=("x", "y")).channel_name(i) for i in range(3)] == ["x", "y", "2"]
    assert numbers((2, 3)).channel_name(1) == "1"


def test_new_values_keep_the_clock_unless_told_otherwise() -> None:
    stream = numbers((4, 2))
    other = grid_clock(2, Fraction(10))
    assert stream.with_values(ArrayValues(np.zeros((4, 2)))).clock is stream.clock
    assert stream.with_values(ArrayValues(np.zeros((2, 2))), clock=other).clock is other
    assert stream.table[0, 0] == 1


def test_streams_are_equal_only_to_themselves_and_can_be_put_in_sets() -> None:
    one, two = numbers((2, 2)), numbers((2, 2))
    assert one == one
    assert len({one, two}) == 2


def test_a_fact_reads_as_its_value() -> None:
    assert str(Fact("rad")) == "rad"
