"""What one training sample holds, in seconds around its moment."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

from robokata.core.errors import DamagedData


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
    rate_hz: float = 20.0
    """Rate at which actions are read, whatever the stream's own: the control rate of the field's arms."""
    history_s: tuple[float, ...] = (0.0,)
    """When numbers are seen, oldest first: now alone, because a policy that sees its past learns to copy it."""
    every_s: float = 0.05
    """Time between two samples of an episode: 20 a second; neighbours nearer than that teach nothing new."""
    picture_px: int = 128
    """Side of the square that pictures are brought to."""

    def as_json(self) -> dict[str, Any]:
        """Plain values for `json.dumps`."""
        return asdict(self)


def window_spec_from(data: Any, *, where: str) -> WindowSpec:
    """A spec from what `as_json` gave.

    Raises:
        DamagedData: a field is missing, unknown or of another kind.
    """
    names = {field.name for field in fields(WindowSpec)}
    if not isinstance(data, dict) or set(data) != names:
        raise DamagedData(where, f"a window needs exactly the fields {', '.join(sorted(names))}.")
    try:
        return WindowSpec(
            action=str(data["action"]),
            inputs=tuple(map(str, data["inputs"])),
            cameras=tuple(map(str, data["cameras"])),
            chunk_steps=_count(data["chunk_steps"], at_most=1000),
            rate_hz=float(data["rate_hz"]),
            history_s=tuple(map(float, data["history_s"])),
            every_s=float(data["every_s"]),
            picture_px=_count(data["picture_px"], at_most=4096),
        )
    except (TypeError, ValueError) as error:
        raise DamagedData(where, f"the window is damaged: {error}.") from None


def _count(value: Any, *, at_most: int) -> int:
    count = int(value)
    if not 1 <= count <= at_most:
        raise ValueError(f"{count} is not between 1 and {at_most}")
    return count
