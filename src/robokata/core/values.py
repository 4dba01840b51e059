"""Values over time that are read when somebody looks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

Index = int | slice | NDArray[np.integer[Any]]
"""What values can be asked for: one sample, a slice, or an array of sample numbers."""


@runtime_checkable
class Values(Protocol):
    """A lazy array: (T, ...) on disk, numpy when indexed. The first axis is time."""

    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def dtype(self) -> np.dtype[Any]: ...
    def __len__(self) -> int: ...
    def __getitem__(self, index: Index) -> NDArray[Any]: ...


class EncodedPicture(NamedTuple):
    """One picture as it lies on disk."""

    data: bytes
    codec: str
    """`jpeg`, `png`, `webp`, ...: what the bytes are, read from the bytes."""


@dataclass(frozen=True)
class Media:
    """What lies behind a picture stream, found without decoding a picture."""

    path: str
    codec: str | None
    """Codec of the bytes (`h264`, `av1`, `jpeg`, `raw`), None where the media cannot be opened."""
    frames_expected: int
    """Pictures that the table asks for in this episode."""
    frames_in_span: int
    """Pictures that lie in the span of the media that belongs to this episode."""
    frames_in_file: int | None = None
    """Pictures in the whole file, None where each picture is its own blob."""
    frames_declared_by_container: int | None = None
    """Pictures that the container's header promises to show, None where it promises nothing."""
    first_frame: int = 0
    """Ordinal in the file of the episode's first picture."""
    span_is_declared: bool = False
    """True where an index gives the episode a span of a file, False where the whole file is its own."""
    rate_hz: Fraction | None = None
    """Average rate that the container states, None where it states none or has none."""
    bits: int | None = None
    """Bits per channel of the pictures as they lie there, None where that is not known."""
    channels: int | None = None
    """Channels of the first picture as it lies there, transparency included; None where that is not known."""
    left_out: str | None = None
    """What decoding leaves out (`10 bits per colour become 8`), None where the values hold all of a picture."""
    turn: str | None = None
    """How the first picture asks viewers to turn it (EXIF), None where it does not."""
    pixel_format: str | None = None
    """What FFmpeg calls a video's pixels (`yuv420p`, `gray12le`), None where it is no video."""
    sound: str | None = None
    """The first sound track beside the pictures (`aac, 16000 Hz, mono`), None where there is none."""
    problem: str | None = None
    """Why the media cannot be opened, None where it can."""
    is_absent: bool = False
    """True where the file that should hold the pictures does not exist."""

    @property
    def encoding(self) -> str | None:
        """The codec, with what else a reader of the pictures should know: an unusual number of bits, a sound track."""
        bits = f", {self.bits} bit" if self.bits is not None and self.bits > 8 else ""
        sound = f", with sound ({self.sound.partition(',')[0]})" if self.sound else ""
        return None if self.codec is None else f"{self.codec}{bits}{sound}"


@runtime_checkable
class Pictures(Values, Protocol):
    """Values that are pictures: (T, H, W, C), decoded when indexed, and passed through when copied."""

    def encoded(self, index: int) -> EncodedPicture | None:
        """The picture's own bytes, or None where a picture has no bytes of its own (raw, inter-coded video)."""
        ...

    def media(self) -> Media:
        """What lies behind the stream. Never raises: a broken file is `Media.problem`."""
        ...

    def luma(self, points: int) -> Iterator[NDArray[np.uint8]]:
        """Every picture in order as a grey grid of at most `points` x `points` samples of its brightness.

        The cheapest faithful look at all pictures: no colour conversion, one pass.
        """
        ...


def sample(value: Any, dtype: np.dtype[Any]) -> NDArray[Any]:
    """What one index gives, as an array: a text or bytes on their own stay the object that they are.

    NumPy would make fixed-width texts of them, which end at the last character that is not NUL.
    """
    if dtype.hasobject and not isinstance(value, np.ndarray):
        alone = np.empty((), object)
        alone[()] = value
        return alone
    return np.asarray(value)


class ArrayValues:
    """Values that are already in memory."""

    def __init__(self, array: NDArray[Any]) -> None:
        self.array = array

    @property
    def shape(self) -> tuple[int, ...]:
        return self.array.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.array.dtype

    def __len__(self) -> int:
        return len(self.array)

    def __getitem__(self, index: Index) -> NDArray[Any]:
        return sample(self.array[index], self.dtype)

    def __repr__(self) -> str:
        return f"ArrayValues({self.dtype}{list(self.shape)})"


class LazyValues:
    """Values that one call reads whole: columns of a table, small arrays of a file.

    A class, because it keeps what it has read. Shape and dtype are promised before reading; a promise
    that the bytes do not keep is the reader's bug or the file's damage, and the reader must raise.
    """

    def __init__(
        self, shape: tuple[int, ...], dtype: np.dtype[Any] | type | str, load: Callable[[], NDArray[Any]]
    ) -> None:
        self._shape, self._dtype, self._load = shape, np.dtype(dtype), load

    @cached_property
    def array(self) -> NDArray[Any]:
        return self._load()

    @property
    def shape(self) -> tuple[int, ...]:
        return self._shape

    @property
    def dtype(self) -> np.dtype[Any]:
        return self._dtype

    def __len__(self) -> int:
        return self._shape[0]

    def __getitem__(self, index: Index) -> NDArray[Any]:
        return sample(self.array[index], self.dtype)

    def __repr__(self) -> str:
        return f"LazyValues({self.dtype}{list(self.shape)})"


class IndexedValues:
    """Values read sample by sample: `load(i)` gives one sample. For what is too large to hold at once."""

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype[Any] | type | str, load: Callable[[int], Any]) -> None:
        self._shape, self._dtype, self._load = shape, np.dtype(dtype), load

    @property
    def shape(self) -> tuple[int, ...]:
        return self._shape

    @property
    def dtype(self) -> np.dtype[Any]:
        return self._dtype

    def __len__(self) -> int:
        return self._shape[0]

    def __getitem__(self, index: Index) -> NDArray[Any]:
        wanted = ordinals(index, len(self))
        if isinstance(index, (int, np.integer)):
            return sample(self._load(int(wanted[0])), self._dtype)
        out = np.empty((len(wanted), *self._shape[1:]), self._dtype)
        for row, ordinal in enumerate(wanted):
            out[row] = self._load(int(ordinal))
        return out

    def __repr__(self) -> str:
        return f"IndexedValues({self.dtype}{list(self.shape)})"


def ordinals(index: Index, count: int) -> NDArray[np.int64]:
    """Sample numbers that an index means in a sequence of `count`, (n,) int64, never negative.

    Raises:
        IndexError: a sample number lies outside the sequence, or a mask has another length.
    """
    if isinstance(index, slice):
        return np.arange(*index.indices(count), dtype=np.int64)
    asked = np.atleast_1d(np.asarray(index))
    if asked.dtype == np.bool_:
        if len(asked) != count:
            raise IndexError(f"a mask of {len(asked)} samples asked of {count} samples")
        asked = np.flatnonzero(asked)
    wanted = np.where(asked < 0, asked + count, asked).astype(np.int64)
    outside = wanted[(wanted < 0) | (wanted >= count)]
    if len(outside):
        raise IndexError(f"sample {int(outside[0])} asked of {count} samples")
    return wanted
