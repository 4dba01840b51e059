"""GR00T's dialect of LeRobot v2: meta/modality.json names groups of channels."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from robokata.core.errors import MediaMissing
from robokata.formats._lerobot_facts import read_json


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
