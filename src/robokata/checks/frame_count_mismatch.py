"""A video span that holds another number of frames than the table has rows.

What it finds:
    Episodes whose part of a shared video holds fewer frames than the episode has rows although the file goes
    on, and files of one episode that hold more frames than it has rows.

Why it hurts:
    Rows and pictures are paired by number. Too few frames, and the last rows are shown pictures of the next
    episode; too many, and nobody knows at which end they are too many: every pair may be shifted.

Example:
    Of 1,810 published video files 99.8 % agree with their table to the frame, so a tolerance of a few frames
    only hides the real defects: the others were 634 frames off per episode.

Limits:
    A file that ends too early is `truncated_video`'s; frames beyond the episode in a shared file are
    `leaked_frames`'. Pictures that are stored one by one have no span that could disagree. Abstains where the
    container runs at another rate than the dataset: seconds of one are not seconds of the other.

Repair:
    Correct the episode's span in the index, or drop the episode. Which frames belong to which rows has to be
    decided by looking; pairing them anew changes what the policy sees at every step.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from robokata.checks._picture_files import file_name, picture_stream, picture_time_s, retold, span_is_in_other_time
from robokata.core.contracts import Need
from robokata.core.episode import Episode
from robokata.core.finding import Abstention, Finding, Level, Verdict
from robokata.core.stream import Stream
from robokata.core.values import Media

NEEDS: Sequence[Need] = (Need.PICTURES,)


def check(episode: Episode) -> Iterator[Verdict]:
    """One finding per camera. Counts are exact: there are no thresholds."""
    for stream in episode.pictures():
        media = stream.pictures.media()
        if media.problem is not None or media.is_absent or media.frames_in_file is None:
            continue
        if media.frames_in_span == media.frames_expected:
            continue
        if span_is_in_other_time(stream, media):
            reason = (
                f"{stream.name}: the video runs at another rate than the dataset, so its seconds count other frames"
            )
            yield Abstention("frame_count_mismatch", reason, episode.id, stream.name)
            continue
        finding = _judge(episode, stream, media)
        if finding is not None:
            yield finding


def _judge(episode: Episode, stream: Stream, media: Media) -> Finding | None:
    held, expected, in_file = media.frames_in_span, media.frames_expected, media.frames_in_file or 0
    goes_on = in_file >= media.first_frame + expected
    fills_the_file = media.first_frame == 0 and held == in_file
    if held < expected and goes_on:
        level, start = Level.ERROR, picture_time_s(episode, stream, held)
        message = (
            f"{stream.name}: the index gives the episode {held} frames of {file_name(media)} for {expected} rows; "
            f"the last {expected - held} rows get frames that belong to others"
        )
    elif held > expected and fills_the_file and not media.span_is_declared:
        level, start = Level.WARNING, None
        message = f"{stream.name}: {file_name(media)} holds {held} frames for {expected} rows"
    else:
        return None
    return Finding(
        check="frame_count_mismatch",
        level=level,
        message=message,
        episode=episode.id,
        stream=stream.name,
        start_s=start,
        end_s=None if start is None else picture_time_s(episode, stream, len(stream)),
        measured=held,
        expected=expected,
        repair="correct the episode's span in the index after looking at the pictures, or drop the episode",
    )


def plant(episode: Episode, rng: np.random.Generator, magnitude: float) -> Episode:
    """Give the first camera a span that is 10 % (times `magnitude`) too short in a file that goes on."""
    stream = picture_stream(episode)
    if stream is None or magnitude <= 0:
        return episode
    count, first = len(stream), int(rng.integers(1, 1000))
    lost = min(count, max(1, round(0.1 * magnitude * count)))
    return episode.with_stream(
        retold(
            stream,
            first_frame=first,
            frames_in_span=count - lost,
            frames_in_file=first + count + 100,
            frames_declared_by_container=first + count + 100,
            span_is_declared=True,
        )
    )
