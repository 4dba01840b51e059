"""A video that ends before the episode does.

What it finds:
    Pictures that the table asks for and the file does not hold: frames past its end, fewer frames than the
    container's header promises, bytes that stop being decodable, a recording of packets that begins between two
    key frames.

Why it hurts:
    The last seconds of an episode, where the task succeeds or fails, have no picture. Loaders crash there,
    or repeat the last frame under rows in which the robot still moves.

Example:
    Interrupted recordings and copies leave mp4 files without their end; in an audit of 1,810 published
    videos 0.2 % did not hold the frames that their tables asked for.

Limits:
    A file that cannot be opened at all and a broken still picture are `unreadable_data`'s, an absent file is
    `missing_media`'s. A sound file with too few frames for a table that was given too many rows looks the same
    from here: the message gives both numbers. In a file that several episodes share only those are named whose
    frames are gone. Damage that a decoder conceals (grey blocks) is not seen.

Repair:
    Restore the file from the original; else cut the episode to the pictures that are there, or drop it.
    Cutting removes the end of the demonstration, which may be the part that matters.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from robokata.checks._picture_files import file_name, picture_stream, pictures_from, retold
from robokata.core.contracts import Need
from robokata.core.episode import Episode
from robokata.core.finding import Abstention, Finding, Level, Verdict
from robokata.core.stream import UNDECODABLE, Kind, Stream
from robokata.core.values import Media
from robokata.media.luma_summary import glance

NEEDS: Sequence[Need] = (Need.PICTURES,)


def check(episode: Episode) -> Iterator[Verdict]:
    """One finding per camera, located at the pictures that are lost. Counts are exact: there are no thresholds."""
    for stream in episode.pictures():
        media = stream.pictures.media()
        words = stream.oddities.get(UNDECODABLE)
        if words is not None:
            yield _begun_between_keys(episode, stream, words)
        # What cannot be opened is told once, elsewhere.
        if media.problem is None and not media.is_absent:
            verdict = _past_the_end(episode, stream, media) or _undecodable(episode, stream, media)
            verdict = verdict or _shorter_than_promised(episode, stream, media)
            if verdict is not None:
                yield verdict


def _begun_between_keys(episode: Episode, stream: Stream, words: str) -> Finding:
    return Finding(
        level=Level.WARNING,
        message=words,
        episode=episode.id,
        stream=stream.name,
        repair="none: what comes before the first key frame was never recorded whole; start recorders before cameras",
    )


def _past_the_end(episode: Episode, stream: Stream, media: Media) -> Finding | None:
    if media.frames_in_file is None:
        return None
    there = max(0, min(media.frames_expected, media.frames_in_file - media.first_frame))
    if there >= media.frames_expected:
        return None
    promised = media.frames_declared_by_container
    header = f" of the {promised} that its header promises" if promised and promised > media.frames_in_file else ""
    begins = f" from its frame {media.first_frame} on" if media.first_frame else ""
    return _finding(
        episode,
        stream,
        there,
        f"{stream.name}: {file_name(media)} holds {media.frames_in_file} frames{header}, and the episode needs "
        f"{media.frames_expected}{begins}; the last {media.frames_expected - there} pictures are not there",
    )


def _undecodable(episode: Episode, stream: Stream, media: Media) -> Verdict | None:
    if stream.kind is not Kind.VIDEO:
        return None
    seen = glance(stream.pictures)
    if seen.damage is None:
        return None
    if seen.is_uneven:
        return Abstention(f"{stream.name}: {seen.damage}", episode.id, stream.name)
    return _finding(
        episode,
        stream,
        len(seen.grids),
        f"{stream.name}: decoding stops after {len(seen.grids)} of {media.frames_expected} pictures: {seen.damage}",
    )


def _shorter_than_promised(episode: Episode, stream: Stream, media: Media) -> Finding | None:
    held, promised = media.frames_in_file, media.frames_declared_by_container
    is_shared = media.span_is_declared or media.first_frame > 0
    if held is None or promised is None or promised <= held or is_shared:
        return None
    return Finding(
        level=Level.WARNING,
        message=(
            f"{stream.name}: {file_name(media)} is cut: its header promises {promised} frames and it holds {held}; "
            f"the {media.frames_expected} that the episode needs are among them"
        ),
        episode=episode.id,
        stream=stream.name,
        measured=held,
        expected=promised,
        repair="restore the file from the original",
    )


def _finding(episode: Episode, stream: Stream, there: int, message: str) -> Finding:
    return Finding(
        level=Level.ERROR,
        message=message,
        episode=episode.id,
        stream=stream.name,
        spans=pictures_from(episode, stream, there),
        measured=there,
        expected=len(stream),
        repair="restore the file from the original; else cut the episode to the pictures that are there, or drop it",
    )


def plant(episode: Episode, rng: np.random.Generator, magnitude: float) -> Episode:
    """Cut the file of the first camera: the last 20 % (times `magnitude`) of its pictures are gone."""
    stream = picture_stream(episode)
    if stream is None or magnitude <= 0:
        return episode
    count = len(stream)
    lost = min(count, max(1, round(count * magnitude * float(rng.uniform(0.18, 0.22)))))
    first = stream.pictures.media().first_frame
    return episode.with_stream(
        retold(
            replace(stream, kind=Kind.VIDEO),
            readable=count - lost,
            frames_in_span=count - lost,
            frames_in_file=first + count - lost,
            frames_declared_by_container=first + count,
        )
    )
