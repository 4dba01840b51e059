"""The page of metrics is current."""

from __future__ import annotations

import importlib.util
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


def test_the_page_of_metrics_is_current() -> None:
    spec = importlib.util.spec_from_file_location("metrics_page", DOCS / "metrics_page.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    written = (DOCS / "metrics.md").read_text(encoding="utf-8")
    assert written == module.metrics_page(), "run `make docs` (or `python docs/metrics_page.py`)"
