"""What one training sample holds around its moment: seconds of it, or steps where nobody knows seconds."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from robokata.core.errors import DamagedData, TrainingRefused


@dataclass(frozen=True)
class WindowSpec:
    """Streams and times of one sample. Every field has its default's reason beside it."""

    action: str
    """Stream that is learnt."""
    inputs: tuple[str, ...] = ()
    """Streams of numbers that are seen."""
    cameras: tuple[str, ...] = ()
    """Streams of pictures that are seen, the newest picture of each."""
    chunk_steps: int = 16
    """Actions of a sample: 0.8 s at 20 Hz, two to three times what is executed before the next look."""
    rate_hz: float | None = 20.0
    """Rate at which actions are read, whatever the stream's own: the control rate of the field's arms. None: the window
    is in steps, a chunk is consecutive actions, and nothing of it is a second."""
    history_s: tuple[float, ...] = (0.0,)
    """When numbers are seen, oldest first: now alone, because a policy that sees its past learns to copy it."""
    every_s: float = 0.05
    """Time between two samples of an episode: 20 a second; neighbours nearer than that teach nothing new."""
    picture_px: int = 128
    """Side of the square that pictures are brought to."""
    history_steps: tuple[int, ...] = (0,)
    """As `history_s`, in actions from the moment, for windows in steps."""
    every_steps: int = 1
    """As `every_s`, in actions: every one, because nothing tells how near two are."""

    @property
    def is_in_steps(self) -> bool:
        """True where the window counts actions and not seconds."""
        return self.rate_hz is None

    @property
    def timed_rate_hz(self) -> float:
        """The rate of the actions.

        Raises:
            TrainingRefused: the window is in steps and has none.
        """
        if self.rate_hz is None:
            raise TrainingRefused(
                "this window is in steps and has no rate, and one is needed here. Declare the rate of the data's steps "
                "(--rate-hz 10; rate_hz = 10 in its [[source]]) instead of learning in steps."
            )
        return self.rate_hz

    def at_rate(self, rate_hz: float) -> WindowSpec:
        """The same window in seconds, where a step takes 1 / rate."""
        history_s = tuple(step / rate_hz for step in self.history_steps)
        return replace(self, rate_hz=rate_hz, history_s=history_s, every_s=self.every_steps / rate_hz)

    @property
    def past(self) -> int:
        """How many samples of each stream of numbers are seen."""
        return len(self.history_steps if self.is_in_steps else self.history_s)

    def to_json(self) -> dict[str, Any]:
        """Plain values for `json.dumps`."""
        return asdict(self)


def window_spec_from(data: Any, *, where: str) -> WindowSpec:
    """A spec from what `to_json` gave.

    Raises:
        DamagedData: a field is missing, unknown or of another kind.
    """
    names = {field.name for field in fields(WindowSpec)}
    # Windows in steps came later: a checkpoint from before them says nothing of steps.
    if not isinstance(data, dict) or {*data, "history_steps", "every_steps"} != names:
        raise DamagedData(where, f"a window needs exactly the fields {', '.join(sorted(names))}.")
    try:
        return WindowSpec(
            action=str(data["action"]),
            inputs=tuple(map(str, data["inputs"])),
            cameras=tuple(map(str, data["cameras"])),
            chunk_steps=_count(data["chunk_steps"], at_most=1000),
            rate_hz=None if data["rate_hz"] is None else float(data["rate_hz"]),
            history_s=tuple(map(float, data["history_s"])),
            every_s=float(data["every_s"]),
            picture_px=_count(data["picture_px"], at_most=4096),
            history_steps=tuple(map(int, data.get("history_steps", (0,)))),
            every_steps=_count(data.get("every_steps", 1), at_most=1_000_000),
        )
    except (TypeError, ValueError) as error:
        raise DamagedData(where, f"the window is damaged: {error}.") from None


def _count(value: Any, *, at_most: int) -> int:
    count = int(value)
    if not 1 <= count <= at_most:
        raise ValueError(f"{count} is not between 1 and {at_most}")
    return count
