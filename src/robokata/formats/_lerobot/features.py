"""What meta/info.json says of each feature and of the dataset."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from robokata.core.episode import Episode
from robokata.core.stream import Role
from robokata.formats._lerobot.cameras import HINT
from robokata.formats._lerobot.names import MADE
from robokata.formats._lerobot.nested import COLUMN, facts_of
from robokata.formats._lerobot.plan import Column, Form, Options, Plan, said
from robokata.media.cuts import places_of

_OWN = (
    *("codebase_version", "robot_type", "total_episodes", "total_frames", "total_tasks", "total_videos"),
    *("total_chunks", "chunks_size", "data_files_size_in_mb", "video_files_size_in_mb", "fps", "splits"),
    *("data_path", "video_path", "features", "storage_format"),
)
"""Fields of info.json that follow from what is written; all others of a LeRobot source are kept."""
_CODEC_OF = {"libsvtav1": "av1", "libaom-av1": "av1", "libx264": "h264", "libx265": "hevc"}


def features_of(plan: Plan, options: Options) -> dict[str, dict[str, Any]]:
    """Every feature of the dataset, in the order of the streams, then what LeRobot makes itself."""
    features = {column.target: _feature(column, plan, options) for column in plan.columns}
    for name in MADE:
        features[name] = {"dtype": "float32" if name == "timestamp" else "int64", "shape": [1], "names": None}
    return features


def _feature(column: Column, plan: Plan, options: Options) -> dict[str, Any]:
    stream = column.stream
    hint: dict[str, Any] = {} if column.target == stream.name else {"stream": stream.name}
    facts = facts_of(stream) if column.form is Form.NESTED else None
    if facts is not None:
        feature = {"dtype": facts["dtype"], "shape": facts.get("shape") or [1], "names": None, **_extra(column)}
    elif column.form in (Form.NUMBERS, Form.TEXTS):
        if not plan.rows.is_whole(stream):
            hint["is_resampled"] = True
        if stream.shape == (1,):
            hint["shape"] = [1]
        dtype = "string" if column.form is Form.TEXTS else stream.values.dtype.name
        names = list(stream.channels) if stream.channels else None
        feature = {"dtype": dtype, "shape": list(stream.shape) or [1], "names": names, **_extra(column)}
    else:
        feature = _picture_feature(column, plan, options)
    return {**feature, **({HINT: hint} if hint else {})}


def _picture_feature(column: Column, plan: Plan, options: Options) -> dict[str, Any]:
    height, width, channels = (*column.stream.shape, 1)[:3]
    is_image = column.form is Form.IMAGES
    # Pictures that are encoded become colours; those of copied packets are what they were.
    shape = [height, width, 3 if column.form is Form.ENCODED_VIDEO else channels]
    feature = {"dtype": "image" if is_image else "video", "shape": shape, "names": ["height", "width", "channels"]}
    extra = _extra(column)
    known = extra.pop("video_info", None) or extra.pop("info", None)
    said = known if isinstance(known, dict) else {}
    if is_image:
        info = {name: value for name, value in said.items() if _plain(name) in _DEPTH} if is_depth_map(column) else {}
        return {**feature, **extra, **({"info": info} if info else {})}
    said = said if column.form is Form.COPIED_VIDEO else {}
    return {**feature, **extra, "info": _told(said, _video_facts(column, plan.rows.rate_hz, options))}


_DEPTH = ("is_depth_map", "depth_min", "depth_max", "shift", "use_log")


def is_depth_map(column: Column) -> bool:
    """True where a column holds distances."""
    return column.stream.role is Role.DEPTH


def _plain(name: str) -> str:
    return name.removeprefix("video.")


def _told(said: Mapping[str, Any], facts: Mapping[str, Any]) -> dict[str, Any]:
    """What the source says of a video, but for what follows from the file: a falsehood is not copied."""
    true = {_plain(name): value for name, value in facts.items()}
    kept = {name: true.get(_plain(name), value) for name, value in said.items() if not name.startswith("audio.")}
    spelt = {_plain(name) for name in kept}
    return {**{name: value for name, value in facts.items() if _plain(name) not in spelt}, **kept}


def _video_facts(column: Column, rate_hz: Fraction, options: Options) -> dict[str, Any]:
    height, width, channels = (*column.stream.shape, 1)[:3]
    codec, pixel_format = _CODEC_OF.get(options.codec, options.codec), "yuv420p"
    if column.run is not None and column.form is Form.COPIED_VIDEO:
        shape = places_of(column.run.video).shape
        codec, pixel_format = shape.codec, shape.pixel_format
    else:
        channels = 3
    return {
        "video.height": height,
        "video.width": width,
        "video.codec": codec,
        "video.pix_fmt": pixel_format,
        "video.is_depth_map": is_depth_map(column),
        "video.fps": plain_rate(rate_hz),
        "video.channels": channels,
        "has_audio": False,
    }


def _extra(column: Column) -> dict[str, Any]:
    """What a LeRobot source says of the feature beside its type: kept where the feature keeps its name."""
    if column.target != column.stream.name:
        return {}
    return {
        name: value for name, value in column.stream.extra.items() if name not in ("groups", COLUMN) and is_json(value)
    }


def plain_rate(rate_hz: Fraction) -> int | float:
    """A rate as LeRobot's tools want it: a whole number where it is one."""
    return int(rate_hz) if rate_hz.denominator == 1 else float(rate_hz)


def kept_info(episode: Episode) -> dict[str, Any]:
    """Fields of a LeRobot source's info.json that do not follow from the data: licence, tools, and whatever else."""
    info = episode.extra.get("info")
    if not isinstance(info, Mapping):
        return {}
    return {str(name): value for name, value in info.items() if name not in _OWN and is_json(value)}


def is_json(value: Any) -> bool:
    """True where JSON holds a value as it is."""
    try:
        return bool(json.loads(json.dumps(value)) == value)
    except (TypeError, ValueError):
        return False


def kind_of(column: Column) -> str:
    """What a feature holds, in words: it must be the same in all episodes."""
    is_plain = column.form in (Form.NUMBERS, Form.TEXTS, Form.NESTED)
    kind = "" if is_plain else " images" if column.form is Form.IMAGES else " video"
    return f"{said(column.stream)}{kind}"


@dataclass
class Splits:
    """Splits as LeRobot's ranges of episode numbers. A class, because episodes add to them one by one."""

    episodes: int = 0
    spans: list[tuple[str, int]] = field(default_factory=list)
    """Each split, and the first episode of it, where it differs from the episode before."""

    def add(self, split: str | None) -> None:
        name = split or "train"
        if not self.spans or self.spans[-1][0] != name:
            self.spans.append((name, self.episodes))
        self.episodes += 1

    def ranges(self) -> dict[str, str]:
        """`name` -> `first:end` where each split is one stretch; else everything is `train`."""
        names = [name for name, _ in self.spans]
        if len(set(names)) < len(names):
            return {"train": f"0:{self.episodes}"}
        ends = [first for _, first in self.spans[1:]] + [self.episodes]
        return {name: f"{first}:{end}" for (name, first), end in zip(self.spans, ends, strict=True)}
