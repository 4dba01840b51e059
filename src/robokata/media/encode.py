"""Pictures into video files."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robokata.core.errors import Unsupported
from robokata.core.require import require
from robokata.media.scheduling import ordinary_scheduling

_LEAST_X265 = 64
"""Pixels: x265 breaks the heap with many smaller sizes (40x40 and 48x200 among them), whatever its settings."""
JPEG_QUALITY = 95
"""Of 100, without subsampling of colour: a second generation then costs some 45 dB, below the first one's own loss."""


class VideoWriter:
    """An open video file that takes pictures one by one. A class, because an encoder has a state.

    The defaults are LeRobot's own (`libsvtav1`, yuv420p, g=2, crf=30): what its users' files look like.
    """

    def __init__(
        self,
        path: Path,
        *,
        rate_hz: Fraction,
        codec: str = "libsvtav1",
        gop: int = 2,
        crf: int = 30,
        threads: int = 0,
    ) -> None:
        self.path, self.rate_hz, self.codec, self.gop, self.crf = path, rate_hz, codec, gop, crf
        self.threads = threads
        self.count = 0
        self._av = require("av", extra="video")
        # SVT-AV1 prints its settings to stderr unless told not to, before any callback can be set.
        os.environ.setdefault("SVT_LOG", "1")
        self._container = self._av.open(str(path), "w")
        self._stream: Any = None

    @property
    def size_bytes(self) -> int:
        """Bytes written so far; what the encoder still holds is not among them."""
        return self.path.stat().st_size if self.path.exists() else 0

    def add(self, picture: NDArray[Any]) -> None:
        """Append one picture, (H, W, 3) or (H, W, 1) uint8; the first one decides the size.

        Raises:
            Unsupported: the encoder is not in this build of PyAV, or refuses the size.
        """
        if picture.shape[-1] == 1:
            picture = np.repeat(picture, 3, axis=-1)
        if self._stream is None:
            self._stream = _open_stream(self._av, self._container, picture, self)
        frame = self._av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
        frame.pts = self.count
        frame.time_base = 1 / self.rate_hz
        if self.count == 0:
            with ordinary_scheduling():  # the encoder starts with its first picture
                packets = self._stream.encode(frame)
        else:
            packets = self._stream.encode(frame)
        self._container.mux(packets)
        self.count += 1

    def close(self) -> None:
        """Finish the file; without this it cannot be opened."""
        if self._stream is not None:
            self._container.mux(self._stream.encode(None))
        self._container.close()


def encode_video(
    path: Path,
    pictures: Iterable[NDArray[Any]],
    *,
    rate_hz: Fraction,
    codec: str = "libsvtav1",
    gop: int = 2,
    crf: int = 30,
    threads: int = 0,
) -> int:
    """Write pictures (H, W, 3) uint8 as one video, frame i at time i / rate; returns the number of frames.

    Raises:
        Unsupported: the encoder is not in this build of PyAV, or refuses the size.
    """
    writer = VideoWriter(path, rate_hz=rate_hz, codec=codec, gop=gop, crf=crf, threads=threads)
    for picture in pictures:
        writer.add(picture)
    writer.close()
    return writer.count


def encode_png(picture: NDArray[Any]) -> bytes:
    """One picture as PNG, every pixel kept: (H, W), (H, W, 1) or (H, W, 3), uint8 or uint16.

    Raises:
        Unsupported: another shape or type.
    """
    av = require("av", extra="video")
    formats = {(1, "uint8"): "gray", (3, "uint8"): "rgb24", (1, "uint16"): "gray16be", (3, "uint16"): "rgb48be"}
    height, width, depth = picture.shape if picture.ndim == 3 else (*picture.shape, 1)
    name = formats.get((depth, picture.dtype.name))
    if name is None:
        raise Unsupported(f"PNG holds no {picture.dtype}{list(picture.shape)} pictures.")
    rows = picture[..., 0] if picture.ndim == 3 and depth == 1 else picture
    context = av.CodecContext.create("png", "w")
    context.width, context.height, context.pix_fmt = width, height, name
    context.time_base = Fraction(1, 30)
    # 16 bits per channel in the machine's order in, as the file wants them out.
    frame = av.VideoFrame.from_ndarray(
        np.ascontiguousarray(rows), format=name.replace("16be", "16le").replace("8be", "8le")
    )
    frame = frame if frame.format.name == name else frame.reformat(format=name)
    frame.pts = 0
    return b"".join(bytes(packet) for packet in [*context.encode(frame), *context.encode(None)])


def measured_psnr_db(
    pictures: Sequence[NDArray[Any]], *, rate_hz: Fraction, codec: str, gop: int, crf: int
) -> float | None:
    """What encoding costs, in dB over all pixels of pictures (H, W, C) uint8; None where nothing changes.

    Raises:
        Unsupported: the encoder is not in this build of PyAV, or refuses the size.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "sample.mp4"
        encode_video(file, pictures, rate_hz=rate_hz, codec=codec, gop=gop, crf=crf, threads=1)
        with require("av", extra="video").open(str(file)) as container:
            shown = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    squares = [np.mean((before.astype(np.float64) - after) ** 2) for before, after in zip(pictures, shown, strict=True)]
    error = float(np.mean(squares)) if squares else 0.0
    return None if error == 0 else float(10 * np.log10(255.0**2 / error))


def _open_stream(av: Any, container: Any, picture: NDArray[Any], wanted: VideoWriter) -> Any:
    height, width = picture.shape[:2]
    options = {"g": str(wanted.gop), "crf": str(wanted.crf)}
    if wanted.codec == "libx264":
        # Closed GOPs of a fixed length: a packed video can later be cut at every one of them.
        # mbtree: in small pictures it reads memory that nobody wrote, and 1 file in 50 came out different; it is worth
        # up to a tenth of the size.
        options |= {"sc_threshold": "0", "preset": "veryfast", "mbtree": "0"}
    if wanted.codec == "libx265":
        if min(height, width) < _LEAST_X265:
            raise Unsupported(
                f"libx265 writes past its own memory for pictures of {width}x{height}: it needs {_LEAST_X265} pixels "
                "each way. Choose libsvtav1 or libx264."
            )
        # Its threads race on small pictures: 1 file in 50 had frames with blocks of their neighbours. In pictures of
        # one coding tree unit (64 pixels) it reads memory that nobody wrote, and 1 file in 30 could not be made out.
        # With B-frames, clips of one or two frames get a decoding time out of such memory, and 1 in 14 could not be
        # written; without them a file is 13 to 40 % larger, and 0.3 to 2 dB better.
        tree = ":ctu=32" if min(height, width) == _LEAST_X265 else ""
        options |= {"x265-params": f"pools=none:frame-threads=1:bframes=0:log-level=none{tree}"}
    if wanted.codec == "libsvtav1":
        options |= {"preset": "10"}
    try:
        stream = container.add_stream(wanted.codec, rate=wanted.rate_hz, options=options)
    except (av.error.FFmpegError, ValueError) as error:
        raise Unsupported(f"this build of PyAV cannot encode {wanted.codec!r} at {width}x{height}: {error}.") from None
    stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
    stream.codec_context.thread_count = wanted.threads
    return stream


def encode_jpeg(picture: NDArray[Any]) -> bytes:
    """One picture, (H, W, 3) or (H, W, 1) uint8, as JPEG."""
    simplejpeg = require("simplejpeg", extra="images")
    colour, sampling = ("GRAY", "Gray") if picture.shape[-1] == 1 else ("RGB", "444")
    data = simplejpeg.encode_jpeg(
        np.ascontiguousarray(picture), quality=JPEG_QUALITY, colorspace=colour, colorsubsampling=sampling
    )
    return bytes(data)
