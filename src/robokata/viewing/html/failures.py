"""Failed trials as filmstrips: what happened, why it failed, and how to open the episode."""

from __future__ import annotations

import base64
import shlex
from html import escape
from pathlib import Path

import numpy as np

from robokata.core.detection import open_source
from robokata.core.episode import Episode
from robokata.core.errors import RobokataError
from robokata.evaluation.evaluation import CONTROL, Evaluation
from robokata.evaluation.trials import Trials
from robokata.runtime.jobs import Tried

_SHOWN_OF_CONTROL, _SHOWN_OF_PROBE = 6, 3
"""Strips per arm: with fifteen probes more would make a page that nobody scrolls through."""
_FRAMES = 7
"""Pictures of a strip: begin, end, and five between."""


def failures_html(evaluation: Evaluation) -> str:
    """Filmstrips of the control arm's failures, then of each probe's, worst first; empty where nothing failed."""
    arms = [(CONTROL, evaluation.control), *((result.probe.name, result.trials) for result in evaluation.probes)]
    found = "".join(_arm(Path(evaluation.out) / name, name, trials) for name, trials in arms)
    return f"<section><h2>Failures</h2>{found}</section>" if found else ""


def _arm(folder: Path, name: str, trials: Trials) -> str:
    failed = [line for line in trials.lines if line.file and line.counts and not line.row["success"]]
    if not failed:
        return ""
    most = _SHOWN_OF_CONTROL if name == CONTROL else _SHOWN_OF_PROBE
    shown = _varied(failed)[:most]
    more = f", {len(shown)} shown" if len(shown) < len(failed) else ""
    strips = "".join(_strip(folder, line) for line in shown)
    headline = f"{escape(name)}: {len(failed)} of {len(trials.successes)} trials failed{more}"
    # The control arm's strips are open; those of fifteen probes would push everything else off the page.
    is_open = " open" if name == CONTROL else ""
    return f"<details{is_open}><summary>{headline}</summary>{strips}</details>"


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


def _strip(folder: Path, line: Tried) -> str:
    path = folder / str(line.file)
    try:
        episode = open_source(path).episode(path.stem)
        told = next(iter(episode.instructions), None)
        images = _images(episode)
    except RobokataError as error:
        return f"<p>{escape(str(error))}</p>"
    said = "" if told is None else f", told “{escape(told.text)}”"
    film = f'<div class="strip film">{images}</div>' if images else '<p class="note">No pictures were kept.</p>'
    return (
        f'<article><p><span class="badge warning">{escape(_cause(line))}</span> trial {line.number}, '
        f"{line.row['duration_s']:.1f} s{said}</p>{film}"
        f'<p class="note"><code>kata look {escape(shlex.quote(str(path)))}</code></p></article>'
    )


def _images(episode: Episode) -> str:
    """Equally spaced pictures of the first camera, each with its time."""
    camera = next(episode.pictures(), None)
    if camera is None or not len(camera):
        return ""
    out = []
    for index in np.unique(np.linspace(0, len(camera) - 1, _FRAMES).astype(int)):
        picture = camera.pictures.encoded(int(index))
        if picture is None:
            continue
        data = base64.b64encode(picture.data).decode()
        place = episode.place(camera.clock, int(index))
        when = f"{place:.1f} s" if camera.clock.has_times else f"step {place:.0f}"
        out.append(
            f'<figure><img alt="{escape(camera.name)} at {when}" src="data:image/jpeg;base64,{data}">'
            f"<figcaption>{when}</figcaption></figure>"
        )
    return "".join(out)
