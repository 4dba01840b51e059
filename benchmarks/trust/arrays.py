"""Values of every type and shape, with the ones that break programs: extremes, NaN, -0.0, the smallest above 0."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

STEPS = 12
DTYPES = (
    "bool",
    "int8",
    "uint8",
    "int16",
    "uint16",
    "int32",
    "uint32",
    "int64",
    "uint64",
    "float16",
    "float32",
    "float64",
)
BIG_ENDIAN = (">i2", ">i4", ">u4", ">i8", ">f2", ">f4", ">f8")


class Columns(NamedTuple):
    """Numbers of one episode: what the robot did, and one array that is particular."""

    state: NDArray[np.float32]
    action: NDArray[np.float32]
    pictures: NDArray[np.uint8]
    extra: NDArray[Any]


def columns(dtype: str, shape: tuple[int, ...], seed: int, *, steps: int = STEPS) -> Columns:
    """One episode."""
    rng = np.random.default_rng([seed, steps])
    path = np.cumsum(rng.normal(0, 0.05, (steps + 1, 7)), 0).astype(np.float32)
    pictures = rng.integers(0, 255, (steps, 32, 48, 3)).astype(np.uint8)
    return Columns(path[:-1], path[1:], pictures, extreme(np.dtype(dtype), (steps, *shape), rng))


def extreme(dtype: np.dtype[Any], shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[Any]:
    """Random values of a type; its extremes come first."""
    if dtype.kind == "b":
        return rng.integers(0, 2, shape).astype(dtype)
    if dtype.kind in "iu":
        about = np.iinfo(dtype)
        values = rng.integers(about.min, about.max, shape, dtype=dtype.newbyteorder("="), endpoint=True)
        edges: list[Any] = [about.min, about.max]
    else:
        values = rng.normal(0, 1, shape).astype(dtype.newbyteorder("="))
        kinds = np.finfo(values.dtype)
        edges = [np.nan, np.inf, -np.inf, -0.0, kinds.max, kinds.tiny, kinds.smallest_subnormal]
    flat = values.reshape(-1)
    flat[: len(edges)] = edges[: flat.size]
    return values.astype(dtype)
