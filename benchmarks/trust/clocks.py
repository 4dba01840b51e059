"""Data without times: nothing has seconds until a rate is declared, and then everything has those of the rate."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.trust import tables
from benchmarks.trust.arrays import columns
from benchmarks.trust.truth import EpisodeTruth, Variant

RATES = ("5", "10", "30", "29.97", "1000/3")
_EXACT = {"29.97": Fraction(30000, 1001)}


def variants() -> Iterator[Variant]:
    """Each format that keeps no times, at rates that the user declares."""
    for form in ("aloha", "zarr_v2", "zarr_v3", "rlds"):
        write, read = tables.FORMATS[form]
        for rate in RATES:
            make = partial(_make, write)
            name = f"clocks/{form}/declared_{rate.replace('/', '_by_')}"
            yield Variant(name, make, partial(_timed, read, _EXACT.get(rate) or Fraction(rate)), rates=(rate,))


def _make(write: tables.Write, root: Path) -> Path:
    root.mkdir(parents=True)
    return write(root, [columns("float32", (3,), n, steps=steps) for n, steps in enumerate((12, 9))])


def _timed(read: Callable[[Path], list[EpisodeTruth]], rate: Fraction, path: Path) -> list[EpisodeTruth]:
    """The truth, on the grid sample number / rate, by Python's exact fractions."""
    found = []
    for episode in read(path):
        streams = {}
        for name, truth in episode.streams.items():
            samples = next(v for v in (truth.numbers, truth.pictures, truth.texts) if v is not None)
            times = np.asarray([round(Fraction(n * 10**9) / rate) for n in range(len(samples))], np.int64)
            streams[name] = replace(truth, times_ns=times, within_ns=1)
        found.append(replace(episode, streams=streams))
    return found
