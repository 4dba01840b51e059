"""Video files as cameras, phones and editors write them, tiny: encoded by FFmpeg's encoders, then odd boxes by hand."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

FRAMES = 12
WIDTH, HEIGHT = 80, 64
RATE_HZ = Fraction(30)
ONE = 1 << 16
QUARTER_TURN = (0, ONE, 0, -ONE, 0, 0, HEIGHT << 16, 0, 1 << 30)
HALF_TURN = (-ONE, 0, 0, 0, -ONE, 0, WIDTH << 16, HEIGHT << 16, 1 << 30)
THREE_QUARTERS = (0, -ONE, 0, ONE, 0, 0, 0, WIDTH << 16, 1 << 30)
MIRROR = (-ONE, 0, 0, 0, ONE, 0, WIDTH << 16, 0, 1 << 30)


def picture(number: int, *, height: int = HEIGHT, width: int = WIDTH) -> NDArray[np.uint8]:
    """A colour gradient with a bar that moves: no two pictures are alike, in any codec."""
    out = np.empty((height, width, 3), np.uint8)
    out[..., 0] = np.linspace(30, 220, width)
    out[..., 1] = np.linspace(200, 40, height)[:, None]
    out[..., 2] = 60 + 9 * number
    out[:, 5 * number : 5 * number + 6] = (250, 240, 10)
    return out


def shown(path: Path) -> list[NDArray[np.uint8]]:
    """Every picture that FFmpeg shows of a file, by PyAV alone."""
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


_QUIET = {"x265-params": "pools=none:frame-threads=1:log-level=none:ctu=32"}


def encode(
    path: Path,
    *,
    codec: str = "libx264",
    frames: int = FRAMES,
    size: tuple[int, int] = (WIDTH, HEIGHT),
    pixels: str = "yuv420p",
    stamps: Sequence[int] | None = None,
    ticks: Fraction = 1 / RATE_HZ,
    flags: str = "",
    tracks: Sequence[str] = (),
    sound_first: bool = False,
    setup: Callable[[Any], None] = lambda stream: None,
    form: str | None = None,
    first: int = 0,
    **options: str,
) -> Path:
    """A video of `frames` pictures; `tracks` beside it: sound, text, video."""
    asked = {"g": "6", "bf": "0", **(_QUIET if codec == "libx265" else {}), **options}
    with av.open(str(path), "w", format=form, options={"movflags": flags} if flags else {}) as out:
        others = [_add_track(out, kind) for kind in tracks] if sound_first else []
        stream: Any = out.add_stream(codec, rate=RATE_HZ, options=asked)
        stream.width, stream.height, stream.pix_fmt = *size, pixels
        stream.codec_context.time_base = ticks
        setup(stream)
        others = others or [_add_track(out, kind) for kind in tracks]
        for finish in others:
            finish()
        for number in range(frames):
            frame = av.VideoFrame.from_ndarray(picture(first + number, height=size[1], width=size[0]), format="rgb24")
            if frame.format.name != pixels:
                frame = frame.reformat(format=pixels)
            frame.pts, frame.time_base = number if stamps is None else stamps[number], ticks
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def _add_track(out: Any, kind: str) -> Callable[[], None]:
    if kind == "video":
        second = out.add_stream("mpeg4", rate=RATE_HZ)
        second.width, second.height, second.pix_fmt = 32, 32, "yuv420p"

        def film() -> None:
            for number in range(FRAMES):
                frame = av.VideoFrame.from_ndarray(np.full((32, 32, 3), 9 * number, np.uint8), format="rgb24")
                frame.pts, frame.time_base = number, 1 / RATE_HZ
                out.mux(second.encode(frame))
            out.mux(second.encode(None))

        return film
    if kind == "text":
        text = out.add_stream("mov_text")
        text.time_base = Fraction(1, 1000)

        def write() -> None:
            packet = av.Packet(struct.pack(">H", 5) + b"grasp")
            packet.stream, packet.time_base = text, Fraction(1, 1000)
            packet.pts = packet.dts = 0
            packet.duration = 300
            out.mux(packet)

        return write
    sound = out.add_stream("aac" if kind == "sound" else kind, rate=16000)

    def play() -> None:
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 6400), np.float32), format="fltp", layout="mono")
        frame.sample_rate, frame.pts = 16000, 0
        out.mux(sound.encode(frame))
        out.mux(sound.encode(None))

    return play


# -- boxes by hand -----------------------------------------------------------------------------------------------

_FOLDERS = (b"moov", b"trak", b"edts", b"mdia", b"minf", b"stbl")


def box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), kind) + content


def boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 0
    while at + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        head = 8
        if size == 1:
            size, head = struct.unpack_from(">Q", data, at + 8)[0], 16
        yield kind, data[at + head : at + size]
        at += size


def change(path: Path, changes: dict[bytes, Callable[[bytes], bytes]]) -> Path:
    """The file with other contents of some boxes of `moov`, which lies at its end."""
    data = path.read_bytes()
    at = data.rindex(b"moov") - 4
    path.write_bytes(data[:at] + b"".join(_changed(kind, c, changes) for kind, c in boxes(data[at:])))
    return path


def _changed(kind: bytes, content: bytes, changes: dict[bytes, Callable[[bytes], bytes]]) -> bytes:
    if kind in changes:
        return box(kind, changes[kind](content))
    inside = b"".join(_changed(k, c, changes) for k, c in boxes(content)) if kind in _FOLDERS else content
    return box(kind, inside)


def turn(path: Path, matrix: tuple[int, ...], *, whole_movie: bool = False) -> Path:
    """The display matrix of the track, or of the whole movie."""
    packed = struct.pack(">9i", *matrix)
    if whole_movie:
        return change(path, {b"mvhd": lambda c: c[:36] + packed + c[72:]})
    return change(path, {b"tkhd": lambda c: c[:40] + packed + c[76:]})


def edit(path: Path, *spans: tuple[int | None, int]) -> Path:
    """An edit list: (first frame, frames) each; no first frame is a pause. `moov`'s clock must count milliseconds."""
    step, shift = _step(path)

    def listed(_: bytes) -> bytes:
        rows = b"".join(
            struct.pack(">IiI", round(1000 * n / 30), -1 if first is None else shift + first * step, ONE)
            for first, n in spans
        )
        return struct.pack(">II", 0, len(spans)) + rows

    return change(path, {b"elst": listed})


def _step(path: Path) -> tuple[int, int]:
    """Ticks of a frame, and the stamp of the first picture."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        step = int(1 / (RATE_HZ * stream.time_base))
    data = path.read_bytes()
    return step, struct.unpack_from(">i", data, data.index(b"elst") + 16)[0]


def entry_box(path: Path, kind: bytes, content: bytes) -> Path:
    """The file with one more box in its sample entry, in place of one of the same kind."""

    def described(table: bytes) -> bytes:
        entry = table[8:]
        inside = [(k, c) for k, c in boxes(entry[86:]) if k != kind]
        body = entry[4:86] + b"".join(box(k, c) for k, c in [*inside, (kind, content)])
        return table[:8] + struct.pack(">I", 4 + len(body)) + body

    return change(path, {b"stsd": described})


def name_entry(path: Path, kind: bytes) -> Path:
    """The sample entry under another name (`avc3`, `hev1`)."""
    return change(path, {b"stsd": lambda c: c[:12] + kind + c[16:]})


# -- parameter sets ----------------------------------------------------------------------------------------------


def _configured(path: Path, change_configuration: Callable[[bytes], bytes], *, name: bytes | None = None) -> Path:
    def described(table: bytes) -> bytes:
        entry = table[8:]
        inside = [(k, change_configuration(c) if k == b"avcC" else c) for k, c in boxes(entry[86:])]
        body = (name or entry[4:8]) + entry[8:86] + b"".join(box(k, c) for k, c in inside)
        return table[:8] + struct.pack(">I", 4 + len(body)) + body

    return change(path, {b"stsd": described})


def in_band(path: Path) -> Path:
    """Parameter sets in the key frames alone (`avc3`)."""
    return _configured(path, lambda c: c[:5] + b"\xe0\x00", name=b"avc3")


def without_vui(path: Path, *, vui_at: int) -> Path:
    """A parameter set that ends before its video usability information, as hardware encoders write it.

    `vui_at`: bit of `vui_parameters_present_flag`, counted from the profile.
    """

    def configuration(content: bytes) -> bytes:
        size = struct.unpack_from(">H", content, 6)[0]
        unit = content[8 : 8 + size]
        raw = unit[1:].replace(b"\x00\x00\x03", b"\x00\x00")
        text = f"{int.from_bytes(raw, 'big'):0{8 * len(raw)}b}"[:vui_at] + "01"
        text += "0" * (-len(text) % 8)
        short = unit[:1] + int(text, 2).to_bytes(len(text) // 8, "big")
        return content[:6] + struct.pack(">H", len(short)) + short + content[8 + size :]

    return _configured(path, configuration)


def two_encoders(path: Path, **second: str) -> Path:
    """Packets of one encoder and then of another with other parameter sets, one stream."""
    parts = [
        encode(path.with_suffix(".a.ts"), frames=6),
        encode(path.with_suffix(".b.ts"), frames=6, first=6, **second),
    ]
    with av.open(str(path), "w") as out:
        stream, number = None, 0
        for part in parts:
            with av.open(str(part)) as source:
                stream = stream or out.add_stream_from_template(source.streams.video[0], opaque=True)
                for packet in source.demux(video=0):
                    if packet.size:
                        copy = av.Packet(bytes(packet))
                        copy.stream, copy.time_base, copy.duration = stream, 1 / RATE_HZ, 1
                        copy.pts = copy.dts = number
                        copy.is_keyframe, number = packet.is_keyframe, number + 1
                        out.mux(copy)
            part.unlink()
    return path
