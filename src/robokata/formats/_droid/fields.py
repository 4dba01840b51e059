"""Fields of a DROID annotation, taken at their word only where they are what they must be."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robokata.core.errors import DamagedData


def json_object(data: bytes, where: Path) -> Mapping[str, Any]:
    """A JSON object.

    Raises:
        DamagedData: not JSON, or no object.
    """
    try:
        value = json.loads(data)
    except json.JSONDecodeError as error:
        raise DamagedData(where, f"not JSON: {error.msg}.", offset=error.pos) from None
    except (ValueError, RecursionError) as error:
        raise DamagedData(where, f"not JSON: {str(error)[:100]}.") from None
    if not isinstance(value, dict):
        raise DamagedData(where, f"holds a {type(value).__name__} where an object with states and videos is due.")
    return value


def number_table(where: Path, name: str, value: Any) -> NDArray[Any]:
    """A list of numbers, or of equally long lists of them, as (T,) or (T, D).

    Raises:
        DamagedData: it holds anything else.
    """
    try:
        array = np.asarray(value)
    except (ValueError, OverflowError):
        array = np.empty((), object)
    # By what came out, not by a cast: numpy would read the text "1" as a number.
    if array.dtype.kind not in "fiub" or array.ndim not in (1, 2):
        raise DamagedData(where, f"{name!r} is no table of numbers, a row per step.")
    return array


def listed_paths(values: Mapping[str, Any], field: str, part: str) -> list[str]:
    """The paths in `[{part: path}, ...]`; what is no text is left to `extra`."""
    entries = values.get(field)
    found = [e.get(part) for e in entries if isinstance(e, dict)] if isinstance(entries, list) else []
    return [path for path in found if isinstance(path, str) and path]


def declared_count(values: Mapping[str, Any], field: str) -> int | None:
    """A count that is declared, None where none is."""
    value = values.get(field)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
