"""A joint whose reading stands still while it is told to move.

What it finds:
    Stretches of half a second or more in which one channel of the state repeats the same number exactly, while
    the action of the same channel goes somewhere.

Why it hurts:
    The policy learns that this joint does not follow its command, and to command it harder. Every quantity that
    is computed from the joints (the tip's pose, the action as a delta) is wrong for as long as it lasts.

Example:
    Telemetry that drops out repeats its last value: a stuck joint while commanded is one of the faults that
    reviewers of teleoperated sets name most often, and "never moves at all" is not the same thing.

Limits:
    State and action must be comparable: the same channels (by name, or the same number of them) whose values
    follow each other over the episode. Delta and velocity actions do not, and it abstains. Grippers and fingers
    stop on what they hold and are left out, as are channels whose coarse encoder often repeats a value. Without
    times it asks for 15 samples instead of half a second (`untimed_at_least_count`); `--rate-hz` gives it seconds.

Repair:
    Cut the stretch out or drop the episode. Neither changes what the robot would have done; inventing the missing
    readings would.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from robokata.core.clock import paired
from robokata.core.contracts import Need, to_plant_into
from robokata.core.episode import Episode
from robokata.core.finding import Abstention, Finding, Level, Span, Verdict, spans_from
from robokata.core.stream import Role, Stream
from robokata.core.values import ArrayValues
from robokata.geometry.channels import has_few_values, is_gripper, listed
from robokata.geometry.motion import motion_of
from robokata.geometry.runs import Run, runs_of, samples_in, span_of

NEEDS: Sequence[Need] = (Need.STATE, Need.ACTION)


class Pair(NamedTuple):
    """One state stream, the action stream that drives it, and which channel drives which."""

    state: Stream
    action: Stream
    driver: dict[int, int]
    """Channel of the state -> channel of the action."""
    commands: NDArray[np.floating]
    """The action at the times of the state, (T, D of the action)."""


class Stuck(NamedTuple):
    """A channel and a stretch in which it did not follow."""

    channel: int
    run: Run
    excursion_share: float
    """How far the command went meanwhile, as a share of its range in the episode."""


def check(
    episode: Episode,
    *,
    # 0.5 s: robots follow within 0.3 s, so a reading that still stands then does not follow at all.
    at_least_s: float = 0.5,
    # The same where no rate is known, in samples: half a second of the fastest usual recorder (30 Hz).
    untimed_at_least_count: int = 15,
    # A tenth of the command's range: far above the dead band of a servo and the tremor of a teleoperator.
    command_moves_share: float = 0.1,
    # The share of steps in which a sound encoder repeats its value although it is driven; coarse ones do more often.
    repeats_above_share: float = 0.3,
    # Median over the channels. Position-controlled arms measured: 0.7 (a compliant Unitree G1) to 0.99; deltas and
    # velocities below 0.4.
    follows_above_correlation: float = 0.6,
) -> Iterator[Verdict]:
    """One finding per state stream, with every stretch in which a channel does not follow."""
    for state in episode.numeric(Role.STATE):
        if len(state) < 8:
            continue
        pair = _pair(episode, state)
        if pair is None:
            yield Abstention(f"no action has the channels and the clock of {state.name}", episode.id, state.name)
            continue
        if not _follows(pair, follows_above_correlation):
            reason = f"{state.name} does not follow {pair.action.name} value by value: not the same quantity"
            yield Abstention(reason, episode.id, state.name)
            continue
        stuck = list(_stuck(pair, at_least_s, untimed_at_least_count, command_moves_share, repeats_above_share))
        if stuck:
            yield _finding(episode, pair, stuck)


def _pair(episode: Episode, state: Stream) -> Pair | None:
    actions = [a for a in episode.numeric(Role.ACTION) if len(a) > 1 and a.clock.aligns_with(state.clock)]
    # `action.joint_position` before `action.joint_velocity` for `state.joint_position`: both have seven channels.
    for action in sorted(actions, key=lambda a: _last_word(a.name) != _last_word(state.name)):
        width = state.table.shape[1]
        common = set(state.channels or ()) & set(action.channels or ())
        if common and state.channels and action.channels:
            driver = {i: action.channels.index(n) for i, n in enumerate(state.channels) if n in common}
            driver = {i: j for i, j in driver.items() if i < width and j < action.table.shape[1]}
        elif width == action.table.shape[1]:
            driver = {i: i for i in range(width)}
        else:
            continue
        return Pair(state, action, driver, _at_times_of(state, action))
    return None


def _last_word(name: str) -> str:
    return re.split(r"[./]", name)[-1]


def _at_times_of(state: Stream, action: Stream) -> NDArray[np.floating]:
    table = action.table if action.table.dtype.kind == "f" else action.table.astype(np.float64)
    if state.clock is action.clock:
        return table
    at_action, at_state = paired(action.clock, state.clock)
    at = np.searchsorted(at_action, at_state, side="right") - 1
    return np.asarray(table[np.clip(at, 0, len(table) - 1)])


def _stuck(
    pair: Pair, at_least_s: float, untimed_at_least_count: int, command_moves_share: float, repeats_above_share: float
) -> Iterator[Stuck]:
    state_motion, action_motion = motion_of(pair.state), motion_of(pair.action)
    needed = samples_in(pair.state.clock, at_least_s, untimed=untimed_at_least_count)
    # Robots answer a command up to 0.3 s late: what the command does at the end of a rest is not yet due.
    lag = samples_in(pair.state.clock, 0.25, untimed=(needed + 1) // 2)
    is_number = np.isfinite(pair.state.table)
    # A step from or to a NaN counts as none elsewhere; here it is not a reading that repeats (not_finite names it).
    repeats = (state_motion.steps == 0) & is_number[1:] & is_number[:-1]
    reach = action_motion.high - action_motion.low
    usual_reach = float(np.median(reach[reach > 0])) if (reach > 0).any() else 0.0
    for channel in np.flatnonzero(repeats.sum(axis=0) >= needed):
        driver = pair.driver.get(int(channel))
        # A command that hardly moves beside the robot's others says nothing.
        if driver is None or is_gripper(pair.state, int(channel)) or not reach[driver] > 0.1 * usual_reach:
            continue
        runs = runs_of(repeats[:, channel], at_least=needed)
        command = pair.commands[:, driver]
        if _is_coarse(repeats[:, channel], runs, command, repeats_above_share):
            continue
        for run in runs:
            excursion_share = _excursion(command, run, lag, len(repeats), float(reach[driver]))
            if excursion_share >= command_moves_share:
                yield Stuck(int(channel), run, excursion_share)


def _is_coarse(repeats: NDArray[np.bool_], runs: list[Run], command: NDArray[np.floating], above_share: float) -> bool:
    """True where the channel repeats values outside its long rests too, although it is driven."""
    outside = np.diff(command) != 0
    for run in runs:
        outside[run.first : run.last + 1] = False
    return bool(outside.any()) and float(repeats[outside].mean()) > above_share


def _excursion(command: NDArray[np.floating], run: Run, lag: int, steps: int, reach: float) -> float:
    last = run.last + 1 if run.last == steps - 1 else run.last + 1 - lag
    during = command[run.first : last + 1]
    return float(np.nanmax(during) - np.nanmin(during)) / reach if np.isfinite(during).any() else 0.0


def _follows(pair: Pair, above: float) -> bool:
    """True where the state's channels correlate with their commands."""
    channels = np.asarray(list(pair.driver), int)
    drivers = np.asarray(list(pair.driver.values()), int)
    # 200 samples of the episode tell a correlation of 0.95 from one of 0.5 with certainty.
    every = max(1, len(pair.state) // 200)
    measured = pair.state.table[::every, channels].astype(np.float64)
    commanded = pair.commands[::every, drivers].astype(np.float64)
    sound = np.isfinite(measured).all(axis=1) & np.isfinite(commanded).all(axis=1)
    measured, commanded = measured[sound], commanded[sound]
    if len(measured) < 4:
        return False
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        measured -= measured.mean(axis=0)
        commanded -= commanded.mean(axis=0)
        norm = np.sqrt((measured**2).sum(axis=0) * (commanded**2).sum(axis=0))
        correlation = (measured * commanded).sum(axis=0) / norm
    # Only channels that go somewhere: of a joint that is held, the noise of two sensors is compared.
    reach = np.abs(commanded).max(axis=0)
    known = correlation[np.isfinite(correlation) & (reach > 0.3 * reach.max(initial=0.0))]
    return len(known) > 0 and float(np.median(known)) >= above


def _finding(episode: Episode, pair: Pair, stuck: list[Stuck]) -> Finding:
    worst = max(stuck, key=lambda one: one.excursion_share)
    names = list(dict.fromkeys(pair.state.channel_name(one.channel) for one in stuck))
    spans = [_span(episode, pair, one) for one in stuck]
    span = _span(episode, pair, worst)
    stretches = f"; {len(stuck)} such stretches" if len(stuck) > 1 else ""
    return Finding(
        level=Level.ERROR,
        message=(
            f"{listed(names)} of {pair.state.name} stand{'s' if len(names) == 1 else ''} still while commanded: "
            f"{pair.state.channel_name(worst.channel)} repeats one value for {span.words}, "
            f"and its command goes through "
            f"{100 * worst.excursion_share:.0f} % of its range{stretches}"
        ),
        episode=episode.id,
        stream=pair.state.name,
        channel=", ".join(names) if len(names) <= 6 else None,
        spans=spans_from(spans, worst=span),
        measured=span.length,
        expected=0.0,
        unit=span.unit,
        repair="cut the stretch out, or drop the episode",
    )


def _span(episode: Episode, pair: Pair, stuck: Stuck) -> Span:
    name = pair.state.channel_name(stuck.channel)
    return span_of(episode, pair.state.clock, stuck.run.first, stuck.run.last + 1, channel=name)


def plant(episode: Episode, rng: np.random.Generator, magnitude: float) -> Episode:
    """Freeze the reading of one joint for 1 s (times `magnitude`), in which its command moves."""
    states = [s for s in episode.numeric(Role.STATE) if len(s) >= 8]
    pairs = [p for p in (_pair(episode, s) for s in states) if p is not None]
    usable = to_plant_into(pairs, "state of 8 samples that an action of the same channels drives")
    pair = next((p for p in usable if _follows(p, 0.6)), usable[0])
    motion = motion_of(pair.state)
    length = min(round(magnitude * samples_in(pair.state.clock, 1.0, untimed=30)), len(pair.state) - 1)
    # Joints whose command goes somewhere within the stretch: a joint that is stuck while it rests is no defect.
    away = np.abs(pair.commands[length:].astype(np.float64) - pair.commands[: len(pair.commands) - length])
    reach = np.ptp(pair.commands, axis=0)
    far = {
        c: float(away[:, d].max() / reach[d])
        for c, d in pair.driver.items()
        if not is_gripper(pair.state, c) and motion.high[c] > motion.low[c] and reach[d] > 0.3 * np.max(reach)
    }
    good = [c for c in far if far[c] >= 0.3 and not has_few_values(pair.commands[:, pair.driver[c]])]
    channel = int(
        rng.choice(good or [max(to_plant_into(far, "joint that moves and is commanded"), key=lambda c: far[c])])
    )
    array = np.array(pair.state.values[:])
    table = array.reshape(len(array), -1)
    first = int(np.argmax(away[:, pair.driver[channel]]))
    table[first : first + length + 1, channel] = table[first, channel]
    return episode.with_stream(pair.state.with_values(ArrayValues(array)))
