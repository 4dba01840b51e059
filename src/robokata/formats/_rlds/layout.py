"""Which feature of an RLDS step each stream becomes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from robokata.core.episode import Episode
from robokata.core.errors import WriteRefused
from robokata.core.layout import Place, Way, way_of_pixels
from robokata.core.rows import Rows, rows_of
from robokata.core.stream import Kind, Role, Stream
from robokata.formats._picture_write import can_be_png, encode_jpeg, psnr_db
from robokata.formats._rlds.record import FLAGS, INTEGERS
from robokata.media.images import RawImages, decode, probe
from robokata.packing.cells import is_unicode

LUMA_SCALE = "rlds_luma_scale"
"""Key in the extra of a carried stream whose pictures lie as tensors: what brings their numbers to 0..255."""
_FLOATS = frozenset(["float16", "float32", "float64"])
_MANY = 256
"""Integers in one sample from which on they are stored as bytes: a varint takes up to ten bytes per number."""
_SAMPLED = 3
"""Pictures that are encoded to measure what another lossy encoding costs."""
_PREFIX = re.compile(r"^(?:observations?|obs|data/obs)[./](?:images?[./])?|^images[./]")


class Pictures(NamedTuple):
    """How pictures that have no JPEG or PNG bytes of their own are encoded."""

    codec: str
    """`png` or `jpeg`."""
    quality: int


class Declared(NamedTuple):
    """One feature as features.json declares it."""

    form: str
    """`image`, `tensor`, `text`."""
    dtype: str
    encoding: str
    """`none`, `bytes`, `zlib` for tensors; `jpeg`, `png` for images."""
    shape: tuple[int | None, ...]
    description: str = ""


@dataclass(frozen=True)
class Column:
    """One stream on its way into a step feature."""

    stream: Stream
    target: str
    """Name of the feature below `steps/`."""
    declared: Declared
    picked: NDArray[np.int64]
    """Sample in each step, (R,)."""
    is_copied: bool = False
    """True where the pictures' own bytes are written."""


@dataclass(frozen=True)
class Plan:
    """Where the streams of one episode go."""

    rows: Rows
    places: tuple[Place, ...]
    columns: tuple[Column, ...]
    is_rlds: bool
    """True where the episode is made of RLDS steps already: nothing is added, and names stay."""
    carried: Episode
    """The episode as it is to come back: cameras without the pictures that stand in no step."""


def plan_episode(episode: Episode, *, anchor: str | None, pictures: Pictures) -> Plan:
    """Where each stream of an episode goes.

    Raises:
        UnknownName: the episode has no stream called `anchor`.
        WriteRefused: no stream can be the anchor, or the options ask for what does not exist.
        DamagedData: the first picture of a camera cannot be read.
    """
    if pictures.codec not in ("png", "jpeg"):
        raise WriteRefused(f"pictures={pictures.codec!r}: RLDS holds 'png' (every pixel) or 'jpeg' (smaller, lossy).")
    if not 1 <= pictures.quality <= 100:
        raise WriteRefused(f"jpeg_quality={pictures.quality}: JPEG knows 1 to 100.")
    rows = rows_of(episode, anchor=anchor)
    is_rlds = {"is_first", "is_last"} <= set(episode.streams) and _is_tree(episode.streams)
    targets = _targets(episode, is_rlds)
    places, columns, carried = list[Place](), list[Column](), dict[str, Stream]()
    for stream in episode.streams.values():
        place, column = _placed(
            stream,
            targets[stream.name],
            rows=rows,
            anchor=episode.streams[rows.anchor],
            pictures=pictures,
            is_rlds=is_rlds,
        )
        places.append(place)
        carried[stream.name] = _as_it_comes_back(stream, place, column)
        if column is not None:
            columns.append(column)
    return Plan(rows, tuple(places), tuple(columns), is_rlds, replace(episode, streams=carried, ref=episode.ref))


def _placed(
    stream: Stream, target: str, *, rows: Rows, anchor: Stream, pictures: Pictures, is_rlds: bool
) -> tuple[Place, Column | None]:
    if not len(stream):
        way = Way.DROPPED if stream.is_picture else Way.CARRIED
        return Place(stream.name, None, way, "no samples", is_native=False), None
    if stream.is_picture:
        return _placed_pictures(stream, target, rows, pictures)
    declared = _declared(stream, is_rlds)
    if declared is None:
        return Place(stream.name, None, Way.CARRIED, f"no steps of RLDS hold {_what(stream)}", is_native=False), None
    column = Column(stream, target, declared, rows.picked[stream.name])
    # What a reader finds under a string feature are texts or bytes by their content: bytes are safe only when carried.
    is_exact = stream.values.dtype.isnative and stream.kind is not Kind.MESSAGE
    is_whole = rows.is_whole(stream)
    # Counters and texts mean nothing when they are resampled. A clock of their own that fits the steps of this episode
    # need not fit those of the next, and all episodes of a TFDS dataset have the same features.
    is_own_clock = stream.clock is not anchor.clock and stream.clock.is_measured and not is_rlds
    if (stream.role is Role.BOOKKEEPING or not stream.is_numeric) and (is_own_clock or not is_whole):
        return Place(stream.name, None, Way.CARRIED, "not one sample per step", is_native=False), None
    if is_whole:
        return Place(stream.name, target, Way.COPIED, is_native=is_exact), column
    appears_at = rows.appears_at(stream)
    is_native = is_exact and appears_at is not None
    note = f"{_age(stream, rows)}; {'every sample stands in a step' if is_native else 'original carried'}"
    at = appears_at if is_native else None
    return Place(stream.name, target, Way.RESAMPLED, note, appears_at=at, is_native=is_native), column


def _placed_pictures(stream: Stream, target: str, rows: Rows, pictures: Pictures) -> tuple[Place, Column]:
    way, declared, note, measured_db = _picture_way(stream, pictures)
    column = Column(
        stream, target, declared, rows.picked[stream.name], is_copied=way is Way.COPIED and declared.form == "image"
    )
    if rows.is_whole(stream):
        return Place(stream.name, target, way, note, psnr_db=measured_db), column
    kept, first = np.unique(rows.picked[stream.name], return_index=True)
    left_out = len(stream) - len(kept)
    about = f"{left_out} of {len(stream)} pictures stand in no step" if left_out else "every picture stands in a step"
    note = "; ".join(filter(None, (_age(stream, rows), about, note)))
    way = Way.RESAMPLED if way is Way.COPIED else way
    if left_out and declared.form == "image":
        return Place(stream.name, target, way, f"{note}; they are carried", psnr_db=measured_db), column
    way = Way.THINNED if left_out else way
    at = first.astype(np.int64)
    return Place(stream.name, target, way, note, psnr_db=measured_db, appears_at=at), column


def _picture_way(stream: Stream, pictures: Pictures) -> tuple[Way, Declared, str, float | None]:
    first, dtype, shape = stream.pictures.encoded(0), stream.values.dtype, stream.shape
    about = str(stream.extra.get("description") or "")
    if first is not None and first.codec in ("jpeg", "png"):
        facts = probe(first.data, where=stream.name)
        sides = (facts.height, facts.width, 1 if facts.channels < 3 else 3)
        wide = "uint16" if facts.bits == 16 else "uint8"
        return Way.COPIED, Declared("image", wide, first.codec, sides, about), "", None
    if stream.pictures.media().problem is not None:
        stream.values[0]  # says what is missing or broken now, and not when half of the target is written
    if not can_be_png(dtype, shape):
        if dtype.name not in (*INTEGERS, *_FLOATS) or not all(shape):
            raise WriteRefused(f"{stream.name}: pictures of {dtype}{list(shape)} have no place in RLDS.")
        kept = "as tensors, every number kept: TFDS has no picture of this type"
        return Way.COPIED, Declared("tensor", dtype.name, "zlib", shape, about), kept, None
    if pictures.codec == "jpeg" and dtype == np.uint8:
        declared = Declared("image", "uint8", "jpeg", shape, about)
        lowest_db = _lowest_psnr_db(stream, pictures.quality)
        return Way.REENCODED, declared, f"JPEG of quality {pictures.quality}", lowest_db
    media = stream.pictures.media()
    way, note = way_of_pixels(media, f"{media.codec or 'raw'} as PNG, every pixel kept")
    return way, Declared("image", dtype.name, "png", shape, about), note, None


def _lowest_psnr_db(stream: Stream, quality: int) -> float:
    at = sorted({0, len(stream) // 2, len(stream) - 1})[:_SAMPLED]
    pairs = [(before, encode_jpeg(before, quality=quality)) for before in (stream.values[i] for i in at)]
    return min(psnr_db(before, decode(data, where=stream.name)) for before, data in pairs)


def _declared(stream: Stream, is_rlds: bool) -> Declared | None:
    """The feature that holds a stream's samples exactly, None where there is none."""
    shape, dtype = stream.shape, stream.values.dtype
    about = _description(stream)
    if not all(shape):
        return None
    if stream.kind is Kind.TEXT and not is_unicode(stream.values[:]):
        return None
    if stream.kind is Kind.TEXT:
        return Declared("text", "string", "", (), about) if not shape else _strings(shape, about)
    if stream.kind is Kind.MESSAGE:
        # Bytes that an RLDS dataset holds (packed floats of kuka) stay where its users look for them.
        return _strings(shape, about) if is_rlds else None
    if not stream.is_numeric or dtype.name not in (*INTEGERS, *_FLOATS):
        return None
    said = str(stream.extra.get("declared_dtype") or "")
    if dtype == np.float32:
        # An RLDS dataset's float64 that has lost its precision long ago keeps its declared type.
        return Declared("tensor", said if said in _FLOATS else "float32", "none", shape, about)
    # TFDS writes float64 as float32 unless it is told to store the bytes; so do we tell it.
    is_wide = dtype.kind == "f" or dtype == np.uint64 or (dtype.kind in "iu" and int(np.prod(shape)) >= _MANY)
    return Declared("tensor", dtype.name, "bytes" if is_wide else "none", shape, about)


def _strings(shape: tuple[int, ...], about: str) -> Declared:
    return Declared("tensor", "string", "none", shape, about)


def _description(stream: Stream) -> str:
    said = str(stream.extra.get("description") or "")
    if said or not stream.channels:
        return said
    unit = f" in {stream.meaning.unit}" if stream.meaning.unit else ""
    return ", ".join(stream.channels) + unit


def _as_it_comes_back(stream: Stream, place: Place, column: Column | None) -> Stream:
    """A stream as its carried part describes it: without lost pictures, and marked where pictures lie as tensors."""
    if not stream.is_picture or column is None:
        return stream
    if column.declared.form == "tensor":
        scale = stream.values.scale if isinstance(stream.values, RawImages) else 1.0
        stream = replace(stream, extra={**stream.extra, LUMA_SCALE: float(scale)})
    if place.appears_at is None or len(place.appears_at) == len(stream):
        return stream
    kept = np.unique(column.picked)
    others = {name: clock.subset(kept) for name, clock in stream.other_clocks.items()}
    return replace(stream, clock=stream.clock.subset(kept), other_clocks=others)


def _age(stream: Stream, rows: Rows) -> str:
    rate, onto = stream.clock.rate_hz(), _rate(rows)
    rates = f"{rate:.3g} Hz onto {onto:.3g} Hz" if rate and onto else f"{len(stream)} samples onto {len(rows)} steps"
    return f"{rates}, {rows.age(stream)}"


def _rate(rows: Rows) -> float | None:
    periods = np.diff(rows.clock.times_ns) if rows.clock.has_times else ()
    middle_ns = float(np.median(periods)) if len(periods) else 0.0
    return 1e9 / middle_ns if middle_ns > 0 else None


def _what(stream: Stream) -> str:
    return f"{stream.kind} of {stream.values.dtype}{list(stream.shape)}"


def _targets(episode: Episode, is_rlds: bool) -> Mapping[str, str]:
    """Stream -> feature: RLDS's own names stay, others get the place that RLDS gives to their role."""
    if is_rlds:
        return {name: name for name in episode.streams}
    actions = [stream.name for stream in episode.of_role(Role.ACTION) if len(stream)]
    taken: dict[str, str] = {}
    for stream in episode.streams.values():
        wanted = list(_wishes(stream, is_only_action=actions == [stream.name]))
        numbered = [f"{wanted[-1]}_{number}" for number in range(2, len(episode.streams) + 2)]
        used = set(taken.values())
        taken[stream.name] = next(name for name in (*wanted, *numbered) if name not in used)
    return taken


def _wishes(stream: Stream, *, is_only_action: bool) -> Iterator[str]:
    """Names for a stream, best first."""
    plain = re.sub(r"[^\w.\- ]", "_", stream.name.strip("/")) or "unnamed"
    short = re.sub(r"[^\w.\- ]", "_", _PREFIX.sub("", stream.name.strip("/"))) or plain
    if stream.role in (Role.CAMERA, Role.STATE, Role.SENSOR) or stream.is_picture:
        yield from (f"observation/{short}", f"observation/{plain}")
    elif stream.role is Role.ACTION:
        if is_only_action or plain == "action":
            yield "action"
        yield f"action_dict/{re.sub(r'^actions?[._]', '', plain)}"
    elif stream.role is Role.REWARD and stream.shape == () and stream.is_numeric:
        yield from ("discount" if "discount" in plain else "reward", _free(plain))
    else:
        yield _free(plain)


def _free(plain: str) -> str:
    """A name at the top of a step that does not stand in the way of RLDS's own."""
    is_own = plain in (*FLAGS, "observation", "action_dict", "action", "reward", "discount")
    return f"{plain}_" if is_own else plain


def _is_tree(names: Mapping[str, Any] | Sequence[str]) -> bool:
    """True where every name can be a feature: no empty parts, and none is both a leaf and a folder of leaves."""
    folders = {name[:at] for name in names for at in range(len(name)) if name[at] == "/"}
    return not folders & set(names) and all(part.strip() for name in names for part in name.split("/"))
