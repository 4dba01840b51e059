"""Some samples of a stream as a stream: row 7 of the table is sample 3 of the camera."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robokata.core.values import EncodedPicture, Index, Media, Pictures, Values, ordinals


class PickedValues:
    """Values `picked[i]` of other values, in that order; nothing is read until it is indexed."""

    def __init__(self, values: Values, picked: NDArray[np.int64]) -> None:
        self.values, self.picked = values, picked

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self.picked), *self.values.shape[1:])

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.values.dtype

    def __len__(self) -> int:
        return len(self.picked)

    def __getitem__(self, index: Index) -> NDArray[Any]:
        wanted = self.picked[ordinals(index, len(self))]
        return self.values[int(wanted[0]) if isinstance(index, (int, np.integer)) else wanted]

    def __repr__(self) -> str:
        return f"PickedValues({len(self)} of {self.values!r})"


class PickedPictures(PickedValues):
    """Pictures `picked[i]` of other pictures; `picked` rises, so that one pass sees them all."""

    values: Pictures

    def encoded(self, index: int) -> EncodedPicture | None:
        """The bytes of the picture behind, or None where it has none of its own."""
        return self.values.encoded(int(self.picked[ordinals(index, len(self))[0]]))

    def media(self) -> Media:
        """What lies behind: the file holds the rows, the stream some of them."""
        behind = self.values.media()
        lacking = max(0, behind.frames_expected - behind.frames_in_span)
        count = len(self.picked)
        return replace(behind, frames_expected=count, frames_in_span=max(0, count - lacking))

    def luma(self, points: int) -> Iterator[NDArray[np.uint8]]:
        """The picked pictures out of one pass over all."""
        coming = iter(self.picked.tolist())
        wanted = next(coming, None)
        for ordinal, grid in enumerate(self.values.luma(points)):
            while wanted == ordinal:
                yield grid
                wanted = next(coming, None)
            if wanted is None:
                return
