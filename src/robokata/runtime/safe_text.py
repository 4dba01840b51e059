"""Text from a dataset as it is safe to show: what would steer the terminal or turn the line around is spelled out."""

from __future__ import annotations

import re

_STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters but tab and line feed (ESC and C1 move the cursor, rename the window, run macros), the marks that
make a reader see `cod.exe` as `exe.doc`, and what stands for the bytes of a name that is not UTF-8."""


def visible(text: str) -> str:
    """The text with each steering character written as `\\u001b`: the escape that JSON and Python read back."""
    return _STEERING.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
