"""Compressed chunks of a robot log, unpacked within bounds."""

from __future__ import annotations

import bz2
import os
import stat
import weakref
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

from robokata.core.errors import DamagedData, TooLarge, Unsupported
from robokata.core.require import require
from robokata.runtime.disk import missing

MAX_CHUNK = 1 << 30
"""Largest chunk that is decompressed, 1 GiB: writers cut at 768 kB (C++) to 4 MB; Foxglove refuses above 2 GB."""
MAX_RATIO = 33_000
"""Best ratio that zstd can reach: one block of 128 KiB repeats a byte and takes 4 bytes (RFC 8878, 3.1.1.2)."""


class FileBytes:
    """Bytes of a file by offset. A class, because it closes the file when nobody needs it any more."""

    def __init__(self, path: Path, *, handle: int | None = None) -> None:
        """`handle` is an open file with the bytes, where they do not lie in the file itself."""
        try:
            # Without O_NONBLOCK, opening a pipe waits for its other end.
            self._handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)) if handle is None else handle
        except FileNotFoundError:
            raise missing(path) from None
        except OSError as error:
            raise DamagedData(path, f"cannot be opened: {error.strerror}.") from None
        weakref.finalize(self, os.close, self._handle)
        self.path = path
        facts = os.fstat(self._handle)
        if not stat.S_ISREG(facts.st_mode):
            raise DamagedData(path, "is a folder, a pipe or a device, not a file.", next_move="Restore the file.")
        self.size = facts.st_size

    def at(self, offset: int, length: int) -> bytes:
        """Bytes from an offset; fewer where the file ends.

        Raises:
            DamagedData: the disk does not give them.
        """
        try:
            return os.pread(self._handle, length, offset)
        except OSError as error:
            raise DamagedData(self.path, f"cannot be read: {error.strerror}.", offset=offset) from None


class BlockCache:
    """Decompressed chunks, the last few. A class, because it remembers."""

    def __init__(self, load: Callable[[int], bytes], *, kept_bytes: int = 64_000_000) -> None:
        # 64 MB: fifteen chunks of the usual 4 MB, so that pictures read in order decompress each chunk once.
        self._load, self._kept_bytes = load, kept_bytes
        self._kept: OrderedDict[int, bytes] = OrderedDict()

    def __getitem__(self, block: int) -> bytes:
        if block not in self._kept:
            self._kept[block] = self._load(block)
            while len(self._kept) > 1 and sum(map(len, self._kept.values())) > self._kept_bytes:
                self._kept.popitem(last=False)
        self._kept.move_to_end(block)
        return self._kept[block]


def _refuse_bomb(packed: int, size: int, compression: str, *, path: Path, at: int) -> None:
    if size > MAX_CHUNK:
        raise TooLarge(path, f"a chunk claims {size} bytes.", offset=at)
    if compression in ("zstd", "lz4") and size > MAX_RATIO * packed + 1024:
        raise TooLarge(path, f"a chunk of {packed} bytes claims to hold {size}.", offset=at)


def decompressed(packed: bytes, size: int, compression: str, *, path: Path, at: int) -> bytes:
    """A chunk's bytes; `size` is what its header promises, and is vetted before anything is allocated.

    Raises:
        TooLarge: more than `MAX_CHUNK`.
        DamagedData: the bytes do not decompress, or to another size.
        Unsupported: a compression that we do not know.
    """
    _refuse_bomb(len(packed), size, compression, path=path, at=at)
    if not (packed or size) and compression in ("zstd", "lz4", "bz2"):
        return b""  # Some writers pack an empty chunk into no bytes at all.
    if compression in ("", "none"):
        data = packed
    elif compression == "bz2":
        try:
            stream = bz2.BZ2Decompressor()
            data = stream.decompress(packed, max_length=size + 1)
        except (OSError, ValueError) as error:
            raise DamagedData(path, f"the chunk does not decompress: {error}.", offset=at) from None
    elif compression == "zstd":
        zstandard = require("zstandard", extra="ros")
        try:
            # A stream with a limit: the frame's own header may claim any size.
            data = zstandard.ZstdDecompressor().stream_reader(packed).read(size + 1)
        except zstandard.ZstdError as error:
            raise DamagedData(path, f"the chunk does not decompress: {error}.", offset=at) from None
    elif compression == "lz4":
        lz4 = require("lz4.frame", extra="ros")
        try:
            stream = lz4.LZ4FrameDecompressor()
            data = stream.decompress(packed, max_length=size + 1)
        except RuntimeError as error:
            raise DamagedData(path, f"the chunk does not decompress: {error}.", offset=at) from None
    else:
        raise Unsupported(f"{path}: chunks compressed with {compression!r}; Robokata reads zstd, lz4 and bz2.")
    if compression in ("bz2", "lz4") and len(data) == size and not stream.eof:
        # Not at its end, the stream has not compared its own checksum yet.
        raise DamagedData(path, "the chunk is cut off.", offset=at)
    if len(data) != size:
        raise DamagedData(path, f"the chunk promises {size} bytes and holds {len(data)}.", offset=at)
    return bytes(data)
