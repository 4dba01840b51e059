"""How often each check finds the defect that it plants, and how often it cries wolf: measured, with intervals."""

from __future__ import annotations

import math
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import NamedTuple, TypeVar

import numpy as np

from robokata.core.contracts import unmet_need
from robokata.core.detection import open_source
from robokata.core.episode import Episode
from robokata.core.errors import DamagedData
from robokata.core.finding import Finding, Level
from robokata.core.shelf import shelf
from robokata.core.source import EpisodeList
from robokata.core.suite import Suite
from robokata.inspection.run import Report, check_dataset
from robokata.runtime.pool import WorkerPool, answer_of
from robokata.testing import tiny_source

MAGNITUDES = (0.25, 0.5, 1.0, 2.0)
SEEDS = range(100, 120)
"""Not 0..7, on which `tests/contracts/test_checks.py` demands that every check fires."""
EPISODES, VICTIM = 6, "2"
RECORDINGS = ("lerobot-v2.1-g1-real", "foreign-writers/lerobot-v3.0-av1", "foreign-writers/lerobot-v3.0-h264")
Row = TypeVar("Row")
CLOCKS = {True: "measured", False: "synthesized"}


class Tally(NamedTuple):
    """How many of `trials` came out."""

    hits: int
    trials: int

    def __str__(self) -> str:
        if not self.trials:
            return "no trial"
        low, high = wilson(self)
        return f"{self.hits / self.trials:.0%} ({low:.0%} to {high:.0%})"


class Recall(NamedTuple):
    """One check: its finds per magnitude, and the checks that fire on its plant at magnitude 1."""

    check: str
    found: dict[float, Tally]
    also: dict[str, int]


class OnRecordings(NamedTuple):
    """One check on real episodes: finds per magnitude, and episodes in which it fires before anything is planted."""

    check: str
    found: dict[float, Tally]
    fires_before: Tally
    refused: tuple[str, ...]
    """Why there are no trials, each reason once."""


def wilson(tally: Tally, *, z_std: float = 1.959964) -> tuple[float, float]:
    """The 95 % interval of a share: low and high.

    Wilson's score interval (E. B. Wilson, "Probable Inference, the Law of Succession, and Statistical Inference",
    JASA 22, 1927, p. 209-212): the shares p for which |hits/n - p| <= z sqrt(p (1 - p) / n). Unlike the normal
    approximation it keeps a width at 0 of n and n of n.
    """
    n, share = tally.trials, tally.hits / tally.trials
    centre = (share + z_std**2 / (2 * n)) / (1 + z_std**2 / n)
    reach = z_std / (1 + z_std**2 / n) * math.sqrt(share * (1 - share) / n + z_std**2 / (4 * n**2))
    # The ends are exactly 0 and 1 at 0 of n and n of n; rounding may leave them beside it.
    low = 0.0 if tally.hits == 0 else centre - reach
    return low, 1.0 if tally.hits == n else centre + reach


def planted(leaf: ModuleType, source: EpisodeList, seed: int, magnitude: float) -> EpisodeList:
    """The source with the check's own defect in one episode, or wherever a check across episodes plants it."""
    rng = np.random.default_rng(seed)
    if hasattr(leaf, "judge"):
        changed: EpisodeList = leaf.plant(source, rng, magnitude)
        return changed
    victim = leaf.plant(source.episode(VICTIM), rng, magnitude)
    return EpisodeList([victim if key == VICTIM else sound for key, sound in source.episodes.items()], source.facts())


def only(check: str) -> Suite:
    """A suite with one check on."""
    return Suite(off=frozenset(name for name in shelf("checks").names() if name != check))


def alarms(report: Report) -> list[Finding]:
    """Findings that claim a defect; information is none."""
    return [finding for finding in report.findings if finding.level is not Level.INFO]


def recall_of(check: str) -> Recall:
    """Plant the check's defect at every magnitude and seed; look with that check alone, at 1 with all of them."""
    leaf, hits, also = shelf("checks")[check], Counter[float](), Counter[str]()
    for seed in SEEDS:
        source = tiny_source(EPISODES, seed=seed)
        for magnitude in MAGNITUDES:
            spoilt = planted(leaf, source, seed, magnitude)
            hits[magnitude] += any(
                _is_about(finding, source, spoilt) for finding in alarms(check_dataset(spoilt, suite=only(check)))
            )
            if magnitude == 1.0:
                also.update({finding.check for finding in alarms(check_dataset(spoilt))} - {check})
    return Recall(check, {m: Tally(hits[m], len(SEEDS)) for m in MAGNITUDES}, dict(sorted(also.items())))


def _is_about(finding: Finding, sound: EpisodeList, spoilt: EpisodeList) -> bool:
    """True where a finding names nothing that the plant left as it was: another episode, or an untouched stream."""
    if finding.episode is None or finding.episode not in sound.episodes:
        return True
    if hasattr(shelf("checks")[finding.check], "judge"):
        # A check across episodes may name either of two twins, or an episode that only the facts lie about.
        return True
    before, after = sound.episode(finding.episode), spoilt.episode(finding.episode)
    return after is not before and (finding.stream is None or _is_changed(before, after, finding.stream))


def _is_changed(before: Episode, after: Episode, stream: str) -> bool:
    return before.streams.get(stream) is not after.streams.get(stream)


def false_alarms(is_measured: bool) -> dict[str, Tally]:
    """Per check: sound episodes in which it fires; for a check across episodes, sound datasets."""
    fired = Counter[str]()
    for seed in SEEDS:
        findings = alarms(check_dataset(tiny_source(EPISODES, seed=seed, is_measured=is_measured)))
        fired.update(check for check, _ in {(f.check, _unit(f)) for f in findings})
    trials = {True: len(SEEDS), False: len(SEEDS) * EPISODES}
    return {n: Tally(fired[n], trials[hasattr(shelf("checks")[n], "judge")]) for n in shelf("checks").names()}


def _unit(finding: Finding) -> str | None:
    return None if hasattr(shelf("checks")[finding.check], "judge") else finding.episode


def recordings() -> list[Path]:
    """Folders of the real recordings, empty where they are not here (`$ROBOKATA_DATA` names them)."""
    root = Path(os.environ.get("ROBOKATA_DATA") or Path(__file__).parents[2] / "shared" / "data")
    return [root / name for name in RECORDINGS if (root / name).is_dir()]


def on_recordings(check: str) -> OnRecordings:
    """Plant into every real episode that opens; found means a finding that the untouched episode does not have."""
    leaf, hits, trials, before, refused = shelf("checks")[check], Counter[float](), Counter[float](), [], set[str]()
    for number, episode in enumerate(_real_episodes()):
        untouched = {_place(f) for f in alarms(check_dataset(EpisodeList([episode]), suite=only(check)))}
        before.append(bool(untouched))
        for magnitude in MAGNITUDES:
            spoilt = leaf.plant(episode, np.random.default_rng(number), magnitude)
            unmet = unmet_need(spoilt, leaf.NEEDS)
            if unmet is not None or spoilt is episode:
                refused.add(unmet.reason if unmet else "its plant finds no place for the defect")
                continue
            trials[magnitude] += 1
            after = alarms(check_dataset(EpisodeList([spoilt]), suite=only(check)))
            hits[magnitude] += any(
                _place(f) not in untouched and (f.stream is None or _is_changed(episode, spoilt, f.stream))
                for f in after
            )
    found = {m: Tally(hits[m], trials[m]) for m in MAGNITUDES}
    return OnRecordings(check, found, Tally(sum(before), len(before)), tuple(sorted(refused)))


def _place(finding: Finding) -> tuple[object, ...]:
    # The sentence without its numbers: a defect that was there before does not become a new one by a shifted share.
    return finding.level, finding.stream, finding.channel, re.sub(r"[\d.]+", "#", finding.message)


def _real_episodes() -> Iterator[Episode]:
    for folder in recordings():
        inner = folder / "dataset"
        source = open_source(inner if inner.is_dir() else folder)
        for key in list(source.keys()):
            try:
                episode = source.episode(key)
                for stream in episode.numeric():
                    _ = stream.table
            except DamagedData:
                # The excerpt of the G1 set names 94 episodes that it does not hold.
                continue
            yield episode


class Measured(NamedTuple):
    """Everything on the page."""

    recall: list[Recall]
    false_alarms: dict[str, dict[str, Tally]]
    on_recordings: list[OnRecordings] | None
    """None where the recordings are not here."""


def measure(*, say: Callable[[str], None]) -> Measured:
    """Run all trials on two processes; the numbers depend on the seeds only."""
    names = shelf("checks").names()
    own = [name for name in names if hasattr(shelf("checks")[name], "check")]
    with WorkerPool(2) as pool:
        recall = list(_told(_each(pool, recall_of, names), names, "planted into sound episodes", say))
        alarm = dict(zip(CLOCKS.values(), _each(pool, false_alarms, CLOCKS), strict=True))
        say("recall: sound episodes checked")
        real = None
        if recordings():
            real = list(_told(_each(pool, on_recordings, own), own, "planted into recordings", say))
    return Measured(recall, alarm, real)


def _each(pool: WorkerPool, function: Callable[[str], Row], names: Iterable[str]) -> Iterator[Row]:
    running = [pool.submit(function, name) for name in names]
    return (answer_of(future) for future in running)


def _told(results: Iterable[Row], names: Sequence[str], what: str, say: Callable[[str], None]) -> Iterator[Row]:
    for number, (name, result) in enumerate(zip(names, results, strict=True), 1):
        say(f"recall: {name} {what} ({number} of {len(names)})")
        yield result
