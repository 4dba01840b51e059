"""GR00T's `meta/modality.json`: which channels, cameras and annotations a LeRobot dataset has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from robokata.core.errors import WriteRefused
from robokata.core.stream import Role
from robokata.formats._lerobot.plan import Column, Form


def refuse_unknown_modality(modality: str) -> None:
    """Refuse a word that the option does not know.

    Raises:
        WriteRefused: it is none of auto, always, never.
    """
    if modality not in ("auto", "always", "never"):
        raise WriteRefused(f"modality={modality!r} is none of auto, always, never.")


def modality_of(columns: Sequence[Column], modality: str) -> dict[str, Any]:
    """`meta/modality.json` for GR00T: groups of channels of states and actions, cameras and annotations; else empty.

    `auto` writes it where the source names groups; `always` makes one group of each stream that has none.
    """
    has_groups = any("groups" in column.stream.extra for column in columns)
    if modality == "never" or (modality == "auto" and not has_groups):
        return {}
    parts: dict[str, dict[str, Any]] = {"state": {}, "action": {}, "video": {}, "annotation": {}}
    for column in columns:
        name, last = column.target, column.target.rpartition(".")[2]
        if column.stream.is_picture:
            parts["video"][last] = {"original_key": name}
        elif name.startswith("annotation."):
            parts["annotation"][name.removeprefix("annotation.")] = {}
        elif column.form is Form.NUMBERS and column.stream.role in (Role.STATE, Role.ACTION):
            groups = column.stream.extra.get("groups") or {last: [0, (*column.stream.shape, 1)[0]]}
            part = parts["state" if column.stream.role is Role.STATE else "action"]
            part |= {group: _span(span, name) for group, span in groups.items()}
    if not parts["annotation"]:
        parts["annotation"]["human.task_description"] = {"original_key": "task_index"}
    return parts


def _span(span: Sequence[int], name: str) -> dict[str, Any]:
    where = {"start": int(span[0]), "end": int(span[1])}
    # These two are what GR00T looks for by itself.
    return where if name in ("observation.state", "action") else {**where, "original_key": name}
