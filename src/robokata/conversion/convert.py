"""From one format to another, exactly or with its price named before anything is written."""

from __future__ import annotations

import datetime
import hashlib
import inspect
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

from robokata.conversion.episode_comparison import Difference
from robokata.conversion.plan import (
    Passing,
    Planned,
    Stamp,
    Watch,
    planned_by,
    refuse_misfit,
    refuse_unknown_streams,
    stamps_of,
)
from robokata.conversion.readback import Depth, ReadBack, read_back
from robokata.core.contracts import WritableFormatLeaf
from robokata.core.declared_rate import EVERY, Rate, rates_in, with_rates
from robokata.core.episode import Episode
from robokata.core.errors import DamagedData, UnknownName, WriteRefused
from robokata.core.layout import Layout, LossReport, loss_report
from robokata.core.leaf_kinds import writable_format
from robokata.core.source import Source
from robokata.core.version import __version__
from robokata.runtime.atomic import refuse_occupied, replace_json, staged
from robokata.runtime.engine import Crew, map_episodes, worker_count
from robokata.runtime.notebook import html_table


@dataclass(frozen=True)
class Receipt:
    """What made an output: enough to do it again, and to see that the source is still the same."""

    source: str
    source_format: str
    source_state: str
    """SHA-256 over path, size and time of change of every file of the source."""
    target: str
    format: str
    episodes: int
    options: Mapping[str, Any]
    losses: Mapping[str, Any]
    """What the plan said."""
    verified: Mapping[str, Any]
    """What was read back of the target before it appeared."""
    versions: Mapping[str, str]
    made_at: str
    declared_rates: Sequence[str] = ()
    """Rates that the user declared for streams without times."""

    def _repr_html_(self) -> str:
        rows = [(name, value) for name, value in self.verified.items()]
        return html_table(f"{self.target}: {self.format}, {self.episodes} episodes", rows, head=("verified", "count"))

    def to_json(self) -> dict[str, Any]:
        """Plain values for `json.dumps`."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


def options_of(leaf: WritableFormatLeaf) -> dict[str, inspect.Parameter]:
    """What a format's writer can be told: the keyword-only arguments of its `write`."""
    parameters = inspect.signature(leaf.write).parameters
    return {name: p for name, p in parameters.items() if p.kind is inspect.Parameter.KEYWORD_ONLY}


def plan_conversion(
    source: Source,
    format_name: str,
    *,
    keys: Sequence[str] | None = None,
    options: Mapping[str, Any] | None = None,
    without: Sequence[str] = (),
    workers: int | Crew | None = None,
    advance: Callable[[int], None] = lambda episodes: None,
) -> LossReport:
    """What a conversion would cost, per stream; nothing is written. `workers` None: as many as pay.

    Streams called in `without` are left out, and so are cameras whose file is absent, from the episodes that lack it.

    Raises:
        UnknownName: the format cannot be written, or has no such option, or no episode has a stream of `without`.
        WriteRefused: an episode does not fit the format at all, or not beside the others.
        DamagedData: an episode cannot be read.
    """
    leaf, chosen = writable_format(format_name), dict(options or {})
    _refuse_unknown_options(format_name, leaf, chosen)
    source = _paced(source, chosen)
    wanted = _wanted(source, keys)
    if workers is None:
        # By their number alone: a plan reads clocks and headers, and what the pictures weigh costs nothing.
        workers = worker_count(source, len(wanted), size_bytes=None)
    function = partial(planned_by, Watch(format_name, chosen), tuple(without))
    layouts = _layouts(source, format_name, function, wanted, workers, advance)
    report = loss_report(format_name, layouts, options=_plain_options(chosen))
    refuse_unknown_streams(without, report)
    return report


def convert(
    source: Source,
    out: Path,
    format_name: str,
    *,
    keys: Sequence[str] | None = None,
    options: Mapping[str, Any] | None = None,
    without: Sequence[str] = (),
    report: LossReport | None = None,
    accept_loss: bool = False,
    verify: Depth = Depth.QUICK,
    workers: int | Crew | None = None,
    advance: Callable[[int], None] = lambda episodes: None,
    on_read_back: Callable[[int], None] = lambda episodes: None,
) -> Receipt:
    """Write the episodes of a source in another format, read them back, and compare; then the target appears in one
    rename, its receipt beside it.

    The bytes do not depend on the number of `workers`; None: as many as pay. Without a `report` each episode is asked
    what it would lose right before it is written, and the first that would lose something ends the work: one pass.
    `advance` counts episodes that are written, `on_read_back` those that are read back.

    Raises:
        WriteRefused: the target is occupied or cannot be written, or the conversion is lossy and `accept_loss` is not
            given, or the source changed while it was read, or what was read back is not what was written.
        UnknownName: the format cannot be written, or has no such option.
        DamagedData: an episode cannot be read.
    """
    refuse_target(source, out)
    wanted = _wanted(source, keys)
    chosen = dict(options or {})
    source = _paced(source, chosen)
    before = stamps_of(Path(source.path))
    with nullcontext(workers) if isinstance(workers, Crew) else crew_for(source, wanted, workers, before) as crew:
        if report is None and accept_loss:  # what encoding costs is measured before anything is encoded
            report = plan_conversion(source, format_name, keys=wanted, options=options, without=without, workers=crew)
        if report is not None and not accept_loss:
            _refuse_loss(report)
        _refuse_unknown_options(format_name, writable_format(format_name), chosen)
        watch = None if report is not None else Watch(format_name, chosen)
        refuse = partial(_refuse_lossy_plan, source, format_name, wanted, chosen, without, crew)
        passing = Passing(source, wanted, tuple(without), before, crew, advance, watch, refuse)
        with staged(out) as place:
            writable_format(format_name).write(place, passing, **chosen)
            report = report or passing.losses.report(format_name, options=_plain_options(chosen))
            seen = read_back(source, wanted, place, report, depth=verify, workers=crew, advance=on_read_back)
            refuse_differences(out, seen, accept_loss=accept_loss)
            passing.refuse_change()
    receipt = Receipt(
        source=str(Path(source.path).resolve()),
        source_format=source.format,
        source_state=_digest(before),
        target=str(out),
        format=format_name,
        episodes=len(wanted),
        options=_plain_options(chosen),
        losses=report.to_json(),
        verified=seen.to_json(),
        versions=_versions(),
        made_at=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        declared_rates=[str(rate) for rate in rates_in(source)],
    )
    _keep(receipt, receipt_path(out))
    return receipt


def _paced(source: Source, options: Mapping[str, Any]) -> Source:
    """The source where a rate of the target is one of its steps too, if it keeps no times: both are one statement."""
    rate_hz = options.get("rate_hz")
    if rate_hz is None or any(rate.only_untimed for rate in rates_in(source)):
        return source
    return with_rates(source, (Rate(EVERY, Fraction(rate_hz), only_untimed=True),))


def crew_for(
    source: Source, keys: Sequence[str], workers: int | None = None, stamps: Sequence[Stamp] | None = None
) -> Crew:
    """The worker processes that a plan and a conversion of these episodes share: as many as pay, where nobody says."""
    if workers is None:
        known = stamps_of(Path(source.path)) if stamps is None else stamps
        workers = worker_count(source, len(keys), size_bytes=sum(stamp.size for stamp in known))
    return Crew(workers)


def refuse_target(source: Source, out: Path) -> None:
    """Refuse a target before the work starts.

    Raises:
        WriteRefused: it is occupied, cannot be written, or lies inside the source.
    """
    if Path(source.path).resolve() in out.resolve().parents:
        raise WriteRefused(f"{out} lies inside the source {source.path}. Choose a target outside of it.")
    refuse_occupied(out)


def receipt_path(out: Path) -> Path:
    """Where the receipt of an output lies: beside it."""
    return out.with_name(f"{out.name}.receipt.json")


def _refuse_lossy_plan(
    source: Source,
    format_name: str,
    keys: Sequence[str],
    options: Mapping[str, Any],
    without: Sequence[str],
    workers: Crew,
) -> None:
    _refuse_loss(plan_conversion(source, format_name, keys=keys, options=options, without=without, workers=workers))


def _refuse_loss(report: LossReport) -> None:
    if report.is_lossy:
        lost = ", ".join(sorted({loss.stream for loss in report.losses if loss.is_lossy}))
        raise WriteRefused(
            f"{report.format} cannot hold all of this: {lost} would not come back. The loss report says what and how "
            f"much; --accept-loss writes it all the same."
        )


def refuse_differences(out: Path, seen: ReadBack, *, accept_loss: bool) -> None:
    """Refuse a target that holds something else than it was given.

    Raises:
        WriteRefused: something cannot be read back, or differs and nobody has accepted a loss.
    """
    broken = [each for each in seen.differences if each.is_broken]
    if not broken and (accept_loss or not seen.differences):
        return
    shown = broken or seen.differences
    lines = "".join(f"\n  {_place_name(each)}: {each.what}" for each in shown[:5])
    more = f"\n  and {seen.difference_count - 5} more" if seen.difference_count > 5 else ""
    advice = (
        "Leave the stream out (--without NAME) or choose another format"
        if broken
        else "--accept-loss writes it all the same, --without NAME leaves a stream out"
    )
    raise WriteRefused(
        f"{out}: what was read back is not what was written; nothing was left there. {advice}.{lines}{more}"
    )


def _place_name(difference: Difference) -> str:
    parts = [f"episode {difference.episode}"] if difference.episode else []
    return " ".join([*parts, *([difference.stream] if difference.stream else [])]) or "dataset"


def _keep(receipt: Receipt, path: Path) -> None:
    complete = f"The dataset {receipt.target} is complete; only its receipt was not written."
    replace_json(path, receipt.to_json(), consequence=complete)


def _layouts(
    source: Source,
    format_name: str,
    function: Callable[[Episode], Planned],
    keys: Sequence[str],
    workers: int | Crew,
    advance: Callable[[int], None],
) -> Iterator[Layout]:
    first: Planned | None = None
    for key, planned, error in map_episodes(source, function, keys=keys, workers=workers, advance=advance):
        if planned is None:
            raise error or DamagedData(source.path, f"episode {key} cannot be read.")
        first = first or planned
        refuse_misfit(format_name, first, planned)
        yield planned.layout


def _wanted(source: Source, keys: Sequence[str] | None) -> list[str]:
    wanted = list(source.keys() if keys is None else keys)
    if not wanted:
        has_some = len(source.keys()) > 0
        why = "no episode is chosen" if has_some else "the dataset holds no episode"
        raise WriteRefused(f"{source.path}: {why}: there is nothing to convert.")
    return wanted


def _refuse_unknown_options(format_name: str, leaf: WritableFormatLeaf, options: Mapping[str, Any]) -> None:
    known = options_of(leaf)
    for name in options:
        if name not in known:
            raise UnknownName(f"option of {format_name}", name, known)


def _digest(stamps: Sequence[Stamp]) -> str:
    return hashlib.sha256("\n".join(f"{s.path}|{s.size}|{s.changed_ns}" for s in stamps).encode()).hexdigest()


def _plain_options(options: Mapping[str, Any]) -> dict[str, Any]:
    return {name: str(value) if isinstance(value, Fraction) else value for name, value in options.items()}


def _versions() -> dict[str, str]:
    return {"robokata": __version__, "python": platform.python_version()}
