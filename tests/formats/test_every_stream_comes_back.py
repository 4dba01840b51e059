"""Every kind of stream through every pair of formats and back: nothing changes that the plan did not tell."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from robokata.conversion.convert import convert, plan_conversion
from robokata.core.clock import Clock, grid_clock, measured_clock
from robokata.core.detection import open_source
from robokata.core.episode import Episode, Instruction
from robokata.core.leaf_kinds import writable_formats
from robokata.core.shelf import shelf
from robokata.core.source import EpisodeList, Source
from robokata.core.stream import Kind, Role, Stream
from robokata.core.values import ArrayValues

STEPS, RATE_HZ = 6, Fraction(10)
FORMATS = [name for name in writable_formats() if hasattr(shelf("formats")[name], "read")]
DTYPES = [
    "bool",
    "int8",
    "int16",
    "int32",
    "int64",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "float16",
    "float32",
    "float64",
]
TEXTS = {
    "text": ["pick up the cup"] * STEPS,
    "changing": ["", "two\nlines", "Käse 世界 🤖", "x" * 300, " padded ", "NUL\0"],
    "empty": [""] * STEPS,
    "half_pair": ["\ud800"] * STEPS,
}
BYTES = [b"", b"\0", b"zeros behind\0\0", b"\xff\xfe", b"{}", b"words"]


def column(cells: list[Any]) -> NDArray[Any]:
    out = np.empty(len(cells), object)
    for row, cell in enumerate(cells):
        out[row] = cell
    return out


def extremes(dtype: str) -> NDArray[Any]:
    if dtype == "bool":
        return np.asarray([True, False, False, True, True, False])
    if dtype.startswith("float"):
        return np.asarray([0.1, -0.0, np.inf, np.nan, 1e-7, 3], dtype)
    limits = np.iinfo(dtype)
    return np.asarray([limits.min, limits.max, 0, 1, 2, limits.max - 1], dtype)


def streams() -> Iterator[Stream]:
    rows, none = grid_clock(STEPS, RATE_HZ), grid_clock(0, RATE_HZ)
    odd = measured_clock(np.asarray([7, 31_000_007, 155_000_007, 279_000_007], np.int64))

    def stream(name: str, kind: Kind, array: NDArray[Any], clock: Clock = rows, role: Role = Role.SENSOR) -> Stream:
        return Stream(name, kind, role, clock, ArrayValues(array))

    yield stream("action", Kind.TENSOR, np.linspace(0, 1, STEPS * 3, dtype=np.float32).reshape(-1, 3), role=Role.ACTION)
    for dtype in DTYPES:
        numbers = extremes(dtype)
        yield stream(f"scalar_{dtype}", Kind.TENSOR, numbers)
        yield stream(f"one_{dtype}", Kind.TENSOR, numbers[:, None])
        yield stream(f"pair_{dtype}", Kind.TENSOR, np.stack([numbers, numbers], axis=1))
        yield stream(f"odd_{dtype}", Kind.TENSOR, numbers[:4], odd)
    yield stream("matrix", Kind.TENSOR, np.arange(STEPS * 9.0).reshape(STEPS, 3, 3))
    yield stream("widthless", Kind.TENSOR, np.zeros((STEPS, 0), np.float32))
    yield stream("lengthless", Kind.TENSOR, np.zeros((0, 3), np.float32), none)
    yield stream("compound", Kind.TENSOR, np.zeros(STEPS, [("a", "<f4"), ("b", "<i2", (2,))]))
    for name, texts in TEXTS.items():
        yield stream(f"text_{name}", Kind.TEXT, column(texts), role=Role.LANGUAGE)
        yield stream(f"text_odd_{name}", Kind.TEXT, column(texts[:4]), odd, Role.UNKNOWN)
    yield stream("text_pairs", Kind.TEXT, column([*"abcdefghijkl"]).reshape(STEPS, 2), role=Role.LANGUAGE)
    yield stream("text_lengthless", Kind.TEXT, column([]), none)
    yield stream("bytes", Kind.MESSAGE, column(BYTES), role=Role.UNKNOWN)
    yield stream("bytes_odd", Kind.MESSAGE, column(BYTES[:4]), odd, Role.UNKNOWN)
    yield stream("ragged", Kind.RAGGED, column([np.ones((n, 3), np.int16) for n in (0, 1, 5, 2, 0, 3)]))
    yield stream("ragged_text", Kind.RAGGED, column([column(["x"] * n) for n in (0, 1, 2, 3, 0, 1)]))


def source() -> EpisodeList:
    made = {stream.name: stream for stream in streams()}
    return EpisodeList(
        [Episode("0", made, instructions=(Instruction("tidy up", source="task"),), declared_rate_hz=RATE_HZ)]
    )


def told(value: Any) -> Any:
    """Everything that can be compared of a column: type, shape, and bytes or cells."""
    if not isinstance(value, np.ndarray):
        return type(value), value
    held = [told(cell) for cell in value.reshape(-1)] if value.dtype == object else value.tobytes()
    return value.dtype, value.shape, held


def changed(before: Source, after: Source) -> list[str]:
    (old,), (new,) = ([one.episode(key) for key in one.keys()] for one in (before, after))
    kept = {name: (s.kind, s.role, told(s.values[:]), s.clock.times_ns.tolist()) for name, s in old.streams.items()}
    found = {name: (s.kind, s.role, told(s.values[:]), s.clock.times_ns.tolist()) for name, s in new.streams.items()}
    return [name for name, stream in kept.items() if found.get(name) != stream]


@pytest.mark.parametrize(("first", "second"), list(itertools.permutations(FORMATS, 2)))
def test_every_kind_of_stream_survives_there_and_back_and_there_again(first: str, second: str, tmp_path: Path) -> None:
    original = current = source()
    for number, name in enumerate((first, second, first, second)):
        assert not plan_conversion(current, name).is_lossy
        convert(current, tmp_path / str(number), name)
        current = open_source(tmp_path / str(number))
    assert changed(original, current) == []
