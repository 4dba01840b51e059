"""What the tests of handheld videos render."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from robokata.collection.umi.camera import pinhole
from umi.umi_videos import Take, Truth

SMALL = Take(camera=pinhole(480, 360, field_rad=np.deg2rad(70)), frames=66, latency_s=0.083)
LOST = frozenset(range(20, 25))


class Clean(NamedTuple):
    """A clip and everything that is true of it, in one folder."""

    folder: Path
    video: Path
    take: Take
    truth: Truth


def short(**changes: Any) -> Take:
    """A take that is just long enough to be judged."""
    return replace(SMALL, **{"frames": 16, "latency_s": 0.0, **changes})
