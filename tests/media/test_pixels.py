"""Pixel formats of videos: grey keeps its levels, colours become 8 bits and say so."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from makers.foreign_cameras import encode
from robokata.media.pixels import frame_pixels, pixel_layout
from robokata.media.video import VideoFrames


@pytest.mark.parametrize(
    ("name", "channels", "dtype", "left_out"),
    [
        ("yuv420p", 3, np.uint8, None),
        ("yuvj444p", 3, np.uint8, None),
        ("yuv420p10le", 3, np.uint8, "10 bits per colour become 8"),
        ("gbrp12le", 3, np.uint8, "12 bits per colour become 8"),
        ("yuva420p", 3, np.uint8, "transparency is left out"),
        ("pal8", 3, np.uint8, None),
        ("gray", 1, np.uint8, None),
        ("gray10le", 1, np.uint16, None),
        ("gray16be", 1, np.uint16, None),
        ("grayf32le", 1, np.float32, None),
        ("no such format", 3, np.uint8, None),
    ],
)
def test_a_format_decides_channels_type_and_what_is_left_out(
    name: str, channels: int, dtype: type, left_out: str | None
) -> None:
    layout = pixel_layout(name)
    assert (layout.channels, layout.dtype, layout.left_out) == (channels, dtype, left_out)


@pytest.mark.parametrize(("pixels", "levels"), [("gray10le", 1024), ("gray12le", 4096), ("gray16le", 65536)])
def test_grey_levels_of_more_than_8_bits_come_out_as_they_went_in(tmp_path: Path, pixels: str, levels: int) -> None:
    wanted = np.linspace(0, levels - 1, 64 * 96).reshape(64, 96).astype(np.uint16)
    encode(tmp_path / "a.mkv", [wanted] * 3, codec="ffv1", pixels=pixels, source=pixels)
    frames = VideoFrames(tmp_path / "a.mkv", 3, shape=(48, 48, 3))
    assert (frames.shape, frames.dtype) == ((3, 64, 96, 1), np.uint16)
    np.testing.assert_array_equal(frames[1][..., 0], wanted)
    assert frames.media().left_out is None


def test_codes_in_the_brightness_of_a_colour_format_are_not_stretched_to_full_range() -> None:
    wanted = np.arange(16, 80, dtype=np.uint8).reshape(8, 8).repeat(2, 0).repeat(2, 1)
    planes = np.concatenate([wanted.ravel(), np.full(128, 128, np.uint8)]).reshape(24, 16)
    frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
    np.testing.assert_array_equal(frame_pixels(frame, is_depth=True)[..., 0], wanted)
    assert frame_pixels(frame).shape == (16, 16, 3)


def test_ten_bit_colours_are_those_that_ffmpeg_converts_to_8(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 255, (64, 96, 3), np.uint8)] * 3
    encode(tmp_path / "a.mp4", pictures, codec="libx264", pixels="yuv420p10le")
    frames = VideoFrames(tmp_path / "a.mp4", 3)
    with av.open(str(tmp_path / "a.mp4")) as container:
        shown = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    np.testing.assert_array_equal(frames[:], np.stack(shown))
    assert (frames.media().bits, frames.media().left_out) == (10, "10 bits per colour become 8")
