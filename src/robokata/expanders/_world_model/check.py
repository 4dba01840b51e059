"""Whether pictures that a world model gave back still show what the robot did.

A model may change everything but the motion: the actions stay, and a policy that learns from them must see their
effect, when it happened. So pictures that are blank, unchanged, frozen or late are kept out, and so is an episode in
which a check finds anything that it did not find before.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from robokata.core.episode import Episode
from robokata.core.errors import GeneratorFailed
from robokata.core.finding import Finding, Level
from robokata.core.fingerprint import fingerprint_of
from robokata.core.stream import Stream
from robokata.core.suite import Suite
from robokata.inspection.examination import examine

_GRID = 48
"""Points per side at which pictures are compared: motion of a hand is seen, noise of a codec is averaged."""
BLANK_BELOW_LEVELS = 3.0
"""Spread of brightness below which a picture shows nothing, of 255."""
SAME_BELOW_LEVELS = 1.0
"""Mean change of blocks below which a picture is the one that was sent. Measured of a JPEG's second generation: 0.04
to 0.06 on rendered scenes, 0.55 on a noisy camera; of recoloured pictures: 19 to 31."""
STILL_BELOW_SHARE = 0.1
"""Share of the sent pictures' motion, below which a camera is frozen. Measured of recoloured pictures: 80 to 97 %."""
LATE_ABOVE_CORRELATION = 0.1
"""How much better motion must agree at another frame than at its own, before it is called late."""
MOST_LATE_FRAMES = 8


class Films(NamedTuple):
    """Pictures of one camera as grey grids, (T, h, w), as sent and as they came."""

    camera: str
    sent: NDArray[np.float32]
    came: NDArray[np.float32]


def refuse_unfaithful(source: Episode, made: Episode, cameras: Sequence[str]) -> None:
    """Do nothing where the new pictures show what the old ones did; `cameras` are names of streams.

    Raises:
        GeneratorFailed: they do not, with camera, measured and expected; or numbers changed.
    """
    if fingerprint_of(source).digest != fingerprint_of(made).digest:
        raise GeneratorFailed("unfaithful", f"episode {source.id}: state or action are not what they were.")
    for name in cameras:
        films = Films(name, _grids(source.streams[name]), _grids(made.streams[name]))
        for judge in (_blank, _unchanged, _frozen, _late):
            judge(films)
    new = _new_findings(source, made, cameras)
    if new:
        raise GeneratorFailed("unfaithful", f"{new[0].stream or 'episode'}: {new[0].check}: {new[0].message}")


def _blank(films: Films) -> None:
    spread = films.came.std(axis=(1, 2))
    shown = films.sent.std(axis=(1, 2)) >= BLANK_BELOW_LEVELS
    blank = np.flatnonzero((spread < BLANK_BELOW_LEVELS) & shown)
    if len(blank):
        raise _unfaithful(films, f"{len(blank)} pictures are blank, the first is {blank[0]}")


def _unchanged(films: Films) -> None:
    # Means of blocks: a codec's noise on single pixels cancels in them, another world does not.
    change = float(np.abs(_blocks(films.came) - _blocks(films.sent)).mean())
    if change < SAME_BELOW_LEVELS:
        raise _unfaithful(
            films,
            f"the pictures came back as they were sent ({change:.2f} of 255 levels; {SAME_BELOW_LEVELS} is least)",
        )


def _frozen(films: Films) -> None:
    sent, came = _motion(films.sent), _motion(films.came)
    share = came.sum() / sent.sum() if sent.sum() > 0 else 1.0
    if share < STILL_BELOW_SHARE:
        raise _unfaithful(films, f"the pictures hardly move: {100 * share:.1f} % of the motion that was sent")
    # A part that stands still: a tenth of the film, and a second's worth of a slow camera at least.
    window = max(6, len(sent) // 10)
    if len(sent) >= 2 * window:
        kernel = np.ones(window)
        old, new = np.convolve(sent, kernel, "valid"), np.convolve(came, kernel, "valid")
        busy = old > 0.5 * np.median(old)
        part = np.flatnonzero(busy & (new < STILL_BELOW_SHARE * share * old))
        if len(part):
            raise _unfaithful(films, f"the pictures stand still from {part[0]} to {part[0] + window}, sent ones move")


def _late(films: Films) -> None:
    sent, came = _motion(films.sent), _motion(films.came)
    most = min(MOST_LATE_FRAMES, len(sent) // 4)
    if most < 1 or sent.std() == 0 or came.std() == 0:
        return
    agreement = {lag: _agreement(sent, came, lag) for lag in range(-most, most + 1)}
    best = max(agreement, key=lambda lag: (agreement[lag], -abs(lag)))
    if abs(best) > 0 and agreement[best] > agreement[0] + LATE_ABOVE_CORRELATION:
        raise _unfaithful(
            films,
            f"the motion comes {abs(best)} pictures {'late' if best > 0 else 'early'}: it agrees with what was sent by "
            f"{agreement[best]:.2f} there and by {agreement[0]:.2f} at its own time",
        )


def _agreement(sent: NDArray[np.float64], came: NDArray[np.float64], lag: int) -> float:
    one = sent[max(0, -lag) : len(sent) - max(0, lag)]
    other = came[max(0, lag) : len(came) - max(0, -lag)]
    return float(np.corrcoef(one, other)[0, 1]) if one.std() > 0 and other.std() > 0 else 0.0


def _blocks(grids: NDArray[np.float32], *, size: int = 4) -> NDArray[np.float32]:
    """Means of blocks of `size` x `size` grid points, (T, h / size, w / size); a grid that is smaller stays."""
    count, height, width = grids.shape
    if min(height, width) < size:
        return grids
    cut = grids[:, : height // size * size, : width // size * size]
    means = cut.reshape(count, height // size, size, width // size, size).mean(axis=(2, 4))
    return np.asarray(means, np.float32)


def _motion(grids: NDArray[np.float32]) -> NDArray[np.float64]:
    """Change from each picture to the next, (T - 1,), beyond the noise of encoding (2 levels)."""
    change = np.maximum(np.abs(np.diff(grids, axis=0)) - 2.0, 0.0)
    return np.asarray(change.mean(axis=(1, 2)), np.float64)


def _new_findings(source: Episode, made: Episode, cameras: Sequence[str]) -> list[Finding]:
    before = {(finding.check, finding.stream) for finding in _findings(source)}
    found = [f for f in _findings(made) if (f.check, f.stream) not in before and f.stream in (*cameras, None)]
    return sorted(found, key=lambda finding: finding.level.rank)


def _findings(episode: Episode) -> list[Finding]:
    verdicts = examine(episode, suite=Suite()).verdicts
    return [v for v in verdicts if isinstance(v, Finding) and v.level is not Level.INFO]


def _grids(stream: Stream) -> NDArray[np.float32]:
    return np.stack([np.asarray(grid, np.float32) for grid in stream.pictures.luma(_GRID)])


def _unfaithful(films: Films, why: str) -> GeneratorFailed:
    return GeneratorFailed("unfaithful", f"{films.camera}: {why}.")
