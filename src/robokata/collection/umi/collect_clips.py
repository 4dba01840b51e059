"""Collection from clips: each is judged by itself, and complete on disk before the next begins."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robokata.collection.umi.board import FingerTags
from robokata.collection.umi.episode import ReferenceSignal, Story, episode_of, names_for, one_of_two, width_signal
from robokata.collection.umi.gates import Rejection, rejection_of
from robokata.collection.umi.latency import latency_between, read_signal
from robokata.collection.umi.rig import Rig
from robokata.collection.umi.start_time import offset_between
from robokata.collection.umi.track import ClipTrack, track_video
from robokata.collection.umi.training_rows import umi_episodes
from robokata.collection.umi.trajectory import read_trajectory
from robokata.conversion import convert
from robokata.core.clock import NS_PER_S
from robokata.core.episode import Episode
from robokata.core.errors import HandheldRefused, RobokataError, WriteRefused
from robokata.core.leaf_kinds import writable_format
from robokata.core.source import EpisodeList
from robokata.media.container import LEFT_OUT, with_display
from robokata.media.packet_index import packet_index
from robokata.runtime.atomic import refuse_occupied
from robokata.runtime.folder_lock import hold

Advance = Callable[[int], None]
_UMI_NOTES = (
    "UMI's rows are unbroken runs of frames with pose and width; frames before, between and after them are left out",
    "pictures are their middle square at 224 x 224; quality, encoder and full pictures are not in it: keep the videos",
)
_ENCODER_ENDINGS = (".csv", ".txt")


@dataclass(frozen=True)
class UmiClip:
    """One video, and what lies beside it."""

    video: Path
    trajectory: Path | None = None
    reference: Path | None = None
    """A gripper encoder's CSV, or another video of the same gripper."""


@dataclass(frozen=True)
class Pairing:
    """Two grippers that were filmed together, the left one first."""

    right_tags: FingerTags = field(default_factory=lambda: FingerTags(6, 7))
    """UMI's second gripper."""
    offset_s: float | None = None
    """Time of the left clip at which the right one starts; None: from the start times that both files keep."""


@dataclass(frozen=True)
class UmiOptions:
    """What is the same for a whole run."""

    rig: Rig
    story: Story = field(default_factory=Story)
    within_s: float = 1.0
    """Largest latency that is looked for."""
    applies_latency: bool = False
    pairing: Pairing | None = None


@dataclass(frozen=True)
class ClipResult:
    """What became of one clip (or one pair)."""

    videos: tuple[str, ...]
    status: str
    """`collected`, `rejected`, or `there already`."""
    file: str | None = None
    rejection: Rejection | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Plain values for `json.dumps`."""
        reason = self.rejection
        return {
            "videos": list(self.videos),
            "status": self.status,
            "file": self.file,
            "gate": reason.gate if reason else None,
            "reason": reason.message if reason else None,
            "numbers": dict(reason.numbers) if reason else {},
            **self.facts,
        }


@dataclass(frozen=True)
class UmiReport:
    """What became of all clips."""

    out: str
    format: str
    judged: tuple[ClipResult, ...]
    receipt: convert.Receipt | None = None
    """Of the conversion, where another format than MCAP was asked for."""
    notes: tuple[str, ...] = ()
    """What the target does not hold of the clips."""

    @property
    def rejected(self) -> int:
        """Clips that did not become episodes."""
        return sum(one.status == "rejected" for one in self.judged)

    def to_json(self) -> dict[str, Any]:
        """Plain values for `json.dumps`."""
        return {
            "out": self.out,
            "format": self.format,
            "collected": sum(one.status == "collected" for one in self.judged),
            "rejected": self.rejected,
            "clips": [one.to_json() for one in self.judged],
            "notes": list(self.notes),
            "receipt": None if self.receipt is None else self.receipt.to_json(),
        }


def frames_of(clips: Sequence[UmiClip]) -> int:
    """Frames of all clips that can be opened: what a progress bar counts."""
    total = 0
    for video in [
        path for clip in clips for path in (clip.video, clip.reference) if path is not None and _is_video(path)
    ]:
        try:
            total += len(packet_index(video).pts)
        except RobokataError:
            continue  # told when its turn comes
    return total


def collect_files(
    clips: Sequence[UmiClip], settings: UmiOptions, out: Path, *, advance: Advance = lambda frames: None
) -> UmiReport:
    """One MCAP file per clip in a folder; a file appears in one rename, or not at all.

    A clip whose file is there already is left alone: a run that was cut short goes on where it was.

    Raises:
        WriteRefused: the folder cannot be written, or the disk is full (finished files stay), or another run is at
            work in it.
    """
    if out.exists() and not out.is_dir():
        raise WriteRefused(f"{out} is a file. Name a folder for the episodes.")
    with hold(out):
        return _collected(clips, settings, out, advance)


def _collected(clips: Sequence[UmiClip], settings: UmiOptions, out: Path, advance: Advance) -> UmiReport:
    judged = []
    notes: list[str] = []
    for name, group in _groups(clips, settings):
        file = out / f"{name}.mcap"
        if file.exists():
            videos = tuple(str(clip.video) for clip in group)
            judged.append(ClipResult(videos, "there already", str(file)))
            advance(frames_of(group))
            continue
        found, episode = _judge(group, settings, name, advance)
        if episode is not None:
            writable_format("mcap").write(file, [episode])
            found = replace(found, file=str(file))
            notes += _notes_of_containers(episode)
        judged.append(found)
    return UmiReport(str(out), "mcap", tuple(judged), notes=tuple(dict.fromkeys(notes)))


def collect_dataset(
    clips: Sequence[UmiClip],
    settings: UmiOptions,
    out: Path,
    format_name: str,
    *,
    options: Mapping[str, Any],
    accept_loss: bool = False,
    advance: Advance = lambda frames: None,
) -> UmiReport:
    """All clips as one dataset of another format, which appears in one rename.

    Raises:
        WriteRefused: the target is occupied, or would lose something and `accept_loss` is not given.
        UnknownName: the format cannot be written, or has no such option.
    """
    writable_format(format_name)
    refuse_occupied(out)
    judged: list[ClipResult] = []
    episodes: list[Episode] = []
    for name, group in _groups(clips, settings):
        found, episode = _judge(group, settings, name, advance)
        judged.append(found)
        if episode is not None:
            episodes += _in_shape(episode, format_name, options, settings.rig.gates.min_steps)
    if not episodes:
        return UmiReport(str(out), format_name, tuple(judged))
    source = EpisodeList(episodes)
    receipt = convert.convert(source, out, format_name, options=options, accept_loss=accept_loss)
    done = tuple(replace(one, file=str(out)) if one.status == "collected" else one for one in judged)
    notes = [*(_UMI_NOTES if _is_umi(format_name, options) else ())]
    for episode in episodes:
        notes += _notes_of_containers(episode)
    return UmiReport(str(out), format_name, done, receipt, tuple(dict.fromkeys(notes)))


def _notes_of_containers(episode: Episode) -> Iterator[str]:
    """What the clips' files hold beside the pictures, and how players show these."""
    for stream in episode.pictures():
        file = stream.extra.get("file", stream.name)
        for track in stream.extra.get(LEFT_OUT, ()):
            yield f"{file}: {track} is left out; episodes hold its pictures"
        note = with_display(stream).note
        if note:
            yield f"{file}: {note}"


def _in_shape(episode: Episode, format_name: str, options: Mapping[str, Any], min_steps: int) -> Iterator[Episode]:
    if _is_umi(format_name, options):
        yield from umi_episodes(episode, min_steps=min_steps)
    else:
        yield episode


def _is_umi(format_name: str, options: Mapping[str, Any]) -> bool:
    return format_name == "zarr_replay" and options.get("flavour") == "umi"


def _groups(clips: Sequence[UmiClip], settings: UmiOptions) -> list[tuple[str, list[UmiClip]]]:
    size = 1 if settings.pairing is None else 2
    if len(clips) % size:
        raise HandheldRefused(f"--pair takes videos two by two, left and right; {len(clips)} were given.")
    groups = [list(clips[start : start + size]) for start in range(0, len(clips), size)]
    return list(zip(names_for(["_".join(clip.video.stem for clip in group) for group in groups]), groups, strict=True))


def _judge(
    group: list[UmiClip], settings: UmiOptions, name: str, advance: Advance
) -> tuple[ClipResult, Episode | None]:
    """One clip or pair; what is wrong with it is said, and the others go on."""
    videos = tuple(str(clip.video) for clip in group)
    try:
        if settings.pairing is None:
            rejection, facts, episode = _one(group[0], settings, settings.rig, name, advance)
        else:
            rejection, facts, episode = _two(group, settings, settings.pairing, name, advance)
    except WriteRefused:
        raise
    except RobokataError as error:
        return ClipResult(videos, "rejected", rejection=Rejection("unreadable", str(error), {})), None
    if rejection is not None:
        return ClipResult(videos, "rejected", rejection=rejection, facts=facts), None
    return ClipResult(videos, "collected", facts=facts), episode


def _one(
    clip: UmiClip, settings: UmiOptions, rig: Rig, name: str, advance: Advance, hand: str = "", start_ns: int = 0
) -> tuple[Rejection | None, dict[str, Any], Episode | None]:
    trajectory = read_trajectory(clip.trajectory) if clip.trajectory is not None else None
    track = track_video(clip.video, rig, trajectory=trajectory, advance=advance)
    reference = _reference(clip, track, settings, rig, advance)
    facts = {**summary_of(track), "latency": None if reference is None else reference.latency.to_json()}
    rejection = rejection_of(track, rig)
    if rejection is not None:
        return rejection, facts, None
    track.times_ns = track.times_ns + start_ns
    return None, facts, episode_of(track, rig, name=name, story=settings.story, reference=reference, hand=hand)


def _two(
    group: list[UmiClip], settings: UmiOptions, pairing: Pairing, name: str, advance: Advance
) -> tuple[Rejection | None, dict[str, Any], Episode | None]:
    offset_s = pairing.offset_s if pairing.offset_s is not None else offset_between(*(clip.video for clip in group))
    hands: list[Episode] = []
    facts: dict[str, Any] = {}
    for hand, clip in zip(("left", "right"), group, strict=True):
        rig = settings.rig if hand == "left" else replace(settings.rig, tags=pairing.right_tags)
        start_ns = 0 if hand == "left" else round(offset_s * NS_PER_S)
        rejection, facts[hand], episode = _one(clip, settings, rig, name, advance, hand, start_ns)
        if rejection is not None:
            return replace(rejection, message=f"{hand} clip {clip.video.name}: {rejection.message}"), facts, None
        assert episode is not None
        hands.append(episode)
    left, right = hands
    overlap_s = (min(left.end_ns, right.end_ns) - max(left.start_ns, right.start_ns)) / NS_PER_S
    facts = {**facts, "offset_s": offset_s, "overlap_s": overlap_s}
    if overlap_s <= 0:
        message = f"the two clips do not overlap: the right one starts {offset_s:.3f} s after the left one."
        return Rejection("no_overlap", message, {"offset_s": offset_s, "overlap_s": overlap_s}), facts, None
    return None, facts, one_of_two(left, right, name=name)


def _reference(
    clip: UmiClip, track: ClipTrack, settings: UmiOptions, rig: Rig, advance: Advance
) -> ReferenceSignal | None:
    if clip.reference is None:
        return None
    is_encoder = not _is_video(clip.reference)
    signal = (
        read_signal(clip.reference) if is_encoder else width_signal(track_video(clip.reference, rig, advance=advance))
    )
    latency = latency_between(width_signal(track), signal, within_s=settings.within_s)
    return ReferenceSignal(clip.reference.name, signal, latency, is_encoder, settings.applies_latency)


def _is_video(path: Path) -> bool:
    return path.suffix.lower() not in _ENCODER_ENDINGS


def summary_of(track: ClipTrack) -> dict[str, Any]:
    """What a table shows of a clip."""
    seen = track.is_seen
    return {
        "frames": len(track),
        "lost": len(track) - int(seen.sum()),
        "interpolated": int(track.is_filled.sum()),
        "with_width": int(track.has_width.sum()),
        "median_error_px": _median(track.error_px[seen]),
        "median_tip_spread_m": _median(track.spread_m[seen]),
        "pose_from": track.frame,
        "strangers": sorted(track.strangers),
    }


def _median(values: NDArray[np.float64]) -> float | None:
    sound = values[np.isfinite(values)]
    return float(np.median(sound)) if len(sound) else None
