"""Conversion of clips to Episodes: the video unchanged, tip pose and gripper width where they were measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robokata.collection.umi.board import opencv
from robokata.collection.umi.latency import Latency, Signal
from robokata.collection.umi.rig import Rig
from robokata.collection.umi.track import ClipTrack
from robokata.core.clock import NS_PER_S, Clock, ClockQuality, Reading, grid_ns, measured_clock
from robokata.core.episode import Embodiment, Episode, Instruction, Origin, Outcome
from robokata.core.stream import UNKNOWN_MEANING, Evidence, Fact, Kind, Meaning, Role, Stream
from robokata.core.values import ArrayValues
from robokata.media.container import LEFT_OUT, with_display
from robokata.media.video import VideoFrames

POSE = ("x", "y", "z", "qx", "qy", "qz", "qw")
PICTURES, TIP, WIDTH, ENCODER = "images.gripper", "tip_pose", "gripper_width_m", "gripper_encoder_m"


@dataclass(frozen=True)
class Story:
    """What the person says about the clips."""

    instruction: str | None = None
    robot: str = "umi_gripper"
    operator: str | None = None
    session: str | None = None


@dataclass(frozen=True, eq=False)
class ReferenceSignal:
    """A gripper encoder (or another video) beside a clip, and how much later the clip shows the same motion."""

    file: str
    signal: Signal
    latency: Latency
    is_encoder: bool = True
    """False: the other signal is read from a video, and no stream of this episode."""
    is_applied: bool = False
    """True: the encoder's clock is moved onto the clip's, and its own is kept beside it."""


def episode_of(
    track: ClipTrack,
    rig: Rig,
    *,
    name: str,
    story: Story = Story(),
    reference: ReferenceSignal | None = None,
    hand: str = "",
) -> Episode:
    """One clip as one episode; `hand` ("left", "right") names the streams of one of two grippers."""
    streams = [*_measured(track, rig, hand), *_quality(track, hand)]
    if reference is not None and reference.is_encoder:
        streams.append(_encoder(reference, hand))
    return Episode(
        id=name,
        streams={stream.name: stream for stream in streams},
        embodiment=Embodiment(story.robot, Evidence.USER, cameras=(f"{hand}_gripper" if hand else "gripper",)),
        instructions=(Instruction(story.instruction, source="--instruction"),) if story.instruction else (),
        outcome=Outcome(reason="nobody said whether it succeeded"),
        origin=Origin(session=story.session, operator=story.operator),
        declared_rate_hz=rate_of(track),
        extra={"handheld": {hand or "gripper": _facts(track, rig, reference)}},
    )


def one_of_two(left: Episode, right: Episode, *, name: str) -> Episode:
    """Two grippers as one bimanual episode; both must already be on one time."""
    cameras = tuple(c for e in (left, right) if e.embodiment is not None for c in e.embodiment.cameras)
    robot = left.embodiment.name if left.embodiment is not None else "umi_gripper"
    return Episode(
        id=name,
        streams={**left.streams, **right.streams},
        embodiment=Embodiment(f"{robot}_pair", Evidence.USER, cameras=cameras),
        instructions=left.instructions,
        outcome=left.outcome,
        origin=left.origin,
        declared_rate_hz=left.declared_rate_hz if left.declared_rate_hz == right.declared_rate_hz else None,
        extra={"handheld": {**left.extra["handheld"], **right.extra["handheld"]}},
    )


def rate_of(track: ClipTrack) -> Fraction | None:
    """The container's rate where the frames lie on its grid, else None: the times speak then."""
    return track.index.average_rate_hz if quality_of(track) is ClockQuality.SYNTHESIZED else None


def quality_of(track: ClipTrack) -> ClockQuality:
    """Times that equal frame number / rate to a tick show no gap; others somebody measured."""
    rate_hz = track.index.average_rate_hz
    if rate_hz is None or len(track) < 2:
        return ClockQuality.MEASURED
    off_ns = np.abs(track.times_ns - track.times_ns[0] - grid_ns(len(track), rate_hz))
    # A stamp is rounded to the container's tick, and a muxer may round it once more.
    return ClockQuality.SYNTHESIZED if off_ns.max() <= 2 * track.index.time_base * NS_PER_S else ClockQuality.MEASURED


def _clock(track: ClipTrack, kept: NDArray[np.bool_] | None = None) -> Clock:
    times_ns = track.times_ns if kept is None else track.times_ns[kept]
    reading = Reading(times_ns, quality_of(track))
    return Clock(len(times_ns), lambda: reading, declared_rate_hz=rate_of(track))


def _name(kind: str, short: str, hand: str) -> str:
    return f"{kind}.{hand}_{short}" if hand else f"{kind}.{short}"


def _measured(track: ClipTrack, rig: Rig, hand: str) -> list[Stream]:
    prefix = f"{hand}." if hand else ""
    has_pose = np.isfinite(track.pose[:, 0])
    # Who says where the origin lies: the board that the user printed, or the program that made the trajectory.
    frame = Fact(track.frame, Evidence.USER if track.frame == "board" else Evidence.FILE)
    pose_meaning = Meaning(
        unit=Fact("m", Evidence.USER),
        frame=frame,
        rotation=Fact("quat_xyzw", Evidence.USER),
        reference=Fact("absolute", Evidence.USER),
    )
    pictures = f"observation.images.{hand}_gripper" if hand else f"observation.{PICTURES}"
    count = len(track)
    camera = Stream(
        pictures,
        Kind.VIDEO,
        Role.CAMERA,
        _clock(track),
        VideoFrames(track.path, count),
        encoding=track.index.codec,
        extra={"intrinsics": track.camera.to_json(), "file": track.path.name},
    )
    video = with_display(camera)
    left_out = {LEFT_OUT: list(video.tracks)} if video.tracks else {}
    streams = [
        replace(video.stream, extra={**video.stream.extra, **left_out}),
        Stream(
            _name("observation", TIP, hand),
            Kind.TENSOR,
            Role.STATE,
            _clock(track, has_pose),
            ArrayValues(track.pose[has_pose]),
            channels=tuple(f"{prefix}tip.{axis}" for axis in POSE),
            meaning=pose_meaning,
        ),
    ]
    if track.has_width.any():
        gripper = Fact("width_m", Evidence.USER) if rig.gripper_range is not None else None
        streams.append(
            Stream(
                _name("observation", WIDTH, hand),
                Kind.TENSOR,
                Role.STATE,
                _clock(track, track.has_width),
                ArrayValues(track.width_m[track.has_width][:, np.newaxis]),
                channels=(f"{prefix}opening" if rig.gripper_range is not None else f"{prefix}tag_distance",),
                meaning=Meaning(
                    unit=Fact("m", Evidence.USER), gripper=gripper, reference=Fact("absolute", Evidence.USER)
                ),
            )
        )
    return streams


def _quality(track: ClipTrack, hand: str) -> list[Stream]:
    """What stands behind the numbers, frame by frame."""
    clock, tried = _clock(track), np.isfinite(track.error_px)
    streams = [
        _sensor(_name("tracking", "board_markers", hand), clock, track.board_markers),
        _sensor(_name("tracking", "finger_tags", hand), clock, track.finger_tags),
    ]
    if tried.any():
        # Only frames in which a pose was tried have an error; those that the gates refused are among them.
        tried_clock = _clock(track, tried)
        streams.append(
            _sensor(_name("tracking", "reprojection_px", hand), tried_clock, track.error_px[tried], unit="px")
        )
        streams.append(_sensor(_name("tracking", "tip_spread_m", hand), tried_clock, track.spread_m[tried], unit="m"))
    if track.is_filled.any():
        has_pose = np.isfinite(track.pose[:, 0])
        marks = track.is_filled[has_pose].astype(np.uint8)
        streams.append(_sensor(_name("tracking", "is_interpolated", hand), _clock(track, has_pose), marks))
    return streams


def _sensor(name: str, clock: Clock, values: NDArray[Any], *, unit: str | None = None) -> Stream:
    meaning = Meaning(unit=Fact(unit)) if unit else UNKNOWN_MEANING
    return Stream(name, Kind.TENSOR, Role.SENSOR, clock, ArrayValues(values), meaning=meaning)


def _encoder(reference: ReferenceSignal, hand: str) -> Stream:
    times_ns = np.round(reference.signal.times_s * NS_PER_S).astype(np.int64)
    own = measured_clock(times_ns)
    clock, beside = own, {}
    if reference.is_applied and reference.latency.latency_s is not None:
        clock, beside = measured_clock(times_ns + round(reference.latency.latency_s * NS_PER_S)), {"recorded": own}
    return Stream(
        _name("observation", ENCODER, hand),
        Kind.TENSOR,
        Role.SENSOR,
        clock,
        ArrayValues(reference.signal.width_m[:, np.newaxis]),
        channels=("opening",),
        meaning=Meaning(unit=Fact("m", Evidence.FILE), gripper=Fact("width_m", Evidence.FILE)),
        other_clocks=beside,
    )


def _facts(track: ClipTrack, rig: Rig, reference: ReferenceSignal | None) -> Mapping[str, Any]:
    """What made the numbers: enough to make them again."""
    return {
        "video": track.path.name,
        "board": str(rig.board),
        "dictionary": rig.board.dictionary,
        "intrinsics": rig.camera.to_json(),
        "finger_tags": rig.tags._asdict(),
        "gripper_range_m": list(rig.gripper_range) if rig.gripper_range is not None else None,
        "camera_from_tip": rig.camera_from_tip.as_pose().tolist(),
        "gates": asdict(rig.gates),
        "pose_from": track.frame,
        "frames": len(track),
        "frames_lost": len(track) - int(track.is_seen.sum()),
        "frames_interpolated": int(track.is_filled.sum()),
        "frames_with_width": int(track.has_width.sum()),
        "frames_refused_by": dict(track.refused),
        "latency": {"against": reference.file, **reference.latency.to_json()} if reference is not None else None,
        "latency_is_applied": reference is not None and reference.is_applied,
        "opencv": str(opencv().__version__),
    }


def width_signal(track: ClipTrack) -> Signal:
    """The widths of a clip, over the times at which they were measured."""
    kept = track.has_width
    return Signal(track.times_ns[kept] / NS_PER_S, track.width_m[kept])


def names_for(stems: Sequence[str]) -> list[str]:
    """A name of its own for each clip: two folders may each hold a `raw_video.mp4`."""
    taken: set[str] = set()
    names = []
    for stem in stems:
        name, again = stem, 2
        while name.lower() in taken:
            name, again = f"{stem}_{again}", again + 1
        taken.add(name.lower())
        names.append(name)
    return names
