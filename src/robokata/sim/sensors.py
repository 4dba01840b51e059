"""What sensors do to the truth: rate, latency, jitter and noise. All off by default: every control step, exact."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robokata.core.clock import NS_PER_S
from robokata.core.errors import RecipeRefused, UnknownName
from robokata.sim.model import PHYSICS_HZ


@dataclass(frozen=True)
class Sensors:
    """Rates and imperfections. A rate of None is the control's own."""

    camera_hz: int | None = None
    joints_hz: int | None = None
    force_hz: int | None = None
    """None: no force sensor at all."""
    camera_latency_s: float = 0.0
    """How late a picture's stamp is: the picture shows the world of so long before."""
    joints_latency_s: float = 0.0
    jitter_share: float = 0.0
    """Standard deviation of every stamp of a fast sensor, as a share of its period."""
    joints_noise_rad: float = 0.0
    force_noise_n: float = 0.0
    pixel_noise_levels: float = 0.0
    """Standard deviation of a pixel, of 255 levels."""

    def ticks(self, start: int, end: int) -> Iterator[tuple[int, frozenset[str]]]:
        """Physics steps in [start, end) at which a fast sensor reads, with what is read: `state`, `force`."""
        due: dict[int, set[str]] = {}
        for rate_hz, kind in ((self.camera_hz, "state"), (self.joints_hz, "state"), (self.force_hz, "force")):
            for step in ticks_of(rate_hz, start, end):
                due.setdefault(step, set()).add(kind)
        for step in sorted(due):
            yield step, frozenset(due[step])

    def to_json(self) -> dict[str, Any]:
        """Plain values for `json.dumps`."""
        return asdict(self)


REALISTIC = Sensors(
    camera_hz=30,
    joints_hz=100,
    force_hz=500,
    camera_latency_s=0.03,  # one frame of exposure, readout and transfer
    joints_latency_s=0.002,
    jitter_share=0.02,
    joints_noise_rad=3e-4,  # less than half a step of a 12-bit encoder (0.8 mrad)
    force_noise_n=0.05,
    pixel_noise_levels=2.0,
)
"""What a lab's rig gives: camera 30 Hz, joints 100 Hz, force 500 Hz, each a little late and a little noisy."""


def sensors_from(words: Sequence[str], usual: Sensors) -> Sensors:
    """`camera_hz=30`, `joints_noise_rad=0.001`, ... on top of what is usual; `none` as a rate turns a sensor's own off.

    Raises:
        UnknownName: there is no such setting.
        RecipeRefused: a value is no number of its kind.
    """
    changed: dict[str, Any] = {}
    for word in words:
        name, _, value = word.partition("=")
        known = [each.name for each in fields(Sensors)]
        if name not in known:
            raise UnknownName("setting of sensors", name, known)
        try:
            number: float | None = None if value == "none" else int(value) if name.endswith("_hz") else float(value)
        except ValueError:
            number = -1
        is_rate = name.endswith("_hz")
        if (number is None and not is_rate) or (number is not None and not (is_rate <= number <= PHYSICS_HZ)):
            kind = f"a whole number from 1 to {PHYSICS_HZ}, or none" if is_rate else "a number of at least 0"
            raise RecipeRefused(f"--sensor {word}: {value!r} is not {kind}.")
        changed[name] = number
    return replace(usual, **changed)


def ticks_of(rate_hz: int | None, start: int, end: int) -> range | list[int]:
    """Physics steps in [start, end) nearest to the ticks of a rate; empty without one."""
    if rate_hz is None:
        return range(0)
    if PHYSICS_HZ % rate_hz == 0:
        period = PHYSICS_HZ // rate_hz
        return range(-(-start // period) * period, end, period)
    first = start * rate_hz // PHYSICS_HZ
    last = end * rate_hz // PHYSICS_HZ + 1
    steps = [round(tick * PHYSICS_HZ / rate_hz) for tick in range(first, last + 1)]
    return [step for step in steps if start <= step < end]


def stamps_ns(
    steps: NDArray[np.int64], *, rate_hz: int, latency_s: float, jitter_share: float, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Stamps of samples that were taken at these physics steps, (T,), rising strictly."""
    exact = steps.astype(np.int64) * (NS_PER_S // PHYSICS_HZ)
    jitter_ns = jitter_share * NS_PER_S / rate_hz
    late = np.rint(rng.normal(0.0, jitter_ns, len(steps))).astype(np.int64) if jitter_share else 0
    stamped = exact + round(latency_s * NS_PER_S) + late
    # A driver never stamps a sample before the one it stamped last.
    return np.maximum.accumulate(stamped - np.arange(len(steps))) + np.arange(len(steps))
