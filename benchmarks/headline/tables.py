"""`python benchmarks/headline/tables.py [STUDIES]`: the tables of docs/headline.md, from the studies' own answers."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

Study = Mapping[str, Any]


def main() -> None:
    """Print a table for each question, with the studies that are done.

    Their folder may be named on the command line.
    """
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "made" / "studies"
    for questions in (
        ("growth_stack", "growth_pick_place"),
        ("defects_stack", "defects_pick_place"),
        ("cleaning_stack", "cleaning_pick_place", "cleaning_pick_place_200"),
        ("cleaning_lift_small_vla",),
    ):
        found = [name for name in questions if (folder / name / "study.json").exists()]
        studies = [json.loads((folder / name / "study.json").read_text(encoding="utf-8")) for name in found]
        if studies:
            print("\n".join(table(found, studies)) + "\n")


def table(names: Sequence[str], studies: Sequence[Study]) -> list[str]:
    """One row per arm and one per answer, one column per study."""
    columns = [[*arms_of(study), *answers_of(study)] for study in studies]
    heads = [head for head, _ in columns[0]]
    lines = [f"| | {' | '.join(names)} |", "|---" * (1 + len(names)) + "|"]
    for row, head in enumerate(heads):
        lines.append(f"| {head} | {' | '.join(column[row][1] for column in columns)} |")
    return lines


def arms_of(study: Study) -> list[tuple[str, str]]:
    """Success of every arm, with the number of demonstrations."""
    out = []
    for arm in study["arms"]:
        told = arm["metrics"]["success_at_end"]
        episodes = arm["data"]["kept"] + arm["data"]["made"]
        name = ", ".join(arm["arm"]["levels"].values())
        name = "a random subset" if arm["arm"]["control_of"] else name
        interval = f"[{100 * told['low']:.0f}, {100 * told['high']:.0f}]"
        out.append((name, f"{100 * told['value']:.0f} % {interval} of {episodes}"))
    return out


def answers_of(study: Study) -> list[tuple[str, str]]:
    """Effect on success of every choice, its interval (95 %, unadjusted) and p after Holm; bold where resolved."""
    out = []
    for answer in study["answers"]:
        told = answer["effects"]["success_at_end"]["estimate"]
        effect = f"{100 * told['value']:+.1f} [{100 * told['low']:+.1f}, {100 * told['high']:+.1f}]"
        p = f"p = {answer['p_adjusted']:.2g}" if answer["p_adjusted"] >= 0.001 else "p < 0.001"
        shown = f"**{effect}**, {p}" if answer["is_resolved"] else f"{effect}: not resolvable"
        out.append((f"{answer['level']} against {answer['baseline']}", shown))
    return out


if __name__ == "__main__":
    main()
