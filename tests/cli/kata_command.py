"""What a call of `kata` gives."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple


class Said(NamedTuple):
    """Exit code and both outputs."""

    code: int
    out: str
    err: str


Kata = Callable[..., Said]
