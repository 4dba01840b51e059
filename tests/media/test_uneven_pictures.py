"""Pictures whose size, channels or orientation change or lie: PIL and OpenCV say what is right."""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from robokata.core.clock import step_clock
from robokata.core.declared import picture_declarations
from robokata.core.errors import OtherPicture
from robokata.core.layout import Way, way_of_pixels
from robokata.core.stream import Kind, Role, Stream
from robokata.media.images import EncodedImages, decode
from robokata.media.luma_summary import glance
from robokata.media.packets import VideoPackets
from robokata.media.video import VideoFrames


def scene(width: int = 64, height: int = 48) -> NDArray[np.uint8]:
    y, x = np.mgrid[:height, :width]
    return np.stack([x * 3, y * 4, (x + y) * 2], axis=-1).astype(np.uint8)


def packed(mode: str = "RGB", form: str = "JPEG", *, size: tuple[int, int] = (64, 48), turn: int = 1) -> bytes:
    exif, out = Image.Exif(), io.BytesIO()
    exif[0x112] = turn
    about = {"exif": exif.tobytes()} if turn != 1 else {}
    Image.fromarray(scene(*size)).convert(mode).save(out, form, quality=95, **about)
    return out.getvalue()


def camera(*pictures: bytes) -> EncodedImages:
    return EncodedImages(len(pictures), pictures.__getitem__, where="cam")


@pytest.mark.parametrize(
    ("last", "words"),
    [
        (packed(size=(320, 240)), "320 x 240, channels: 3, bits: 8"),
        (packed("L"), "64 x 48, channels: 1, bits: 8"),
        (packed("I;16", "PNG"), "64 x 48, channels: 1, bits: 16"),
    ],
)
def test_a_picture_that_is_not_like_the_first_is_refused_however_it_is_asked_for(last: bytes, words: str) -> None:
    pictures = camera(packed(), packed(), last)
    for ask in (lambda: pictures[2], lambda: pictures[:], lambda: pictures.encoded(2), lambda: list(pictures.luma(48))):
        with pytest.raises(OtherPicture) as caught:
            ask()
        assert f"cam, picture 2: the picture is {words}; the first of the stream is 64 x 48" in str(caught.value)
    assert (len(glance(pictures).grids), glance(pictures).is_uneven) == (2, True)


def test_sizes_that_thin_to_one_grid_are_still_two_sizes() -> None:
    pictures = camera(packed(size=(640, 480)), packed(size=(320, 240)))
    assert glance(pictures).is_uneven


@pytest.mark.parametrize("mode", ["CMYK", "P", "RGBA", "L", "1", "LA"])
def test_colours_are_those_of_pil(mode: str) -> None:
    data = packed(mode, "JPEG" if mode == "CMYK" else "PNG")
    wanted = np.asarray(Image.open(io.BytesIO(data)).convert("L" if mode in ("L", "1", "LA") else "RGB"))
    assert np.abs(decode(data, where="cam").squeeze().astype(int) - wanted.astype(int)).max() <= 1


@pytest.mark.parametrize(("turn", "words"), [(3, "turned by 180 degrees"), (6, "turned by 90 degrees clockwise")])
def test_a_turn_that_exif_asks_for_is_told_and_not_done(turn: int, words: str) -> None:
    data = packed(turn=turn)
    pictures = camera(data, data)
    np.testing.assert_allclose(pictures[0].astype(int), np.asarray(Image.open(io.BytesIO(data))).astype(int), atol=1)
    # OpenCV turns, which is why loaders differ.
    assert (cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR).shape[0] == 64) == (turn == 6)
    assert way_of_pixels(pictures.media(), "") == (
        Way.NARROWED,
        f"EXIF asks viewers to show it {words}, which is not done",
    )
    stream = Stream("cam", Kind.IMAGE, Role.CAMERA, step_clock(2), pictures)
    (stated,) = picture_declarations(stream)
    assert (stated.subject, stated.declared, stated.found) == ("orientation", words, "as the pixels lie")


def annex_b(size: tuple[int, int], count: int = 6) -> list[bytes]:
    context = av.CodecContext.create("libx264", "w")
    context.width, context.height, context.pix_fmt, context.time_base = *size, "yuv420p", Fraction(1, 10)
    context.options = {"tune": "zerolatency", "preset": "ultrafast"}
    frames = [av.VideoFrame.from_ndarray(scene(*size), format="rgb24") for _ in range(count)]
    for number, frame in enumerate(frames):
        frame.pts = number
    packets = [p for frame in frames for p in context.encode(frame.reformat(format="yuv420p"))]
    return [bytes(p) for p in [*packets, *context.encode(None)]]


def test_a_video_of_messages_whose_size_changes_is_refused_where_it_changes() -> None:
    packets = annex_b((64, 48)) + annex_b((128, 96))
    pictures = VideoPackets(len(packets), packets.__getitem__, codec="h264", where="/camera")
    assert pictures[:6].shape == (6, 48, 64, 3)
    with pytest.raises(
        OtherPicture, match="picture 6: the picture is 128 x 96, channels: 3, bits: 8; those of the stream are 64 x 48"
    ):
        pictures[6]
    assert glance(pictures).is_uneven


def test_a_video_file_whose_size_changes_is_refused_where_it_changes(tmp_path: Path) -> None:
    path = tmp_path / "grown.ts"
    with av.open(str(path), "w", format="mpegts") as out:
        track = out.add_stream("libx264", rate=10)
        track.width, track.height = 64, 48
        for number, data in enumerate(annex_b((64, 48)) + annex_b((128, 96))):
            packet = av.Packet(data)
            packet.stream, packet.pts, packet.dts, packet.time_base = track, number, number, Fraction(1, 10)
            packet.is_keyframe = number in (0, 6)
            out.mux(packet)
    pictures = VideoFrames(path, 12)
    # Which of the two sizes FFmpeg calls the stream's is its own business: the other one is refused.
    sizes = {48: 7, 96: 0}
    with pytest.raises(OtherPicture, match="those of the stream are"):
        pictures[sizes[pictures.shape[1]]]
    assert glance(pictures).is_uneven
