"""A TOML file as a table, or why it is none."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from robokata.core.errors import RecipeRefused


def read_toml(path: Path) -> dict[str, Any]:
    """The table of a file.

    Raises:
        RecipeRefused: it cannot be read, or is no TOML; names the file.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RecipeRefused(f"{path}: cannot be read: {error.strerror}.") from None
    except (ValueError, RecursionError) as error:
        raise RecipeRefused(f"{path}: is no TOML: {error}.") from None
