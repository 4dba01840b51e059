"""Declared statistics that are not those of the data.

What it finds:
    Mean, standard deviation, minimum, maximum and count that a dataset declares (over all episodes, or for
    one) and that its numbers do not have.

Why it hurts:
    Policies normalise with these. A mean that is off shifts every input and every action; a maximum that is
    too small squeezes the motion it was meant to span; nothing crashes and nothing is logged.

Example:
    Merging, trimming or relabelling episodes and keeping the old stats.json; a LeRobot set went out with an
    image standard deviation of 0.006 (lerobot #3682).

Limits:
    Statistics over all episodes are compared only when all were read. Statistics of pictures are estimates from
    samples and are not compared, nor are quantiles, nor channels that hold non-finite numbers. Writers sum in
    float32: what that can lose is allowed for, so channels whose offset is thousands of times their spread are
    compared coarsely.

Repair:
    Compute the statistics again from the data. It does not change what the robot did, but it does change
    what a policy that normalises with them sees.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from robokata.core.contracts import Gathered, Need, to_plant_into
from robokata.core.episode import Episode
from robokata.core.finding import Abstention, Finding, Level, Verdict, whole_span
from robokata.core.source import EpisodeList, Facts
from robokata.statistics.moments import Moments, merged, moments_of

NEEDS: Sequence[Need] = (Need.NUMBERS,)

_MAX_CHANNELS = 1024
"""Wider streams are embeddings or point clouds; nobody normalises them channel by channel."""
_EPS_FLOAT32 = float(np.finfo(np.float32).eps)
_QUANTITIES = ("mean", "std", "min", "max")


class Measured(NamedTuple):
    """What one episode's numbers are, and what the source declares of them."""

    moments: Mapping[str, Moments]
    declared: Mapping[str, Mapping[str, Any]]
    duration_s: float | None


def gather(episode: Episode) -> Measured:
    """Moments of every numeric stream, beside the statistics declared for this episode."""
    moments = {
        stream.name: moments_of(stream.table)
        for stream in episode.numeric()
        if len(stream) and 0 < int(np.prod(stream.shape, dtype=np.int64)) <= _MAX_CHANNELS
    }
    stated = episode.declared_statistics
    declared = {
        name: {key: value for key, value in stated[name].items() if key in (*_QUANTITIES, "count")}
        for name in moments
        if name in stated
    }
    return Measured(moments, declared, episode.duration_s)


def judge(
    rows: Sequence[Gathered],
    facts: Facts,
    *,
    # 0.1 % of a channel's spread: exact statistics agree to float32's 1e-7, and 0.1 % cannot be felt in training.
    off_by_share: float = 1e-3,
    # 10 % of the spread moves a normalised input as far as its own usual change from one sample to the next.
    error_above_share: float = 0.1,
) -> Iterator[Verdict]:
    """One finding per stream whose statistics are wrong, for the dataset and for each episode that declares some."""
    measured = [(row.episode, row.value) for row in rows if isinstance(row.value, Measured)]
    if not facts.statistics and not any(value.declared for _, value in measured):
        yield Abstention("the dataset declares no statistics")
        return
    if facts.statistics:
        if len(measured) < len(facts.rows):
            yield Abstention(
                f"{len(measured)} of {len(facts.rows)} episodes were read: statistics over all cannot be compared",
            )
        else:
            yield from _judge_all([value for _, value in measured], facts, off_by_share, error_above_share)
    for episode, value in measured:
        for name, declared in value.declared.items():
            finding = _compared(name, value.moments[name], declared, off_by_share, error_above_share)
            if finding is not None:
                yield replace(finding, episode=episode, spans=whole_span(value.duration_s))


def _judge_all(
    measured: Sequence[Measured], facts: Facts, off_by_share: float, error_above_share: float
) -> Iterator[Finding]:
    for name, declared in facts.statistics.items():
        parts = [value.moments[name] for value in measured if name in value.moments]
        if not parts or len({len(part.mean) for part in parts}) > 1:
            continue
        whole = parts[0]
        for part in parts[1:]:
            whole = merged(whole, part)
        finding = _compared(name, whole, declared, off_by_share, error_above_share)
        if finding is not None:
            yield finding


class _Difference(NamedTuple):
    """The quantity that is furthest off, as a share of the channel's spread (range, for extremes)."""

    quantity: str
    channel: int
    share: float
    declared: float
    found: float
    channels_off: int
    normaliser_share: float
    """Largest share by which a mean or a standard deviation is off."""


def _compared(
    name: str, found: Moments, declared: Mapping[str, Any], off_by_share: float, error_above_share: float
) -> Finding | None:
    width = len(found.mean)
    stated = {quantity: flat for quantity in _QUANTITIES if (flat := _flat(declared.get(quantity))) is not None}
    wrong_width = next((len(flat) for flat in stated.values() if len(flat) != width), None)
    if wrong_width is not None:
        return _finding(name, Level.ERROR, f"statistics of {wrong_width} channels for {width}", width, wrong_width)
    count = _flat(declared.get("count"))
    counted = int(count[0]) if count is not None and len(count) == 1 and np.isfinite(count[0]) else found.samples
    worst = _worst(found, stated, off_by_share)
    if worst is None:
        if counted == found.samples:
            return None
        said = f"statistics of {counted} samples, and there are {found.samples}"
        return _finding(name, Level.WARNING, said, found.samples, counted)
    level = Level.ERROR if worst.normaliser_share > error_above_share else Level.WARNING
    of = "range" if worst.quantity in ("min", "max") else "spread"
    off = f"off by {100 * worst.share:.3g} % of its {of}" if np.isfinite(worst.share) else "not finite"
    said = (
        f"{worst.quantity} {worst.declared:.6g} for channel {worst.channel}, and it is {worst.found:.6g}: {off}; "
        f"{worst.channels_off} of {width} channels are off"
    )
    if counted != found.samples:
        said += f", and it counts {counted} samples where there are {found.samples}"
    # JSON has no word for what is not finite.
    expected = worst.declared if np.isfinite(worst.declared) else str(worst.declared)
    return replace(_finding(name, level, said, worst.found, expected), channel=str(worst.channel))


def _worst(found: Moments, stated: Mapping[str, NDArray[np.float64]], off_by_share: float) -> _Difference | None:
    truth = {"mean": found.mean, "std": found.spread, "min": found.low, "max": found.high}
    sizes, allowed = _sizes(found, stated), _allowances(found)
    shares = {}
    for quantity, values in stated.items():
        with np.errstate(all="ignore"):
            off = np.maximum(np.abs(values - truth[quantity]) - allowed[quantity], 0) / sizes[quantity]
        # A declared NaN over sound numbers is as wrong as can be; numbers that are not finite have their own check.
        off = np.where(np.isfinite(values), off, np.inf)
        shares[quantity] = np.where(np.isfinite(truth[quantity]) & np.isfinite(sizes[quantity]), off, 0)
    if not shares or max(share.max() for share in shares.values()) <= off_by_share:
        return None
    quantity = max(shares, key=lambda key: float(shares[key].max()))
    channel = int(np.argmax(shares[quantity]))
    return _Difference(
        quantity,
        channel,
        float(shares[quantity][channel]),
        float(stated[quantity][channel]),
        float(truth[quantity][channel]),
        int(np.any([share > off_by_share for share in shares.values()], axis=0).sum()),
        max((float(shares[key].max()) for key in ("mean", "std") if key in shares), default=0.0),
    )


def _allowances(found: Moments) -> dict[str, NDArray[np.float64]]:
    """What a writer's arithmetic may lose of each quantity, (D,), in the channel's unit."""
    with np.errstate(all="ignore"):
        reach = np.maximum(np.abs(found.low), np.abs(found.high))
        # A float32 sum of n numbers loses up to n units in the last place of the largest; statistics of long sets
        # are merged from episodes, whose 10,000 rows bound the run.
        rounding = _EPS_FLOAT32 * (4 + min(found.samples, 10_000)) * reach
        # Both definitions of the standard deviation are in use: divided by n, and by n - 1.
        by_definition = found.spread * (np.sqrt(found.samples / max(1, found.samples - 1)) - 1)
        extreme = 4 * _EPS_FLOAT32 * reach
        return {"mean": rounding, "std": rounding + by_definition, "min": extreme, "max": extreme}


def _sizes(found: Moments, stated: Mapping[str, NDArray[np.float64]]) -> dict[str, NDArray[np.float64]]:
    """What a difference of each quantity is measured by, (D,): the channel's spread, or its range for extremes."""
    with np.errstate(all="ignore"):
        reach = np.maximum(np.maximum(np.abs(found.low), np.abs(found.high)), 1e-12)
        # A channel that does not move is judged by its declared spread: a left-over one shows as 100 %.
        left_over = np.nan_to_num(np.abs(stated.get("std", np.zeros_like(reach))), posinf=0)
        spread, span = np.maximum(found.spread, left_over), found.high - found.low
        spread, span = np.where(spread == 0, reach, spread), np.where(span == 0, reach, span)
        return {"mean": spread, "std": spread, "min": span, "max": span}


def _flat(value: object) -> NDArray[np.float64] | None:
    if value is None:
        return None
    try:
        return np.asarray(value, dtype=np.float64).ravel()
    except (TypeError, ValueError):
        # Statistics that are no numbers cannot be compared; a loader that uses them would say so itself.
        return None


def _finding(name: str, level: Level, said: str, measured: float, expected: float | str) -> Finding:
    return Finding(
        level=level,
        message=f"{name} is declared to have {said}",
        stream=name,
        measured=measured,
        expected=expected,
        repair="compute the statistics again from the data",
    )


def plant(source: EpisodeList, rng: np.random.Generator, magnitude: float) -> EpisodeList:
    """Declare true statistics of one stream, but for a mean that is off by 20 % of the spread (times `magnitude`)."""
    episodes = list(to_plant_into(source.episodes.values(), "episode"))
    parts = [gather(episode).moments for episode in episodes]
    common = [name for name in parts[0] if all(name in part for part in parts)]
    names = [name for name in common if np.any(parts[0][name].squares > 0)]
    if not names:
        return source
    name = names[int(rng.integers(len(names)))]
    whole = parts[0][name]
    for part in parts[1:]:
        whole = merged(whole, part[name])
    channel = int(rng.choice(np.flatnonzero(whole.squares > 0)))
    stale = whole.mean.copy()
    stale[channel] += 0.2 * magnitude * whole.spread[channel]
    declared = {"mean": stale, "std": whole.spread, "min": whole.low, "max": whole.high, "count": whole.samples}
    facts = replace(source.facts(), statistics={**source.facts().statistics, name: declared})
    return EpisodeList(episodes, facts)
