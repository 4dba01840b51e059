"""One import per shelf for authors of leaves: its protocol, and the names that its leaves are written with.

`from robokata.authoring.checks import Finding, Need, Verdict` is all that a check of another package imports. The
docstring of each module says what a leaf of its shelf defines; `robokata.testing` has the clauses to test it with.
"""

from __future__ import annotations

import importlib
from types import ModuleType

__all__ = ["checks", "curators", "expanders", "formats", "metrics", "policies", "robots", "steps", "tasks"]


def __getattr__(name: str) -> ModuleType:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return importlib.import_module(f"{__name__}.{name}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
