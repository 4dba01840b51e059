"""Pictures and the files behind them: as checks compare them, and as plants retell them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robokata.core.episode import Episode
from robokata.core.errors import DamagedData
from robokata.core.finding import Span
from robokata.core.stream import Stream
from robokata.core.values import ArrayValues, EncodedPicture, Index, Media, Pictures, ordinals
from robokata.geometry.runs import span_of

RATE_TOLERANCE_SHARE = 0.1
"""How far a rate may be from the declared one: ROS diagnostics' FrequencyStatus uses the same 10 %."""


def file_name(media: Media) -> str:
    """Last part of the media's path: what a finding calls the file."""
    return Path(media.path).name


def pictures_from(episode: Episode, stream: Stream, first: int) -> tuple[Span, ...]:
    """From a picture to the last, as the spans of a finding; from the last where there are fewer, none without any."""
    return (span_of(episode, stream.clock, first, len(stream) - 1),) if len(stream.clock) and len(stream) else ()


def rates_differ(measured_hz: float, declared_hz: float, tolerance_share: float = RATE_TOLERANCE_SHARE) -> bool:
    """True where one rate is more than 1 + tolerance times the other, whichever is larger."""
    low, high = sorted((measured_hz, declared_hz))
    return high > low * (1 + tolerance_share)


def span_is_in_other_time(stream: Stream, media: Media) -> bool:
    """True where the index gives seconds of a file that runs at another rate than the episode.

    Then the number of frames in those seconds says nothing about leaked or lost pictures.
    """
    declared = stream.clock.declared_rate_hz
    return (
        media.span_is_declared
        and media.rate_hz is not None
        and declared is not None
        and rates_differ(float(media.rate_hz), float(declared))
    )


def picture_stream(episode: Episode) -> Stream | None:
    """The stream whose file a plant changes: the first camera with enough pictures to lose some."""
    return next((stream for stream in episode.pictures() if len(stream) >= 8), None)


class RetoldPictures:
    """Some of the pictures of a stream, with another story about the file they lie in.

    A class, because it stands where the pictures stood: what it does not change, it passes through.
    """

    def __init__(
        self, pictures: Pictures, kept: NDArray[np.int64], media: Media, *, readable: int | None = None
    ) -> None:
        self.pictures, self.kept, self._media = pictures, kept, media
        self.readable = len(kept) if readable is None else readable
        """Pictures before the place where decoding stops."""

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self.kept), *self.pictures.shape[1:])

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.pictures.dtype

    def __len__(self) -> int:
        return len(self.kept)

    def __getitem__(self, index: Index) -> NDArray[Any]:
        wanted = ordinals(index, len(self.kept))
        self._stop_at(int(wanted.max(initial=-1)))
        if isinstance(index, (int, np.integer)):
            return self.pictures[int(self.kept[wanted[0]])]
        return self.pictures[self.kept[wanted]]

    def encoded(self, index: int) -> EncodedPicture | None:
        self._stop_at(index)
        return self.pictures.encoded(int(self.kept[index]))

    def media(self) -> Media:
        return self._media

    def luma(self, points: int) -> Iterator[NDArray[np.uint8]]:
        wanted = set(self.kept[: self.readable].tolist())
        for ordinal, grid in enumerate(self.pictures.luma(points)):
            if ordinal in wanted:
                yield grid
        self._stop_at(len(self.kept) - 1)

    def _stop_at(self, index: int) -> None:
        if index >= self.readable:
            raise DamagedData(self._media.path, f"frame {self._media.first_frame + self.readable} cannot be decoded.")


def retold(stream: Stream, *, readable: int | None = None, **facts: int | bool) -> Stream:
    """The same stream, whose media says something else about its file."""
    pictures = stream.pictures
    media = replace(pictures.media(), **facts)  # type: ignore[arg-type]  # the names are Media's own, the values ints
    return stream.with_values(RetoldPictures(pictures, np.arange(len(stream)), media, readable=readable))


def with_samples(stream: Stream, kept: NDArray[np.int64]) -> Stream:
    """The stream with some of its samples, on every clock it has; `kept` is sample numbers in rising order."""
    clocks = {name: clock.subset(kept) for name, clock in stream.other_clocks.items()}
    thinned = replace(stream, other_clocks=clocks)
    if not stream.is_picture:
        return thinned.with_values(ArrayValues(stream.values[kept]), clock=stream.clock.subset(kept))
    media = stream.pictures.media()
    fewer = len(stream) - len(kept)
    media = replace(
        media,
        frames_expected=len(kept),
        frames_in_span=max(0, media.frames_in_span - fewer),
        frames_in_file=None if media.frames_in_file is None else media.frames_in_file - fewer,
        frames_declared_by_container=None,
    )
    return thinned.with_values(RetoldPictures(stream.pictures, kept, media), clock=stream.clock.subset(kept))
