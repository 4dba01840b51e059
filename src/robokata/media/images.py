"""Pictures that stand alone: JPEG, PNG and raw arrays."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from robokata.core.errors import DamagedData, MediaMissing, MissingPart, OtherPicture, TooLarge, Unsupported
from robokata.core.require import require
from robokata.core.values import EncodedPicture, Index, Media, Values, ordinals
from robokata.media.packet_index import MAX_PIXELS
from robokata.media.pixels import TRANSPARENCY


class ImageFacts(NamedTuple):
    """What the header of an encoded picture says."""

    codec: str
    width: int
    height: int
    channels: int
    bits: int
    orientation: int = 1
    """Tag 274 of EXIF: 1 for pixels that lie as they are to be seen, 2..8 for mirrored and turned ones."""

    def __str__(self) -> str:
        return f"{self.width} x {self.height}, channels: {self.channels}, bits: {self.bits}"

    @property
    def layout(self) -> tuple[int, int, int, bool]:
        """Height, width and channels of the array that the picture decodes to, and whether it has 16 bits."""
        # Transparency is not decoded: grey stays grey, everything else is RGB.
        return self.height, self.width, 1 if self.channels < 3 else 3, self.bits == 16

    @property
    def left_out(self) -> str | None:
        """What decoding leaves out of such a picture, None where it leaves nothing."""
        has_alpha = self.codec == "png" and self.channels in (2, 4)
        turn = self.turn and f"EXIF asks viewers to show it {self.turn}, which is not done"
        return "; ".join(filter(None, (TRANSPARENCY if has_alpha else None, turn))) or None

    @property
    def turn(self) -> str | None:
        """How EXIF asks viewers to turn the picture, None where it is to be seen as its pixels lie."""
        return _TURNS.get(self.orientation)


_TURNS = {
    2: "mirrored left to right",
    3: "turned by 180 degrees",
    4: "mirrored top to bottom",
    5: "mirrored left to right and turned by 90 degrees anticlockwise",
    6: "turned by 90 degrees clockwise",
    7: "mirrored left to right and turned by 90 degrees clockwise",
    8: "turned by 90 degrees anticlockwise",
}
"""Orientations of EXIF 2.32 (4.6.4). PIL, TensorFlow and LeRobot hand the pixels on as they lie, and so do we."""


def probe(data: bytes, *, where: str) -> ImageFacts:
    """Read the header of an encoded picture; nothing is decoded or allocated.

    Raises:
        DamagedData: the bytes are no picture, or end inside the header.
        TooLarge: the header claims more pixels than any camera has.
        Unsupported: a picture codec that we do not read.
    """
    try:
        facts = _probe(data, where)
    except (struct.error, IndexError):
        raise DamagedData(where, "the picture ends inside its header.") from None
    if facts.width * facts.height > MAX_PIXELS:
        raise TooLarge(where, f"the picture's header claims {facts.width} x {facts.height} pixels.")
    if facts.width * facts.height == 0:
        raise DamagedData(where, "the picture's header claims no pixels.")
    return facts


def _probe(data: bytes, where: str) -> ImageFacts:
    if data[:8] == b"\x89PNG\r\n\x1a\n":
        width, height, bits, colour = struct.unpack_from(">IIBB", data, 16)
        channels = {0: 1, 2: 3, 3: 3, 4: 2, 6: 4}.get(colour)
        if channels is None:
            raise DamagedData(where, f"the PNG header has colour type {colour}, which does not exist.")
        return ImageFacts("png", width, height, channels, bits)
    if data[:2] == b"\xff\xd8":
        return _probe_jpeg(data, where)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        raise Unsupported(f"{where}: a WebP picture; Robokata reads JPEG and PNG.")
    raise DamagedData(where, f"neither JPEG nor PNG: the bytes start with {data[:8].hex(' ') or 'nothing'}.")


def _probe_jpeg(data: bytes, where: str) -> ImageFacts:
    at, orientation = 2, 1
    while True:
        if data[at] != 0xFF:
            raise DamagedData(where, "the JPEG header is broken.", offset=at)
        marker = data[at + 1]
        if marker == 0xFF:
            at += 1
            continue
        (length,) = struct.unpack_from(">H", data, at + 2)
        # SOF0..SOF15 without DHT (C4), JPG (C8) and DAC (CC): ITU T.81, table B.1.
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            bits, height, width, channels = struct.unpack_from(">BHHB", data, at + 4)
            return ImageFacts("jpeg", width, height, channels, bits, orientation)
        if marker == 0xE1 and data[at + 4 : at + 10] == b"Exif\0\0":
            orientation = _orientation(data[at + 10 : at + 2 + length])
        at += 2 + length


def _orientation(tiff: bytes) -> int:
    """Tag 274 in the first directory of EXIF data (TIFF 6.0, section 2); 1 where it is absent or broken."""
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None or len(tiff) < 8:
        return 1
    (start,) = struct.unpack_from(order + "I", tiff, 4)
    if start + 2 > len(tiff):
        return 1
    (entries,) = struct.unpack_from(order + "H", tiff, start)
    for at in range(start + 2, min(start + 2 + 12 * entries, len(tiff) - 11), 12):
        tag, kind, count, value = struct.unpack_from(order + "HHIH", tiff, at)
        if (tag, kind, count) == (274, 3, 1):
            return value if 1 <= value <= 8 else 1
    return 1


def decode(data: bytes, *, where: str) -> NDArray[Any]:
    """Decode one picture to (H, W, C): uint8, or uint16 where the file holds 16 bits (depth). C is 1 or 3.

    Raises:
        DamagedData: the bytes are no picture, or decoding fails.
        TooLarge: refused by its header.
        Unsupported: a picture codec that we do not read.
    """
    facts = probe(data, where=where)
    if facts.codec == "jpeg":
        return _decode_jpeg(data, facts, where)
    eight, sixteen = ("gray", "gray16le") if facts.channels in (1, 2) else ("rgb24", "rgb48le")
    wanted = sixteen if facts.bits == 16 else eight
    array = _decode_with_av("png", data, wanted, where)
    return array[..., np.newaxis] if array.ndim == 2 else array


def _decode_jpeg(data: bytes, facts: ImageFacts, where: str) -> NDArray[Any]:
    grey = facts.channels == 1
    try:
        simplejpeg = require("simplejpeg", extra="images")
    except MissingPart:
        array = _decode_with_av("mjpeg", data, "gray" if grey else "rgb24", where)
        return array[..., np.newaxis] if array.ndim == 2 else array
    try:
        return np.asarray(simplejpeg.decode_jpeg(data, colorspace="GRAY" if grey else "RGB", strict=True))
    except ValueError as error:
        raise DamagedData(where, f"the JPEG cannot be decoded: {error}.") from None


def _decode_with_av(codec: str, data: bytes, wanted: str, where: str) -> NDArray[Any]:
    av = require("av", extra="video")
    try:
        context = av.CodecContext.create(codec, "r")
        # Made by size: decoders read a few bytes on, and only such a packet has zeros there.
        packet = av.Packet(len(data))
        packet.update(data)
        frames = [*context.decode(packet), *context.decode(None)]
        return np.asarray(frames[0].to_ndarray(format=wanted))
    except (av.error.FFmpegError, ValueError, IndexError) as error:
        raise DamagedData(where, f"the picture cannot be decoded: {error}.") from None


class EncodedImages:
    """Pictures that each have their own bytes: (T, H, W, C), decoded when indexed, else passed through.

    `load(i)` gives the bytes of picture i; `where` names the place for errors (`file: observation/image`).
    A class, because it keeps the header of the first picture.
    """

    def __init__(self, count: int, load: Callable[[int], bytes], *, where: str) -> None:
        self.count, self.where = count, where
        self._load = load

    def __repr__(self) -> str:
        return f"EncodedImages({self.where}, {self.count})"

    @cached_property
    def _facts(self) -> ImageFacts | None:
        return probe(self._load(0), where=self._place(0)) if self.count else None

    def _place(self, index: int) -> str:
        return f"{self.where}, picture {index}"

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.count, *self._facts.layout[:3]) if self._facts else (0, 0, 0, 3)

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(np.uint16 if self._facts is not None and self._facts.bits == 16 else np.uint8)

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: Index) -> NDArray[Any]:
        pictures = [decode(self._picture(int(i)).data, where=self._place(int(i))) for i in ordinals(index, self.count)]
        if isinstance(index, (int, np.integer)):
            return pictures[0]
        return np.stack(pictures) if pictures else np.empty((0, *self.shape[1:]), self.dtype)

    def encoded(self, index: int) -> EncodedPicture | None:
        return self._picture(int(ordinals(index, self.count)[0]))

    def _picture(self, index: int) -> EncodedPicture:
        """The bytes of one picture, which is like the first: nobody can batch, or declare, pictures of two sizes.

        Raises:
            OtherPicture: it has another size, or other channels or bits, than the first.
        """
        data, first = self._load(index), self._facts
        facts = probe(data, where=self._place(index))
        if first is not None and facts.layout != first.layout:
            reason = f"the picture is {facts}; the first of the stream is {first}."
            raise OtherPicture(self._place(index), reason)
        return EncodedPicture(data, facts.codec)

    def media(self) -> Media:
        try:
            codec = self._facts.codec if self._facts else None
        except (DamagedData, Unsupported) as damage:
            is_absent = isinstance(damage, MediaMissing)
            return Media(self.where, None, self.count, self.count, problem=str(damage), is_absent=is_absent)
        facts = self._facts
        if facts is None:
            return Media(self.where, codec, 0, 0)
        return Media(
            self.where, codec, self.count, self.count, bits=facts.bits, left_out=facts.left_out, turn=facts.turn
        )

    def luma(self, points: int) -> Iterator[NDArray[np.uint8]]:
        for index in range(self.count):
            yield _luma_of_encoded(self._picture(index).data, points, self._place(index))


class RawImages:
    """Pictures that lie raw in an array: (T, H, W, C), or (T, H, W) for depth, uint8, uint16 or float 0..255.

    `scale` brings the source's numbers to 0..255 for the luma grid: 1 for uint8, 255 for floats in 0..1.
    """

    def __init__(self, values: Values, *, where: str, scale: float = 1.0) -> None:
        self.values, self.where, self.scale = values, where, scale

    def __repr__(self) -> str:
        return f"RawImages({self.where}, {self.dtype}{list(self.shape)})"

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.values.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.values.dtype

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, index: Index) -> NDArray[Any]:
        return self.values[index]

    def encoded(self, index: int) -> EncodedPicture | None:
        """None: a raw array has no encoded bytes."""
        return None

    def media(self) -> Media:
        return Media(self.where, "raw", len(self), len(self))

    def luma(self, points: int) -> Iterator[NDArray[np.uint8]]:
        height, width = self.shape[1:3]
        step_y, step_x = max(1, -(-height // points)), max(1, -(-width // points))
        # A hundred pictures at a time: one read per chunk of the file, and a bounded piece of memory.
        for start in range(0, len(self), 100):
            block = self.values[start : start + 100]
            for picture in block:
                yield luma_of(picture[step_y // 2 :: step_y, step_x // 2 :: step_x], scale=self.scale)


def luma_of(picture: NDArray[Any], *, scale: float = 1.0) -> NDArray[np.uint8]:
    """Brightness of a picture, (H, W) uint8: ITU-R BT.601 weights for colour, the high byte of 16-bit depth."""
    if picture.dtype == np.uint16:
        picture = (picture >> 8).astype(np.uint8)
    numbers = picture.astype(np.float32)
    if picture.ndim == 3 and picture.shape[-1] >= 3:
        numbers = numbers[..., :3] @ np.asarray([0.299, 0.587, 0.114], np.float32)
    elif picture.ndim == 3:
        numbers = numbers[..., 0]
    bright: NDArray[np.uint8] = np.clip(np.nan_to_num(numbers * scale), 0, 255).astype(np.uint8)
    return bright


def _luma_of_encoded(data: bytes, points: int, where: str) -> NDArray[np.uint8]:
    facts = probe(data, where=where)
    if facts.codec == "jpeg":
        try:
            simplejpeg = require("simplejpeg", extra="images")
        except MissingPart:
            return _strided(luma_of(decode(data, where=where)), points)
        try:
            # libjpeg decodes at 1/2, 1/4 or 1/8 for a fraction of the cost, never below the size asked for.
            grey = simplejpeg.decode_jpeg(
                data, colorspace="GRAY", min_height=points, min_width=points, min_factor=1, strict=True
            )
        except ValueError as error:
            raise DamagedData(where, f"the JPEG cannot be decoded: {error}.") from None
        return _strided(np.asarray(grey)[..., 0], points)
    return _strided(luma_of(decode(data, where=where)), points)


def _strided(grey: NDArray[np.uint8], points: int) -> NDArray[np.uint8]:
    step_y, step_x = -(-grey.shape[0] // points), -(-grey.shape[1] // points)
    return np.ascontiguousarray(grey[step_y // 2 :: step_y, step_x // 2 :: step_x])
