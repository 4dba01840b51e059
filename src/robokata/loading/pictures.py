"""Pictures decoded once, at the size that training sees, and kept outside the dataset."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robokata.core.episode import Episode
from robokata.core.errors import Unsupported
from robokata.core.stream import Stream
from robokata.runtime.atomic import replacing
from robokata.runtime.cache import cache_dir
from robokata.runtime.disk import remove_all_leftovers

_BLOCK = 64
"""Pictures decoded at once: 60 MB of 640 x 480."""
_PROBES = 8
"""Pictures whose bytes are part of the key: a dataset rendered anew has the same clocks and other pictures."""


def kept_pictures(
    episode: Episode, stream: Stream, ordinals: NDArray[np.int64], *, picture_px: int, folder: Path | None = None
) -> Path:
    """File of some pictures of a stream as an array (n, picture_px, picture_px, 3) uint8; made where it is absent.

    `folder` is where such files are kept; default: `feed-pictures` in the cache (`ROBOKATA_CACHE` moves it).

    Raises:
        Unsupported: the stream holds depth or floats, not 8-bit pictures.
        DamagedData: a picture cannot be decoded.
        WriteRefused: the folder cannot be written, or its disk is full.
    """
    place = folder or cache_dir() / "feed-pictures"
    path = place / f"{_key(episode, stream, ordinals, picture_px)}.npy"
    if path.exists():
        return path
    if stream.values.dtype != np.uint8:
        raise Unsupported(f"stream {stream.name!r} of episode {episode.id} holds {stream.values.dtype}, not 8 bits.")
    place.mkdir(parents=True, exist_ok=True)
    remove_all_leftovers(place)
    header = {"descr": "|u1", "fortran_order": False, "shape": (len(ordinals), picture_px, picture_px, 3)}
    # Written, not mapped: a full disk is an error of a write, and a signal that kills the process in mapped memory.
    with replacing(path, consequence="Make room, or keep such files elsewhere: ROBOKATA_CACHE=FOLDER.") as out:
        np.lib.format.write_array_header_1_0(out, header)
        for start in range(0, len(ordinals), _BLOCK):
            block = stream.pictures[ordinals[start : start + _BLOCK]]
            out.write(resized(block, picture_px=picture_px).tobytes())
    return path


def resized(pictures: NDArray[Any], *, picture_px: int) -> NDArray[np.uint8]:
    """Pictures (n, H, W, C) or (n, H, W) as (n, picture_px, picture_px, 3), each pixel the mean of what it covers.

    The whole picture is kept: a crop could lose the gripper, and a policy sees the same stretch when it acts.
    """
    if pictures.ndim == 3:
        pictures = pictures[..., np.newaxis]
    if pictures.shape[-1] == 1:
        pictures = np.repeat(pictures, 3, axis=-1)
    pictures = pictures[..., :3]
    height, width = pictures.shape[1:3]
    if (height, width) == (picture_px, picture_px):
        return np.ascontiguousarray(pictures, dtype=np.uint8)
    rows, columns = _shares(height, picture_px), _shares(width, picture_px)
    small = np.einsum("ph,nhwc->npwc", rows, pictures.astype(np.float32), optimize=True)
    small = np.einsum("qw,npwc->npqc", columns, small, optimize=True)
    return np.asarray(np.clip(np.rint(small), 0, 255), np.uint8)


def _shares(count: int, wanted: int) -> NDArray[np.float32]:
    """How much of each of `count` pixels lies in each of `wanted`, (wanted, count), rows sum to 1."""
    edges = np.linspace(0, count, wanted + 1)
    pixel = np.arange(count)
    cover = np.minimum(edges[1:, None], pixel + 1) - np.maximum(edges[:-1, None], pixel)
    share = np.clip(cover, 0, None)
    return np.asarray(share / share.sum(1, keepdims=True), np.float32)


def _key(episode: Episode, stream: Stream, ordinals: NDArray[np.int64], picture_px: int) -> str:
    digest = hashlib.sha256(f"feed-pictures-1|{picture_px}|{stream.name}|{episode.ref}".encode())
    digest.update(np.ascontiguousarray(stream.clock.places).tobytes())
    digest.update(np.ascontiguousarray(ordinals).tobytes())
    digest.update(probe_of(stream, ordinals))
    return digest.hexdigest()[:40]


def probe_of(stream: Stream, ordinals: NDArray[np.int64]) -> bytes:
    """SHA-256 of a few pictures' bytes, spread evenly over those asked for."""
    digest = hashlib.sha256()
    for place in np.unique(np.linspace(0, max(0, len(ordinals) - 1), _PROBES).astype(int)) if len(ordinals) else ():
        encoded = stream.pictures.encoded(int(ordinals[place]))
        digest.update(encoded.data if encoded else np.ascontiguousarray(stream.values[int(ordinals[place])]).tobytes())
    return digest.digest()
