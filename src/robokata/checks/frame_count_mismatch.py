"""A video span that holds another number of frames than the table has rows.

What it finds:
    Episodes whose part of a shared video holds fewer frames than the episode has rows although the file goes
    on, and files of one episode that hold more frames than it has rows. An index whose spans are short while every
    row has a frame of its own is told once, as a warning.

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

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from robokata.checks._picture_files import file_name, picture_stream, pictures_from, retold, span_is_in_other_time
from robokata.core.contracts import Gathered, Need, to_plant_into
from robokata.core.episode import Episode
from robokata.core.finding import Abstention, Finding, Level, Span, Verdict
from robokata.core.source import EpisodeList, Facts
from robokata.core.stream import Stream
from robokata.core.values import Media

NEEDS: Sequence[Need] = (Need.PICTURES,)


class Claim(NamedTuple):
    """The part of a video that an index gives to an episode's camera, beside what its rows ask for."""

    stream: str
    path: str
    first: int
    rows: int
    held: int
    in_file: int
    is_declared: bool
    is_in_other_time: bool
    missing: tuple[Span, ...]
    """The pictures that the claim lacks."""

    @property
    def end(self) -> int:
        """Frame of the file after the last one that the rows get."""
        return self.first + self.rows


def gather(episode: Episode) -> tuple[Claim, ...]:
    """Every camera's span; counts of headers and indexes, no picture is decoded."""
    spans = (_span(episode, stream, stream.pictures.media()) for stream in episode.pictures())
    return tuple(span for span in spans if span is not None)


def _span(episode: Episode, stream: Stream, media: Media) -> Claim | None:
    if media.problem is not None or media.is_absent or media.frames_in_file is None:
        return None
    is_short = media.frames_in_span < media.frames_expected
    return Claim(
        stream=stream.name,
        path=media.path,
        first=media.first_frame,
        rows=media.frames_expected,
        held=media.frames_in_span,
        in_file=media.frames_in_file,
        is_declared=media.span_is_declared,
        is_in_other_time=span_is_in_other_time(stream, media),
        missing=pictures_from(episode, stream, media.frames_in_span) if is_short else (),
    )


def judge(rows: Sequence[Gathered], facts: Facts) -> Iterator[Verdict]:
    """One finding per camera whose rows get frames of others, one for all that are only short. Counts are exact."""
    spans = [(row.episode, span) for row in rows if isinstance(row.value, tuple) for span in row.value]
    starts: dict[tuple[str, str], list[tuple[int, str]]] = {}
    for episode, span in spans:
        if span.rows:
            starts.setdefault((span.stream, span.path), []).append((span.first, episode))
    short: dict[tuple[str, int], list[tuple[str, Claim]]] = {}
    for episode, span in spans:
        if span.held == span.rows:
            continue
        if span.is_in_other_time:
            reason = (
                f"{span.stream}: the video runs at another rate than the dataset, so its seconds count other frames"
            )
            yield Abstention(reason, episode, span.stream)
        elif span.held < span.rows and span.in_file >= span.end:
            owner = _owner_of_tail(episode, span, starts)
            if owner is None:
                short.setdefault((span.stream, span.rows - span.held), []).append((episode, span))
            else:
                yield _too_few(episode, span, owner)
        elif span.held > span.rows and span.first == 0 and span.held == span.in_file and not span.is_declared:
            yield _too_many(episode, span)
    for found in short.values():
        yield _short(found, len(rows))


def _owner_of_tail(
    episode: str, span: Claim, starts: Mapping[tuple[str, str], Sequence[tuple[int, str]]]
) -> str | None:
    """Whose frames the rows get that the span lacks, in words; None where they are the episode's own."""
    others = [(first, other) for first, other in starts[span.stream, span.path] if other != episode]
    claimed = next((other for first, other in sorted(others) if span.first + span.held <= first < span.end), None)
    if claimed is not None:
        return f"episode {claimed}"
    # The file ends with the rows, or the next episode begins where they end, or the index counts to the last frame
    # instead of behind it, as some writers do: nobody else has these frames.
    is_followed = span.in_file == span.end or any(first == span.end for first, _ in others)
    return None if is_followed or span.rows - span.held == 1 else "others"


def _too_few(episode: str, span: Claim, owner: str) -> Finding:
    return Finding(
        level=Level.ERROR,
        message=(
            f"{span.stream}: the index gives the episode {span.held} frames of {_file(span)} for {span.rows} rows; "
            f"the last {span.rows - span.held} rows get frames that belong to {owner}"
        ),
        episode=episode,
        stream=span.stream,
        spans=span.missing,
        measured=span.held,
        expected=span.rows,
        repair="correct the episode's span in the index after looking at the pictures, or drop the episode",
    )


def _too_many(episode: str, span: Claim) -> Finding:
    return Finding(
        level=Level.WARNING,
        message=f"{span.stream}: {_file(span)} holds {span.held} frames for {span.rows} rows",
        episode=episode,
        stream=span.stream,
        measured=span.held,
        expected=span.rows,
        repair="correct the episode's span in the index after looking at the pictures, or drop the episode",
    )


def _short(found: Sequence[tuple[str, Claim]], episodes: int) -> Finding:
    """Spans that end too early for their rows, and every row has its own frame all the same."""
    episode, span = found[0]
    lacking = span.rows - span.held
    where = "all episodes" if len(found) == episodes else f"{len(found)} of {episodes} episodes"
    return Finding(
        level=Level.WARNING,
        message=(
            f"{span.stream}: the index's spans end {lacking} {'frame' if lacking == 1 else 'frames'} before the rows "
            f"do in {where} (episode {episode}: {span.held} for {span.rows} rows); the files hold a frame for every "
            f"row, and no other checked episode claims it"
        ),
        episode=None if len(found) == episodes else episode,
        also=() if len(found) == episodes else tuple(other for other, _ in found[1:]),
        stream=span.stream,
        measured=span.held,
        expected=span.rows,
        repair="write the end of the last frame, not its start, into the index: the pictures stay what they are",
    )


def _file(span: Claim) -> str:
    return file_name(Media(span.path, None, 0, 0))


def plant(source: EpisodeList, rng: np.random.Generator, magnitude: float) -> EpisodeList:
    """Give the first camera of one episode a span that is 10 % (times `magnitude`) too short in a file that goes on."""
    episodes = list(source.episodes.values())
    chosen = int(rng.integers(len(to_plant_into(episodes, "episode"))))
    stream = picture_stream(episodes[chosen])
    if stream is None or magnitude <= 0:
        return source
    count, first = len(stream), int(rng.integers(1, 1000))
    lost = min(count, max(1, round(0.1 * magnitude * count)))
    episodes[chosen] = episodes[chosen].with_stream(
        retold(
            stream,
            first_frame=first,
            frames_in_span=count - lost,
            frames_in_file=first + count + 100,
            frames_declared_by_container=first + count + 100,
            span_is_declared=True,
        )
    )
    return EpisodeList(episodes, source.facts())
