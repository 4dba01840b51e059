"""What is sent to a world model and what comes back: pictures as JPEG, PNG or MP4 in JSON.

`request.schema.json` and `response.schema.json` beside this file say it for other languages.
"""

from __future__ import annotations

import base64
import binascii
import io
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robokata.core.episode import Episode
from robokata.core.errors import ClockUnknown, DamagedData, GeneratorFailed, Unsupported
from robokata.core.require import require
from robokata.core.stream import Stream
from robokata.expanders._world_model.client import PROTOCOL
from robokata.media.encode import encode_jpeg, encode_png, encode_video
from robokata.media.images import decode, probe

CONTROLS = ("depth", "segmentation", "edges")
ENCODINGS = ("jpeg", "mp4")
_SHOWN = 300
"""Characters of an answer that a message shows."""
_CRF = 12
"""Of x264: above 45 dB on rendered scenes; what a model adds is larger by far."""


def cameras_of(episode: Episode) -> dict[str, Stream]:
    """Camera -> its pictures in colour, by the last part of the stream's name."""
    return {
        _camera(stream): stream
        for stream in episode.pictures()
        if stream.values.dtype == np.uint8 and stream.shape[-1] == 3 and len(stream)
    }


def question_of(
    episode: Episode, *, prompt: str, seed: int, encoding: str, controls: Sequence[str], cameras: Sequence[str] = ()
) -> dict[str, Any]:
    """The request for one episode; controls that it does not have are left out, edges are computed.

    Raises:
        GeneratorFailed: it has no pictures in colour, or not of the cameras asked for.
        DamagedData: its pictures cannot be read.
    """
    seen = cameras_of(episode)
    lacking = [name for name in cameras if name not in seen]
    if lacking or not seen:
        has = ", ".join(seen) or "none"
        raise GeneratorFailed("refused", f"episode {episode.id} has no camera {lacking[0] if lacking else ''}: {has}.")
    return {
        "protocol": PROTOCOL,
        "id": episode.id,
        "seed": seed,
        "prompt": prompt,
        "instruction": " ".join(each.text for each in episode.instructions),
        "cameras": {
            name: _camera_message(episode, name, stream, encoding, controls)
            for name, stream in seen.items()
            if not cameras or name in cameras
        },
    }


def pictures_in(answer: Mapping[str, Any], question: Mapping[str, Any]) -> dict[str, tuple[bytes, ...]]:
    """Camera -> its new pictures, each as JPEG or PNG, of the number and size that were asked for.

    Raises:
        GeneratorFailed: the answer is another one's, lacks a camera, or holds other than so many pictures of this size.
    """
    if answer.get("protocol") != PROTOCOL or answer.get("id") != question["id"]:
        raise GeneratorFailed(
            "bad_message",
            f"answers {answer.get('protocol')!r:.80} {answer.get('id')!r:.80}, and {PROTOCOL!r} {question['id']!r} "
            "was asked.",
        )
    cameras = answer.get("cameras")
    if not isinstance(cameras, dict) or set(cameras) != set(question["cameras"]):
        has = ", ".join(map(str, cameras))[:_SHOWN] if isinstance(cameras, dict) else "none"
        raise GeneratorFailed("bad_message", f"answers cameras {has}, asked were {', '.join(question['cameras'])}.")
    return {name: _camera_answer(name, cameras[name], asked) for name, asked in question["cameras"].items()}


def _camera_message(
    episode: Episode, name: str, stream: Stream, encoding: str, controls: Sequence[str]
) -> dict[str, Any]:
    rate_hz = stream.clock.rate_hz()
    if rate_hz is None:
        raise ClockUnknown(len(stream), stream=name, episode=episode.id)
    count, height, width = stream.values.shape[:3]
    message: dict[str, Any] = {
        "frames": count,
        "rate_hz": rate_hz,
        "height_px": height,
        "width_px": width,
        "pictures": _sent(stream, encoding, rate_hz),
    }
    told = {control: _control(episode, name, stream, control) for control in controls}
    told = {control: data for control, data in told.items() if data is not None}
    return message | ({"controls": told} if told else {})


def _sent(stream: Stream, encoding: str, rate_hz: float) -> dict[str, Any]:
    if encoding == "mp4":
        pictures = (stream.values[number] for number in range(len(stream)))
        return {"encoding": "mp4", "data": [_text(_mp4(pictures, rate_hz))]}
    data = []
    for number in range(len(stream)):
        own = stream.pictures.encoded(number)
        # As they lie on disk where they are JPEG: a further generation would cost quality for nothing.
        data.append(own.data if own is not None and own.codec == "jpeg" else encode_jpeg(stream.values[number]))
    return {"encoding": "jpeg", "data": [_text(each) for each in data]}


def _mp4(pictures: Iterable[NDArray[Any]], rate_hz: float) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "pictures.mp4"
        rate = Fraction(rate_hz).limit_denominator(1001)
        encode_video(file, pictures, rate_hz=rate, codec="libx264", gop=12, crf=_CRF, threads=1)
        return file.read_bytes()


def _control(episode: Episode, camera: str, stream: Stream, control: str) -> dict[str, Any] | None:
    if control == "edges":
        return _pngs(_edges(stream.values[number]) for number in range(len(stream)))
    names = [name for name in episode.streams if control in name and _camera(episode.streams[name]) == camera]
    if not names:
        return None
    values = episode.streams[names[0]].values
    if len(values) != len(stream):
        return None
    # Labels begin at -1, nothing: a PNG holds no negative numbers.
    shift = 1 if control == "segmentation" else 0
    return _pngs((np.asarray(values[number]).squeeze() + shift).astype(np.uint16) for number in range(len(stream)))


def _edges(picture: NDArray[Any]) -> NDArray[np.uint8]:
    """Strength of the gradient of brightness, (H, W)."""
    grey = picture.astype(np.float32).mean(axis=-1)
    down, right = np.gradient(grey)
    strength: NDArray[np.uint8] = np.clip(2 * np.hypot(down, right), 0, 255).astype(np.uint8)
    return strength


def _pngs(pictures: Iterable[NDArray[Any]]) -> dict[str, Any]:
    return {"encoding": "png", "data": [_text(encode_png(picture)) for picture in pictures]}


def _camera_answer(name: str, answer: Any, asked: Mapping[str, Any]) -> tuple[bytes, ...]:
    try:
        sent = answer["pictures"]
        encoding, texts = sent["encoding"], sent["data"]
        if not isinstance(texts, list) or not all(isinstance(each, str) for each in texts):
            raise TypeError("data is no list of texts")
        data = [base64.b64decode(each, validate=True) for each in texts]
    except (TypeError, KeyError, binascii.Error, ValueError) as error:
        raise GeneratorFailed(
            "bad_message", f"camera {name}: no pictures can be read from it: {error!r:.{_SHOWN}}."
        ) from None
    if encoding not in ("jpeg", "png", "mp4"):
        raise GeneratorFailed("bad_message", f"camera {name}: encoding {encoding!r:.80} is none of jpeg, png, mp4.")
    size = (asked["height_px"], asked["width_px"])
    pictures = _unpacked(name, data[0] if data else b"", asked) if encoding == "mp4" else data
    if len(pictures) != asked["frames"]:
        raise GeneratorFailed(
            "unfaithful", f"camera {name}: {len(pictures)} pictures came, {asked['frames']} were sent."
        )
    for number, picture in enumerate(pictures):
        try:
            facts = probe(picture, where=f"camera {name}, picture {number}")
            found = (facts.height, facts.width)
            if found != size:
                raise GeneratorFailed(
                    "unfaithful",
                    f"camera {name}, picture {number}: is {found[0]}x{found[1]}, sent was {size[0]}x{size[1]}.",
                )
            decode(picture, where=f"camera {name}, picture {number}")
        except (DamagedData, Unsupported) as error:
            raise GeneratorFailed("bad_message", str(error)) from None
    return tuple(pictures)


def _unpacked(name: str, data: bytes, asked: Mapping[str, Any]) -> list[bytes]:
    """The frames of an MP4, each as JPEG; no more than one beyond those that were asked for is decoded."""
    av = require("av", extra="video")
    out: list[bytes] = []
    try:
        with av.open(io.BytesIO(data), format="mp4") as container:
            context = container.streams.video[0].codec_context
            if (context.height, context.width) != (asked["height_px"], asked["width_px"]):
                raise GeneratorFailed(
                    "unfaithful",
                    f"camera {name}: the video is {context.height}x{context.width}, sent was "
                    f"{asked['height_px']}x{asked['width_px']}.",
                )
            for frame in container.decode(video=0):
                if (frame.height, frame.width) != (asked["height_px"], asked["width_px"]):
                    raise GeneratorFailed(
                        "unfaithful", f"camera {name}: frame {len(out)} is {frame.height}x{frame.width}."
                    )
                out.append(encode_jpeg(frame.to_ndarray(format="rgb24")))
                if len(out) > asked["frames"]:
                    break
    except (av.error.FFmpegError, IndexError, ValueError) as error:
        raise GeneratorFailed("bad_message", f"camera {name}: the video cannot be read: {error}.") from None
    return out


def _camera(stream: Stream) -> str:
    return stream.name.replace("/", ".").rpartition(".")[2]


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
