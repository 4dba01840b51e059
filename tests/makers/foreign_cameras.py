"""LeRobot datasets whose cameras are encoded by others: any codec, pixel format, size and declaration."""

from __future__ import annotations

import json
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from makers import lerobot_v3
from makers._lerobot_parts import CAMERAS, RATE_HZ, write_json

FRONT = CAMERAS[0]
DEPTH_INFO = {
    "video.codec": "hevc",
    "video.pix_fmt": "gray12le",
    "is_depth_map": True,
    "has_audio": False,
    "video.depth_min": 0.01,
    "video.depth_max": 10.0,
    "video.shift": 3.5,
    "video.use_log": True,
}
_OPTIONS = {"libx265": {"x265-params": "lossless=1:pools=none:frame-threads=1:log-level=none:bframes=0"}}


def encode(
    path: Path, pictures: Sequence[NDArray[Any]], *, codec: str, pixels: str, source: str = "rgb24", sound: bool = False
) -> None:
    """A video file, with a second of a tone as its sound track where that is asked."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=Fraction(RATE_HZ), options=_OPTIONS.get(codec, {}))
        stream.height, stream.width, stream.pix_fmt = *pictures[0].shape[:2], pixels
        track = container.add_stream("aac", rate=16000, layout="mono") if sound else None
        for number, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, format=source)
            frame.pts, frame.time_base = number, Fraction(1, RATE_HZ)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if track is not None:
            tone = (8000 * np.sin(np.arange(16000) * 0.17)).astype(np.int16)[None]
            heard = av.AudioFrame.from_ndarray(tone, format="s16", layout="mono")
            heard.sample_rate, heard.pts = 16000, 0
            container.mux(track.encode(heard))
            container.mux(track.encode(None))


def make(
    root: Path,
    pictures: Sequence[NDArray[Any]],
    *,
    codec: str = "libx264",
    pixels: str = "yuv420p",
    source: str = "rgb24",
    sound: bool = False,
    shape: Sequence[int] | None = None,
    info: dict[str, Any] | None = None,
) -> Path:
    """Two episodes; the front camera's packed video holds `pictures`, half of them each; it is declared as told."""
    path = lerobot_v3.make(root, episodes=2, steps=len(pictures) // 2)
    (file,) = (path / "videos" / FRONT).glob("**/*.mp4")
    encode(file, pictures, codec=codec, pixels=pixels, source=source, sound=sound)
    told = json.loads((path / "meta/info.json").read_text())
    height, width, channels = (*pictures[0].shape, 1)[:3]
    feature = {"dtype": "video", "shape": list(shape or (height, width, channels)), "info": info or {}}
    told["features"][FRONT] = {**feature, "names": ["height", "width", "channels"]}
    write_json(path / "meta/info.json", told)
    return path


def distances(count: int = 20, *, height: int = 64, width: int = 96) -> tuple[list[NDArray[np.uint16]], NDArray[Any]]:
    """12-bit codes of a slope that moves away, and the metres that they stand for."""
    slope = np.linspace(0.3, 4.0, height * width).reshape(height, width)
    metres = np.stack([slope + 0.02 * number for number in range(count)])
    low, high = np.log(0.01 + 3.5), np.log(10.0 + 3.5)
    codes = np.rint((np.log(metres + 3.5) - low) / (high - low) * 4095).astype(np.uint16)
    return list(codes), metres


def depth(root: Path) -> Path:
    """A depth camera as LeRobot 0.6 writes it: 12-bit grey in lossless H.265, the mapping in info.json."""
    codes, _ = distances()
    settings = {"codec": "libx265", "pixels": "gray12le", "source": "gray12le", "shape": (64, 96, 1)}
    return make(root, codes, info=DEPTH_INFO, **settings)  # type: ignore[arg-type]  # settings of two types
