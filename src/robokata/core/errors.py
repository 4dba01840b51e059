"""Everything that can go wrong, in one tree.

* RobokataError
  x NotADataset          the path holds nothing that any format recognises
  x AmbiguousFormat      two formats claim the path
  x UnknownName          a format, check, episode or stream that does not exist
  x LeafRefused          a check, format, step, ... of another package that cannot be used
  x DamagedData          the bytes are not what the format promises; costs one episode
    + MediaMissing       a file that the dataset names is not there
    + OtherPicture       a picture of another size, or of other channels or bits, than the first of its stream
    + TooLarge           a size in a header is refused before anything is allocated
    + UntrustedContent   the file asks us to run code (pickle, object arrays)
  x ClockUnknown         seconds were asked of a stream that has step numbers and no times
  x RateRefused          a declared rate that contradicts the data, or that cannot be meant for all that it names
  x Unsupported          the bytes are sound, but hold something we cannot read
  x MissingPart          an optional library is not installed
  x QueryRefused         a `--where` that DuckDB does not accept
  x SuiteRefused         a suite file that cannot be obeyed
  x OptionRefused        an option of a command line that is not NAME=VALUE
  x RecipeRefused        a recipe or specification that cannot be obeyed
  x WriteRefused         a target that would lose or overwrite something
  x HandheldRefused      settings of a handheld gripper that cannot be obeyed: board, camera, tags, trajectory
  x ComparisonRefused    numbers that must not be compared, or that cannot carry the claim
  x InvalidEstimate      a number without what makes it one: value, interval and reason contradict each other
  x SelectionRefused     a choice of episodes made from other data, or one that tears a family apart
  x StepRefused          a step that must not be applied to this episode; costs one episode
  x EndlessHead          an answer over HTTP whose headers do not end
  x GeneratorFailed      an external generator that is gone, too slow, or answers what cannot be kept
  x TrainingRefused      a training that cannot be done as asked; refused before it starts
  x StudyRefused         a study whose data cannot be learnt from, or whose policies no trial could evaluate
  x TrainingFailed       the loss is no number any more
  x PolicyFailed         a policy gave no action that could be executed
  x EvaluationStopped    too many trials failed for reasons outside the policy
  x CommandRefused       a command of an operator that must not reach a robot
  x CollectionRefused    a collection that cannot start or go on: port taken, folder of another task
  x RobotFailed          real hardware that died, stalls or answers nonsense
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable
from typing import TypeVar

from robokata.core.pointers import pointers_behind


class RobokataError(Exception):
    """Root of every error that Robokata raises on purpose. `str()` is a message for the user."""


class NotADataset(RobokataError):
    """The path holds nothing that any format recognises."""


class AmbiguousFormat(RobokataError):
    """Two formats claim the same path with the same confidence."""


class UnknownName(RobokataError):
    """A name that does not exist; the message lists the names that do."""

    def __init__(self, what: str, name: object, known: Iterable[object]) -> None:
        # A file may name anything: 3, true.
        self.what, self.name, self.known = what, str(name), tuple(map(str, known))
        super().__init__(what, self.name, self.known)

    def __str__(self) -> str:
        near = difflib.get_close_matches(self.name, self.known, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        shown = ", ".join(self.known[:20]) or "none"
        more = f" and {len(self.known) - 20} more" if len(self.known) > 20 else ""
        return f"No {self.what} is called {self.name!r}.{hint} Known: {shown}{more}."


class LeafRefused(RobokataError):
    """A leaf of another package that cannot be imported, or lacks what its contract demands."""


class DamagedData(RobokataError):
    """The bytes are not what the format promises. Costs the episode, never the run.

    A Git LFS pointer breaks every reader in its own way: whichever meets it, the message names the one cause.
    """

    def __init__(
        self, file: str | os.PathLike[str], reason: str, *, offset: int | None = None, next_move: str = ""
    ) -> None:
        self.file, self.reason, self.offset, self.next_move = os.fspath(file), reason, offset, next_move
        self.pointers = pointers_behind(file)
        """The Git LFS pointers of the dataset, where the file is one."""
        if self.pointers is not None:
            self.file, self.offset = self.pointers.root, None
            self.reason, self.next_move = self.pointers.reason, self.pointers.next_move
        super().__init__(self.file, self.reason)

    def __str__(self) -> str:
        at = "" if self.offset is None else f" at byte {self.offset}"
        return f"{self.file}{at}: {self.reason}" + (f" {self.next_move}" if self.next_move else "")

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild_damage, (type(self), self.file, self.reason, self.offset, self.next_move)


class MediaMissing(DamagedData):
    """A file that the dataset names is not there."""


class OtherPicture(DamagedData):
    """A picture of another size, or of other channels or bits, than the first of its stream.

    Such pictures cannot be one array, and no format can declare them truthfully.
    """

    def __init__(
        self, file: str | os.PathLike[str], reason: str, *, offset: int | None = None, next_move: str = ""
    ) -> None:
        move = next_move or "Leave the camera out (--without), or the episode."
        super().__init__(file, reason, offset=offset, next_move=move)


class TooLarge(DamagedData):
    """A size that a header claims is refused before anything is allocated."""


class UntrustedContent(DamagedData):
    """The file asks us to run code to read it (pickle, object arrays). We never do."""


class ClockUnknown(RobokataError):
    """Seconds of a clock that nobody recorded and nobody declared: its samples are numbered, and that is all."""

    def __init__(self, samples: int, *, stream: str | None = None, episode: str | None = None) -> None:
        self.samples, self.stream, self.episode = samples, stream, episode
        super().__init__(samples)

    def __str__(self) -> str:
        where = "" if self.episode is None else f"episode {self.episode}: "
        what = "a stream" if self.stream is None else f"the stream {self.stream}"
        return (
            f"{where}{what} of {self.samples} samples has step numbers and no times: it has no seconds. "
            "Declare the rate of its steps with --rate-hz (--rate-hz 10, or --rate-hz STREAM=10)."
        )

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild_clock_unknown, (self.samples, self.stream, self.episode)


class RateRefused(RobokataError):
    """A rate that the user declares for a stream that has times, for none, or for streams of different steps."""


class Unsupported(RobokataError):
    """The bytes are sound, but hold something that Robokata cannot read; the message says what."""


class MissingPart(RobokataError):
    """An optional library is not installed; the message holds the command that installs it."""


class QueryRefused(RobokataError):
    """A `--where` expression that DuckDB does not accept on the episode table."""


class SuiteRefused(RobokataError):
    """A suite file that cannot be obeyed: unknown check or threshold, waiver without reason or expiry."""


class OptionRefused(RobokataError):
    """An option of a command line that is not NAME=VALUE."""


class RecipeRefused(RobokataError):
    """A recipe or specification that cannot be obeyed: wrong TOML, unknown keys, options that contradict each other."""


class HandheldRefused(RobokataError):
    """Settings of a handheld gripper that cannot be obeyed: its board, camera, tags or trajectory."""


class WriteRefused(RobokataError):
    """A write that would lose or overwrite something, or that cannot succeed; refused before it starts."""


class ComparisonRefused(RobokataError):
    """A comparison between unlike protocols, or a claim that the data cannot carry (one training seed)."""


class InvalidEstimate(RobokataError):
    """An estimate, or the numbers for one, that contradict themselves: 7 successes in 5 trials."""


class SelectionRefused(RobokataError):
    """A choice of episodes that was made from other data, or that would put one family into several splits."""


class StepRefused(RobokataError):
    """A step that must not be applied to this episode: it would say what never was. Costs the episode."""

    def __init__(self, step: str, episode: str, reason: str) -> None:
        self.step, self.episode, self.reason = step, episode, reason
        super().__init__(step, episode, reason)

    def __str__(self) -> str:
        return f"{self.step} refuses episode {self.episode}: {self.reason}"


class EndlessHead(RobokataError):
    """An answer over HTTP whose headers do not end."""


class GeneratorFailed(RobokataError):
    """An external generator gave nothing that may be kept. `kind` says why; costs the episode."""

    KINDS = ("unreachable", "busy", "stalled", "server_error", "bad_message", "too_large", "refused", "unfaithful")

    def __init__(self, kind: str, message: str) -> None:
        self.kind, self.message = kind, message
        super().__init__(kind, message)

    def __str__(self) -> str:
        return self.message


class TrainingRefused(RobokataError):
    """A training that the data, the machine or a checkpoint does not allow; said before the first step."""


class StudyRefused(RobokataError):
    """A study whose data cannot be learnt from, or whose policies no trial could evaluate."""


class TrainingFailed(RobokataError):
    """A training that went wrong on its way: the loss is no number any more."""


class PolicyFailed(RobokataError):
    """A policy gave no action that could be executed. `kind` says why; evaluation counts it as infrastructure."""

    KINDS = ("unreachable", "died", "stalled", "server_error", "not_finite", "wrong_shape", "bad_message", "refused")

    def __init__(self, kind: str, message: str) -> None:
        self.kind, self.message = kind, message
        super().__init__(kind, message)

    def __str__(self) -> str:
        return self.message


class EvaluationStopped(RobokataError):
    """Too many trials failed for reasons outside the policy: what is left is no sample any more."""


class CommandRefused(RobokataError):
    """A command that must not reach a robot: not finite, out of range, or not of the schema."""


class CollectionRefused(RobokataError):
    """A collection that cannot start or go on; the message says what to change."""


class RobotFailed(RobokataError):
    """Real hardware that died, stalls or answers nonsense; the robot is disconnected before this is raised."""


Error = TypeVar("Error", bound=RobokataError)


def renamed(error: Error, folder: str, shown: str) -> Error:
    """The same error with another name for every place in a hidden folder: it is gone when the message is read."""
    hidden = re.compile(re.escape(folder) + r"[^\s:,;'\")]*")
    for name, value in vars(error).items():
        if isinstance(value, str):
            setattr(error, name, hidden.sub(lambda match: shown, value))
    error.args = tuple(hidden.sub(lambda match: shown, each) if isinstance(each, str) else each for each in error.args)
    return error


def _rebuild_damage(kind: type[DamagedData], file: str, reason: str, offset: int | None, next_move: str) -> DamagedData:
    return kind(file, reason, offset=offset, next_move=next_move)


def _rebuild_clock_unknown(samples: int, stream: str | None, episode: str | None) -> ClockUnknown:
    return ClockUnknown(samples, stream=stream, episode=episode)
