"""Where each stream of an episode goes in a LeRobot dataset, and what that costs."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from robokata.core.episode import Episode
from robokata.core.errors import WriteRefused
from robokata.core.layout import Layout, Place, Way, way_of_pixels
from robokata.core.rows import TimedRows, timed_rows
from robokata.core.selected_values import PickedPictures
from robokata.core.stream import Kind, Role, Stream
from robokata.formats._lerobot.names import MADE, target_names
from robokata.formats._lerobot.nested import Nested, facts_of, nested_array
from robokata.media.cuts import Cut, Run, cut_of, places_of, run_of
from robokata.media.encode import measured_psnr_db
from robokata.packing.cells import is_unicode

LOSES: Sequence[str] = (
    "native clocks: every row gets frame_index / fps (the clocks are carried beside, and come back)",
    "streams at another rate than the rows (onto the rows; the original is carried, pictures in no row are left out)",
    "messages, point clouds, and texts on their own clock (carried)",
    "units, frames and conventions of the numbers, outcome, operator, session, annotations (carried)",
    "calibration and robot model (carried)",
    "pictures as video: frames that must be encoded again lose quality",
)
_MOST_AXES = 5
"""LeRobot's features have at most five axes."""


class Form(enum.Enum):
    """How a stream stands in the dataset."""

    NUMBERS = "numbers"
    TEXTS = "texts"
    NESTED = "nested"
    """Lists and records of a LeRobot source, in the same column as before."""
    IMAGES = "images"
    """Each picture as its own bytes in the table."""
    COPIED_VIDEO = "copied video"
    ENCODED_VIDEO = "encoded video"


@dataclass(frozen=True)
class Options:
    """What a writer is told; the leaves say what each means."""

    anchor: str | None = None
    rate_hz: Fraction | None = None
    pictures: str = "auto"
    codec: str = "libsvtav1"
    gop: int = 2
    crf: int = 30

    def __post_init__(self) -> None:
        if self.pictures not in ("auto", "image", "video"):
            raise WriteRefused(f"pictures={self.pictures!r} is none of auto, image, video.")


class Column(NamedTuple):
    """A stream that becomes a feature."""

    stream: Stream
    target: str
    form: Form
    picked: NDArray[np.int64]
    """Sample of the stream in each row, (R,)."""
    run: Run | None = None
    cut: Cut | None = None


class Plan(NamedTuple):
    """Everything that writing an episode goes by."""

    layout: Layout
    rows: TimedRows
    columns: tuple[Column, ...]
    carried: Episode
    """The episode with the pictures that the dataset keeps: what is carried beside must fit what stands in rows."""


def plan_of(episode: Episode, options: Options, *, measures: bool) -> Plan:
    """Where each stream goes; `measures` says what encoding costs, which encodes three pictures per camera.

    Raises:
        WriteRefused: no stream gives the rows, or pictures that no video holds are asked to become one.
        UnknownName: the episode has no stream called `anchor`.
        DamagedData: a video that should be copied cannot be read.
    """
    plan = _plan_of(episode, options)
    return _measured(plan, options) if measures else plan


@lru_cache(maxsize=1)
def _plan_of(episode: Episode, options: Options) -> Plan:
    # Kept for one episode: whoever asks what it would lose writes it right after.
    rows = timed_rows(episode, anchor=options.anchor, rate_hz=options.rate_hz)
    forms = {name: _formed(stream, rows, options) for name, stream in episode.streams.items()}
    names = target_names(episode, [episode.streams[name] for name, formed in forms.items() if formed is not None])
    columns, places = [], []
    for name, stream in episode.streams.items():
        formed = forms[name]
        if formed is None:
            places.append(_beside(stream, rows))
            continue
        column = Column(stream, names[name], formed.form, rows.picked[name], formed.run, formed.cut)
        columns.append(column)
        places.append(_place(column, rows, options))
    thinned = {place.stream for place in places if place.way is Way.THINNED}
    kept = {c.stream.name: _thinned(c.stream, np.unique(c.picked)) for c in columns if c.stream.name in thinned}
    carried = replace(episode, streams={**episode.streams, **kept}) if kept else episode
    return Plan(Layout(tuple(places), _notes(episode, rows)), rows, tuple(columns), carried)


def _thinned(stream: Stream, kept: NDArray[np.int64]) -> Stream:
    """Some pictures of a stream, on the clock of those pictures."""
    clocks = {name: clock.subset(kept) for name, clock in stream.other_clocks.items()}
    thinner = stream.with_values(PickedPictures(stream.pictures, kept), clock=stream.clock.subset(kept))
    return replace(thinner, other_clocks=clocks)


class _Formed(NamedTuple):
    """How a stream becomes a feature, and the packets that are copied for it."""

    form: Form
    run: Run | None = None
    cut: Cut | None = None


def _formed(stream: Stream, rows: TimedRows, options: Options) -> _Formed | None:
    """How a stream becomes a feature; None where it does not."""
    if stream.role is Role.BOOKKEEPING or not len(stream):
        return None
    if stream.is_picture:
        return _formed_pictures(stream, rows, options)
    if stream.kind is Kind.TEXT:
        # A string column holds one text per row, as UTF-8.
        fits = rows.is_whole(stream) and not stream.shape and is_unicode(stream.values[:])
        return _Formed(Form.TEXTS) if fits else None
    facts = facts_of(stream)
    if facts is not None and rows.is_whole(stream):
        is_same = nested_array(Nested(stream.values[:], facts["schema"])) is not None
        return _Formed(Form.NESTED) if is_same else None
    dtype = stream.values.dtype
    fits = len(stream.shape) <= _MOST_AXES and all(stream.shape) and dtype.itemsize <= 8
    return _Formed(Form.NUMBERS) if stream.is_numeric and fits else None


def _formed_pictures(stream: Stream, rows: TimedRows, options: Options) -> _Formed | None:
    if stream.pictures.media().is_absent:
        return None
    wants_video = options.pictures == "video" or (options.pictures == "auto" and stream.kind is Kind.VIDEO)
    if wants_video:
        run = run_of(stream.pictures, rows.picked[stream.name])
        cut = None if run is None else cut_of(run)
        if cut is not None:
            return _Formed(Form.COPIED_VIDEO, run, cut)
        # Levels of more bits than an encoder takes: as pictures they are all kept.
        if options.pictures == "video" or stream.values.dtype == np.uint8 or not _png_holds(stream):
            _refuse_unfit_video(stream)
            return _Formed(Form.ENCODED_VIDEO)
    if options.pictures == "auto" and not _png_holds(stream) and not _has_own_bytes(stream):
        return None
    return _Formed(Form.IMAGES)


def _has_own_bytes(stream: Stream) -> bool:
    return len(stream) > 0 and stream.pictures.encoded(0) is not None


def _png_holds(stream: Stream) -> bool:
    channels = stream.shape[2] if len(stream.shape) == 3 else 1
    return len(stream.shape) in (2, 3) and channels in (1, 3) and stream.values.dtype.name in ("uint8", "uint16")


def _refuse_unfit_video(stream: Stream) -> None:
    height, width, depth = stream.shape if len(stream.shape) == 3 else (*stream.shape, 0, 0, 0)[:3]
    if stream.values.dtype != np.uint8 or depth not in (1, 3):
        raise WriteRefused(
            f"stream {stream.name} holds {said(stream)} pictures, and LeRobot's videos hold 8-bit colour. Write it "
            f"with pictures=image."
        )
    if height % 2 or width % 2:
        raise WriteRefused(
            f"stream {stream.name} is {width} x {height}, and LeRobot's video encoders take even sizes only. Write it "
            f"with pictures=image."
        )


def said(stream: Stream) -> str:
    """Type and shape of a stream's samples, in words: `float32[6]`."""
    return f"{stream.values.dtype.name}{list(stream.shape)}"


def _beside(stream: Stream, rows: TimedRows) -> Place:
    """The place of a stream that is no feature."""
    if stream.role is Role.BOOKKEEPING:
        if stream.name in ("frame_index", "timestamp") and _is_what_lerobot_makes(stream, rows):
            return Place(stream.name, stream.name, Way.COPIED, "LeRobot makes the same")
        why = "LeRobot makes its own" if stream.name in MADE else "a counter of the source"
        return Place(stream.name, None, Way.CARRIED, why, is_native=False)
    if stream.is_picture:
        if not len(stream):
            why = "there are no pictures"
        else:
            absent = stream.pictures.media().is_absent
            why = "its file is absent" if absent else f"{said(stream)} is nothing that LeRobot's pictures hold"
        return Place(stream.name, None, Way.DROPPED, why, is_native=False)
    kind = "no samples" if not len(stream) else f"{stream.kind.value} has no place in LeRobot's rows"
    return Place(stream.name, None, Way.CARRIED, kind, is_native=False)


def _is_what_lerobot_makes(stream: Stream, rows: TimedRows) -> bool:
    if not stream.is_numeric or not rows.is_whole(stream) or stream.shape not in ((), (1,)):
        return False
    made = made_column(stream.name, len(rows), rows.rate_hz)
    # The same shape too: a scalar comes back as a scalar.
    return stream.shape == () and stream.values.dtype == made.dtype and bool(np.array_equal(stream.values[:], made))


def made_column(name: str, count: int, rate_hz: Fraction) -> NDArray[np.generic]:
    """A column that follows from the number of rows alone."""
    if name == "timestamp":
        return (np.arange(count) / float(rate_hz)).astype(np.float32)
    return np.arange(count, dtype=np.int64)


def _place(column: Column, rows: TimedRows, options: Options) -> Place:
    stream, target, form = column.stream, column.target, column.form
    if form is Form.COPIED_VIDEO:
        return Place(stream.name, target, *_copied(column, rows))
    appears_at = None if rows.is_whole(stream) else rows.appears_at(stream)
    is_complete = rows.is_whole(stream) or appears_at is not None
    how = "" if rows.is_whole(stream) else _onto_rows(stream, rows)
    if form in (Form.NUMBERS, Form.TEXTS, Form.NESTED):
        if rows.is_whole(stream):
            return Place(stream.name, target, Way.COPIED)
        if is_complete:
            return Place(stream.name, target, Way.RESAMPLED, how, appears_at=appears_at)
        return Place(stream.name, target, Way.RESAMPLED, f"{how}; original carried", is_native=False)
    way, note = _picture_way(column, options)
    if not is_complete:
        left_out = len(stream) - len(np.unique(column.picked))
        appears_at = np.unique(column.picked, return_index=True)[1].astype(np.int64)
        note = "; ".join(part for part in (how, f"{left_out} of {len(stream)} pictures stand in no row", note) if part)
        # Thinned or encoded again, both do not come back; being encoded again is told by its PSNR.
        return Place(stream.name, target, Way.THINNED, note, appears_at=appears_at)
    if way is Way.COPIED and how:
        way = Way.RESAMPLED
    note = "; ".join(part for part in (how, note) if part)
    return Place(stream.name, target, way, note, appears_at=appears_at)


def _copied(column: Column, rows: TimedRows) -> tuple[Way, str]:
    assert column.cut is not None, "only what can be cut is copied"
    assert column.run is not None, "what is cut is a run"
    codec = f"{places_of(column.run.video).shape.codec} packets"
    beside = column.cut.lead + column.cut.tail
    extra = f", with {beside} frames that decoding needs and nobody is shown" if beside else ""
    left_out = len(column.stream) - len(column.picked)
    if left_out > 0 or not rows.is_whole(column.stream):
        return Way.THINNED, f"{codec} copied{extra}; {left_out} of {len(column.stream)} frames stand in no row"
    return Way.COPIED, f"{codec} copied{extra}"


def _picture_way(column: Column, options: Options) -> tuple[Way, str]:
    stream = column.stream
    if column.form is Form.IMAGES:
        if _has_own_bytes(stream):
            return Way.COPIED, "encoded pictures byte by byte, in the table"
        axis = "" if len(stream.shape) != 2 else "; comes back with an axis for its one channel"
        return way_of_pixels(stream.pictures.media(), f"every pixel as PNG, in the table{axis}")
    note = f"{options.codec}, a key frame every {options.gop} frames, crf {options.crf}"
    return Way.REENCODED, "; ".join(filter(None, (note, stream.pictures.media().left_out)))


def _measured(plan: Plan, options: Options) -> Plan:
    """The plan with what encoding costs."""
    encoded = {column.stream.name: column for column in plan.columns if column.form is Form.ENCODED_VIDEO}
    places = tuple(
        replace(place, psnr_db=_sampled_psnr_db(encoded[place.stream], options)) if place.stream in encoded else place
        for place in plan.layout.places
    )
    return plan._replace(layout=replace(plan.layout, places=places))


def _sampled_psnr_db(column: Column, options: Options) -> float | None:
    # Three frames in a row from the middle: encoders lean on the frame before, as they will in the file.
    middle = len(column.picked) // 2
    wanted = np.unique(column.picked[max(0, middle - 1) : middle + 2])
    pictures = [np.asarray(column.stream.pictures[int(ordinal)]) for ordinal in wanted]
    return measured_psnr_db(pictures, rate_hz=Fraction(30), codec=options.codec, gop=options.gop, crf=options.crf)


_JITTER_PERIODS = 1.0
"""Periods that a row may stand from its time before that is told: jitter of stamps stays below one."""


def _onto_rows(stream: Stream, rows: TimedRows) -> str:
    rate = stream.clock.rate_hz()
    own = f"{rate:.4g} Hz" if rate else f"{len(stream)} samples"
    return f"{own} onto {float(rows.rate_hz):.4g} Hz rows, {rows.age(stream)}"


def _notes(episode: Episode, rows: TimedRows) -> tuple[str, ...]:
    notes = [f"Rows are the samples of {rows.anchor}; their times become frame_index / {float(rows.rate_hz):.6g}."]
    if rows.displacement_s() * float(rows.rate_hz) > _JITTER_PERIODS:
        # Without its size: a thousand episodes with pauses have one note.
        notes.append(
            f"{rows.anchor} was not recorded that evenly (pauses, lost samples or another rate): some rows stand more "
            f"than a period from their recorded times, and what learns from LeRobot sees the even ones. Others: "
            f"--option anchor=STREAM, --option rate_hz=RATE."
        )
    if rows.rate_hz.denominator != 1:
        notes.append(
            f"The rate {float(rows.rate_hz):.6g} Hz is no whole number: info.json holds it as a fraction, and "
            f"LeRobot's own tools promise whole numbers only."
        )
    notes.append("Native clocks, meaning, outcome and origin are carried in meta/robokata, and come back.")
    return tuple(notes)
