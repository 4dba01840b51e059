"""Packets of a video without the container that they came in, as messages hold them.

Such packets have no stamps, no list of edits and no header. So whatever the container said goes into the packets
themselves (parameter sets into each key frame, how far pictures are reordered, colours), packets that are only decoded
stay in and are listed as not shown, and a video for which that cannot be done has no bare packets at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from robokata.core.errors import DamagedData
from robokata.core.require import require
from robokata.core.selected_values import PickedPictures
from robokata.core.values import Values
from robokata.media.cuts import Run, is_packed, places_of, taken_packets
from robokata.media.packet_index import packet_index
from robokata.media.packets import DECODERS, VideoPackets, is_key, padded_packet
from robokata.media.parameter_sets import SETS, reorder_depth, unit_type, units, with_reorder_depth
from robokata.media.remux import PacketSource
from robokata.media.video import VideoFrames

_FILTERS = {"h264": "h264_mp4toannexb", "hevc": "hevc_mp4toannexb", "mpeg4": "dump_extra", "av1": "", "vp9": ""}
"""What brings a file's packets into the form of a message: codec -> FFmpeg's bitstream filter."""
_COLOURS = {
    "h264": ("colour_primaries", "transfer_characteristics", "matrix_coefficients", "video_full_range_flag"),
    "hevc": ("colour_primaries", "transfer_characteristics", "matrix_coefficients", "video_full_range_flag"),
    "av1": ("color_primaries", "transfer_characteristics", "matrix_coefficients", "color_range"),
}
"""Options of FFmpeg's filters that write colours into the stream: primaries, transfer, matrix, range."""
_UNKNOWN_COLOUR, _UNKNOWN_RANGE = 2, 0
"""FFmpeg's numbers for what nobody said; those of ITU-T H.273 for colours, and 1 (studio) or 2 (full) for the range."""


class PacketRun(NamedTuple):
    """The packets that a stream of pictures needs, in the form that messages hold."""

    codec: str
    ranks: NDArray[np.int64]
    """(K,) place of each packet's picture among all that a decoder gives, in decoding order."""
    picked: NDArray[np.int64]
    """(T,) which of the K pictures each sample of the stream is."""
    read: Callable[[], Iterator[bytes]]
    """The packets, in decoding order."""
    additions: tuple[str, ...] = ()
    """What the container said and the key frames now say themselves."""

    @property
    def is_reordered(self) -> bool:
        """True where packets come in another order than their pictures."""
        return not bool(np.array_equal(self.ranks, np.arange(len(self.ranks))))


def packet_run(values: Values) -> PacketRun | None:
    """The packets behind pictures, None where there are none, or where they alone do not give the same pictures.

    A run that starts between two key frames begins with the packets from the key frame before.

    Raises:
        DamagedData: the video cannot be read, or lacks frames.
    """
    if isinstance(values, PickedPictures):
        behind = packet_run(values.values)
        return None if behind is None else behind._replace(picked=behind.picked[values.picked])
    if isinstance(values, VideoPackets):
        plain = np.arange(len(values), dtype=np.int64)
        return PacketRun(values.codec, values.ranks, plain, lambda: (values.load(i) for i in range(len(values))))
    if not isinstance(values, VideoFrames) or not len(values):
        return None
    index = packet_index(values.path)
    if index.codec not in _FILTERS:
        return None
    if values.first + len(values) > len(index.pts):
        raise DamagedData(
            values.path,
            f"frame {values.first + len(values) - 1} is asked for, and the file holds {len(index.pts)} frames.",
            next_move="The video is cut short or the index points past its end: restore the file.",
        )
    return _run_of_file(values.path, index.codec, Run(values.path, values.first, len(values)))


def _run_of_file(path: Path, codec: str, run: Run) -> PacketRun | None:
    places = places_of(path)
    if is_packed(codec, places.shape.parameters):
        return None
    bare = _Bare(path, codec)
    try:
        taken = taken_packets(places, run, starts_at=lambda position: is_key(bare.packet(position), codec))
        if taken is None:
            return None
        depth = reorder_depth(taken.slots)
        colours = bare.colours(int(taken.positions[0]), depth)
        if colours is None:
            return None
        first = int(taken.positions[0])
        is_told = depth > 0 and bare.packet(first, depth) != bare.packet(first)
    except ValueError:
        return None  # a parameter set that we cannot read
    finally:
        bare.close()
    additions = (*(("the colours",) if colours else ()), *(("how far pictures are reordered",) if is_told else ()))

    def read() -> Iterator[bytes]:
        again = _Bare(path, codec, colours)
        try:
            yield from again.packets(taken.positions, depth)
        finally:
            again.close()

    return PacketRun(codec, taken.slots, taken.picked, read, additions)


class _Bare:
    """An open video file that gives bare packets. A class, because the file and the filters have a state."""

    def __init__(self, path: Path, codec: str, colours: Mapping[str, str] | None = None) -> None:
        self.path, self.codec = path, codec
        self._av = require("av", extra="video")
        self._source = PacketSource(path)
        self._colours = colours or {}
        self._extra = bytes(self._source.stream.codec_context.extradata or b"")

    def close(self) -> None:
        self._source.close()

    def packet(self, position: int, depth: int = 0) -> bytes:
        return next(self.packets(np.asarray([position]), depth))

    def packets(self, positions: NDArray[np.int64], depth: int) -> Iterator[bytes]:
        """The packets at some positions of the file.

        Raises:
            DamagedData: the file no longer holds them.
            ValueError: a parameter set of theirs cannot be read.
        """
        filters = self._filters()
        try:
            for packet in self._source.packets(positions):
                is_container_key = bool(packet.is_keyframe)
                for change in filters:
                    packet = _only(change.filter(packet))
                data = self._with_head(bytes(packet), is_container_key)
                is_reordered = self.codec == "h264" and depth > 0 and is_key(data, "h264")
                yield with_reorder_depth(data, depth) if is_reordered else data
        except (self._av.error.FFmpegError, OSError) as error:
            raise DamagedData(self.path, f"its packets cannot be read: {error}.") from None

    def _filters(self) -> list[Any]:
        bitstream = require("av.bitstream", extra="video")
        names = [_FILTERS[self.codec]] if _FILTERS[self.codec] else []
        if self._colours:
            names.append(f"{self.codec}_metadata=" + ":".join(f"{k}={v}" for k, v in self._colours.items()))
        made: list[Any] = []
        for name in names:
            made.append(bitstream.BitStreamFilterContext(name, self._source.stream if not made else self.codec))
        return made

    def _with_head(self, data: bytes, is_container_key: bool) -> bytes:
        """A packet with the decoder's parameters before it, where it is a key frame and they are not in it."""
        if not is_container_key:
            return data
        if self.codec == "av1":
            # The units in the `av1C` box, behind its four bytes of flags.
            return data if is_key(data, "av1") else self._extra[4:] + data
        if self.codec in SETS and self._extra[:3] in (b"\0\0\1", b"\0\0\0"):
            found = {unit_type(unit, self.codec) for _, unit in units(data) if unit}
            return data if found >= {*SETS[self.codec]} else self._extra + data
        return data

    def colours(self, position: int, depth: int) -> Mapping[str, str] | None:
        """What only the container says of the colours, as options of the filter that writes them into the stream.

        None where a key frame alone, decoded without its container, does not give its picture in those colours.
        """
        stated = _colours_of(self._source.stream.codec_context)
        found = self._decoded_alone(position, depth)
        if found is None:
            return None
        if not _lacking(stated, found):
            return {}
        # Some decoders go by the stream alone, whatever the container says: their pictures are the ones to keep.
        stated = self._shown_colours()
        lacking = _lacking(stated, found)
        if not lacking:
            return {}
        if self.codec not in _COLOURS:
            # A matrix or a range that decoders do not know of changes every pixel; the other two none.
            return None if {2, 3} & lacking.keys() else {}
        names = _COLOURS[self.codec]
        # FFmpeg counts 1 and 2 for the range, streams 0 and 1; its filter for AV1 has words.
        full = {1: "tv", 2: "pc"} if self.codec == "av1" else {1: "0", 2: "1"}
        self._colours = {names[n]: full[value] if n == 3 else str(value) for n, value in lacking.items()}
        found = self._decoded_alone(position, depth)
        return None if found is None or _lacking(stated, found) else self._colours

    def _shown_colours(self) -> tuple[int, ...]:
        try:
            with self._av.open(str(self.path), metadata_errors="replace") as container:
                return _colours_of(next(iter(container.decode(video=0))))
        except (self._av.error.FFmpegError, OSError, StopIteration) as error:
            raise DamagedData(self.path, f"its first picture cannot be decoded: {error!r}.") from None

    def _decoded_alone(self, position: int, depth: int) -> tuple[int, ...] | None:
        """Colours of the picture of a key frame, decoded by its packet alone; None where it gives none."""
        try:
            data = self.packet(position, depth)
            context = self._av.CodecContext.create(DECODERS.get(self.codec, self.codec), "r")
            frames = [*context.decode(padded_packet(self._av, data)), *context.decode(None)]
        except (self._av.error.FFmpegError, ValueError, DamagedData):
            return None
        wanted = self._source.stream.codec_context
        if not frames or (frames[0].width, frames[0].height) != (wanted.width, wanted.height):
            return None
        return _colours_of(frames[0])


def _only(packets: list[Any]) -> Any:
    if len(packets) != 1:
        raise ValueError(f"a filter made {len(packets)} packets of one")
    return packets[0]


def _colours_of(what: Any) -> tuple[int, ...]:
    """Primaries, transfer, matrix and range of a frame or a decoder."""
    return (int(what.color_primaries), int(what.color_trc), int(what.colorspace), int(what.color_range))


def _lacking(stated: tuple[int, ...], found: tuple[int, ...]) -> dict[int, int]:
    """By place, what is stated and was not found."""
    unknown = (_UNKNOWN_COLOUR, _UNKNOWN_COLOUR, _UNKNOWN_COLOUR, _UNKNOWN_RANGE)
    both = zip(stated, found, unknown, strict=True)
    return {n: said for n, (said, seen, nothing) in enumerate(both) if said != nothing and seen == nothing}
