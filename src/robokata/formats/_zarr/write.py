"""Episodes as a Zarr replay buffer: one array per stream, one row per step, episode after episode."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import numpy as np

from robokata.containers.zarr.append import GrowingArray, Sink, new_store, put_group
from robokata.core.episode import Episode
from robokata.core.errors import WriteRefused
from robokata.core.layout import Layout, Place, Way
from robokata.core.require import require
from robokata.core.stream import Role, Stream
from robokata.formats._counters import Counting
from robokata.formats._row_table import (
    RowTable,
    blocks,
    carried,
    decoding,
    distinct,
    legal_name,
    picked_rows,
    place_numbers,
    place_pictures,
    psnr_db,
)
from robokata.runtime.atomic import appearing

Flavour = Literal["diffusion_policy", "umi"]
PictureCodec = Literal["blosc", "jpegxl"]
BLOB_GROUP = "robokata"
"""Beside `data` and `meta`, because the trainers read everything in these two into memory."""
PAGE_BYTES = 4096
"""What is carried lies in rows of a page: one row per byte would outgrow the rows that any array may have."""
_CHUNK_BYTES = 2**20
"""Zarr's own advice is at least 1 MB before compression."""
_UMI = ("robot0_eef_pos", "robot0_eef_rot_axis_angle", "robot0_gripper_width", "camera0_rgb")
"""What UMI's task (shape_meta of its configuration) reads of the first robot."""
_LOSSLESS_EFFORT = 1
"""Of 1..9. The same frames without loss: 18 ms and 18 % of the size at effort 1, 215 ms and 21 % at effort 3."""
_LOSSY_EFFORT = 3
"""What UMI's generator leaves it at; from 4 on a picture takes many times as long for a few percent."""


class Options(NamedTuple):
    """What the caller decides."""

    anchor: str | None
    flavour: Flavour
    picture_codec: PictureCodec | None
    jpegxl_level: int | None

    @property
    def is_jpegxl(self) -> bool:
        return (self.picture_codec or ("jpegxl" if self.flavour == "umi" else "blosc")) == "jpegxl"


def plan(episode: Episode, options: Options) -> RowTable:
    """Where the streams of one episode go.

    Raises:
        UnknownName: the episode has no stream called `anchor`.
        WriteRefused: an option that does not exist, or nothing in the episode can be rows, or UMI's streams are absent.
    """
    _refuse_options(options)
    name, rows, picked = picked_rows(episode, anchor=options.anchor)
    targets = _targets(episode)
    absent = [wanted for wanted in _UMI if wanted not in targets.values()]
    if options.flavour == "umi" and absent:
        raise WriteRefused(
            f"episode {episode.id} has no stream called {', '.join(absent)}, and UMI's training reads it. Rename the "
            f"streams that are these, or write flavour='diffusion_policy' (--option flavour=diffusion_policy)."
        )
    places = []
    for stream in episode.streams.values():
        target = targets.get(stream.name)
        places.append(carried(stream) if target is None else _place(stream, target, episode, name, picked, options))
    notes = _notes(episode, targets, name, options)
    return RowTable(episode, Layout(tuple(places), tuple(notes)), picked, name, rows)


def write_store(path: Path, episodes: Iterable[Episode], options: Options) -> None:
    """Write a folder, or a zip where the path ends in `.zip`; it appears in one rename.

    Raises:
        WriteRefused: the target exists, an episode does not fit, or has other streams than the first.
        DamagedData: an episode cannot be read.
    """
    _refuse_options(options)
    is_zip = path.suffix.lower() == ".zip"
    with appearing(path, is_file=is_zip) as place, new_store(place, is_zip=is_zip) as sink:
        buffer, counting = _Buffer(sink, options), Counting()
        for episode in episodes:
            buffer.add(plan(counting.own(episode), options))
        buffer.finish()


class _Buffer:
    """The arrays of one replay buffer. A class, because they grow episode by episode."""

    def __init__(self, sink: Sink, options: Options) -> None:
        self.sink, self.options = sink, options
        for group in ("", "data", "meta", BLOB_GROUP):
            put_group(sink, group)
        self._columns: dict[str, GrowingArray] | None = None
        self._first = ""
        self._rows = 0
        self._ends: list[int] = []
        self._blob = GrowingArray(
            sink,
            f"{BLOB_GROUP}/pages",
            np.dtype(np.uint8),
            (PAGE_BYTES,),
            rows=_CHUNK_BYTES // PAGE_BYTES,
            codec=_blosc(level=1),
        )
        self._rest = b""
        self._blob_ends: list[int] = []

    def add(self, table: RowTable) -> None:
        """Append one episode.

        Raises:
            WriteRefused: its streams differ from those of the first episode.
            DamagedData: a stream cannot be read.
        """
        written = {
            place.target: table.episode.streams[place.stream]
            for place in table.layout.places
            if place.target is not None
        }
        if self._columns is None:
            self._first = table.episode.id
            self._columns = {name: self._column(name, stream) for name, stream in written.items()}
        self._refuse_misfit(table.episode, written, self._columns)
        for name, stream in written.items():
            for _, block in blocks(stream, table.picked[stream.name]):
                self._columns[name].append(block)
        self._rows += table.rows
        self._ends.append(self._rows)
        self._add_blob(table.blob())

    def finish(self) -> None:
        """Write what is still held, and the index of the episodes."""
        for column in (self._columns or {}).values():
            column.finish()
        self._blob.append(_pages(self._rest))
        self._blob.finish()
        for name, ends in (("meta/episode_ends", self._ends), (f"{BLOB_GROUP}/ends", self._blob_ends)):
            array = GrowingArray(self.sink, name, np.dtype(np.int64), (), rows=max(1, len(ends)), codec=None)
            array.append(np.asarray(ends, np.int64))
            array.finish()

    def _add_blob(self, data: bytes) -> None:
        before = self._blob_ends[-1] if self._blob_ends else 0
        self._blob_ends.append(before + len(data))
        held = self._rest + data
        whole = len(held) - len(held) % PAGE_BYTES
        self._blob.append(_pages(held[:whole]))
        self._rest = held[whole:]

    def _column(self, name: str, stream: Stream) -> GrowingArray:
        row_bytes = max(1, int(np.prod(stream.shape, dtype=np.int64)) * stream.values.dtype.itemsize)
        # A picture per chunk: training reads pictures at random.
        rows = 1 if stream.is_picture else max(1, _CHUNK_BYTES // row_bytes)
        codec = _picture_codec(stream, self.options) if stream.is_picture else _blosc()
        return GrowingArray(self.sink, f"data/{name}", stream.values.dtype, stream.shape, rows=rows, codec=codec)

    def _refuse_misfit(
        self, episode: Episode, written: Mapping[str, Stream], columns: Mapping[str, GrowingArray]
    ) -> None:
        lacking = [name for name in columns if name not in written]
        added = [name for name in written if name not in columns]
        if lacking or added:
            told = [f"lacks {', '.join(lacking)}" if lacking else "", f"has also {', '.join(added)}" if added else ""]
            raise WriteRefused(
                f"episode {episode.id} {' and '.join(t for t in told if t)}, beside episode {self._first}: a replay "
                f"buffer has one length, so every episode needs the same streams. Convert the episodes that share "
                f"their streams (--where, --episode), each kind to a buffer of its own."
            )
        for name, stream in written.items():
            column = columns[name]
            found, expected = stream.values.dtype.newbyteorder("="), column.dtype.newbyteorder("=")
            if stream.shape != column.shape or found != expected:
                raise WriteRefused(
                    f"episode {episode.id}: {stream.name} is {found} {list(stream.shape)} per row, but {expected} "
                    f"{list(column.shape)} in episode {self._first}: an array has one type and one shape. Convert each "
                    f"kind to a buffer of its own (--where, --episode)."
                )


def _pages(data: bytes) -> np.ndarray[Any, np.dtype[np.uint8]]:
    padded = data + b"\0" * (-len(data) % PAGE_BYTES)
    return np.frombuffer(padded, np.uint8).reshape(-1, PAGE_BYTES)


def _blosc(*, level: int = 5) -> Any:
    """Diffusion Policy's own disk compressor: Zstandard behind a bit shuffle, lossless."""
    numcodecs = require("numcodecs", extra="zarr")
    return numcodecs.Blosc(cname="zstd", clevel=level, shuffle=numcodecs.Blosc.BITSHUFFLE)


def _picture_codec(stream: Stream, options: Options) -> Any:
    if _fits_jpegxl(stream, options):
        level = options.jpegxl_level
        imagecodecs = require("imagecodecs.numcodecs", extra="zarr")
        effort = _LOSSLESS_EFFORT if level is None else _LOSSY_EFFORT
        # One thread: the same bytes on every machine. Lossless is said each way: left out, it wins over the level.
        return imagecodecs.Jpegxl(effort=effort, level=level, lossless=level is None, numthreads=1)
    numcodecs = require("numcodecs", extra="zarr")
    is_bytes = stream.values.dtype.itemsize == 1
    # 640 x 480 frames of a robot: 22 ms and 47 % of the size at level 1 without shuffle, 154 ms and 49 % at level 5
    # behind a bit shuffle. Depth and floats have high bytes that repeat, which the byte shuffle brings together.
    shuffle = numcodecs.Blosc.NOSHUFFLE if is_bytes else numcodecs.Blosc.SHUFFLE
    return numcodecs.Blosc(cname="zstd", clevel=1, shuffle=shuffle)


def _fits_jpegxl(stream: Stream, options: Options) -> bool:
    is_size = len(stream.shape) == 3 and stream.shape[-1] in (1, 3)
    return options.is_jpegxl and is_size and stream.values.dtype == np.uint8


def _targets(episode: Episode) -> dict[str, str]:
    """Name under `data/` of every stream that an array can hold."""
    targets: dict[str, str] = {}
    actions = [stream.name for stream in episode.numeric(Role.ACTION)]
    for stream in episode.streams.values():
        if stream.is_numeric or stream.is_picture:
            name = legal_name(stream.name)
            # Zarr's own files begin with a dot, in version 3 they are called zarr.json.
            name = f"stream{name}" if name.startswith(".") or name == "zarr.json" else name
            # Diffusion Policy's training reads `action`; robomimic's files call it `actions`.
            if actions == [stream.name] and "action" not in episode.streams and not name.startswith("robot0_"):
                name = "action"
            targets[stream.name] = distinct(name, targets.values())
    return targets


def _place(
    stream: Stream,
    target: str,
    episode: Episode,
    anchor: str,
    picked: Mapping[str, np.ndarray[Any, np.dtype[np.int64]]],
    options: Options,
) -> Place:
    rows, rows_from = picked.get(stream.name), episode.streams[anchor]
    note = f"written as {target}" if target != stream.name else ""
    if not stream.is_picture:
        # Arrays are little-endian; a stream of the other order comes back from what is carried.
        return place_numbers(stream, rows, target, anchor=rows_from, note=note, is_exact=stream.values.dtype.isnative)
    if rows is None:
        return place_pictures(stream, None, target, anchor=rows_from, way=Way.DROPPED)
    way, told = decoding(stream)
    ratio = None
    if options.jpegxl_level is not None and _fits_jpegxl(stream, options):
        codec = _picture_codec(stream, options)
        ratio = psnr_db(stream, lambda picture: np.asarray(codec.decode(codec.encode(picture))).reshape(picture.shape))
        way, told = Way.REENCODED, f"JPEG XL of level {options.jpegxl_level}"
    elif _fits_jpegxl(stream, options):
        told = "; ".join(part for part in (told, "packed as lossless JPEG XL") if part)
    together = "; ".join(part for part in (note, told) if part)
    return place_pictures(stream, rows, target, anchor=rows_from, way=way, note=together, psnr_db=ratio)


def _notes(episode: Episode, targets: Mapping[str, str], anchor: str, options: Options) -> Iterator[str]:
    yield f"rows are the samples of {anchor}; a replay buffer keeps no times and no rate: they are carried beside"
    if episode.instructions:
        yield "a replay buffer has no place for language: it is carried beside"
    if options.flavour == "umi" and "robot0_demo_start_pose" not in targets.values():
        yield "no robot0_demo_start_pose: leave the observations relative to the start out of UMI's task"
    if options.flavour == "diffusion_policy" and "action" not in targets.values():
        yield "no array is called action: Diffusion Policy's training reads that name (UMI's derives it from the poses)"


def _refuse_options(options: Options) -> None:
    if options.flavour not in get_args(Flavour):
        raise WriteRefused(f"flavour={options.flavour!r} is none of {', '.join(get_args(Flavour))}.")
    if options.picture_codec is not None and options.picture_codec not in get_args(PictureCodec):
        raise WriteRefused(f"picture_codec={options.picture_codec!r} is none of {', '.join(get_args(PictureCodec))}.")
    if options.jpegxl_level is not None and not options.is_jpegxl:
        raise WriteRefused(
            "jpegxl_level= is for JPEG XL. Say picture_codec='jpegxl' too (--option picture_codec=jpegxl)."
        )
    if options.jpegxl_level is not None and not 0 <= options.jpegxl_level <= 100:
        raise WriteRefused(f"jpegxl_level={options.jpegxl_level} lies outside of 0 (worst) to 100 (best).")
