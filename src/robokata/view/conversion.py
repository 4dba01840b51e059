"""Loss reports, writer options and receipts, for people."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

from rich.markup import escape
from rich.table import Table

from robokata.convert import Receipt, options_of, receipt_path, writer_of
from robokata.core.clock import rate_fraction
from robokata.core.errors import UnknownName, WriteRefused
from robokata.core.layout import LossReport
from robokata.view.terminal import console


def parse_options(format_name: str, words: Sequence[str]) -> dict[str, Any]:
    """`NAME=VALUE` words as arguments of the format's writer, typed like their defaults.

    Raises:
        UnknownName: the format cannot be written, or has no such option.
        WriteRefused: a word is not NAME=VALUE, or the value is not of the option's type.
    """
    known = options_of(writer_of(format_name))
    options = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals:
            raise WriteRefused(f"--option {word!r} is not NAME=VALUE.")
        if name not in known:
            raise UnknownName(f"option of {format_name}", name, known)
        options[name] = _typed(name, value, known[name])
    return options


def show_losses(report: LossReport) -> None:
    """Print where each stream goes and what that costs."""
    out = console()
    out.print(f"[bold]{report.format}[/]: what it holds of {report.episodes} episodes")
    table = Table(box=None, pad_edge=False, show_edge=False, header_style="bold")
    table.add_column("stream", overflow="fold")
    table.add_column("becomes", overflow="fold")
    table.add_column("how", no_wrap=True)
    table.add_column("episodes", justify="right")
    table.add_column("note", overflow="fold")
    for loss in report.losses:
        colour = "bold red" if loss.is_lossy else "green" if loss.way == "copied" else "yellow"
        psnr = "" if loss.psnr_db is None else f" (PSNR {loss.psnr_db:.1f} dB)"
        table.add_row(
            escape(loss.stream),
            escape(loss.target or "–"),
            f"[{colour}]{loss.way}[/]",
            str(loss.episodes),
            escape(loss.note + psnr),
        )
    out.print(table)
    for note in report.notes:
        out.print(f"  {escape(note)}", soft_wrap=True)
    if report.is_lossy:
        out.print("[bold red]lossy[/]: what is marked red does not come back")
    else:
        out.print("[bold green]exact[/]: converting back gives the original")


def show_receipt(receipt: Receipt) -> None:
    """Print what was written and where its receipt lies."""
    from pathlib import Path

    out = console()
    target = Path(receipt.target)
    out.print(f"Wrote {receipt.episodes} episodes to {escape(receipt.target)} ({receipt.format}).", soft_wrap=True)
    out.print(f"[dim]Receipt: {escape(str(receipt_path(target)))}[/]", soft_wrap=True)


def _typed(name: str, value: str, parameter: inspect.Parameter) -> Any:
    wanted = str(parameter.annotation)
    try:
        if "Fraction" in wanted:
            exact = rate_fraction(value)
            if exact is None:
                raise ValueError
            return exact
        if "bool" in wanted:
            return {"true": True, "false": False}[value.lower()]
        if "int" in wanted:
            return int(value)
        return float(value) if "float" in wanted else value
    except (ValueError, KeyError):
        raise WriteRefused(f"--option {name}={value}: {_EXPECTED[wanted.removesuffix(' | None')]}.") from None


_EXPECTED = {
    "Fraction": "expected a number or a ratio, as 30 or 30000/1001",
    "bool": "expected true or false",
    "int": "expected a whole number",
    "float": "expected a number",
}
