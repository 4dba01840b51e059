"""Cameras of LeRobot datasets whose videos come from every encoder, container and camera habit."""

from __future__ import annotations

import struct
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np
from numpy.typing import NDArray

from benchmarks.trust import lerobot_set
from benchmarks.trust.lerobot_set import CAMERA, Clip, LeRobotSet
from benchmarks.trust.oracles import decoded
from benchmarks.trust.truth import EpisodeTruth, Variant

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

from media import odd_videos as odd
from media.odd_videos import FRAMES, edit, encode, entry_box, name_entry, turn

Make = Callable[[Path], Path]
B = {"bf": "2", "b_strategy": "0"}
"""Frames that are shown in another order than they are decoded."""
LONG = {"g": "250"}
FRAGMENTS = "frag_keyframe+empty_moov+default_base_moof"


class Recipe(NamedTuple):
    """How one video file is made; its name is a file name."""

    file: str
    make: Make
    fps: float = 30
    info: Mapping[str, Any] = {}
    is_packed: bool = False
    """True where two episodes of LeRobot 3.0 share the file as well."""


def variants() -> Iterator[Variant]:
    """Every recipe as a camera of LeRobot 2.1, those that are packed as one of LeRobot 3.0 too; then colours."""
    for recipe in [*_h264(), *_codecs(), *_edits(), *_pixels(), *_rates(), *_tracks()]:
        for version in ("v2", "v3") if recipe.is_packed else ("v2",):
            name = f"video/lerobot_{version}/{recipe.file}"
            yield Variant(name, partial(_make, recipe, version), lerobot_set.read)
    for file, colour in COLOURS.items():
        recipe = Recipe(f"{file}.mp4", partial(_encode_colours, colour))
        yield Variant(f"video/lerobot_v2/{file}.mp4", partial(_make, recipe, "v2"), partial(_read_colours, colour))


def _make(recipe: Recipe, version: str, root: Path) -> Path:
    root.mkdir(parents=True)
    file = recipe.make(root / recipe.file)
    count = len(decoded(file))
    lengths = [count] if version == "v2" or count < 4 else [count // 2, count - count // 2]
    rng = np.random.default_rng(count)
    episodes = []
    for length in lengths:
        path = rng.normal(0, 1, (length + 1, 6)).astype(np.float32)
        episodes.append({"observation.state": path[:-1], "action": path[1:]})
    clips = [Clip(file, first) for first in (0, *np.cumsum(lengths[:-1]).tolist())]
    tasks = ("pick the cube", "öffne die Schublade")
    return lerobot_set.write(root, LeRobotSet(version, episodes, clips, recipe.fps, tasks, recipe.info))


def _h264() -> Iterator[Recipe]:
    for ending in ("mp4", "mov", "mkv"):
        for gop in (1, 2, 12, 250):
            yield Recipe(f"h264_gop{gop}.{ending}", partial(encode, g=str(gop)), is_packed=ending == "mp4")
            if gop > 2:
                yield Recipe(f"h264_gop{gop}_b.{ending}", partial(encode, g=str(gop), **B), is_packed=ending == "mp4")
        opened = {"x264-params": "open-gop=1", "g": "4", **B}
        yield Recipe(f"h264_open_gop.{ending}", partial(encode, **opened), is_packed=ending != "mov")
    for gop in (2, 250):
        yield Recipe(f"h264_fragments_gop{gop}.mp4", partial(encode, flags=FRAGMENTS, g=str(gop)), is_packed=True)
        yield Recipe(f"h264_fragments_gop{gop}_b.mp4", partial(encode, flags=FRAGMENTS, g=str(gop), **B))
    yield Recipe("h264_faststart_b.mp4", partial(encode, flags="faststart", **B), is_packed=True)
    yield Recipe("h264_pyramid.mp4", partial(encode, bf="3", b_strategy="0", b_pyramid="normal"))
    yield Recipe("h264_refresh.mp4", partial(encode, **LONG, **{"x264-params": "intra-refresh=1"}))
    yield Recipe("h264_gop12.avi", partial(encode, g="12"))
    yield Recipe("h264_avc3.mp4", lambda f: name_entry(encode(f, **B), b"avc3"))


def _codecs() -> Iterator[Recipe]:
    for ending in ("mp4", "mov", "mkv"):
        for gop in (1, 12):
            settings = partial(encode, codec="libx265", g=str(gop))
            yield Recipe(f"h265_gop{gop}.{ending}", settings, is_packed=ending == "mp4")
        yield Recipe(f"h265_b.{ending}", partial(encode, codec="libx265", **B), is_packed=ending == "mp4")
    yield Recipe("h265_hev1.mp4", lambda f: name_entry(encode(f, codec="libx265", **B), b"hev1"))
    for ending in ("mp4", "mkv", "webm"):
        for gop in (2, 12):
            settings = partial(encode, codec="libsvtav1", preset="12", g=str(gop))
            yield Recipe(f"av1_gop{gop}.{ending}", settings, is_packed=ending == "mp4")
        yield Recipe(f"vp9.{ending}", partial(encode, codec="libvpx-vp9"), is_packed=ending == "mp4")
    hidden = {"auto-alt-ref": "1", "lag-in-frames": "10"}
    yield Recipe("vp9_hidden_frames.webm", partial(encode, codec="libvpx-vp9", **hidden))
    yield Recipe("vp8.webm", partial(encode, codec="libvpx"))
    for ending in ("mp4", "mov", "avi", "mkv"):
        yield Recipe(f"mpeg4.{ending}", partial(encode, codec="mpeg4"), is_packed=ending == "mp4")
        yield Recipe(f"mpeg4_b.{ending}", partial(encode, codec="mpeg4", **B), is_packed=ending == "mp4")
    for ending in ("mp4", "mov", "avi", "mkv"):
        yield Recipe(f"mjpeg.{ending}", partial(encode, codec="mjpeg", pixels="yuvj420p"))
    yield Recipe("mpeg2_b.mp4", partial(encode, codec="mpeg2video", **B))
    yield Recipe("ffv1.mkv", partial(encode, codec="ffv1"))
    yield Recipe("prores.mov", partial(encode, codec="prores_ks", pixels="yuv422p10le"))
    yield Recipe("png.mov", partial(encode, codec="png", pixels="rgb24"))


def _edits() -> Iterator[Recipe]:
    yield Recipe("edit_hides_key.mp4", lambda f: edit(encode(f, **LONG), (1, FRAMES - 1)), is_packed=True)
    yield Recipe("edit_hides_key_b.mp4", lambda f: edit(encode(f, **LONG, **B), (1, FRAMES - 1)), is_packed=True)
    yield Recipe("edit_hides_ends.mp4", lambda f: edit(encode(f, **B), (4, FRAMES - 5)))
    yield Recipe("edit_hides_ends.mov", lambda f: edit(encode(f), (4, FRAMES - 5)))
    yield Recipe("edit_delays.mp4", lambda f: edit(encode(f, **B), (None, 6), (0, FRAMES)))
    yield Recipe("edit_two_spans.mp4", lambda f: edit(encode(f, **B), (0, 4), (8, 4)))
    yield Recipe("edit_repeats.mp4", lambda f: edit(encode(f, **B), (0, 6), (0, 6)))
    yield Recipe("edit_swaps.mp4", lambda f: edit(encode(f), (6, 6), (0, 6)))
    for angle, matrix in ((90, odd.QUARTER_TURN), (180, odd.HALF_TURN), (270, odd.THREE_QUARTERS)):
        yield Recipe(f"turned_{angle}.mp4", lambda f, m=matrix: turn(encode(f), m), is_packed=True)  # type: ignore[misc]
    yield Recipe("turned_90_h265.mov", lambda f: turn(encode(f, codec="libx265", **B), odd.QUARTER_TURN))
    yield Recipe("mirrored.mp4", lambda f: turn(encode(f), odd.MIRROR))
    yield Recipe("turned_movie.mp4", lambda f: turn(encode(f), odd.QUARTER_TURN, whole_movie=True))
    yield Recipe("turned_hides_key.mp4", lambda f: turn(edit(encode(f, **LONG, **B), (1, FRAMES - 1)), odd.HALF_TURN))
    yield Recipe("aperture.mp4", lambda f: entry_box(encode(f), b"clap", struct.pack(">8I", 64, 1, 48, 1, 0, 1, 0, 1)))
    yield Recipe("wide_pixels.mp4", lambda f: entry_box(encode(f), b"pasp", struct.pack(">II", 4, 3)))
    yield Recipe("colours_of_container.mp4", lambda f: entry_box(encode(f), b"colr", _nclx(0x80)))
    yield Recipe("h265_colours_of_container.mp4", lambda f: entry_box(encode(f, codec="libx265"), b"colr", _nclx(0)))
    yield Recipe("mpeg4_colours_of_container.mp4", lambda f: entry_box(encode(f, codec="mpeg4"), b"colr", _nclx(0x80)))


def _nclx(range_flag: int) -> bytes:
    return b"nclx" + struct.pack(">HHHB", 1, 1, 1, range_flag)


def _pixels() -> Iterator[Recipe]:
    for pixels in ("yuv420p10le", "yuv422p", "yuv444p", "yuv422p10le", "gray"):
        yield Recipe(f"h264_{pixels}.mp4", partial(encode, pixels=pixels), is_packed=pixels == "yuv420p10le")
    for pixels in ("yuv420p10le", "yuv420p12le", "gray", "gray10le", "gray12le", "gbrp"):
        yield Recipe(f"h265_{pixels}.mp4", partial(encode, codec="libx265", pixels=pixels), is_packed="12" in pixels)
    lossless = {"x265-params": "lossless=1:pools=none:frame-threads=1:log-level=none"}
    depth = {"video.codec": "hevc", "video.pix_fmt": "gray12le", "is_depth_map": True, "has_audio": False}
    depth |= {"video.depth_min": 0.01, "video.depth_max": 10.0, "video.shift": 3.5, "video.use_log": True}
    yield Recipe("depth_12_bits.mp4", partial(encode, codec="libx265", pixels="gray12le", **lossless), info=depth)
    yield Recipe("av1_10_bits.mp4", partial(encode, codec="libsvtav1", pixels="yuv420p10le", preset="12"))
    yield Recipe("vp9_444.webm", partial(encode, codec="libvpx-vp9", pixels="yuv444p"))
    yield Recipe("ffv1_gray16.mkv", partial(encode, codec="ffv1", pixels="gray16le"))
    for codec, size in (("libx264", (78, 62)), ("libx265", (78, 66)), ("libsvtav1", (66, 70)), ("mpeg4", (74, 50))):
        yield Recipe(f"{codec}_{size[0]}x{size[1]}.mp4", partial(encode, codec=codec, size=size), is_packed=True)
    yield Recipe("h264_75x61.mp4", partial(encode, size=(75, 61), pixels="yuv444p"))
    yield Recipe("h264_16x16.mp4", partial(encode, size=(16, 16)))


def _rates() -> Iterator[Recipe]:
    for words, rate in (("10", 10), ("24", 24), ("25", 25), ("50", 50), ("60", 60)):
        yield Recipe(f"rate_{words}.mp4", partial(encode, ticks=Fraction(1, rate), **B), fps=rate, is_packed=True)
    ntsc = Fraction(1001, 30000)
    yield Recipe("rate_29_97.mp4", partial(encode, ticks=ntsc), fps=30000 / 1001, is_packed=True)
    uneven = [0, 1, 2, 5, 6, 10, 11, 12, 20, 21, 22, 30]
    for ending in ("mp4", "mkv"):
        settings = partial(encode, stamps=uneven, ticks=Fraction(1, 90), **B)
        yield Recipe(f"uneven.{ending}", settings)
        yield Recipe(f"late_start.{ending}", partial(encode, stamps=list(range(100, 100 + FRAMES)), **B))
    fine = [333333 * n for n in range(FRAMES)]
    yield Recipe("fine_ticks.mp4", partial(encode, stamps=fine, ticks=Fraction(1, 10_000_000)))
    yield Recipe("one_frame.mp4", partial(encode, frames=1))
    yield Recipe("two_frames_b.mkv", partial(encode, frames=2, **B))


def _tracks() -> Iterator[Recipe]:
    yield Recipe("sound.mp4", partial(encode, tracks=["sound"], **B), is_packed=True)
    yield Recipe("sound_first.mp4", partial(encode, tracks=["sound"], sound_first=True))
    yield Recipe("sound.mkv", partial(encode, tracks=["sound"]))
    yield Recipe("sound.mov", partial(encode, tracks=["sound"]))
    yield Recipe("second_video.mp4", partial(encode, tracks=["video"]))


# -- colours, computed from the planes by hand ---------------------------------------------------------------------


class Colour(NamedTuple):
    """What the stream itself says of its colours."""

    codec: str
    matrix: int
    """ISO 23091-2 matrix coefficients: 1 BT.709, 6 BT.601, 9 BT.2020."""
    is_full: bool


COLOURS = {
    f"colour_{codec.removeprefix('lib')}_{name}_{'full' if is_full else 'limited'}": Colour(codec, matrix, is_full)
    for codec in ("libx264", "libx265")
    for name, matrix in (("bt709", 1), ("bt601", 6), ("bt2020", 9))
    for is_full in (False, True)
}
_LUMA_SHARES = {1: (0.2126, 0.0722), 6: (0.299, 0.114), 9: (0.2627, 0.0593)}
"""Shares of red and blue in the brightness: ITU-R BT.709-6, BT.601-7, BT.2020-2."""


def _encode_colours(colour: Colour, path: Path) -> Path:
    """Slopes without edges, so that how colours between samples are found does not matter."""
    options = {"x265-params": "pools=none:frame-threads=1:log-level=none:ctu=32"} if "265" in colour.codec else {}
    with av.open(str(path), "w") as out:
        stream: Any = out.add_stream(colour.codec, rate=30, options={"crf": "8", "bf": "0", **options})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        context = stream.codec_context
        context.colorspace, context.color_range = colour.matrix, 2 if colour.is_full else 1
        for number in range(10):
            planes = [np.linspace(40 + 4 * number, 200, 64)[None] + np.zeros((48, 1))]
            planes += [np.linspace(90, 160, 24)[:, None] + np.zeros((1, 32)), np.full((24, 32), 100 + 5 * number)]
            flat = np.concatenate([plane.astype(np.uint8).ravel() for plane in planes]).reshape(72, 64)
            frame = av.VideoFrame.from_ndarray(flat, format="yuv420p")
            frame.colorspace, frame.color_range = colour.matrix, 2 if colour.is_full else 1
            frame.pts, frame.time_base = number, Fraction(1, 30)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def _read_colours(colour: Colour, path: Path) -> list[EpisodeTruth]:
    (truth,) = lerobot_set.read(path)
    (file,) = (path / "videos").rglob("*.mp4")
    with av.open(str(file)) as container:
        pictures = [_colours(colour, frame) for frame in container.decode(video=0)]
    camera = replace(truth.streams[CAMERA], pictures=pictures, within_levels=6)
    return [replace(truth, streams={**truth.streams, CAMERA: camera})]


def _colours(colour: Colour, frame: Any) -> NDArray[np.uint8]:
    flat = frame.to_ndarray(format="yuv420p").astype(float)
    height, width = frame.height, frame.width
    luma = flat[:height]
    rest = flat[height:].reshape(2, height // 2, width // 2)
    blue, red = (plane.repeat(2, 0).repeat(2, 1) - 128 for plane in rest)
    if not colour.is_full:
        luma, blue, red = (luma - 16) * 255 / 219, blue * 255 / 224, red * 255 / 224
    share_r, share_b = _LUMA_SHARES[colour.matrix]
    r, b = luma + 2 * (1 - share_r) * red, luma + 2 * (1 - share_b) * blue
    g = (luma - share_r * r - share_b * b) / (1 - share_r - share_b)
    return np.clip(np.rint(np.stack([r, g, b], -1)), 0, 255).astype(np.uint8)
