"""Episodes as ACT / ALOHA files, one each."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from robokata.containers.hdf5.open_files import SUFFIXES
from robokata.core.episode import Episode
from robokata.core.errors import WriteRefused
from robokata.core.layout import Layout, Place, Way
from robokata.core.require import require
from robokata.core.stream import Role, Stream
from robokata.formats._counters import Counting
from robokata.formats._hdf5.write import BLOB, new_file, put_attributes, put_blob, put_rows
from robokata.formats._row_table import (
    RowTable,
    carried,
    decoding,
    distinct,
    legal_name,
    picked_rows,
    place_numbers,
    place_pictures,
    psnr_db,
)
from robokata.media.images import decode
from robokata.runtime.atomic import appearing

Packing = Literal["copy", "raw", "jpeg"]
"""`copy` encoded pictures where every camera has them and write raw pixels otherwise; always `raw`; always `jpeg`."""
IMAGES = "observations/images/"
_QPOS, _QVEL, _EFFORT = "observations/qpos", "observations/qvel", "observations/effort"
_MATRICES = (_QPOS, _QVEL, _EFFORT, "action", "base_action")
"""Datasets that ACT reads as (T, D)."""
_TAKEN_AT_ROOT = (BLOB, "observations", "action", "base_action", "compress_len", "task", "instruction")
_VELOCITY = re.compile(r"q?vel(ocity|ocities)?s?\b|(^|[_./])q?vel", re.IGNORECASE)
_EFFORT_WORDS = re.compile(r"effort|torque|current", re.IGNORECASE)


class Options(NamedTuple):
    """What the caller decides."""

    anchor: str | None
    state: str | None
    action: str | None
    pictures: Packing
    jpeg_quality: int


class Plan(NamedTuple):
    """One episode, laid out."""

    table: RowTable
    is_packed: bool
    """True where the pictures are written encoded."""


def plan(episode: Episode, options: Options) -> Plan:
    """Where the streams of one episode go.

    Raises:
        UnknownName: the episode has no stream of a name in the options.
        WriteRefused: nothing in it can be rows, or its pictures cannot be JPEG.
    """
    if options.pictures not in get_args(Packing):
        raise WriteRefused(f"pictures={options.pictures!r} is none of {', '.join(get_args(Packing))}.")
    is_own = _is_own(episode) and options.anchor is None
    name, rows, picked = picked_rows(episode, anchor="action" if is_own else options.anchor)
    if is_own:
        # ALOHA's own files are laid out already: T rows, and T + 1 where the last observation is kept.
        for stream in episode.streams.values():
            if len(stream) in (rows, rows + 1):
                picked[stream.name] = np.arange(len(stream), dtype=np.int64)
    is_packed = _is_packed(episode, options, picked)
    targets = _targets(episode, options, is_own=is_own)
    anchor = episode.streams[name]
    places = tuple(
        _place(stream, targets.get(stream.name), picked.get(stream.name), anchor, options, is_packed=is_packed)
        for stream in episode.streams.values()
    )
    layout = Layout(places, tuple(_notes(episode, places, name, is_packed=is_packed)))
    return Plan(RowTable(episode, layout, picked, name, rows), is_packed)


def write_folder(path: Path, episodes: Iterable[Episode], options: Options) -> None:
    """Write a folder of one file per episode, which appears in one rename.

    Raises:
        WriteRefused: the target exists, or an episode does not fit, or there is none.
        DamagedData: an episode cannot be read.
    """
    if path.suffix.lower() in SUFFIXES:
        raise WriteRefused(f"{path}: ALOHA keeps each episode in a file of its own. Name a folder, not a file.")
    count, counting = 0, Counting()
    with appearing(path) as place:
        for number, episode in enumerate(episodes):
            planned = plan(counting.own(episode), options)
            with new_file(place / f"episode_{number}.hdf5") as file:
                _put_episode(file, planned, options)
            count += 1
        if not count:
            raise WriteRefused(f"{path}: no episodes were given, and ALOHA has no file that says so.")


def _put_episode(file: Any, planned: Plan, options: Options) -> None:
    table = planned.table
    episode, lengths = table.episode, []
    for place in table.layout.places:
        if place.target is None or "[" in place.target:
            continue
        stream, picked = episode.streams[place.stream], table.picked[place.stream]
        if stream.is_picture and planned.is_packed:
            lengths.append(_put_packed(file, place, stream, picked, options))
        elif place.target in _MATRICES and len(stream.shape) != 1:
            file.create_dataset(place.target, data=stream.table[picked])
        else:
            put_rows(file, place.target, stream, picked)
    if "action" not in file:
        parts = [s.table[table.picked[s.name]] for s in _joined_actions(episode, options)]
        if parts:
            file.create_dataset("action", data=np.concatenate(parts, axis=1))
    if lengths:
        width = max(map(len, lengths))
        file.create_dataset("compress_len", data=np.stack([np.pad(row, (0, width - len(row))) for row in lengths]))
    _put_attributes(file, episode, is_packed=planned.is_packed)
    put_blob(file, table.blob())


def _put_packed(
    file: Any, place: Place, stream: Stream, picked: NDArray[np.int64], options: Options
) -> NDArray[np.int64]:
    """Encoded pictures as rows of bytes padded to the longest, as ALOHA's recorder packs them; their lengths."""
    lengths = np.asarray([len(_encoded(stream, int(i), options)) for i in picked], np.int64)
    width = int(lengths.max(initial=1))
    dataset = file.create_dataset(str(place.target), (len(picked), width), dtype=np.uint8, chunks=(1, width))
    for row, number in enumerate(picked):
        data = _encoded(stream, int(number), options)
        if data.endswith(b"\0"):
            raise WriteRefused(
                f"stream {stream.name}: picture {int(number)} ends in zeros, and ALOHA pads with zeros, so its end "
                f"would be lost. Write pixels with pictures='raw' (--option pictures=raw)."
            )
        dataset[row, : len(data)] = np.frombuffer(data, np.uint8)
    return lengths


def _encoded(stream: Stream, number: int, options: Options) -> bytes:
    own = stream.pictures.encoded(number)
    if own is not None and (own.codec == "jpeg" or options.pictures == "copy"):
        return own.data
    return _as_jpeg(np.asarray(stream.values[number]), options.jpeg_quality)


def _as_jpeg(picture: NDArray[Any], quality: int) -> bytes:
    simplejpeg = require("simplejpeg", extra="images")
    is_grey = picture.shape[-1] == 1
    space, sampling = ("GRAY", "Gray") if is_grey else ("RGB", "444")
    data = simplejpeg.encode_jpeg(
        np.ascontiguousarray(picture), quality=quality, colorspace=space, colorsubsampling=sampling
    )
    return bytes(data)


def _is_packed(episode: Episode, options: Options, picked: Mapping[str, Any]) -> bool:
    """ALOHA says once per file whether pictures are encoded, so it is all cameras or none."""
    cameras = [stream for stream in episode.pictures() if stream.name in picked]
    if options.pictures == "raw" or not cameras:
        return False
    for stream in cameras:
        if options.pictures == "copy" and stream.pictures.encoded(0) is None:
            return False
        is_jpeg = stream.values.dtype == np.uint8 and len(stream.shape) == 3 and stream.shape[-1] in (1, 3)
        if options.pictures == "jpeg" and not is_jpeg:
            raise WriteRefused(
                f"stream {stream.name}: pictures of {stream.values.dtype} {stream.shape} cannot be JPEG, which holds "
                f"8-bit grey or RGB. Write them with pictures='raw' (--option pictures=raw)."
            )
    return True


def _is_own(episode: Episode) -> bool:
    names = episode.streams
    return "action" in names and len(names["action"]) > 0 and any(name.startswith("observations/") for name in names)


def _joined_actions(episode: Episode, options: Options) -> list[Stream]:
    """Actions that stand side by side in `action`."""
    if options.action is not None:
        return [episode.stream(options.action)]
    actions = [stream for stream in episode.numeric(Role.ACTION) if len(stream)]
    of_arms = [stream for stream in actions if "base" not in stream.name.lower()]
    return of_arms or actions


def _targets(episode: Episode, options: Options, *, is_own: bool) -> dict[str, str]:
    targets: dict[str, str] = {}
    if is_own:
        for stream in episode.streams.values():
            # Where the reader found a stream it finds it again; JPEGs it looks for among the images only.
            is_kept = _is_clean(stream.name) and not (stream.is_picture and options.pictures == "jpeg")
            if not (stream.is_numeric or stream.is_picture):
                continue
            if stream.is_picture and not is_kept:
                targets[stream.name] = distinct(IMAGES + legal_name(stream.name.removeprefix(IMAGES)), targets.values())
            elif is_kept:
                targets[stream.name] = stream.name
        return targets
    named = _named_numbers(episode, options)
    for stream in episode.streams.values():
        if stream.is_picture:
            wanted = IMAGES + legal_name(stream.name)
        elif not stream.is_numeric or (stream.role is Role.BOOKKEEPING and stream.name not in named):
            continue
        elif stream.name in named:
            wanted = named[stream.name]
        else:
            wanted = _other_name(stream)
        targets[stream.name] = distinct(wanted, targets.values())
    return targets


def _is_clean(name: str) -> bool:
    parts = name.split("/")
    return all(part.strip(".") for part in parts) and parts[0] != BLOB and "\0" not in name


def _named_numbers(episode: Episode, options: Options) -> dict[str, str]:
    """Streams that stand in the places that ACT reads: action, qpos, qvel, effort."""
    joined, named, start = _joined_actions(episode, options), {}, 0
    for stream in joined:
        width = int(np.prod(stream.shape, dtype=np.int64))
        named[stream.name] = "action" if len(joined) == 1 else f"action[{start}:{start + width}]"
        start += width
    bases = [s for s in episode.numeric(Role.ACTION) if len(s) and s.name not in named]
    if len(bases) == 1 and "base" in bases[0].name.lower():
        named[bases[0].name] = "base_action"
    states = [s for s in episode.numeric(Role.STATE) if len(s)]
    if options.state is not None:
        states = [episode.stream(options.state), *(s for s in states if s.name != options.state)]
    for stream in states:
        if stream.name == options.state:
            wanted = _QPOS
        elif _VELOCITY.search(stream.name):
            wanted = _QVEL
        else:
            wanted = _EFFORT if _EFFORT_WORDS.search(stream.name) else _QPOS
        if wanted not in named.values():
            named[stream.name] = wanted
    return named


def _other_name(stream: Stream) -> str:
    name = legal_name(stream.name)
    if stream.role in (Role.STATE, Role.SENSOR):
        full = f"observations/{name}"
        return f"observations/stream_{name}" if name == "images" or full in _MATRICES else full
    return f"stream_{name}" if name in _TAKEN_AT_ROOT else name


def _place(
    stream: Stream,
    target: str | None,
    picked: NDArray[np.int64] | None,
    anchor: Stream,
    options: Options,
    *,
    is_packed: bool,
) -> Place:
    if target is None:
        return carried(stream)
    if not stream.is_picture:
        is_matrix = target not in _MATRICES or len(stream.shape) == 1
        # Rows of bytes under a camera's name are read as encoded pictures; carried, they stay numbers.
        is_exact = is_matrix and "[" not in target and not (stream.values.dtype == np.uint8 and len(stream.shape) == 1)
        note = "side by side with the other actions" if "[" in target else ""
        return place_numbers(stream, picked, target, anchor=anchor, is_exact=is_exact, note=note)
    if picked is None:
        return place_pictures(stream, None, target, anchor=anchor, way=Way.DROPPED)
    way, note = decoding(stream)
    ratio = None
    if is_packed:
        codec = stream.pictures.media().codec
        way, note = Way.COPIED, f"{codec} bytes as they lie"
        if options.pictures == "jpeg" and codec != "jpeg":
            way, note = Way.REENCODED, f"JPEG of quality {options.jpeg_quality}, full colour resolution"
            ratio = psnr_db(stream, lambda picture: decode(_as_jpeg(picture, options.jpeg_quality), where=stream.name))
    return place_pictures(stream, picked, target, anchor=anchor, way=way, note=note, psnr_db=ratio)


def _notes(episode: Episode, places: Sequence[Place], anchor: str, *, is_packed: bool) -> Iterator[str]:
    yield f"rows are the samples of {anchor}; ALOHA keeps no times and no rate: they are carried beside"
    targets = [place.target or "" for place in places]
    if not any(target == "action" or target.startswith("action[") for target in targets):
        yield "no stream is an action: ACT cannot train on the files. Name one with action= (--option action=NAME)"
    if _QPOS not in targets:
        yield "no stream is a joint state: ACT cannot train on the files. Name one with state= (--option state=NAME)"
    if "sim" not in episode.extra:
        yield "attribute sim is False: ACT reads it, and the source does not say"
    if is_packed:
        yield "JPEGs hold red first, as JPEG defines; a reader that takes them for OpenCV's BGR swaps red and blue"


def _put_attributes(file: Any, episode: Episode, *, is_packed: bool) -> None:
    values: dict[str, Any] = dict(episode.extra) if _is_own(episode) else {}
    values["sim"] = bool(episode.extra.get("sim", False))
    if any(episode.pictures()):
        values["compress"] = is_packed
    texts = [told.text for told in episode.instructions]
    if texts and not any(told.source in values for told in episode.instructions):
        values["language_instruction"] = texts[0] if len(texts) == 1 else texts
    if episode.outcome.success is not None:
        values["success"] = episode.outcome.success
    put_attributes(file, values)
