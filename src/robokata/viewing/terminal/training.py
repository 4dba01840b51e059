"""Terminal output of a training."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console

from robokata.runtime.safe_text import visible

if TYPE_CHECKING:
    from robokata.training.fit import Trained
    from robokata.training.train import ForeignTraining


def size_of(trained: Trained) -> str:
    """How large the network is, in words."""
    frozen = f" and {trained.frozen:,} frozen" if trained.frozen else ""
    return f"{trained.parameters:,} parameters{frozen}"


def absent_of(trained: Trained) -> str:
    """What the samples lack, in words."""
    return ", ".join(f"{100 * share:.2g} % of {name}" for name, share in trained.absent.items())


def validation_of(trained: Trained) -> str:
    """The loss on what is held out, in words; `none` where nothing is."""
    found = trained.curve.summary()["validation"]
    if found is None:
        return "none: the data has no validation split"
    least = f"least {found['least']:.4g} after step {found['least_at_step']:,}"
    return f"loss {found['loss']:.4g} on {trained.held_out:,} episodes that are not learnt from ({least})"


def show_foreign_training(trained: ForeignTraining) -> None:
    """Print where the policy lies, and which episodes it was trained on."""
    console = Console(highlight=False)
    for note in trained.notes:
        console.print(visible(note), markup=False, soft_wrap=True)
    line = f"{trained.folder}: trained. Try it: kata evaluate {trained.folder} --task TASK --out TRIALS"
    console.print(visible(line), markup=False, soft_wrap=True)


def show_trained(trained: Trained) -> None:
    """Print what came out and how fast, the wait for data included."""
    summary = trained.curve.summary()
    console = Console(highlight=False)
    wait, rate, loss = summary["wait_share"], summary["steps_per_s"], summary["loss"]
    lines = [
        f"{trained.folder}: {trained.policy}, {size_of(trained)}",
        f"  learnt from   {trained.samples:,} samples of {trained.episodes:,} episodes",
        *([f"  absent        {absent_of(trained)}"] if trained.absent else []),
        f"  loss          {'unknown' if loss is None else f'{loss:.4g}'} after {summary['steps']:,} steps",
        *([f"  validation    {validation_of(trained)}"] if summary["validation"] else []),
        f"  speed         {'unknown' if rate is None else f'{rate:.3g} steps/s'}",
        f"  wait for data {'unknown' if wait is None else f'{100 * wait:.2g} % of the time'}",
        f"  report        {trained.folder / 'report.html'}",
    ]
    lines.append(f"  next          kata evaluate {trained.folder} --task TASK; or kata serve {trained.folder}")
    lines += [f"  note          {note}" for note in trained.notes]
    lines += [f"  left out      {each.key}: {each.reason}" for each in trained.left_out[:5]]
    for line in lines:
        console.print(visible(line), markup=False, soft_wrap=True)
