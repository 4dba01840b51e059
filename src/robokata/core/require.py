"""Heavy libraries, imported at first use and named when absent."""

from __future__ import annotations

import importlib
from typing import Any

from robokata.core.errors import MissingPart


def require(module: str, *, extra: str) -> Any:
    """Import `module` now, or say how to install it.

    Returns `Any` on purpose: most of these libraries ship no types, and one untyped seam is better
    than an ignore at every call.

    Raises:
        MissingPart: `module` is not installed; the message names the extra that brings it.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        top = module.partition(".")[0]
        if error.name is None or error.name.partition(".")[0] != top:
            raise
        raise MissingPart(
            f"Reading this needs the Python package {top!r}, which is not installed. "
            f"Run: pip install 'robokata[{extra}]'"
        ) from None
