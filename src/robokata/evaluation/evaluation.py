"""An evaluation as a whole: control arm, probes, and the comparison with another policy."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from robokata.core.errors import ComparisonRefused, DamagedData, NotADataset
from robokata.evaluation.probes import Probe, ProbeResult, SkippedProbe, reaching, run_probes
from robokata.evaluation.protocol import TrialProtocol, refuse_unlike
from robokata.evaluation.trials import TrialJob, Trials, evaluate_policy, protocol_of
from robokata.runtime.atomic import replace_json
from robokata.runtime.folder_lock import hold
from robokata.runtime.notebook import html_table
from robokata.runtime.progress import SILENT, Progress
from robokata.statistics.comparison import Alternative, Comparison, compare_pairs
from robokata.statistics.sequential import SequentialTest, Verdict

CONTROL = "control"
FILE = "evaluation.json"
_BLOCK = 10
"""Trials between two looks of a sequential comparison: the test may be looked at after every pair, a pool of workers
is started per block."""
SPEAKS_OF = (
    "This speaks of these two checkpoints, not of the methods that trained them (one training seed each): "
    "a claim about a method needs kata study."
)
_NO_FIXED_N = (
    "No interval and no McNemar p are given: they hold for a number of trials fixed before, and these trials were "
    "looked at as they came, to stop when it was decided."
)


@dataclass(frozen=True)
class Earlier:
    """An evaluation that was run before, as far as a comparison needs it."""

    place: str
    policy: str
    protocol: TrialProtocol
    successes: Mapping[int, bool]
    """Trial number -> success."""


@dataclass(frozen=True)
class Against:
    """This policy against an earlier one, on the trials that both had."""

    earlier: Earlier
    comparison: Comparison
    """This minus the earlier one; without interval and p-value where trials were run until it was decided."""
    sequential: Verdict | None = None
    """Where trials were run until it was decided."""

    def sentences(self) -> tuple[str, ...]:
        """What the comparison found, and of what it speaks, in words."""
        if self.sequential is None:
            return (str(self.comparison), SPEAKS_OF)
        return (f"{self.comparison.difference} where it stopped", _told(self.sequential), _NO_FIXED_N, SPEAKS_OF)

    def to_json(self) -> dict[str, Any]:
        """Plain values for `json.dumps`."""
        return {
            "against": self.earlier.place,
            "policy": self.earlier.policy,
            "comparison": self.comparison.to_json(),
            "sequential": None if self.sequential is None else self.sequential._asdict(),
            "in_words": list(self.sentences()),
        }


@dataclass(frozen=True)
class Evaluation:
    """What was found out about a policy."""

    out: str
    policy: str
    control: Trials
    probes: tuple[ProbeResult, ...] = ()
    against: Against | None = None
    skipped: tuple[SkippedProbe, ...] = ()
    """Probes that could not reach the policy."""

    @property
    def floor(self) -> str | None:
        """Why the probes can show no loss: the control arm itself never succeeds. None where it does."""
        if not self.probes or any(self.control.successes.values()):
            return None
        return (
            f"The control arm succeeded in 0 of {len(self.control.successes)} trials: no probe can be worse. The "
            "differences below are at the floor, and say nothing of how the policy generalizes."
        )

    def to_json(self) -> dict[str, Any]:
        """Plain values for `json.dumps`."""
        return {
            "out": self.out,
            "policy": self.policy,
            "control": self.control.to_json(),
            "successes": {str(number): success for number, success in self.control.successes.items()},
            "probes": [probe.to_json() for probe in self.probes],
            "skipped_probes": {each.probe.name: each.reason for each in self.skipped},
            "floor": self.floor,
            "against": None if self.against is None else self.against.to_json(),
        }

    def _repr_html_(self) -> str:
        rows = [(name, str(estimate)) for name, estimate in self.control.metrics.items()]
        rows += [(f"probe {probe.probe.name}", str(probe.comparison.difference)) for probe in self.probes]
        return html_table(f"{self.policy}: {len(self.control.successes)} trials", rows, head=("metric", "estimate"))


def run_evaluation(
    job: TrialJob,
    out: Path,
    *,
    trials: int,
    probes: Sequence[Probe] = (),
    against: Path | None = None,
    sequential: bool = False,
    workers: int | None = None,
    on_progress: Progress | None = None,
) -> Evaluation:
    """Run the control arm, then the probes on its seeds, and compare; what is finished is not run again.

    Raises:
        ComparisonRefused: the earlier evaluation was run under another protocol, or there is none to be decided.
        EvaluationStopped: too many trials failed for reasons outside the policy.
        WriteRefused: the folder holds something else or cannot be written, or another run is at work in it.
    """
    if sequential and against is None:
        raise ComparisonRefused("sequential trials end when a comparison is decided. Say with what: against=EARLIER.")
    earlier = None if against is None else earlier_at(against)
    if earlier is not None:
        # Before the first trial: hours of them would be for nothing.
        refuse_unlike(earlier.protocol, protocol_of(job, workers=workers))
    with hold(out):
        return _evaluation(job, out, trials, probes, earlier, sequential, workers, on_progress or SILENT)


def _evaluation(
    job: TrialJob,
    out: Path,
    trials: int,
    probes: Sequence[Probe],
    earlier: Earlier | None,
    sequential: bool,
    workers: int | None,
    progress: Progress,
) -> Evaluation:
    progress.started(trials * (1 + len(probes)))
    control, verdict = _control(job, out / CONTROL, trials, earlier if sequential else None, workers, progress)
    compared = None if earlier is None else Against(earlier, _compared(earlier, control, verdict), verdict)
    wanted, skipped = reaching(control, probes)
    progress.advance(trials * len(skipped))
    found = run_probes(job, out, control, wanted, trials=trials, workers=workers, progress=progress) if wanted else []
    evaluation = Evaluation(str(out), job.policy.where, control, tuple(found), compared, tuple(skipped))
    _keep(evaluation, out / FILE)
    return evaluation


def earlier_at(folder: Path) -> Earlier:
    """An evaluation that was run before.

    Raises:
        NotADataset: the folder holds none.
        DamagedData: its file cannot be read.
    """
    path = folder / FILE
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        protocol = said["control"]["protocol"]
        return Earlier(
            place=str(folder),
            policy=str(said["policy"]),
            protocol=TrialProtocol(**{**protocol, "cameras": tuple(protocol["cameras"])}),
            successes={int(number): bool(success) for number, success in said["successes"].items()},
        )
    except FileNotFoundError:
        raise NotADataset(f"{folder}: holds no evaluation ({FILE}). Run kata evaluate --out {folder} first.") from None
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise DamagedData(path, f"is no evaluation: {error!r}.") from None


def _control(
    job: TrialJob, out: Path, trials: int, earlier: Earlier | None, workers: int | None, progress: Progress
) -> tuple[Trials, Verdict | None]:
    """All trials, or block by block until the comparison with an earlier policy is decided."""
    if earlier is None:
        return evaluate_policy(job, out, trials=trials, workers=workers, advance=progress.advance), None
    done = 0
    while True:
        done = min(done + _BLOCK, trials)
        made = evaluate_policy(job, out, trials=done, workers=workers)
        test = SequentialTest()
        for number in sorted(set(earlier.successes) & set(made.successes)):
            if test.observe(earlier.successes[number], made.successes[number]).winner is not None:
                break
        progress.advance(_BLOCK)
        if test.verdict().winner is not None or done == trials:
            return made, test.verdict()


def _compared(earlier: Earlier, control: Trials, verdict: Verdict | None) -> Comparison:
    refuse_unlike(earlier.protocol, control.protocol)
    shared = sorted(set(earlier.successes) & set(control.successes))
    if not shared:
        raise ComparisonRefused(f"{earlier.place} and this evaluation share no trial. Run more trials of either.")
    found = compare_pairs([earlier.successes[n] for n in shared], [control.successes[n] for n in shared])
    if verdict is None:
        return found
    difference = replace(found.difference, low=None, high=None, method="paired difference", note=_NO_FIXED_N)
    return replace(found, difference=difference, p_value=None, second_is_better_share=None, test="sequential")


def _told(verdict: Verdict) -> str:
    """The sequential test in words."""
    p = f"anytime-valid p = {verdict.p_value:.3g}"
    if verdict.winner is None:
        return f"sequential test not decided after {verdict.pairs} pairs, {p}"
    is_this = verdict.winner is Alternative.GREATER
    better, evidence = (
        ("this policy", verdict.evidence_greater) if is_this else ("the earlier policy", verdict.evidence_less)
    )
    return f"sequential test decided after {verdict.pairs} pairs: {better} is better, e-value {evidence:.3g}, {p}"


def _keep(evaluation: Evaluation, path: Path) -> None:
    replace_json(path, evaluation.to_json(), consequence="The trials are kept; run the same command again.")
