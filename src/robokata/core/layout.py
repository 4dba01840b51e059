"""Where each stream goes in a target format, and what that costs: the loss report."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robokata.core.values import Media


class Way(enum.StrEnum):
    """How a stream gets into the target, best first."""

    COPIED = "copied"
    """The same numbers, or the same encoded bytes, where the target's own tools find them."""
    DECODED = "decoded"
    """Pictures as raw pixels: every pixel is kept, the encoded bytes are not."""
    RESAMPLED = "resampled"
    """Onto the target's rows; the original samples and times are carried beside and come back."""
    CARRIED = "carried"
    """Only in the target's extension place: its own tools do not see it, and it comes back."""
    THINNED = "thinned"
    """Pictures that stand in no row are left out, and do not come back."""
    NARROWED = "narrowed"
    """Pictures decoded to less than the source holds: fewer levels, or without transparency."""
    REENCODED = "re-encoded"
    """Pictures through another lossy encoding."""
    DROPPED = "dropped"
    """Not in the target at all."""

    @property
    def is_lossy(self) -> bool:
        """True where converting back does not give the original."""
        return self in (Way.THINNED, Way.NARROWED, Way.REENCODED, Way.DROPPED)


def way_of_pixels(media: Media, note: str) -> tuple[Way, str]:
    """How pictures that a target takes as pixels get there, and the note with what decoding leaves out."""
    if media.left_out is None:
        return Way.DECODED, note
    return Way.NARROWED, "; ".join(part for part in (note, media.left_out) if part)


@dataclass(frozen=True)
class Place:
    """Where one stream goes."""

    stream: str
    target: str | None
    """Name in the target, None where the target's own tools do not see it."""
    way: Way
    note: str = ""
    """How and by how much, in words with numbers."""
    psnr_db: float | None = None
    """Measured on sampled pictures, for `re-encoded` only."""
    appears_at: NDArray[np.int64] | None = field(default=None, compare=False)
    """Row in which each original sample stands, (T,), for what is read back from rows; None: row i is sample i."""
    is_native: bool = True
    """True where reading back takes the values from the target's own place, False where they are carried."""


@dataclass(frozen=True)
class Layout:
    """Where everything of one episode goes."""

    places: tuple[Place, ...]
    notes: tuple[str, ...] = ()
    """What is said of the episode as a whole: clocks, outcome, fields."""

    def of(self, stream: str) -> Place:
        """The place of one stream; KeyError where it has none."""
        return next(place for place in self.places if place.stream == stream)

    @property
    def names(self) -> Mapping[str, str]:
        """Stream -> name in the target, of the streams that have one."""
        return {place.stream: place.target for place in self.places if place.target is not None}


@dataclass(frozen=True)
class Loss:
    """One line of the loss report: what happens to a stream in how many episodes."""

    stream: str
    target: str | None
    way: Way
    note: str
    episodes: int
    psnr_db: float | None = None

    @property
    def is_lossy(self) -> bool:
        """True where converting back does not give the original."""
        return self.way.is_lossy

    def to_json(self) -> dict[str, Any]:
        """Plain values for `json.dumps`."""
        return {
            "stream": self.stream,
            "target": self.target,
            "way": self.way.value,
            "is_lossy": self.is_lossy,
            "note": self.note,
            "episodes": self.episodes,
            "psnr_db": self.psnr_db,
        }


@dataclass(frozen=True)
class LossReport:
    """What a conversion costs, per stream, before anything is written."""

    format: str
    losses: tuple[Loss, ...]
    notes: tuple[str, ...]
    episodes: int
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_lossy(self) -> bool:
        """True where something does not come back."""
        return any(loss.is_lossy for loss in self.losses)

    def to_json(self) -> dict[str, Any]:
        """Plain values for `json.dumps`."""
        return {
            "format": self.format,
            "episodes": self.episodes,
            "is_lossy": self.is_lossy,
            "streams": [loss.to_json() for loss in self.losses],
            "notes": list(self.notes),
            "options": dict(self.options),
        }


class Losses:
    """Layouts added up as they come. A class, because 10,000 of them need not be held for a report of ten lines."""

    def __init__(self) -> None:
        self._grouped: dict[tuple[str, str | None, Way], Loss] = {}
        self._notes: dict[str, None] = {}
        self._count = 0

    def add(self, layout: Layout) -> None:
        """Count one episode in: per stream and way, the first note stands for all."""
        self._count += 1
        self._notes |= dict.fromkeys(layout.notes)
        for place in layout.places:
            line = (place.stream, place.target, place.way)
            self._grouped[line] = _with(self._grouped.get(line) or Loss(*line, note="", episodes=0), place)

    def report(self, format_name: str, *, options: Mapping[str, Any]) -> LossReport:
        """What has been added so far."""
        return LossReport(format_name, tuple(self._grouped.values()), tuple(self._notes), self._count, options)


def loss_report(format_name: str, layouts: Iterable[Layout], *, options: Mapping[str, Any]) -> LossReport:
    """Layouts of all episodes as one report: per stream and way, the first note and the number of episodes."""
    losses = Losses()
    for layout in layouts:
        losses.add(layout)
    return losses.report(format_name, options=options)


def _with(loss: Loss, place: Place) -> Loss:
    measured = [psnr for psnr in (loss.psnr_db, place.psnr_db) if psnr is not None]
    # The lowest PSNR is the one to know; the first note stands for all.
    return replace(
        loss,
        note=loss.note or place.note,
        episodes=loss.episodes + 1,
        psnr_db=min(measured) if measured else None,
    )
