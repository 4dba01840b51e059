"""Zstandard as rosbag2 packs with it: whole files, or each message; unpacked within bounds."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from robokata.containers.logs.blocks import FileBytes
from robokata.core.errors import DamagedData, TooLarge
from robokata.core.require import require

MAGIC = b"\x28\xb5\x2f\xfd"
"""First bytes of a frame (RFC 8878, 3.1.1). No CDR message starts so: its first byte is 0."""
MAX_MESSAGE = 1 << 28
"""Largest message, 256 MiB: an 8K picture of 16-bit RGB has 200 MB."""
_PIECE = 4096
"""Packed bytes taken at once: at zstd's best ratio they unfold to 132 MB, and bombs are noticed in between."""
_LEAST_LIMIT, _RATIO = 1 << 30, 100
"""A packed file may unpack to 1 GiB, or to a hundred times its size: recordings reach ten, bombs thousands."""


def unzstd(packed: bytes, limit: int, *, where: str | Path) -> bytes:
    """Unpack zstd bytes within a limit.

    Raises:
        DamagedData: the bytes do not unpack, or end inside a frame.
        TooLarge: they unpack to more than the limit.
    """
    pieces = (packed[at : at + _PIECE] for at in range(0, len(packed), _PIECE))
    return b"".join(_unpacked(pieces, limit, where))


def unpacked_message(data: bytes, *, is_packed: bool, encoding: str, where: str | Path) -> bytes:
    """A message as it was before rosbag2 packed it; `is_packed` says that its metadata says so.

    A bag's file that lies apart from its metadata says nothing: there a message of CDR that starts as a zstd frame does
    is one.

    Raises:
        DamagedData: the message does not unpack.
        TooLarge: it unpacks to more than `MAX_MESSAGE`.
    """
    if is_packed or (encoding == "cdr" and data[:4] == MAGIC):
        return unzstd(data, MAX_MESSAGE, where=where)
    return data


def unpacked_file(path: Path) -> FileBytes:
    """A packed file's bytes, from a nameless file in the system's folder for temporary files.

    Raises:
        MediaMissing: the file is not there.
        DamagedData: it does not unpack, or the disk has no room for it.
        TooLarge: it unpacks to more than a hundred times its size.
    """
    packed = FileBytes(path)
    free = shutil.disk_usage(tempfile.gettempdir()).free
    limit = min(max(_LEAST_LIMIT, _RATIO * packed.size), free * 9 // 10)
    pieces = (packed.at(at, _PIECE) for at in range(0, packed.size, _PIECE))
    # Without a name, it goes with the process however that ends, and never lies beside the user's data.
    with tempfile.TemporaryFile() as file:
        try:
            _fill(file, _unpacked(pieces, limit, path))
        except OSError as error:
            raise DamagedData(
                path, f"cannot be unpacked in {tempfile.gettempdir()}: {error.strerror}.", next_move=_NEXT_MOVE
            ) from None
        return FileBytes(path, handle=os.dup(file.fileno()))


_NEXT_MOVE = "Unpack it with 'zstd -d' and leave both in the folder: the unpacked file is read."


def _fill(file: IO[bytes], pieces: Iterator[bytes]) -> None:
    for piece in pieces:
        file.write(piece)
    file.flush()


def _unpacked(pieces: Iterator[bytes], limit: int, where: str | Path) -> Iterator[bytes]:
    """Plain bytes of one frame or several, piece by piece: nothing is allocated that the bytes do not really hold."""
    zstandard = require("zstandard", extra="ros")
    frame, total, is_whole = None, 0, False
    try:
        for packed in pieces:
            while packed:
                frame = frame or zstandard.ZstdDecompressor().decompressobj()
                plain = frame.decompress(packed)
                total += len(plain)
                if total > limit:
                    raise TooLarge(where, f"unpacks to more than {limit} bytes.", next_move=_NEXT_MOVE)
                yield plain
                is_whole = frame.eof
                packed = frame.unused_data if is_whole else b""
                frame = None if is_whole else frame
    except zstandard.ZstdError as error:
        raise DamagedData(where, f"does not unpack: {error}.") from None
    if not is_whole:
        raise DamagedData(where, "is cut off: it ends inside a zstd frame.", next_move="Copy it again from its origin.")
