"""Terminal output of surveys and reports."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Sequence

from rich.console import Console, ConsoleOptions, RenderableType
from rich.markup import escape
from rich.padding import Padding
from rich.segment import Segment
from rich.table import Table

from robokata.inspection.catalogue import Catalogue, CheckCard
from robokata.inspection.run import Judgement, Report
from robokata.runtime.safe_text import visible
from robokata.survey.dataset_survey import EpisodeSurvey, StreamSummary, Survey
from robokata.viewing import text

_COLOURS = {"error": "bold red", "warning": "yellow", "info": "cyan"}
_JUDGEMENT_COLOURS = {
    Judgement.SOUND: "bold green",
    Judgement.NOT_SOUND: "bold red",
    Judgement.NOTHING_TO_JUDGE: "bold yellow",
}
_SHOWN_TEXTS = 8
"""Instructions printed before "and n more": one screen."""
_COLUMNS = ("stream", "role", "kind", "shape", "type", "unit", "rate", "clock", "encoding", "last")
_INDENT = 9
"""Columns before an example: it starts below the name of its check."""
_NARROW = 120
"""Columns below which a stream's row leaves out what others say as well, so that its name stays on one line."""


class _Output(Console):
    """Standard output as rich writes to it, also when the reader has gone."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterator[Segment]:
        """Draw, with nothing in it that a name in the data could steer the terminal with."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=visible(segment.text))

    def on_broken_pipe(self) -> None:
        """End as a shell command does (128 + SIGPIPE): `kata check ... | head` has neither passed nor failed."""
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(141)


def console() -> Console:
    """Where tables go: the terminal, or a wide page without colours where the output is piped."""
    # A pipe or a file has no width: 150 columns keep a stream's row on one line.
    return _Output(highlight=False) if sys.stdout.isatty() else _Output(highlight=False, width=150, no_color=True)


def show_survey(view: Survey) -> None:
    """Print a dataset at a glance."""
    out = console()
    out.print(f"[bold]{escape(view.path)}[/]", soft_wrap=True)
    chosen = "" if view.selected_episodes == view.episodes else f"{view.selected_episodes} selected of "
    rows = {
        "format": f"{view.format}, version {view.version or text.UNKNOWN}",
        "robot": ", ".join(view.robots) or text.UNKNOWN,
        "episodes": f"{chosen}{view.episodes}",
        "steps": text.UNKNOWN if view.steps is None else f"{view.steps:,}",
        "recorded": text.hours(view.hours),
        "declared rate": text.rate(view.declared_rate_hz),
        "splits": ", ".join(f"{name} {count}" for name, count in view.splits.items()) or text.UNKNOWN,
        "outcome": ", ".join(f"{name} {count}" for name, count in view.outcomes.items()) or text.UNKNOWN,
        "licence": view.licence or text.UNKNOWN,
        "on disk": text.size(view.total_bytes),
    }
    _show_pairs(out, rows)
    _show_instructions(out, view)
    out.print(_stream_table(view.streams, with_samples=False, columns=out.width))
    for problem, episodes in _by_problem(view.unreadable.items()).items():
        out.print(f"[bold red]{_named('episode', episodes)} cannot be opened:[/] {escape(problem)}")
    problems = _by_problem((stream.name, stream.problem) for stream in view.streams if stream.problem)
    for problem, streams in problems.items():
        out.print(f"[bold red]{escape(', '.join(streams))}:[/] {escape(problem)}")
    for place, streams in _by_problem((s.name, s.sampled_in) for s in view.streams if s.sampled_in).items():
        out.print(f"[yellow]{escape(', '.join(streams))}:[/] in {place} episodes that were opened")
    _show_unrecognised(out, view)
    if view.pointers is not None and view.pointers not in {*view.unreadable.values(), *problems}:
        out.print(f"[bold red]{escape(view.pointers)}[/]")
    if view.contradictions:
        out.print("[bold yellow]Declared, but the bytes say otherwise:[/]")
    for contradiction in view.contradictions:
        hint = f" ({contradiction.hint})" if contradiction.hint else ""
        out.print(
            f"  {escape(contradiction.subject)}: declared {escape(contradiction.declared)}, "
            f"found {escape(contradiction.found)} [dim]{escape(contradiction.where)}[/]{escape(hint)}"
        )


def show_episode(view: EpisodeSurvey) -> None:
    """Print one episode at a glance."""
    out = console()
    out.print(f"[bold]{escape(view.path)}[/] episode [bold]{escape(view.id)}[/]", soft_wrap=True)
    outcome = {True: "success", False: "failure", None: text.UNKNOWN}[view.success]
    rows = {
        "format": view.format,
        "robot": view.robot or text.UNKNOWN,
        "duration": text.UNKNOWN if view.duration_s is None else f"{view.duration_s:.2f} s",
        "declared steps": text.UNKNOWN if view.declared_steps is None else str(view.declared_steps),
        "split": view.split or text.UNKNOWN,
        "session": view.session or text.UNKNOWN,
        "outcome": outcome,
        "instructions": " | ".join(repr(i) for i in view.instructions) or "none (the format has no place for them)",
    }
    _show_pairs(out, rows)
    out.print(_stream_table(view.streams, with_samples=True, columns=out.width))
    for stream in view.streams:
        if stream.channels:
            out.print(f"  {escape(stream.name)}: {escape(', '.join(stream.channels))}", soft_wrap=True)
        for name, meaning in stream.meaning.items():
            out.print(f"  {escape(stream.name)}: {name} {escape(meaning)}")
        if stream.problem:
            out.print(f"[bold red]{escape(stream.name)}:[/] {escape(stream.problem)}")
    for annotation in view.annotations:
        out.print(f"  {escape(annotation)}")
    for name, value in view.extra.items():
        out.print(f"  [dim]extra {escape(name)}:[/] {escape(value)}", soft_wrap=True)


def show_report(report: Report) -> None:
    """Print a check's summary: worst first, grouped by check, with counts and the first example."""
    out = console()
    view = report.dataset
    out.print(
        f"[bold]{escape(view.path)}[/]  {view.format}, {report.episodes_checked} of {view.episodes} episodes checked, "
        f"{len(report.checks)} checks",
        soft_wrap=True,
    )
    for group in text.groups(report.findings):
        _show_group(out, group, view.path)
    _show_silences(out, report)
    _show_unrecognised(out, view)
    for waived in report.waived[:3]:
        out.print(f"[dim]waived: {waived.finding.check} ({escape(waived.waiver.reason)})[/]")
    if len(report.waived) > 3:
        out.print(f"[dim]... {len(report.waived)} findings waived in all[/]")
    for waiver in report.expired:
        out.print(f"[yellow]waiver for {waiver.check} expired on {waiver.expires}: it accepts nothing any more[/]")
    counts = {level: sum(f.level == level for f in report.findings) for level in ("error", "warning", "info")}
    counted = ", ".join(
        f"{count} {level}{'s' if count != 1 and level != 'info' else ''}" for level, count in counts.items()
    )
    colour = _JUDGEMENT_COLOURS[report.judgement]
    share = f"{len(report.decided)} of {len(report.checks)} checks could decide"
    out.print(f"[{colour}]{report.judgement}[/] (fails on {report.fail_on}): {counted}; {share}", soft_wrap=True)


def show_catalogue(shown: Catalogue) -> None:
    """Print every check with its first line."""
    out = console()
    table = Table(box=None, pad_edge=False, show_edge=False)
    table.add_column("check", no_wrap=True)
    table.add_column("finds")
    for card in shown.checks:
        table.add_row(card.name, escape(card.finds))
    out.print(table)
    out.print("[dim]kata explain CHECK prints the reasons, limits and thresholds of one.[/]")


def show_check(card: CheckCard) -> None:
    """Print a check's own documentation and its thresholds."""
    out = console()
    out.print(f"[bold]{card.name}[/]: {escape(card.documentation)}", soft_wrap=True)
    if card.thresholds:
        out.print("\nThresholds (set them in a suite file):")
        out.print(escape(f"    [checks.{card.name}]"))
        for threshold, default in card.thresholds.items():
            shown = str(default).lower() if isinstance(default, bool) else repr(default)
            out.print(f"    {threshold} = {escape(shown)}")


def _show_group(out: Console, group: text.FindingGroup, root: str) -> None:
    """Two lines: what and how often, then the first example, folded below itself."""
    findings = f"{len(group.findings)} finding{'s' if len(group.findings) != 1 else ''}"
    episodes = f" in {group.episodes} episode{'s' if group.episodes != 1 else ''}" if group.episodes else ""
    colour = _COLOURS[group.level]
    out.print(f"[{colour}]{group.level:<8}[/] [bold]{group.check:<28}[/] {findings}{episodes}")
    first = group.findings[0]
    example = f"[dim]{escape(text.place(first))}:[/] {escape(text.said(first.message, root))}"
    out.print(Padding(example, (0, 0, 0, _INDENT)))


def _show_unrecognised(out: Console, view: Survey) -> None:
    names = view.unrecognised
    if names:
        more = f" and {len(names) - 8} more" if len(names) > 8 else ""
        several = f"{len(names)} files are" if len(names) > 1 else "1 file is"
        out.print(
            f"[yellow]{several} not recognised, and not looked at:[/] {escape(', '.join(names[:8]))}{more}",
            soft_wrap=True,
        )


def _by_problem(problems: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """What has each problem: one cause is told once."""
    together: dict[str, list[str]] = {}
    for name, problem in problems:
        together.setdefault(problem, []).append(name)
    return together


def _named(what: str, names: Sequence[str]) -> str:
    return f"{what} {escape(names[0])}" if len(names) == 1 else f"{what}s {escape(', '.join(names))}"


def _show_pairs(out: Console, rows: dict[str, str]) -> None:
    for name, value in rows.items():
        shown = f"[dim]{value}[/]" if value == text.UNKNOWN else escape(value)
        out.print(f"  {name:<15} {shown}", soft_wrap=True)


def _show_instructions(out: Console, view: Survey) -> None:
    if not view.instructions:
        out.print(f"  {'instructions':<15} [dim]{text.UNKNOWN}[/]")
        return
    total = len(view.instructions)
    is_partial = view.instructions_read_from < view.selected_episodes
    seen = f" in the {view.instructions_read_from} episodes that were opened" if is_partial else ""
    out.print(f"  {'instructions':<15} {total} different{seen}")
    for instruction, count in list(view.instructions.items())[:_SHOWN_TEXTS]:
        out.print(f"  {count:>15}  {escape(repr(instruction))}", soft_wrap=True)
    if total > _SHOWN_TEXTS:
        out.print(f"  {'':>15}  [dim]and {total - _SHOWN_TEXTS} more[/]")


def _stream_table(streams: tuple[StreamSummary, ...], *, with_samples: bool, columns: int) -> Table:
    cells = {name: [row[name] for row in (_cells(s, with_samples=with_samples) for s in streams)] for name in _COLUMNS}
    cells["samples" if with_samples else "on disk"] = cells.pop("last")
    if columns < _NARROW:
        # Shape and encoding tell what kind it is.
        del cells["kind"]
        if all(text.UNKNOWN in unit or not unit for unit in cells["unit"]):
            del cells["unit"]
    table = Table(box=None, pad_edge=False, show_edge=False, header_style="bold")
    for name in cells:
        is_number = name in ("rate", "samples", "on disk")
        table.add_column(
            name,
            no_wrap=name not in ("stream", "clock", "encoding"),
            overflow="fold",
            justify="right" if is_number else "left",
        )
    for row in zip(*cells.values(), strict=True):
        table.add_row(*row)
    return table


def _cells(stream: StreamSummary, *, with_samples: bool) -> dict[str, str]:
    estimate = "~" if stream.is_size_estimate else ""
    others = f" (+{', '.join(stream.other_clocks)})" if stream.other_clocks else ""
    values = (
        escape(stream.name),
        stream.role,
        stream.kind,
        text.shape(stream),
        stream.dtype or text.UNKNOWN,
        _dim(text.unit(stream)),
        _dim(text.rate(stream.rate_hz)),
        escape(f"{stream.clock}{others}"),
        escape(stream.encoding or text.UNKNOWN),
        _dim(str(stream.samples) if with_samples else f"{estimate}{text.size(stream.size_bytes)}"),
    )
    return dict(zip(_COLUMNS, values, strict=True))


def _dim(value: str) -> str:
    return f"[dim]{value}[/]" if value == text.UNKNOWN else escape(value)


def _show_silences(out: Console, report: Report) -> None:
    view = report.dataset
    grouped = text.silences(report.abstentions)
    if not grouped:
        return
    out.print(f"[dim]{len({s.check for s in grouped})} checks could not decide everywhere:[/]")
    for silence in grouped[:10]:
        out.print(
            f"[dim]  {silence.check} ({silence.times}x): {escape(text.said(silence.reason, view.path))}[/]",
            soft_wrap=True,
        )
    if len(grouped) > 10:
        out.print(f"[dim]  and {len(grouped) - 10} more reasons (--json has all)[/]")
