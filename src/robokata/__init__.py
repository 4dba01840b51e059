"""Robokata: the data engine for Vision-Language-Action robots. `import robokata as rk` is the front door.

It loads nothing heavy: each name below is imported when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from robokata.core.version import __version__

if TYPE_CHECKING:
    from robokata.core.detection import find_datasets, open_source
    from robokata.core.episode import Episode
    from robokata.core.finding import Abstention, Finding
    from robokata.core.source import Source
    from robokata.core.stream import Stream
    from robokata.expansion.expand import expand
    from robokata.expansion.expansion import Expansion
    from robokata.inspection.run import Report, check_dataset
    from robokata.survey.dataset_survey import Survey

__all__ = [
    "Abstention",
    "Episode",
    "Expansion",
    "Finding",
    "Report",
    "Source",
    "Stream",
    "Survey",
    "__version__",
    "check_dataset",
    "expand",
    "find_datasets",
    "open_source",
]

_HOMES = {
    "Abstention": "core.finding:Abstention",
    "Episode": "core.episode:Episode",
    "Expansion": "expansion.expansion:Expansion",
    "Finding": "core.finding:Finding",
    "Report": "inspection.run:Report",
    "Source": "core.source:Source",
    "Stream": "core.stream:Stream",
    "Survey": "survey.dataset_survey:Survey",
    "check_dataset": "inspection.run:check_dataset",
    "expand": "expansion.expand:expand",
    "find_datasets": "core.detection:find_datasets",
    "open_source": "core.detection:open_source",
}
"""Where each name lies: `module:name`. A module of the package never has one of these names."""


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'robokata' has no attribute {name!r}")
    module, _, attribute = _HOMES[name].partition(":")
    return getattr(importlib.import_module(f"robokata.{module}"), attribute)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
