"""Terminal output of conversions: loss reports, writer options, receipts."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from rich.markup import escape
from rich.table import Table

from robokata.conversion.convert import Receipt, options_of, receipt_path
from robokata.core.clock import rate_fraction
from robokata.core.errors import UnknownName, WriteRefused
from robokata.core.layout import LossReport
from robokata.core.leaf_kinds import readable_formats, writable_format
from robokata.viewing.terminal.tables import console


def parse_options(format_name: str, words: Sequence[str]) -> dict[str, Any]:
    """`NAME=VALUE` words as arguments of the format's writer, typed like their defaults.

    Raises:
        UnknownName: the format cannot be written, or has no such option.
        WriteRefused: a word is not NAME=VALUE, or the value is not of the option's type.
    """
    known = options_of(writable_format(format_name))
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
    out.print(_plan_line(report), soft_wrap=True)


def _plan_line(report: LossReport) -> str:
    if report.is_lossy:
        return "planned: [bold red]lossy[/]; what is marked red does not come back"
    if report.format not in readable_formats():
        return f"planned: [yellow]one way[/]; Robokata writes {report.format} and does not convert it back"
    return "planned: [green]nothing is lost[/]; what is written is read back and compared before it appears"


def show_receipt(receipt: Receipt) -> None:
    """Print what was written and where its receipt lies."""
    from pathlib import Path

    out = console()
    target = Path(receipt.target)
    out.print(f"Wrote {receipt.episodes} episodes to {escape(receipt.target)} ({receipt.format}).", soft_wrap=True)
    out.print(verified_line(receipt.verified), soft_wrap=True)
    for each in receipt.verified["differences"]:
        place = " ".join(str(part) for part in ("episode", each["episode"], each["stream"] or "") if part)
        out.print(f"  {escape(place)}: {escape(each['what'])}", soft_wrap=True)
    out.print(f"[dim]Receipt: {escape(str(receipt_path(target)))}[/]", soft_wrap=True)


def verified_line(seen: Mapping[str, Any]) -> str:
    """What was read back and compared, in one line."""
    if seen["skipped"]:
        return f"[yellow]not verified[/]: {escape(seen['skipped'])}"
    counted = [
        f"{seen[name]:,} {words}"
        for name, words in (("numbers", "numbers"), ("times", "times"), ("texts", "texts"))
        if seen[name]
    ]
    if seen["coded_bytes"]:
        counted.append(f"{seen['coded_bytes'] / 1e6:,.1f} MB of coded pictures")
    if seen["pictures"]:
        counted.append(f"{seen['pictures_decoded']:,} of {seen['pictures']:,} pictures decoded")
    worst = "" if seen["worst_psnr_db"] is None else f" (the worst picture has {seen['worst_psnr_db']:.1f} dB)"
    differ = seen["difference_count"]
    word = "[bold green]verified[/]" if not differ else f"[bold red]verified, {differ} differences accepted[/]"
    full = "" if seen["depth"] == "full" or not seen["pictures"] else "; --verify full decodes every picture"
    return (
        f"{word}: {seen['episodes']} episodes read back and compared: {', '.join(counted) or 'no samples'}{worst}{full}"
    )


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
