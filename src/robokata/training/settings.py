"""How long, how fast and on what a policy is trained."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import Any

from robokata.core.errors import TrainingRefused
from robokata.learn.device import device_meant, why_not_here
from robokata.learn.trainable import Habits


@dataclass(frozen=True)
class Settings:
    """Everything that decides the loss curve, and a few that only decide the time."""

    steps: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    warmup_steps: int
    ema_decay: float
    seed: int = 0
    clip_norm: float = 1.0
    """Largest norm of a gradient: ten times that of a healthy step, so that only outliers are cut."""
    accumulate: int = 1
    """Batches per step of the optimizer."""
    device: str = "cpu"
    threads: int = 1
    """Explicit: torch's own choice counts the machine's cores, and slows to a quarter when they are shared."""
    precision: str = "float32"
    """`bfloat16` computes the network (not the loss) in half the bits."""
    minutes: float | None = None
    """Time to train in; `steps` is then what fits, measured once, and written down."""

    def to_json(self) -> dict[str, Any]:
        """Plain values for `json.dumps`."""
        return asdict(self)


def settings_for(
    habits: Habits,
    *,
    steps: int | None = None,
    minutes: float | None = None,
    seed: int = 0,
    device: str = "auto",
    threads: int | None = None,
    batch_size: int | None = None,
    learning_rate: float | None = None,
    accumulate: int = 1,
    precision: str | None = None,
) -> Settings:
    """The policy's habits, with what the user says.

    Raises:
        TrainingRefused: a number that no training can have, or a device that is not here.
        MissingPart: torch is not installed.
    """
    if steps is not None and minutes is not None:
        raise TrainingRefused("both steps and minutes are given. Give one: the other follows.")
    given = {"steps": steps, "minutes": minutes, "batch size": batch_size, "threads": threads}
    for name, value in {**given, "learning rate": learning_rate}.items():
        if value is not None and not 0 < value < math.inf:
            raise TrainingRefused(f"{name} is {value}, and must be above 0.")
    if (why := why_not_here(device)) is not None:
        raise TrainingRefused(why)
    chosen = device_meant(device)
    made = Settings(
        steps=steps or habits.steps,
        batch_size=batch_size or habits.batch_size,
        learning_rate=learning_rate or habits.learning_rate,
        weight_decay=habits.weight_decay,
        warmup_steps=habits.warmup_steps,
        ema_decay=habits.ema_decay,
        seed=seed,
        accumulate=max(1, accumulate),
        device=chosen,
        threads=threads or _cores(),
        precision=precision or ("bfloat16" if chosen.startswith("cuda") else "float32"),
        minutes=minutes,
    )
    if made.precision not in ("float32", "bfloat16"):
        raise TrainingRefused(f"precision is {made.precision!r}. It is float32 or bfloat16.")
    return made


def rate_at(step: int, settings: Settings) -> float:
    """Learning rate of a step: a linear start, then half a cosine down to a hundredth (Loshchilov and Hutter 2017)."""
    # A short run must not spend itself starting.
    warmup = min(settings.warmup_steps, max(1, settings.steps // 5))
    if step < warmup:
        return settings.learning_rate * (step + 1) / warmup
    share = (step - warmup) / max(1, settings.steps - warmup)
    return settings.learning_rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, share))))


def with_steps(settings: Settings, steps: int) -> Settings:
    """The same settings for another number of steps."""
    return replace(settings, steps=max(1, steps))


def _cores() -> int:
    import os

    return len(os.sched_getaffinity(0))
