"""Filmstrips of failed trials: what happened, why it failed, and how to open the episode."""

from __future__ import annotations

import base64
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from robokata.core.detection import open_source
from robokata.core.episode import Episode
from robokata.core.errors import RobokataError
from robokata.evaluation.evaluation import CONTROL, Evaluation
from robokata.evaluation.trials import Trials
from robokata.runtime.jobs import Tried
from robokata.viewing.html.page import render

if TYPE_CHECKING:
    from markupsafe import Markup

_SHOWN_OF_CONTROL, _SHOWN_OF_PROBE = 6, 3
"""Strips per arm: with fifteen probes, more would make a page too long to scroll through."""
_FRAMES = 7
"""Pictures of a strip: begin, end, and five between."""


class _Frame(NamedTuple):
    camera: str
    when: str
    jpeg: str
    """Base64."""


class _Strip(NamedTuple):
    """One failed trial; `problem` says why its file cannot be read."""

    cause: str
    number: int
    duration_s: float
    path: str
    """Quoted for a shell."""
    instruction: str | None = None
    frames: tuple[_Frame, ...] = ()
    problem: str = ""


class _Arm(NamedTuple):
    name: str
    failed: int
    trials: int
    strips: list[_Strip]
    is_open: bool


def failures_html(evaluation: Evaluation) -> Markup | str:
    """Filmstrips of the control arm's failures, then of each probe's, worst first; empty where nothing failed."""
    arms = [(CONTROL, evaluation.control), *((result.probe.name, result.trials) for result in evaluation.probes)]
    found = [_arm(Path(evaluation.out) / name, name, trials) for name, trials in arms]
    shown = [arm for arm in found if arm is not None]
    return render("failures", arms=shown) if shown else ""


def _arm(folder: Path, name: str, trials: Trials) -> _Arm | None:
    failed = [line for line in trials.lines if line.file and line.counts and not line.row["success"]]
    if not failed:
        return None
    most = _SHOWN_OF_CONTROL if name == CONTROL else _SHOWN_OF_PROBE
    strips = [_strip(folder, line) for line in _varied(failed)[:most]]
    # The control arm's strips are open; those of fifteen probes would push everything else off the page.
    return _Arm(name, len(failed), len(trials.successes), strips, is_open=name == CONTROL)


def _varied(failed: list[Tried]) -> list[Tried]:
    """One of each cause first, then the second of each: six strips of one cause hide the others."""
    turns: dict[str, int] = {}
    keyed = []
    for line in failed:
        turns[_cause(line)] = turns.get(_cause(line), -1) + 1
        keyed.append((turns[_cause(line)], line.number, line))
    return [line for _, _, line in sorted(keyed, key=lambda key: key[:2])]


def _cause(line: Tried) -> str:
    return str(line.row["observed"]["failure_cause"]["label"] or "unknown cause")


def _strip(folder: Path, line: Tried) -> _Strip:
    path = folder / str(line.file)
    strip = _Strip(_cause(line), line.number, line.row["duration_s"], shlex.quote(str(path)))
    try:
        episode = open_source(path).episode(path.stem)
        instruction = next(iter(episode.instructions), None)
        frames = tuple(_frames(episode))
    except RobokataError as error:
        return strip._replace(problem=str(error))
    return strip._replace(instruction=None if instruction is None else instruction.text, frames=frames)


def _frames(episode: Episode) -> Iterator[_Frame]:
    """Equally spaced pictures of the first camera, each with its time."""
    camera = next(episode.pictures(), None)
    if camera is None or not len(camera):
        return
    for index in np.unique(np.linspace(0, len(camera) - 1, _FRAMES).astype(int)):
        picture = camera.pictures.encoded(int(index))
        if picture is None:
            continue
        place = episode.place(camera.clock, int(index))
        when = f"{place:.1f} s" if camera.clock.has_times else f"step {place:.0f}"
        yield _Frame(camera.name, when, base64.b64encode(picture.data).decode())
