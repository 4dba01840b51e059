"""Everything that a check imports: `from robokata.authoring.checks import Finding, Need, Verdict`.

A check of each episode defines

- its docstring: one sentence, then "What it finds", "Why it hurts", "Example", "Limits" and "Repair";
- `NEEDS: Sequence[Need]`: what an episode must have; the check abstains without it;
- `check(episode, *, ...) -> Iterator[Verdict]`: thresholds are keyword-only numbers, words or booleans with defaults;
- `plant(episode, rng, magnitude) -> Episode`: the same episode with the defect in it;
- `CURVE: CurveKind`, if a report is to draw something else than the values.

A check across episodes defines `gather(episode)` and `judge(rows, facts)` instead of `check`, and its `plant` takes and
returns an `EpisodeList`. Entry point group: `robokata.checks`. Tests: `robokata.testing.CHECK_CLAUSES`.
"""

from robokata.checks._appended import noisy_copy, with_appended
from robokata.checks._ticks import (
    Ticks,
    UsedClock,
    clocked_stream,
    hertz,
    measured_clocks,
    restamped,
    ticks_of,
    unmeasured,
    used_clocks,
)
from robokata.core.ancestry import ancestry_of
from robokata.core.clock import NS_PER_S, Clock, ClockQuality, Reading, grid_clock, measured_clock, paired
from robokata.core.contracts import CheckLeaf, CurveKind, DatasetCheckLeaf, Gathered, Need, to_plant_into
from robokata.core.declared import picture_declarations, stream_declarations
from robokata.core.episode import Episode, Instruction
from robokata.core.errors import DamagedData, MediaMissing, MissingPart, Unsupported
from robokata.core.finding import Abstention, Finding, Level, Span, Verdict, spans_from, stretches_in_words, whole_span
from robokata.core.fingerprint import Fingerprint, Kin, fingerprint_of, kin_among
from robokata.core.lineage import DIGITS, digest_in, identity_of
from robokata.core.source import Declaration, EpisodeList, EpisodeRow, Facts, row_of
from robokata.core.stream import LATE, UNDECODABLE, Kind, Role, Stream
from robokata.core.values import ArrayValues, Index, IndexedValues, Media, Values
from robokata.geometry.channels import has_few_values, is_gripper, is_orientation, is_quaternion, listed, may_jump
from robokata.geometry.motion import WRAP_PERIODS, Motion, motion_of, speed_of, still_share, wrap_period
from robokata.geometry.runs import Run, moment_of, runs_of, samples_in, span_of
from robokata.media.images import RawImages
from robokata.media.luma_summary import Glance, glance
from robokata.media.video import VideoFrames
from robokata.statistics.moments import Moments, merged, moments_of

__all__ = [
    "DIGITS",
    "LATE",
    "NS_PER_S",
    "UNDECODABLE",
    "WRAP_PERIODS",
    "Abstention",
    "ArrayValues",
    "CheckLeaf",
    "Clock",
    "ClockQuality",
    "CurveKind",
    "DamagedData",
    "DatasetCheckLeaf",
    "Declaration",
    "Episode",
    "EpisodeList",
    "EpisodeRow",
    "Facts",
    "Finding",
    "Fingerprint",
    "Gathered",
    "Glance",
    "Index",
    "IndexedValues",
    "Instruction",
    "Kin",
    "Kind",
    "Level",
    "Media",
    "MediaMissing",
    "MissingPart",
    "Moments",
    "Motion",
    "Need",
    "RawImages",
    "Reading",
    "Role",
    "Run",
    "Span",
    "Stream",
    "Ticks",
    "Unsupported",
    "UsedClock",
    "Values",
    "Verdict",
    "VideoFrames",
    "ancestry_of",
    "clocked_stream",
    "digest_in",
    "fingerprint_of",
    "glance",
    "grid_clock",
    "has_few_values",
    "hertz",
    "identity_of",
    "is_gripper",
    "is_orientation",
    "is_quaternion",
    "kin_among",
    "listed",
    "may_jump",
    "measured_clock",
    "measured_clocks",
    "merged",
    "moment_of",
    "moments_of",
    "motion_of",
    "noisy_copy",
    "paired",
    "picture_declarations",
    "restamped",
    "row_of",
    "runs_of",
    "samples_in",
    "span_of",
    "spans_from",
    "speed_of",
    "still_share",
    "stream_declarations",
    "stretches_in_words",
    "ticks_of",
    "to_plant_into",
    "unmeasured",
    "used_clocks",
    "whole_span",
    "with_appended",
    "wrap_period",
]
