"""The mechanism's type, for tests that use it."""

from __future__ import annotations

from collections.abc import Callable

Golden = Callable[[str, str], None]
