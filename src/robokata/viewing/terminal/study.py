"""Terminal output of a study's plan and findings."""

from __future__ import annotations

from rich.markup import escape
from rich.table import Table

from robokata.studies.effects import PRIMARY, points_of
from robokata.studies.spec import Study
from robokata.studies.study import Findings, Plan
from robokata.viewing.terminal.tables import console


def show_plan(study: Study, plan: Plan) -> None:
    """Print what would be run, and what it could find."""
    out = console()
    out.print(f"[bold]{escape(study.name)}[/]: {study.policy} at {study.task} {study.width}, study {study.hash}")
    for arm in plan.arms:
        out.print(f"  {escape(arm.name)}")
    out.print(
        f"{len(plan.arms)} arms x {study.training_seeds} training seeds = {plan.runs} runs of {study.steps} steps and "
        f"{study.trials} trials"
        + (f"; up to {plan.may_add} more for random subsets of equal size" if plan.may_add else "")
    )
    if plan.hours is not None:
        cents = f", {plan.hours * study.cents_per_hour:.0f} cents" if study.cents_per_hour is not None else ""
        out.print(f"about {plan.hours:.2f} hours of one core{cents} (one short run was timed just now)")
    out.print(
        f"smallest effect on success that this can find: {points_of(plan.detectable)} (power 0.8, if "
        f"training seeds differ by 8 points: a guess until two are done)"
    )


def show_findings(findings: Findings) -> None:
    """Print arms, effects and what they mean."""
    out = console()
    table = Table(box=None, pad_edge=False, show_edge=False, header_style="bold")
    for name in ("arm", "episodes", "success (mean over seeds)", "first try", "progress"):
        table.add_column(name, overflow="fold")
    for result in findings.results:
        shown = [_share(result.metrics[name]) for name in (PRIMARY, "first_try_success", "subgoal_progress")]
        table.add_row(escape(result.arm.name), str(result.data.episodes), *shown)
    out.print(table)
    for answer in findings.answers:
        for statement in answer.statements():
            colour = "bold" if statement.is_resolved else "dim"
            out.print(f"[{colour}]{escape(statement.text)}[/]", soft_wrap=True)
    for name, points in findings.scaling.items():
        curve = ", ".join(f"{point.size:g}: {_share(point.success)}" for point in points)
        out.print(f"success by {escape(name)}: {curve}", soft_wrap=True)
    cost = f", {findings.cents:.0f} cents" if findings.cents is not None else ""
    out.print(f"{findings.hours:.2f} hours of computing{cost}; all numbers in {escape(findings.out)}", soft_wrap=True)


def _share(estimate: object) -> str:
    value, low, high = (getattr(estimate, name) for name in ("value", "low", "high"))
    if value is None:
        return "–"
    return f"{value:.0%}" if low is None or high is None else f"{value:.0%} \\[{max(low, 0):.0%}, {min(high, 1):.0%}]"
