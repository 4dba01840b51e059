"""What a leaf must define to stand on its shelf. Modules meet these protocols; nothing is inherited."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from robokata.core.clock import ClockQuality
from robokata.core.episode import Episode
from robokata.core.estimate import Estimate, Observation
from robokata.core.finding import Verdict
from robokata.core.layout import Layout
from robokata.core.selection import Described, Selection
from robokata.core.source import EpisodeList, Facts, Source
from robokata.core.stream import Role

T = TypeVar("T")


class FormatLeaf(Protocol):
    """A file in `formats/` that reads.

    One whose datasets are folders of recordings, a file each and nothing else, says `IS_FOLDER_OF_FILES = True`: other
    files there are then named as not recognised. One that only writes for other programs has `LOOKS_FOR` and what
    `WritableFormatLeaf` adds, and neither `sniff` nor `read`: nothing is recognised as it, and `--format` says so.
    """

    LOOKS_FOR: str
    """What makes a path this format, in words: the error for a path that is no dataset lists these."""

    def sniff(self, path: Path) -> float:
        """Confidence 0..1 that `path` is this format, from names and first bytes only. Never raises."""
        ...

    def read(self, path: Path) -> Source:
        """Open the dataset: indexes only."""
        ...


class WritableFormatLeaf(FormatLeaf, Protocol):
    """A format that can be written too."""

    LOSES: Sequence[str]
    """What this format cannot hold, a phrase each. A leaf whose episodes must all have the same streams says
    `IS_ONE_TABLE = True` beside it: a plan then refuses what differs."""

    def layout(self, episode: Episode) -> Layout:
        """Where each stream of an episode goes and what that costs, asked before anything is written. It takes the
        keyword-only options of `write`.

        Raises:
            WriteRefused: the episode does not fit the format at all.
        """
        ...

    def write(self, path: Path, episodes: Iterable[Episode]) -> None:
        """Write episodes; the directory appears in one rename."""
        ...


class WrittenEpisode(NamedTuple):
    """What another library reads of an episode that was written in a format that Robokata only writes."""

    episode: str
    times: int
    """Times that were compared."""
    differences: tuple[tuple[str, str], ...]
    """Stream, and what is wrong with it."""


class OneWayFormatLeaf(Protocol):
    """What a format that is written and not read may define besides `layout` and `write`: then a conversion is read
    back by that format's own library."""

    def compare(self, path: Path, episodes: Iterable[Episode]) -> Iterator[WrittenEpisode]:
        """What was written of each episode, in the order of writing."""
        ...


class Need(enum.StrEnum):
    """What a check needs of an episode; unmet needs make it abstain, with a reason, before it runs."""

    STATE = "state"
    ACTION = "action"
    NUMBERS = "numbers"
    PICTURES = "pictures"
    MEASURED_CLOCK = "measured_clock"
    DECLARED_RATE = "declared_rate"
    INSTRUCTIONS = "instructions"


class Unmet(NamedTuple):
    """Why an episode does not give what a check needs."""

    need: Need
    reason: str


class CheckLeaf(Protocol):
    """A file in `checks/` that judges each episode by itself."""

    NEEDS: Sequence[Need]

    def check(self, episode: Episode) -> Iterator[Verdict]:
        """Findings and abstentions of one episode. Thresholds are keyword-only, with defaults."""
        ...

    def plant(self, episode: Episode, rng: np.random.Generator, magnitude: float) -> Episode:
        """The same episode with the defect in it. `magnitude` 1.0 is a defect one must find; 0 plants nothing."""
        ...


class DatasetCheckLeaf(Protocol):
    """A file in `checks/` that judges across episodes: gather per episode, judge all rows."""

    NEEDS: Sequence[Need]

    def gather(self, episode: Episode) -> Any:
        """What `judge` needs of one episode; small, picklable. May be an Abstention."""
        ...

    def judge(self, rows: Sequence[Gathered], facts: Facts) -> Iterator[Verdict]:
        """Findings and abstentions from all rows, in the dataset's order, whatever the worker count."""
        ...

    def plant(self, source: EpisodeList, rng: np.random.Generator, magnitude: float) -> EpisodeList:
        """The same dataset with the defect in it."""
        ...


class MetricLeaf(Protocol):
    """A file in `metrics/`: map (`observe` per trial), then reduce (`summarise`). `measure` is both.

    The docstring has five sections: Definition, Unit, Needs, Limits, Source.
    """

    UNIT: str | None
    """SI unit of the value, None for shares, counts and numbers without a unit."""

    def observe(self, trial: Episode) -> Observation:
        """What one trial says. Parameters besides the trial are keyword-only, with defaults."""
        ...

    def summarise(self, observations: Sequence[Observation]) -> Estimate:
        """The estimate from all trials' rows; their order does not matter."""
        ...

    def measure(self, trials: Sequence[Episode]) -> Estimate:
        """Both, for trials of a policy and for demonstrations alike."""
        ...


class StepLeaf(Protocol):
    """A file in `steps/` that changes episodes one by one: a pure function of episode, options and `seed`.

    Options are keyword-only, with a default wherever there is a sensible one: they become options of the command line
    and of a recipe. `seed` is named where chance has a part. What changes leaves a trace (`steps._trace.traced`).
    """

    def step(self, episode: Episode) -> Iterator[Episode]:
        """No episode out: dropped. One: changed. More: expanded.

        Raises:
            StepRefused: it must not be applied to this episode.
        """
        ...


class DatasetStepLeaf(Protocol):
    """A file in `steps/` that leaves episodes out by looking at all of them: describe each, then choose."""

    def describe(self, episode: Episode) -> Any:
        """What `choose` needs of one episode; small, picklable. Options are keyword-only, with defaults."""
        ...

    def choose(self, rows: Sequence[Described]) -> Selection:
        """The episodes that stay, whatever the order of the rows. Options, and `seed`, are keyword-only."""
        ...


class CuratorLeaf(Protocol):
    """A file in `curators/`: which `keep` episodes are worth training on."""

    def describe(self, episode: Episode) -> Any:
        """What `choose` needs of one episode; small, picklable. Options are keyword-only, with defaults."""
        ...

    def choose(self, rows: Sequence[Described], *, keep: int, rng: np.random.Generator) -> Selection:
        """`keep` of the episodes, whatever the order of the rows. Further options are keyword-only, with defaults."""
        ...


class Gathered(NamedTuple):
    """One episode's row for `judge`."""

    episode: str
    value: Any


class StreamNeed(NamedTuple):
    """One stream that a policy looks at."""

    name: str
    shape: tuple[int, ...]
    """Of one sample: (D,) numbers, or (H, W, 3) uint8 pictures (any H and W are accepted and resized)."""
    channels: tuple[str, ...] = ()
    """Name of each number, in the order that is expected; empty for pictures and where the data named none."""
    at_s: tuple[float, ...] = (0.0,)
    """When, in seconds relative to now: one array of `shape` for (0.0,), else (len(at_s), *shape), oldest first."""
    is_optional: bool = False
    """True where the policy does without it."""


@dataclass(frozen=True)
class PolicySpec:
    """What a policy wants to see, and what it answers, on one robot."""

    name: str
    needs: tuple[StreamNeed, ...]
    channels: tuple[str, ...]
    """Name of each number of an action, in order."""
    chunk_steps: int
    """Actions per answer."""
    rate_hz: float
    """Actions per second of a chunk."""
    action_stream: str = "action"
    """Which stream of the data the actions continue: `action` (joints), `action.tip_pose`."""
    execute_steps: int = 0
    """Actions of a chunk to send before asking again; 0 where the policy leaves it open (then half of the chunk)."""
    embodiments: tuple[str, ...] = ()
    """Robots that it knows; empty where it does not say."""
    wants_instruction: bool = True
    extra: Mapping[str, Any] = field(default_factory=dict)
    """What a server says about itself and has no other home."""


class Chunk(NamedTuple):
    """What a policy wants done next: the first action at the moment of the observation, then one per 1 / rate_hz."""

    actions: NDArray[np.float64]
    """(H, D), in the units of the stream that they continue."""
    channels: tuple[str, ...]
    rate_hz: float


Sensed = Mapping[str, Any]
"""Stream name -> array as `StreamNeed` says; `instruction`: str; `time_s`: float seconds since the reset, where known
(policies that blend overlapping chunks need it)."""


class Policy(Protocol):
    """Something that acts. Everything that goes wrong is a `PolicyFailed`."""

    def hello(self, embodiment: str | None = None) -> PolicySpec:
        """What it wants and answers on this robot; None: on the one that it was made for (the first of several)."""
        ...

    def reset(self, episode_id: str, *, seed: int, embodiment: str | None = None) -> None:
        """A new attempt begins: forget the last one. `seed` fixes whatever the policy draws."""
        ...

    def act(self, observation: Sensed) -> Chunk:
        """What to do next.

        Raises:
            PolicyFailed: no answer that could be executed; `kind` says why.
        """
        ...

    def close(self) -> None: ...


class PolicyOrder(NamedTuple):
    """Which policy to open, and how."""

    where: str
    """Checkpoint folder, or the URL of a server."""
    device: str = "cpu"
    options: Mapping[str, str] = {}
    """Words of the leaf's own: `timeout_s`, `api_key`, `python`."""


class PolicyLeaf(Protocol):
    """A file in `policies/`. One that can be trained also meets `learn.trainable.TrainableLeaf`."""

    def load(self, order: PolicyOrder) -> Policy:
        """Open a policy.

        Raises:
            DamagedData: the checkpoint is not what its card promises.
            PolicyFailed: a server does not answer.
        """
        ...


def lacking_names(folder: str, leaf: object) -> tuple[str, ...]:
    """Names that the contract of a shelf demands and a leaf does not define, in the contract's order."""
    return tuple(name for name in _demanded(folder, leaf) if not hasattr(leaf, name))


def _demanded(folder: str, leaf: object) -> list[str]:
    """Every name that a leaf of its kind needs. Which kind it is, the names that it has say."""
    if folder == "formats":
        is_written, is_read = (any(hasattr(leaf, name) for name in names) for names in (_WRITING, _READING))
        return ["LOOKS_FOR", *(_READING if is_read or not is_written else ()), *(_WRITING if is_written else ())]
    if folder == "checks":
        is_across = hasattr(leaf, "gather") or hasattr(leaf, "judge")
        return ["NEEDS", *(("gather", "judge") if is_across else ("check",)), "plant"]
    if folder == "steps":
        return ["describe", "choose"] if hasattr(leaf, "describe") or hasattr(leaf, "choose") else ["step"]
    return list(_ALWAYS.get(folder, ()))


_READING, _WRITING = ("sniff", "read"), ("LOSES", "layout", "write")
_ALWAYS = {
    "metrics": ("UNIT", "observe", "summarise"),
    "curators": ("describe", "choose"),
    "policies": ("load",),
}


def unmet_need(episode: Episode, needs: Sequence[Need]) -> Unmet | None:
    """The first need that an episode does not meet, or None where it meets all."""
    for need in needs:
        reason = _REASONS[need](episode)
        if reason is not None:
            return Unmet(need, reason)
    return None


def _lacks_role(role: Role, what: str) -> Callable[[Episode], str | None]:
    return lambda episode: None if any(episode.numeric(role)) else f"the episode has no {what}"


def _lacks_measured_clock(episode: Episode) -> str | None:
    qualities = {stream.clock.quality for stream in episode.streams.values()}
    if ClockQuality.MEASURED in qualities:
        return None
    if ClockQuality.SYNTHESIZED in qualities:
        return "the times are synthesized from sample number and rate: they cannot show what the clock did"
    if ClockQuality.DECLARED in qualities:
        return "the format declares a rate and keeps no times"
    return "the format keeps no times"


_REASONS: dict[Need, Callable[[Episode], str | None]] = {
    Need.STATE: _lacks_role(Role.STATE, "measured robot state"),
    Need.ACTION: _lacks_role(Role.ACTION, "recorded action"),
    Need.NUMBERS: lambda e: None if any(e.numeric()) else "the episode has no numeric streams",
    Need.PICTURES: lambda e: None if any(e.pictures()) else "the episode has no pictures",
    Need.MEASURED_CLOCK: _lacks_measured_clock,
    Need.DECLARED_RATE: lambda e: (
        None
        if e.declared_rate_hz is not None or any(s.clock.declared_rate_hz for s in e.streams.values())
        else "the dataset declares no rate"
    ),
    Need.INSTRUCTIONS: lambda e: None if e.instructions else "the dataset has no place for instructions",
}


def to_plant_into(candidates: Iterable[T], what: str) -> Sequence[T]:
    """What a plant may change.

    Raises:
        ValueError: nothing; `what` names in words what is lacking.
    """
    found = tuple(candidates)
    if not found:
        raise ValueError(f"nothing to plant the defect into: the data has no {what}")
    return found
