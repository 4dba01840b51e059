"""Small robots made of chosen numbers, for tests of checks that look at numbers."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robokata.core.clock import Clock, grid_clock, step_clock
from robokata.core.contracts import Gathered, unmet_need
from robokata.core.episode import Embodiment, Episode
from robokata.core.finding import Abstention, Finding, Level, Verdict
from robokata.core.source import EpisodeList
from robokata.core.stream import Kind, Role, Stream
from robokata.core.values import ArrayValues
from robokata.media.images import RawImages

RATE_HZ = Fraction(50)


def robot(
    state: NDArray[Any] | None = None,
    action: NDArray[Any] | None = None,
    *,
    names: tuple[str, ...] | None = None,
    pictures: NDArray[Any] | None = None,
    rate_hz: Fraction | None = RATE_HZ,
    name: str = "0",
) -> Episode:
    """An episode of these numbers, all on one clock."""
    count = max(len(a) for a in (state, action, pictures) if a is not None)
    clock = step_clock(count) if rate_hz is None else grid_clock(count, rate_hz)
    streams = [
        _numbers(n, role, clock, values, names)
        for n, role, values in (("state", Role.STATE, state), ("action", Role.ACTION, action))
        if values is not None
    ]
    if pictures is not None:
        raw = RawImages(ArrayValues(pictures), where="pictures")
        streams.append(Stream("camera", Kind.IMAGE, Role.CAMERA, clock, raw, encoding="raw"))
    return Episode(name, {s.name: s for s in streams}, embodiment=Embodiment("arm"))


def _numbers(name: str, role: Role, clock: Clock, values: NDArray[Any], names: tuple[str, ...] | None) -> Stream:
    return Stream(name, Kind.TENSOR, role, clock, ArrayValues(values), channels=names)


def swing(steps: int = 400, *, joints: int = 3, noise: float = 3e-4, seed: int = 0) -> NDArray[np.float32]:
    """Joints that swing by one radian at three slow speeds, with encoder noise, (steps, joints)."""
    rng = np.random.default_rng(seed)
    time_s = np.arange(steps)[:, np.newaxis] / float(RATE_HZ)
    path = np.sin(time_s * (0.8 + 0.3 * np.arange(joints)) + rng.uniform(0, 6, joints))
    return (path + rng.normal(0, noise, path.shape)).astype(np.float32)


def verdicts(check: ModuleType, *episodes: Episode) -> list[Verdict]:
    """What a check says of episodes, as the engine would ask it."""
    source = EpisodeList(list(episodes))
    able = [e for e in episodes if unmet_need(e, check.NEEDS) is None]
    if hasattr(check, "judge"):
        return list(check.judge([Gathered(e.id, check.gather(e)) for e in able], source.facts()))
    return [verdict for episode in able for verdict in check.check(episode)]


def findings(check: ModuleType, *episodes: Episode) -> list[Finding]:
    """The findings among them."""
    return [v for v in verdicts(check, *episodes) if isinstance(v, Finding)]


def reasons(check: ModuleType, *episodes: Episode) -> list[str]:
    """The reasons of the abstentions among them."""
    return [v.reason for v in verdicts(check, *episodes) if isinstance(v, Abstention)]


def above_info(check: ModuleType, *episodes: Episode) -> list[str]:
    """Messages that are more than information."""
    return [f.message for f in findings(check, *episodes) if f.level is not Level.INFO]


def oddities() -> Iterator[Episode]:
    """Episodes at the edge of what exists: none of them may raise."""
    rng = np.random.default_rng(0)
    for count in (0, 1, 2, 3, 20):
        numbers = rng.normal(size=(count, 2)).astype(np.float32)
        grey = rng.integers(0, 255, (count, 16, 16, 3)).astype(np.uint8)
        yield robot(numbers, numbers.copy(), pictures=grey)
        yield robot(np.zeros((count, 2), np.float32), np.zeros((count, 2), np.float32), pictures=np.zeros_like(grey))
        yield robot(np.full((count, 2), np.nan), numbers)
        yield robot(numbers, np.full((count, 2), np.inf), pictures=grey)
        yield robot(numbers * np.float32(5e37), numbers.astype(np.float64) * 1e307)
        yield robot(rng.integers(0, 4096, (count, 2)), rng.integers(0, 2, (count, 2)).astype(bool))
        yield robot(np.zeros((count, 0), np.float32), np.zeros((count, 0), np.float32))
        yield robot(numbers, numbers.copy(), rate_hz=None)
