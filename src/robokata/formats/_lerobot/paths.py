"""Where the files of a LeRobot dataset lie, by the templates in info.json."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from string import Formatter
from typing import Any, NamedTuple

from robokata.core.errors import DamagedData
from robokata.core.source import Declaration
from robokata.formats._lerobot.facts import INFO

V2 = {
    "data_path": "data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet",
    "video_path": "videos/chunk-{episode_chunk:03d}/{video_key}/episode_{episode_index:06d}.mp4",
}
V3 = {
    "data_path": "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet",
    "video_path": "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4",
}
"""Where LeRobot's own versions put their files."""


class Templates(NamedTuple):
    """The templates that paths are made of, and those of info.json that they stand in for."""

    root: Path
    used: Mapping[str, str]
    replaced: Mapping[str, str]
    """Fields of info.json whose templates name what this version does not know, while the files stand at the default
    places of the version: the default is used, and the contradiction is told."""

    def path(self, field: str, parts: Mapping[str, Any]) -> Path:
        """A file of the dataset.

        Raises:
            DamagedData: the template is none, or leads out of the dataset.
        """
        where, template = self.root / INFO, self.used[field]
        try:
            # Only whole names are filled in: a template that reaches into an object ("{key.__class__}") is refused,
            # and so is a width ("{key:999999999d}") that asks for gigabytes of zeros.
            pieces = [(name, width or "") for _, name, width, _ in Formatter().parse(template) if name is not None]
            unknown = [name for name, width in pieces if name not in parts or len(width) > 4]
            if unknown:
                raise ValueError(f"it knows {', '.join(parts)}, and not {', '.join(map(str, unknown))}")
            path = Path(template.format(**parts))
        except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
            raise DamagedData(
                where,
                f"{field!r} is no usable template: {template!r} ({error}).",
                next_move="Write the true template there.",
            ) from None
        if path.is_absolute() or ".." in path.parts or "\0" in str(path):
            raise DamagedData(where, f"{field!r} leads out of the dataset: {template!r}.")
        return self.root / path

    def declarations(self) -> Iterator[Declaration]:
        """Templates that the files contradict."""
        for field, declared in self.replaced.items():
            hint = "the template names fields that this version of LeRobot does not know: its own tools fail"
            yield Declaration(field, declared, self.used[field], INFO, hint)


def templates_of(root: Path, info: Mapping[str, Any], defaults: Mapping[str, str]) -> Templates:
    """The templates of info.json, or those of the version where info.json has none."""
    used = {field: info.get(field) or default for field, default in defaults.items()}
    fields = {name for default in defaults.values() for _, name, _, _ in Formatter().parse(default) if name}
    replaced = {
        field: template
        for field, template in used.items()
        if _names_others(template, fields) and _is_filled(root, defaults[field])
    }
    return Templates(root, used | {field: defaults[field] for field in replaced}, replaced)


def _names_others(template: Any, fields: Collection[str]) -> bool:
    """True for a sound template that names something which is no field."""
    names = re.findall(r"{(\w+)(?::\w{0,4})?}", template) if isinstance(template, str) else []
    return any(name not in fields for name in names)


def _is_filled(root: Path, template: str) -> bool:
    """True where a file stands that the template could name."""
    return next(root.glob(re.sub(r"{[^}]*}", "*", template)), None) is not None
