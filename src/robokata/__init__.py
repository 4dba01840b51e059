"""Robokata: the data engine for Vision-Language-Action robots.

`import robokata` loads nothing heavy: each name below is imported when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from robokata.checkup import Report, check_dataset
    from robokata.core.episode import Episode
    from robokata.core.finding import Abstention, Finding
    from robokata.core.source import Source, find_datasets, open_source
    from robokata.core.stream import Stream
    from robokata.dataset_survey import Survey, survey

__version__ = "0.1.0"
__all__ = [
    "Abstention",
    "Episode",
    "Finding",
    "Report",
    "Source",
    "Stream",
    "Survey",
    "__version__",
    "check_dataset",
    "find_datasets",
    "open_source",
    "survey",
]

_HOMES = {
    "Abstention": "core.finding",
    "Episode": "core.episode",
    "Finding": "core.finding",
    "Report": "checkup",
    "Source": "core.source",
    "Stream": "core.stream",
    "Survey": "dataset_survey",
    "check_dataset": "checkup",
    "find_datasets": "core.source",
    "open_source": "core.source",
    "survey": "dataset_survey",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'robokata' has no attribute {name!r}")
    return getattr(importlib.import_module(f"robokata.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
