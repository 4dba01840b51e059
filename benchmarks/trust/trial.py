"""One variant through look, check, convert to every target and back, and one training batch."""

from __future__ import annotations

import re
import shutil
import signal
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.trust.batch import batch_differences
from benchmarks.trust.oracles import unlike_target
from benchmarks.trust.truth import EpisodeTruth, Variant, differences
from robokata.conversion.convert import Receipt, convert, options_of, plan_conversion
from robokata.core.declared_rate import rates_from, with_rates
from robokata.core.detection import open_source
from robokata.core.errors import ClockUnknown, RobokataError
from robokata.core.layout import LossReport
from robokata.core.leaf_kinds import readable_formats, writable_format, writable_formats
from robokata.core.source import Source
from robokata.inspection.run import check_dataset
from robokata.media import video
from robokata.survey.dataset_survey import survey

RATE_HZ = 10
"""Declared for data without times wherever a refusal asks for a rate."""
_PATIENCE_S = 240
"""A variant takes a second; one that takes four minutes on a busy machine hangs."""
_SUFFIX = {"robomimic_hdf5": ".hdf5"}


class Refusal(NamedTuple):
    """A verb that did not do what it was asked, and what it said."""

    verb: str
    sentence: str


@dataclass
class Outcome:
    """What one variant came to. Not frozen: it is filled as the verbs run."""

    name: str
    format: str = ""
    wrong: list[str] = field(default_factory=list)
    """Numbers, pictures and times that a reader gives otherwise than the oracle."""
    false_exact: list[str] = field(default_factory=list)
    """What was called kept and verified, and is not what the oracle gives."""
    internal: list[str] = field(default_factory=list)
    """Tracebacks, hangs, and messages that call something a defect of Robokata."""
    refusals: list[Refusal] = field(default_factory=list)
    errors_found: list[str] = field(default_factory=list)
    """Errors that `check` reports of data that its writer calls sound."""
    conversions: int = 0
    exact: int = 0
    """Conversions that planned no loss and were verified."""
    lossy: int = 0
    ways_back: int = 0
    batches: int = 0
    seconds: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """Plain values for `json.dumps`."""
        plain = asdict(self)
        return {**plain, "refusals": [each._asdict() for each in self.refusals]}


class _Hang(Exception):  # a signal's way out of a call, seen in this module alone
    pass


def try_variant(variant: Variant, folder: Path, *, targets: tuple[str, ...] = ()) -> Outcome:
    """Take a variant through every verb; whatever goes wrong is in the outcome, never raised."""
    trial = _Trial(variant, folder, targets or writable_formats())
    began = time.perf_counter()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    before = signal.signal(signal.SIGALRM, _hang)
    signal.alarm(_PATIENCE_S)
    try:
        trial.run()
    except _Hang:
        trial.outcome.internal.append(f"a hang: nothing came within {_PATIENCE_S} s")
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
        video.forget()
        shutil.rmtree(folder, ignore_errors=True)
    trial.outcome.seconds = round(time.perf_counter() - began, 2)
    return trial.outcome


def _hang(number: int, frame: object) -> None:
    raise _Hang


class _Trial:
    """One variant on its way. A class, because every verb adds to one outcome and sees one source."""

    def __init__(self, variant: Variant, folder: Path, targets: tuple[str, ...]) -> None:
        self.variant, self.folder, self.targets = variant, folder, targets
        self.outcome = Outcome(variant.name)

    def run(self) -> None:
        with self._caught("making it"):
            path = self.variant.make(self.folder / "in")
            self._go_through(path, self.variant.read(path))

    def _go_through(self, path: Path, truth: list[EpisodeTruth]) -> None:
        with self._caught("look"):
            source = with_rates(open_source(path), rates_from(self.variant.rates))
            self.outcome.format = source.format
            survey(source).to_json()
            self._compare("read", source, truth, self.outcome.wrong)
            with self._caught("check"):
                self._check(source)
            for target in self.targets:
                with self._caught(f"to {target}"):
                    self._there_and_back(source, truth, target)
            with self._caught("train"):
                self._train(source, truth)

    @contextmanager
    def _caught(self, verb: str) -> Iterator[None]:
        try:
            yield
        except RobokataError as error:
            sentence = self._sentence(error)
            if "defect of Robokata" in sentence:
                self.outcome.internal.append(f"{verb}: {sentence}")
            else:
                self.outcome.refusals.append(Refusal(verb, sentence))
        except Exception as error:  # whatever else is raised is an internal error: what is looked for
            if isinstance(error, _Hang):
                raise
            at = traceback.extract_tb(error.__traceback__)[-1]
            place = f"{Path(at.filename).name}:{at.lineno}"
            self.outcome.internal.append(f"{verb}: {type(error).__name__}: {error} ({place})")

    def _sentence(self, error: Exception) -> str:
        plain = str(error).replace(str(self.folder), "")
        return re.sub(r"\s+", " ", plain)[:400]

    def _check(self, source: Source) -> None:
        report = check_dataset(source, workers=1)
        for finding in report.findings:
            if finding.level.value == "error":
                self.outcome.errors_found.append(f"{finding.check}: {finding.message}".replace(str(self.folder), ""))

    def _compare(
        self,
        verb: str,
        source: Source,
        truth: list[EpisodeTruth],
        into: list[str],
        except_for: frozenset[str] = frozenset(),
    ) -> None:
        keys = source.keys()
        if len(keys) != len(truth):
            into.append(f"{verb}: {len(keys)} episodes instead of {len(truth)}")
            return
        for key, wanted in zip(keys, truth, strict=True):
            with self._caught(verb):
                found = differences(wanted, source.episode(key), except_for=except_for)
                into.extend(f"{verb}: episode {key}: {what}" for what in found)

    def _there_and_back(self, source: Source, truth: list[EpisodeTruth], target: str) -> None:
        out = self.folder / f"to_{target}{_SUFFIX.get(target, '')}"
        source, report, receipt = self._converted(source, target, out)
        gone = _told(report, receipt)
        self.outcome.conversions += 1
        is_exact = not report.is_lossy and not receipt.verified["difference_count"]
        self.outcome.exact += is_exact
        self.outcome.lossy += not is_exact
        if target not in readable_formats():
            return
        written = open_source(out)
        self._compare(f"in {target}", written, truth, self.outcome.false_exact, gone)
        for what in unlike_target(target, out, truth, report, gone):
            self.outcome.false_exact.append(f"in {target}, by its own library: {what}")
        home = source.format if source.format in writable_formats() else "mcap"
        if home == target:
            return
        with self._caught(f"back from {target}"):
            back = self.folder / f"back_{target}{_SUFFIX.get(home, '')}"
            _, report, receipt = self._converted(written, home, back)
            self.outcome.ways_back += 1
            gone |= _told(report, receipt)
            self._compare(f"back from {target}", open_source(back), truth, self.outcome.false_exact, gone)

    def _converted(self, source: Source, target: str, out: Path) -> tuple[Source, LossReport, Receipt]:
        """Plan and write; with a rate where the refusal asks for one, with the loss accepted where one is planned."""
        options: dict[str, Any] = {}
        try:
            report = plan_conversion(source, target, workers=1)
        except RobokataError as refusal:
            if "rate" not in str(refusal) and not isinstance(refusal, ClockUnknown):
                raise
            if "rate_hz" in options_of(writable_format(target)) and "--option rate_hz" in str(refusal):
                options = {"rate_hz": Fraction(RATE_HZ)}
            else:
                source = with_rates(source, rates_from([str(RATE_HZ)]))
            report = plan_conversion(source, target, workers=1, options=options)
        receipt = convert(source, out, target, options=options, report=report, accept_loss=report.is_lossy, workers=1)
        return source, report, receipt

    def _train(self, source: Source, truth: list[EpisodeTruth]) -> None:
        for key, wanted in zip(source.keys(), truth, strict=True):
            found = batch_differences(source.episode(key), wanted, folder=self.folder / "pictures")
            if found is None:
                continue
            self.outcome.batches += 1
            self.outcome.wrong.extend(f"training batch: episode {key}: {what}" for what in found)


def _told(report: LossReport, receipt: Receipt) -> frozenset[str]:
    """Streams of which a conversion said that they do not come back."""
    planned = {loss.stream for loss in report.losses if loss.is_lossy}
    seen = {each["stream"] for each in receipt.verified["differences"] if each["stream"]}
    return frozenset(planned | seen)
