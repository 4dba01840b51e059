"""GR00T's dialect of LeRobot v2: meta/modality.json names groups of channels."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from robokata.core.errors import MediaMissing
from robokata.core.source import Declaration
from robokata.core.stream import Stream
from robokata.formats._lerobot.facts import read_json

_WHERE = "meta/modality.json"
_HINT = "GR00T's loader cuts its inputs by it"


def read_modality(root: Path) -> Mapping[str, Any]:
    """`meta/modality.json`, empty where the dataset has none.

    Raises:
        DamagedData: it is not JSON.
    """
    try:
        read = read_json(root / "meta" / "modality.json")
    except MediaMissing:
        return {}
    return read if isinstance(read, dict) else {}


def modality_declarations(modality: Mapping[str, Any], features: Mapping[str, Any]) -> Iterator[Declaration]:
    """Channels, cameras and annotations that modality.json names, beside the columns that info.json has."""
    for column, groups in channel_groups(modality).items():
        shape = features[column].get("shape") if column in features else None
        if column not in features:
            yield Declaration(f"groups of {column}", ", ".join(groups), "no column", _WHERE, _HINT)
        elif isinstance(shape, list) and all(isinstance(side, int) for side in shape):
            width = math.prod(shape)
            for name, (start, end) in groups.items():
                said = f"channels {start}:{end}"
                is_inside = 0 <= start < end <= width
                yield Declaration(
                    f"{name} of {column}", said, said if is_inside else f"{width} channels", _WHERE, _HINT
                )
    for part, prefix in (("video", "observation.images."), ("annotation", "annotation.")):
        entries = modality.get(part)
        for name, entry in (entries if isinstance(entries, dict) else {}).items():
            key = entry.get("original_key") if isinstance(entry, dict) else None
            column = str(key or f"{prefix}{name}")
            yield Declaration(f"{part} {name}", column, column if column in features else "no column", _WHERE, _HINT)


def with_groups(stream: Stream, groups: Mapping[str, Mapping[str, list[int]]]) -> Stream:
    """The stream with the groups of its channels; those that reach beyond them stay a false statement of the file."""
    if stream.name not in groups:
        return stream
    width = math.prod(stream.shape)
    inside = {name: span for name, span in groups.get(stream.name, {}).items() if 0 <= span[0] < span[1] <= width}
    return replace(stream, extra={**stream.extra, "groups": inside}) if inside else stream


def channel_groups(modality: Mapping[str, Any]) -> Mapping[str, Mapping[str, list[int]]]:
    """Named ranges of channels per stream: `{"action": {"left_arm": [0, 7]}}` is channels 0..6."""
    groups: dict[str, dict[str, list[int]]] = {}
    for part, column in (("state", "observation.state"), ("action", "action")):
        entries = modality.get(part)
        for name, entry in (entries if isinstance(entries, dict) else {}).items():
            if not isinstance(entry, dict):
                continue
            span: list[Any] = [entry.get("start"), entry.get("end")]
            if all(isinstance(edge, int) for edge in span):
                groups.setdefault(str(entry.get("original_key") or column), {})[str(name)] = span
    return groups
