"""Rest at the beginning and the end, cut off: a policy that learns to wait, waits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from robokata.core.clock import NS_PER_S
from robokata.core.episode import Annotation, Episode, Instruction
from robokata.core.errors import StepRefused
from robokata.core.stream import Role, Stream
from robokata.core.trace import traced
from robokata.geometry.motion import still_share
from robokata.geometry.runs import runs_of, samples_in
from robokata.steps._samples import at_times, picked

REMOVES_EPISODES = True  # It refuses episodes in which nothing moves.
_NAME = __name__.rpartition(".")[2]


def step(
    episode: Episode,
    *,
    # 0.2 s of rest stay at each end: a policy must see how a motion begins, and that it ends.
    margin_s: float = 0.2,
    # Less than half a second is no rest worth a change.
    at_least_s: float = 0.5,
) -> Iterator[Episode]:
    """The episode from shortly before its first motion to shortly after its last; unchanged where there is no rest.

    Raises:
        StepRefused: it never moves, or a stream has no times.
    """
    seen = still_share(episode)
    if seen is None:
        raise StepRefused(_NAME, episode.id, "neither its state nor its action ever changes.")
    stream, still = seen
    untimed = next((s for s in episode.streams.values() if len(s) and not s.clock.has_times), None)
    if untimed is not None:
        reason = f"{untimed.name} has step numbers and no times, and rests are measured in seconds. "
        raise StepRefused(_NAME, episode.id, reason + "Declare the rate of its steps with --rate-hz.")
    times_ns = stream.clock.times_ns
    moving = runs_of(~still, at_least=1)
    if not moving:
        raise StepRefused(_NAME, episode.id, "it never moves.")
    margin_ns, least_ns = round(margin_s * NS_PER_S), round(at_least_s * NS_PER_S)
    # One step of tremor does not end a rest: 0.1 s is less than a human's reaction time.
    long_enough = [
        run for run in moving if run.last - run.first + 1 >= samples_in(stream.clock, 0.1, untimed=1)
    ] or moving
    first_ns = int(times_ns[long_enough[0].first]) - margin_ns
    last_ns = int(times_ns[long_enough[-1].last + 1]) + margin_ns
    start_ns = first_ns if first_ns - episode.start_ns >= least_ns else episode.start_ns
    end_ns = last_ns if episode.end_ns - last_ns >= least_ns else episode.end_ns
    if (start_ns, end_ns) == (episode.start_ns, episode.end_ns):
        yield episode
        return
    said = {"cut_s": [(start_ns - episode.start_ns) / NS_PER_S, (episode.end_ns - end_ns) / NS_PER_S]}
    parameters = {"margin_s": margin_s, "at_least_s": at_least_s}
    yield traced(_cut(episode, start_ns, end_ns), of=episode, step=_NAME, parameters=parameters, said=said)


def _cut(episode: Episode, start_ns: int, end_ns: int) -> Episode:
    streams = {name: _part(stream, start_ns, end_ns) for name, stream in episode.streams.items()}
    changed = replace(episode, streams=streams, ref=None)
    shift_s, length_s = episode.seconds(changed.start_ns), (changed.end_ns - changed.start_ns) / NS_PER_S
    steps = max((len(s) for s in changed.of_role(Role.STATE, Role.ACTION)), default=None)
    return replace(
        changed,
        annotations=tuple(_notes(episode.annotations, shift_s, length_s)),
        instructions=tuple(_said(each, shift_s, length_s) for each in episode.instructions),
        declared_steps=None if episode.declared_steps is None else steps,
        extra=_extra(episode, shift_s),
    )


def _part(stream: Stream, start_ns: int, end_ns: int) -> Stream:
    times_ns = stream.clock.times_ns
    kept = np.flatnonzero((times_ns >= start_ns) & (times_ns <= end_ns))
    others = {name: at_times(clock, clock.times_ns[kept]) for name, clock in stream.other_clocks.items()}
    values = picked(stream, kept.astype(np.int64))
    return replace(stream, values=values, clock=at_times(stream.clock, times_ns[kept]), other_clocks=others)


def _notes(notes: tuple[Annotation, ...], shift_s: float, length_s: float) -> Iterator[Annotation]:
    for note in notes:
        start_s, end_s = max(0.0, note.start_s - shift_s), min(length_s, note.end_s - shift_s)
        if end_s > start_s or note.start_s == note.end_s:
            yield replace(note, start_s=start_s, end_s=max(start_s, end_s))


def _said(each: Instruction, shift_s: float, length_s: float) -> Instruction:
    start_s = None if each.start_s is None else min(length_s, max(0.0, each.start_s - shift_s))
    end_s = None if each.end_s is None else min(length_s, max(0.0, each.end_s - shift_s))
    return replace(each, start_s=start_s, end_s=end_s)


def _extra(episode: Episode, shift_s: float) -> dict[str, Any]:
    simulation = episode.extra.get("simulation")
    if not isinstance(simulation, dict) or simulation.get("first_success_s") is None:
        return dict(episode.extra)
    moment_s = max(0.0, float(simulation["first_success_s"]) - shift_s)
    return {**episode.extra, "simulation": {**simulation, "first_success_s": moment_s}}
