"""Tests of pictures that stand alone: every depth and colour, and headers that lie."""

from __future__ import annotations

import struct
from fractions import Fraction

import av
import numpy as np
import pytest

from robokata.core.errors import DamagedData, TooLarge, Unsupported
from robokata.core.values import ArrayValues
from robokata.media.images import EncodedImages, RawImages, decode, probe

PNG = [("gray", (8, 10), "u1"), ("gray16be", (8, 10), "u2"), ("rgb24", (8, 10, 3), "u1"), ("rgba", (8, 10, 4), "u1")]
PNG += [("rgb48be", (8, 10, 3), "u2")]


def png(array: np.ndarray, form: str) -> bytes:
    frame = av.VideoFrame.from_ndarray(array, format=form)
    context = av.CodecContext.create("png", "w")
    context.width, context.height, context.pix_fmt, context.time_base = 10, 8, form, Fraction(1, 1)
    return b"".join(bytes(packet) for packet in [*context.encode(frame), *context.encode(None)])


@pytest.mark.parametrize(("form", "shape", "dtype"), PNG)
def test_a_png_keeps_its_depth_and_promises_the_shape_it_gives(form: str, shape: tuple[int, ...], dtype: str) -> None:
    array = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, shape).astype(dtype)
    data = png(array, form)
    pictures = EncodedImages(2, lambda i: data, where="camera")
    assert pictures[:].shape == pictures.shape
    assert pictures[0].dtype == pictures.dtype
    np.testing.assert_array_equal(pictures[0], array.reshape(8, 10, -1)[..., :3])
    assert [grid.shape for grid in pictures.luma(4)] == [(4, 3)] * 2


@pytest.mark.parametrize(
    ("data", "kind", "said"),
    [
        (b"", DamagedData, "neither JPEG nor PNG: the bytes start with nothing."),
        (b"hello", DamagedData, "neither JPEG nor PNG: the bytes start with 68 65 6c 6c 6f."),
        (b"\xff\xd8\xff", DamagedData, "the picture ends inside its header."),
        (b"RIFF0000WEBP", Unsupported, "a WebP picture; Robokata reads JPEG and PNG."),
    ],
)
def test_what_is_no_picture_is_told(data: bytes, kind: type[Exception], said: str) -> None:
    with pytest.raises(kind) as caught:
        decode(data, where="camera")
    assert str(caught.value) == f"camera: {said}"


def test_an_absurd_header_is_refused_before_decoding() -> None:
    head = b"\x89PNG\r\n\x1a\n" + b"\0\0\0\rIHDR"
    with pytest.raises(TooLarge) as caught:
        probe(head + struct.pack(">IIBB", 100_000, 100_000, 8, 2), where="camera")
    assert str(caught.value) == "camera: the picture's header claims 100000 x 100000 pixels."


def test_raw_pictures_without_pixels_look_like_nothing() -> None:
    pictures = RawImages(ArrayValues(np.zeros((2, 0, 0, 3), np.uint8)), where="camera")
    assert [grid.size for grid in pictures.luma(8)] == [0, 0]
