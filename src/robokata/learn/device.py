"""Which device a network runs on, for training and acting alike."""

from __future__ import annotations

import re

from robokata.core.require import require

_NAME = re.compile(r"auto|cpu|cuda(:[0-9]+)?", re.ASCII)


def device_meant(name: str) -> str:
    """`auto` as the GPU where there is one, else the CPU; any other name as it is.

    Raises:
        MissingPart: torch is not installed.
    """
    torch = require("torch", extra="learn")
    return ("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else name


def why_no_name(name: object) -> str | None:
    """Why this is the name of no device, None where it is one. Whether the device is here, it does not say."""
    is_name = isinstance(name, str) and _NAME.fullmatch(name) is not None
    return None if is_name else f"device is {name!r}. It is auto, cpu, cuda or cuda:N."


def why_not_here(name: str) -> str | None:
    """Why the network cannot run on this device, None where it can.

    Raises:
        MissingPart: torch is not installed.
    """
    torch = require("torch", extra="learn")
    if (why := why_no_name(name)) is not None or not name.startswith("cuda"):
        return why
    if not torch.cuda.is_available():
        return f"device {name!r} is not here: this torch sees no GPU. Say --device cpu."
    seen = torch.cuda.device_count()
    if int(name.partition(":")[2] or 0) >= seen:
        return f"device {name!r} is not here: this torch sees {seen} GPU(s), cuda:0 to cuda:{seen - 1}."
    return None
