"""Terminal output of a recipe's plan: what it keeps and leaves out."""

from __future__ import annotations

from collections import Counter
from typing import Any

from rich.markup import escape

from robokata.core.estimate import Estimate
from robokata.curation.curate import Curated
from robokata.curation.write import Written, length_confound
from robokata.viewing.terminal.conversion import verified_line
from robokata.viewing.terminal.tables import console

_SHOWN = 5


class CurationPlan:
    """A plan as JSON."""

    def __init__(self, curated: Curated) -> None:
        self._curated = curated

    def to_json(self) -> dict[str, Any]:
        """Plain values for `json.dumps`."""
        curated = self._curated
        return {
            "recipe": curated.recipe.to_json(),
            "recipe_hash": curated.recipe.hash,
            "selection": curated.selection.to_json(),
            "left_out": [each._asdict() for each in curated.left_out],
            "moved": dict(curated.moved),
            "notes": list(curated.notes),
            "length_confound": length_confound(curated).to_json(),
        }


def show_plan(curated: Curated) -> None:
    """Print how many episodes stay, and for each that does not, by what and why."""
    out = console()
    kept = len(curated.source.keys())
    out.print(f"{kept} episodes would be kept ({len(curated.rows)} were there to choose from)")
    shown: Counter[str] = Counter()
    for each in curated.left_out:
        shown[each.by] += 1
        if shown[each.by] <= _SHOWN:
            out.print(f"  {escape(each.by)} leaves out {escape(each.episode)}: {escape(each.reason)}", soft_wrap=True)
    for by, count in shown.items():
        if count > _SHOWN:
            out.print(f"  {escape(by)} leaves out {count - _SHOWN} more")
    for note in curated.notes:
        out.print(f"  [yellow]{escape(note)}[/]", soft_wrap=True)
    out.print(f"  {_confound(length_confound(curated))}", soft_wrap=True)


def show_written(written: Written) -> None:
    """Print what was written, what was left out by what, and whether the choice is one of length."""
    out = console()
    out.print(f"[bold]{escape(written.out)}[/]: {written.episodes} episodes as {written.format}")
    for by, count in written.left_out.items():
        out.print(f"  {escape(by)} left out {count}")
    for note in written.notes:
        out.print(f"  [yellow]{escape(note)}[/]", soft_wrap=True)
    if written.moved:
        out.print(f"  {written.moved} moved to the split of their family")
    out.print(f"  {_confound(written.length_confound)}", soft_wrap=True)
    out.print(f"  {verified_line(written.verified)}", soft_wrap=True)
    out.print(f"  receipt {escape(written.receipt)}", soft_wrap=True)


def _confound(estimate: Estimate) -> str:
    if estimate.value is None or estimate.low is None or estimate.high is None:
        return f"{estimate.quantity}: none to tell ({estimate.reason})"
    goes = (
        "shorter ones are kept"
        if estimate.high < 0
        else "longer ones are kept"
        if estimate.low > 0
        else "no sign of it"
    )
    return f"{estimate.quantity}: {estimate.value:+.2f} [{estimate.low:+.2f}, {estimate.high:+.2f}], {goes}"
