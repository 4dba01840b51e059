"""How a Zarr chunk becomes numbers: the codecs that we run, each bounded, and no other."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import re
import struct
import zlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from robokata.containers.crc32c import crc32c
from robokata.core.errors import DamagedData, UntrustedContent
from robokata.core.require import require

MAX_CHUNK_BYTES = 1 << 30
"""A decoded chunk is at most 1 GiB: Zarr's own advice is a few MB, and 100 pictures of 1080p are 600 MB."""

_WIDENING = 16
"""No filter that we run shrinks numbers more than this before the compressor sees them (float128 kept as a byte)."""

TEXT_BYTES = 1024
"""Bytes that one text of free length may count for when a chunk's bound is set: an instruction has some 50."""

_FILTERS = ("delta", "fixedscaleoffset", "quantize", "bitround", "shuffle", "packbits", "astype")
_CHECKSUMS = ("crc32", "crc32c", "adler32", "fletcher32", "jenkins_lookup3")
_IMAGES = ("jpegxl", "jpeg", "jpeg2k", "jpegls", "png", "webp", "qoi")
_LAST_BYTES = {"imagecodecs_jpeg": b"\xff\xd9", "imagecodecs_qoi": b"\0\0\0\0\0\0\0\1"}
"""How whole pictures end (ITU T.81 B.1.1.3, QOI 1.0). Their decoders paint the rest of a cut picture grey or black."""
_NUMBERS = re.compile(r"[<>|=]?[biufc]\d{1,2}|bool|u?int\d{1,2}|float\d{2,3}")

_FAILURES = (
    ValueError,
    RuntimeError,
    TypeError,
    KeyError,
    IndexError,
    OSError,
    EOFError,
    MemoryError,
    zlib.error,
    lzma.LZMAError,
    struct.error,
)
"""What the codec libraries raise on broken bytes; each becomes DamagedData at one place, `decode_chunk`."""


class Pipeline(NamedTuple):
    """How the chunks of one array were encoded."""

    codecs: tuple[Mapping[str, Any], ...]
    """Configurations in the order in which the writer applied them, each with its `id`."""
    axes: tuple[int, ...]
    """Axes of the array in the order in which the bytes lie, slowest first."""
    dtype: np.dtype[Any]
    """`object` for text of free length, which lies as `vlen-utf8`."""

    @property
    def item_bytes(self) -> int:
        """Bytes of one number or text, that of free length at its most."""
        return TEXT_BYTES if self.dtype.kind == "O" else self.dtype.itemsize


def vet_codecs(configs: Sequence[Any], *, where: str) -> tuple[Mapping[str, Any], ...]:
    """The configurations, where each names a codec that only turns bytes into numbers or pictures.

    An allow list: the registry of numcodecs also holds `pickle`, and grows with every plug-in.

    Raises:
        UntrustedContent: a codec outside the list, or one that is told to make Python objects.
        DamagedData: a configuration that is none.
    """
    for config in configs:
        name = config.get("id") if isinstance(config, Mapping) else None
        if not isinstance(name, str):
            raise DamagedData(where, f"a codec is declared as {str(config)[:80]}, which names none.")
        is_picture = name.startswith("imagecodecs_") and name.removeprefix("imagecodecs_") in _IMAGES
        if not (name in _COMPRESSORS or name in _FILTERS or name in _CHECKSUMS or is_picture):
            raise UntrustedContent(
                where,
                f"is encoded with {name!r}, which is not on the list of codecs that only decode numbers and pictures.",
                next_move="If you trust the file, write it again with Blosc, Zstd or no compressor.",
            )
        for key in ("dtype", "astype", "encode_dtype", "decode_dtype"):
            value = config.get(key)
            if value is not None and not (isinstance(value, str) and _NUMBERS.fullmatch(value)):
                raise UntrustedContent(where, f"its codec {name!r} is told to make {str(value)[:40]!r}, not numbers.")
    return tuple(configs)


def bound_bytes(expected_bytes: int) -> int:
    """Bytes that a chunk may hold at any stage of decoding, from the size that its array promises."""
    return min(MAX_CHUNK_BYTES, _WIDENING * expected_bytes) + 4096


def decode_chunk(pipeline: Pipeline, data: bytes, shape: tuple[int, ...], *, where: str) -> NDArray[Any]:
    """One chunk as an array of `shape`, in native byte order.

    Raises:
        DamagedData: the bytes do not decode, or decode to another number of bytes.
    """
    expected = int(np.prod(shape, dtype=np.int64)) * pipeline.item_bytes
    bound = bound_bytes(expected)
    step = "its codecs"
    try:
        for config in reversed(pipeline.codecs):
            step = str(config["id"])
            data = _decode(config, data, bound, shape, pipeline.dtype)
            if len(data) > bound:
                raise ValueError(f"more than {bound} bytes come out")
    except _FAILURES as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise DamagedData(where, f"the chunk cannot be decoded by {step}: {reason}.") from None
    if pipeline.dtype.kind == "O":
        flat = _texts(data, int(np.prod(shape, dtype=np.int64)), where)
    elif len(data) != expected:
        raise DamagedData(where, f"the chunk holds {len(data)} bytes; its array promises {expected}.")
    else:
        flat = np.frombuffer(data, pipeline.dtype)
    stored = flat.reshape([shape[axis] for axis in pipeline.axes])
    return stored.transpose(np.argsort(pipeline.axes)).astype(pipeline.dtype.newbyteorder("="), copy=False)


def _texts(data: bytes, count: int, where: str) -> NDArray[Any]:
    """Texts as `vlen-utf8` lays them: their number, then each with its length before it, all 32 bits."""
    out = np.empty(count, object)
    try:
        (stored,) = struct.unpack_from("<I", data)
        if stored != count:
            raise DamagedData(where, f"the chunk holds {stored} texts; its array promises {count}.")
        at = 4
        for number in range(count):
            (length,) = struct.unpack_from("<I", data, at)
            if length > len(data) - at - 4:
                raise DamagedData(where, f"text {number} of the chunk ends behind it.")
            out[number] = data[at + 4 : at + 4 + length].decode("utf-8")
            at += 4 + length
    except (struct.error, UnicodeDecodeError) as error:
        raise DamagedData(where, f"the chunk's texts cannot be read: {error}.") from None
    return out


def _without_crc32c(config: Mapping[str, Any], data: bytes) -> bytes:
    """The bytes that a CRC-32C stands before or behind. numcodecs has this codec only beside a further library."""
    if len(data) < 4:
        raise ValueError(f"{len(data)} bytes hold no checksum")
    is_last = config.get("location", "end") == "end"
    payload, stored = (data[:-4], data[-4:]) if is_last else (data[4:], data[:4])
    if struct.unpack("<I", stored)[0] != crc32c(payload):
        raise ValueError("the checksum does not match")
    return payload


def _decode(config: Mapping[str, Any], data: bytes, bound: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> bytes:
    name = str(config["id"])
    if name in _COMPRESSORS:
        return bytes(_COMPRESSORS[name](data, bound))
    if name == "crc32c":
        return _without_crc32c(config, data)
    if name.startswith("imagecodecs_"):
        if not data.endswith(_LAST_BYTES.get(name, b"")):
            raise ValueError("the picture ends early")
        # Straight to the decoder: the configuration lists encoder options, and those change with every release.
        imagecodecs = require("imagecodecs", extra="zarr")
        decode = getattr(imagecodecs, name.removeprefix("imagecodecs_") + "_decode")
        # `out` of the promised shape: a header that claims other pixels is refused before they are allocated.
        return np.ascontiguousarray(decode(data, out=np.empty(shape, dtype))).tobytes()
    decoded = require("numcodecs", extra="zarr").get_codec(dict(config)).decode(data)
    return np.ascontiguousarray(decoded).tobytes() if isinstance(decoded, np.ndarray) else bytes(decoded)


def _blosc(data: bytes, bound: int) -> bytes:
    if len(data) < 16:
        raise ValueError(f"{len(data)} bytes are no Blosc header")
    claimed, _, stored = struct.unpack_from("<III", data, 4)
    if stored != len(data):
        raise ValueError(f"its header promises {stored} bytes, {len(data)} are there")
    if claimed > bound:
        raise ValueError(f"its header claims {claimed} decoded bytes")
    return bytes(require("numcodecs.blosc", extra="zarr").decompress(data))


def _lz4(data: bytes, bound: int) -> bytes:
    (claimed,) = struct.unpack_from("<I", data)
    if claimed > bound:
        raise ValueError(f"its header claims {claimed} decoded bytes")
    return bytes(require("numcodecs.lz4", extra="zarr").decompress(data))


def _zstd(data: bytes, bound: int) -> bytes:
    # A stream and not a call: frames need not say how large they are, and a stream stops where we say.
    pyarrow = require("pyarrow", extra="tables")
    with pyarrow.CompressedInputStream(pyarrow.BufferReader(data), "zstd") as stream:
        return bytes(stream.read(bound + 1))


def _gzip(data: bytes, bound: int) -> bytes:
    with gzip.GzipFile(fileobj=io.BytesIO(data)) as stream:
        return stream.read(bound + 1)


def _zlib(data: bytes, bound: int) -> bytes:
    return _whole(zlib.decompressobj(), data, bound)


def _bz2(data: bytes, bound: int) -> bytes:
    return _whole(bz2.BZ2Decompressor(), data, bound)


def _lzma(data: bytes, bound: int) -> bytes:
    return _whole(lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=MAX_CHUNK_BYTES), data, bound)


def _whole(decompressor: Any, data: bytes, bound: int) -> bytes:
    out: bytes = decompressor.decompress(data, bound + 1)
    if not decompressor.eof and len(out) <= bound:
        raise ValueError("the compressed stream ends early")
    return out


_COMPRESSORS = {
    "blosc": _blosc,
    "lz4": _lz4,
    "zstd": _zstd,
    "gzip": _gzip,
    "zlib": _zlib,
    "bz2": _bz2,
    "lzma": _lzma,
}
