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

from robokata.core.contracts import Gathered, Need
from robokata.core.episode import Episode
from robokata.core.finding import Abstention, Finding, Level, Verdict
from robokata.core.source import EpisodeList, Facts
from robokata.core.stream import Stream

NEEDS: Sequence[Need] = (Need.NUMBERS,)

_NAME = "stale_statistics"
_MAX_CHANNELS = 1024
"""Wider streams are embeddings or point clouds; nobody normalises them channel by channel."""
_EPS_FLOAT32 = float(np.finfo(np.float32).eps)
_MEAN, _SPREAD, _MIN, _MAX = range(4)
_QUANTITIES = ("mean", "std", "min", "max")


class Moments(NamedTuple):
    """Exact moments of a stream that can be merged with those of other episodes, all in float64."""

    samples: int
    numbers: NDArray[np.float64]
    """(4, D): mean, sum of squared deviations from it, minimum, maximum."""


class Measured(NamedTuple):
    """What one episode's numbers are, and what the source declares of them."""

    moments: Mapping[str, Moments]
    declared: Mapping[str, Mapping[str, Any]]
    duration_s: float


def gather(episode: Episode) -> Measured:
    """Moments of every numeric stream, beside the statistics declared for this episode."""
    moments = {}
    for stream in episode.numeric():
        if len(stream) and 0 < int(np.prod(stream.shape, dtype=np.int64)) <= _MAX_CHANNELS:
            moments[stream.name] = _moments_of(stream)
    stated = episode.declared_statistics
    declared = {name: dict(stated[name]) for name in moments if name in stated}
    return Measured(moments, declared, episode.duration_s)


def _moments_of(stream: Stream) -> Moments:
    table = stream.table
    with np.errstate(over="ignore", invalid="ignore"):
        mean = table.mean(axis=0, dtype=np.float64)
        apart = table - mean
        squares = np.einsum("td,td->d", apart, apart)
        return Moments(len(table), np.stack([mean, squares, table.min(axis=0), table.max(axis=0)]).astype(np.float64))


def merged(first: Moments, second: Moments) -> Moments:
    """Moments of two sets of samples together (Chan, Golub and LeVeque 1979, equation 2.1)."""
    count = first.samples + second.samples
    with np.errstate(over="ignore", invalid="ignore"):
        step = second.numbers[_MEAN] - first.numbers[_MEAN]
        mean = first.numbers[_MEAN] + step * (second.samples / count)
        squares = first.numbers[_SPREAD] + second.numbers[_SPREAD] + step**2 * (first.samples * second.samples / count)
    low = np.minimum(first.numbers[_MIN], second.numbers[_MIN])
    high = np.maximum(first.numbers[_MAX], second.numbers[_MAX])
    return Moments(count, np.stack([mean, squares, low, high]))


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
        yield Abstention(_NAME, "the dataset declares no statistics")
        return
    if facts.statistics:
        if len(measured) < len(facts.rows):
            yield Abstention(
                _NAME,
                f"{len(measured)} of {len(facts.rows)} episodes were read: statistics over all cannot be compared",
            )
        else:
            yield from _judge_all([value for _, value in measured], facts, off_by_share, error_above_share)
    for episode, value in measured:
        for name, declared in value.declared.items():
            finding = _compared(name, value.moments[name], declared, off_by_share, error_above_share)
            if finding is not None:
                yield replace(finding, episode=episode, start_s=0.0, end_s=value.duration_s)


def _judge_all(
    measured: Sequence[Measured], facts: Facts, off_by_share: float, error_above_share: float
) -> Iterator[Finding]:
    for name, declared in facts.statistics.items():
        parts = [value.moments[name] for value in measured if name in value.moments]
        if not parts or len({part.numbers.shape for part in parts}) > 1:
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
    width = found.numbers.shape[1]
    stated = {quantity: _flat(declared.get(quantity)) for quantity in _QUANTITIES}
    wrong_width = next((len(v) for v in stated.values() if v is not None and len(v) != width), None)
    if wrong_width is not None:
        return _finding(name, Level.ERROR, f"statistics of {wrong_width} channels for {width}", wrong_width, width)
    count = _flat(declared.get("count"))
    recount = count is not None and len(count) == 1 and int(count[0]) != found.samples
    worst = _worst(found, stated, off_by_share)
    if worst is None:
        if not recount or count is None:
            return None
        said = f"statistics of {int(count[0])} samples, and there are {found.samples}"
        return _finding(name, Level.WARNING, said, found.samples, int(count[0]))
    level = Level.ERROR if worst.normaliser_share > error_above_share else Level.WARNING
    of = "range" if worst.quantity in ("min", "max") else "spread"
    said = (
        f"{worst.quantity} {worst.declared:.6g} for channel {worst.channel}, and it is {worst.found:.6g}: off by "
        f"{100 * worst.share:.3g} % of its {of}; {worst.channels_off} of {width} channels are off"
    )
    if recount and count is not None:
        said += f", and it counts {int(count[0])} samples where there are {found.samples}"
    return replace(_finding(name, level, said, worst.found, worst.declared), channel=str(worst.channel))


def _worst(found: Moments, stated: Mapping[str, NDArray[np.float64] | None], off_by_share: float) -> _Difference | None:
    mean, squares, low, high = found.numbers
    with np.errstate(all="ignore"):
        spread = np.sqrt(squares / found.samples)
        reach = np.maximum(np.abs(low), np.abs(high))
        # A float32 sum of n numbers loses up to n units in the last place of the largest; statistics of long sets
        # are merged from episodes, whose 10,000 rows bound the run.
        rounding = _EPS_FLOAT32 * (4 + min(found.samples, 10_000)) * reach
        # Both definitions of the standard deviation are in use: divided by n, and by n - 1.
        sample = spread * (np.sqrt(found.samples / max(1, found.samples - 1)) - 1)
        truth = {"mean": mean, "std": spread, "min": low, "max": high}
        allowed = {"mean": rounding, "std": rounding + sample, "min": 4 * _EPS_FLOAT32 * reach}
        shares = {}
        for quantity, values in stated.items():
            if values is None:
                continue
            size = high - low if quantity in ("min", "max") else np.maximum(spread, _constant_spread(stated, reach))
            size = np.where(size > 0, size, np.maximum(reach, 1e-12))
            off = np.abs(values - truth[quantity]) - allowed.get(quantity, allowed["min"])
            shares[quantity] = np.where(np.isfinite(off), np.maximum(off, 0) / size, 0)
    if not shares or max(share.max() for share in shares.values()) <= off_by_share:
        return None
    quantity = max(shares, key=lambda key: float(shares[key].max()))
    channel = int(np.argmax(shares[quantity]))
    wrong = np.any([share > off_by_share for share in shares.values()], axis=0)
    values = stated[quantity]
    assert values is not None
    return _Difference(
        quantity,
        channel,
        float(shares[quantity][channel]),
        float(values[channel]),
        float(truth[quantity][channel]),
        int(wrong.sum()),
        max((float(shares[key].max()) for key in ("mean", "std") if key in shares), default=0.0),
    )


def _constant_spread(
    stated: Mapping[str, NDArray[np.float64] | None], reach: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Size to judge a channel by that does not move: its declared spread, so that a left-over one shows as 100 %."""
    declared = stated.get("std")
    return np.zeros_like(reach) if declared is None else np.where(np.isfinite(declared), np.abs(declared), 0)


def _flat(value: object) -> NDArray[np.float64] | None:
    if value is None:
        return None
    try:
        return np.asarray(value, dtype=np.float64).ravel()
    except (TypeError, ValueError):
        # Statistics that are no numbers cannot be compared; a loader that uses them would say so itself.
        return None


def _finding(name: str, level: Level, said: str, measured: float, expected: float) -> Finding:
    return Finding(
        check=_NAME,
        level=level,
        message=f"{name} is declared to have {said}",
        stream=name,
        measured=measured,
        expected=expected,
        repair="compute the statistics again from the data",
    )


def plant(source: EpisodeList, rng: np.random.Generator, magnitude: float) -> EpisodeList:
    """Declare true statistics of one stream, but for a mean that is off by 20 % of the spread (times `magnitude`)."""
    episodes = list(source.episodes.values())
    parts = [gather(episode).moments for episode in episodes]
    names = [name for name, moments in parts[0].items() if np.any(moments.numbers[_SPREAD] > 0)]
    name = names[int(rng.integers(len(names)))]
    whole = parts[0][name]
    for part in parts[1:]:
        whole = merged(whole, part[name])
    mean, squares, low, high = whole.numbers
    spread = np.sqrt(squares / whole.samples)
    channel = int(rng.choice(np.flatnonzero(spread > 0)))
    stale = mean.copy()
    stale[channel] += 0.2 * magnitude * spread[channel]
    declared = {"mean": stale, "std": spread, "min": low, "max": high, "count": np.asarray([whole.samples])}
    facts = replace(source.facts(), statistics={**source.facts().statistics, name: declared})
    return EpisodeList(episodes, facts)
