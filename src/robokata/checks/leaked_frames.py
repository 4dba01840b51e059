"""Pictures of another take inside an episode's part of a video.

What it finds:
    Spans of a shared video that hold more frames than the episode has rows: frames of a discarded take were
    left in. And cuts inside the pictures: from one frame to the next the scene jumps by far more than it ever
    moves, stays there, and the robot's own numbers know of no such move.

Why it hurts:
    The rows after the leak are paired with pictures of another attempt. The policy learns to act on what the
    camera did not see; every later episode of the file is shifted when frames are found by number.

Example:
    In 25 published LeRobot datasets 235 of 758 episodes (31 %) carried frames of discarded takes, 32.5 %
    more video than rows.

Limits:
    Counts are exact, and abstain where the video runs at another rate than the dataset. Cuts are evidence,
    not proof, and stay warnings: a cut between two takes that look alike is not seen, nor one of a wrist camera
    that jumps as far from frame to frame (found in spliced real recordings: 86 % at 20 to 30 Hz, 75 % of an
    outer and none of a wrist camera at 5 Hz). A cut needs 30 pictures and the robot's numbers to compare with;
    it abstains without them or where the robot moves fast at that moment. Changes of light and single broken
    frames do not count as cuts.

Repair:
    Correct the episode's span in the index, or cut the video to the episode's rows. Both only take away
    pictures that never belonged to it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from robokata.checks._picture_files import file_name, picture_stream, pictures_from, retold, span_is_in_other_time
from robokata.core.clock import paired
from robokata.core.contracts import Need
from robokata.core.episode import Episode
from robokata.core.finding import Abstention, Finding, Level, Verdict
from robokata.core.stream import Stream
from robokata.core.values import Media
from robokata.geometry.motion import motion_of, still_share
from robokata.geometry.runs import moment_of
from robokata.media.luma_summary import Glance, glance

NEEDS: Sequence[Need] = (Need.PICTURES,)

_FEWEST_PICTURES = 30
"""Below that the fifth-largest change is a sixth of all changes, and says nothing about what is unusual."""
_FLAT_SPREAD = 4.0
"""Grey levels of spread below which a picture shows nothing (a covered or starting camera): no cut, but `blank`."""
_FASTEST_SHARE = 0.95
"""The robot's fastest twentieth of steps: a jump of the scene there may be the robot's own."""


class _Cut(NamedTuple):
    after: int
    """The last picture before the cut."""
    times_usual: float
    """Size of the jump, in multiples of the fifth-largest change of the episode."""


def check(
    episode: Episode,
    *,
    # One frame more is how a span's end in seconds rounds; two are frames that nobody asked for.
    error_above_frames_count: int = 1,
    # The fifth-largest change of an episode is its fastest motion. In 50 untouched videos of nine robots the largest
    # change stays below 1.9 times that; cuts between takes of a moving robot measure 5 to 13 times.
    cut_above_times: float = 2.5,
) -> Iterator[Verdict]:
    """One finding per camera: by count where there are counts, else at the largest cut."""
    for stream in episode.pictures():
        media = stream.pictures.media()
        if media.problem is not None or media.is_absent:
            continue
        verdict = _by_count(episode, stream, media, error_above_frames_count)
        if verdict is None or isinstance(verdict, Abstention):
            verdict = _by_cut(episode, stream, cut_above_times) or verdict
        if verdict is not None:
            yield verdict


def _by_count(episode: Episode, stream: Stream, media: Media, error_above_frames_count: int) -> Verdict | None:
    extra, held = media.frames_in_span - media.frames_expected, media.frames_in_file
    is_shared = held is not None and (media.span_is_declared or media.first_frame > 0 or held > media.frames_in_span)
    if extra <= 0 or not is_shared:
        return None
    if span_is_in_other_time(stream, media):
        reason = f"{stream.name}: the video runs at another rate than the dataset, so its seconds count other frames"
        return Abstention(reason, episode.id, stream.name)
    return Finding(
        level=Level.ERROR if extra > error_above_frames_count else Level.WARNING,
        message=(
            f"{stream.name}: the episode has {media.frames_expected} rows, and its span of {file_name(media)} holds "
            f"{media.frames_in_span} frames: {extra} belong to no row"
        ),
        episode=episode.id,
        stream=stream.name,
        measured=media.frames_in_span,
        expected=media.frames_expected,
        repair="correct the episode's span in the index, or cut the video to the episode's rows",
    )


def _by_cut(episode: Episode, stream: Stream, cut_above_times: float) -> Verdict | None:
    seen = glance(stream.pictures)
    cut = _largest_cut(seen, cut_above_times)
    if cut is None or len(stream.clock) <= cut.after + 1:
        return None
    speed_rank = _speed_rank(episode, stream, cut.after)
    if speed_rank is None or speed_rank > _FASTEST_SHARE:
        why = "there are no robot numbers to compare with" if speed_rank is None else "the robot moves fast there"
        reason = f"{stream.name}: the scene jumps at {moment_of(episode, stream.clock, cut.after + 1)}, and {why}"
        return Abstention(reason, episode.id, stream.name)
    return Finding(
        level=Level.WARNING,
        message=(
            f"{stream.name}: from picture {cut.after} to {cut.after + 1} the scene jumps {cut.times_usual:.1f} times "
            "as far as in the episode's fastest motion and stays there, while the robot does not move unusually: "
            "a cut to another take"
        ),
        episode=episode.id,
        stream=stream.name,
        spans=pictures_from(episode, stream, cut.after + 1),
        measured=cut.times_usual,
        expected=cut_above_times,
        unit="times the fastest motion",
        repair="look at the cut; drop the episode, or cut it there",
    )


def _largest_cut(seen: Glance, cut_above_times: float) -> _Cut | None:
    change = seen.change
    if len(change) < _FEWEST_PICTURES - 1:
        return None
    # Fifth-largest: up to four cuts do not raise their own yardstick. Half a grey level is what rounding alone changes.
    usual = max(0.5, float(np.partition(change, -5)[-5]))
    candidates = np.flatnonzero(change > cut_above_times * usual)
    cuts = [
        _Cut(int(k), float(change[k]) / usual) for k in candidates if _is_cut(seen, int(k), cut_above_times * usual)
    ]
    return max(cuts, key=lambda cut: cut.times_usual, default=None)


def _is_cut(seen: Glance, k: int, limit: float) -> bool:
    """True where the scene, not the light, jumps between pictures k and k + 1, and stays."""
    if min(seen.spread[k], seen.spread[k + 1]) < _FLAT_SPREAD:
        return False
    before = seen.change[max(0, k - 3) : k]
    # A frozen camera that catches up jumps too; the freeze is the defect then.
    if len(before) and before.max() < 0.05 * float(np.median(seen.change)):
        return False
    across = _scene_change(seen.grids[k], seen.grids[k + 1])
    # Three pictures further on either side: a single broken frame is gone by then.
    stays = _scene_change(seen.grids[max(0, k - 2)], seen.grids[min(len(seen.grids) - 1, k + 3)])
    return across > limit and stays > 0.7 * across


def _scene_change(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> float:
    """Mean absolute difference that is left when the second picture's gain and offset are fitted to the first."""
    a, b = first.astype(np.float32).ravel(), second.astype(np.float32).ravel()
    a, b = a - a.mean(), b - b.mean()
    power = float(a @ a)
    return float(np.abs(b - (float(a @ b) / power if power > 0 else 0.0) * a).mean())


def _speed_rank(episode: Episode, stream: Stream, after: int) -> float | None:
    """Share of the robot's steps that are slower than its fastest step around the cut, None without a robot."""
    told = still_share(episode)
    if told is None or not stream.clock.aligns_with(told[0].clock):
        return None
    robot, travel = told[0], motion_of(told[0]).travel
    places, at_robot = paired(stream.clock, robot.clock)
    # Two pictures either side: streams of one robot lie that far apart in time.
    first, last = places[max(0, after - 1)], places[min(len(places) - 1, after + 2)]
    low = max(0, int(np.searchsorted(at_robot, first)) - 1)
    near = travel[low : int(np.searchsorted(at_robot, last)) + 1]
    return float(np.mean(travel < near.max())) if len(near) else None


def plant(episode: Episode, rng: np.random.Generator, magnitude: float) -> Episode:
    """Leave frames of a discarded take, 10 % (times `magnitude`) of the episode's own, in the span of one camera."""
    stream = picture_stream(episode)
    if stream is None or magnitude <= 0:
        return episode
    count, first = len(stream), int(rng.integers(1, 1000))
    leaked = max(1, round(0.1 * magnitude * count))
    return episode.with_stream(
        retold(
            stream,
            first_frame=first,
            frames_in_span=count + leaked,
            frames_in_file=first + count + leaked + 100,
            frames_declared_by_container=first + count + leaked + 100,
            span_is_declared=True,
        )
    )
