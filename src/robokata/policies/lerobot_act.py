"""ACT (Zhao et al. 2023) through lerobot's own code, in lerobot's own environment.

Options: `python` (of that environment; else the variable ROBOKATA_LEROBOT_PYTHON), `num_workers`, `save_freq`,
`execute_steps`, and every option of lerobot's ACTConfig: `dim_model`, `use_vae`, `kl_weight`, ...
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from robokata.core.contracts import Policy, PolicyRef
from robokata.core.errors import TrainingRefused
from robokata.learn.trainable import ForeignJob, Habits
from robokata.loading.actions import Frame
from robokata.loading.window_spec import WindowSpec

HABITS = Habits(
    inputs=("observation.state", "observation.tip_pose"),
    sees_pictures=True,
    # lerobot learns actions as they are.
    frame=Frame.ABSOLUTE,
    # ACT's published 100 steps are 2 s at 50 Hz.
    chunk_steps=40,
    # Half a second: the end of a chunk is a guess about what the start will have done.
    execute_steps=10,
    batch_size=8,
    steps=20_000,
    learning_rate=1e-4,
)


def arguments(window: WindowSpec, given: Mapping[str, Any]) -> dict[str, Any]:
    """lerobot's options from our window and what the user says."""
    chunk = {"chunk_size": window.chunk_steps, "n_action_steps": window.chunk_steps}
    habits: dict[str, Any] = {"pretrained_backbone_weights": None}
    if given.get("pretrained_backbone_weights") in (None, "null"):
        # No weights are fetched, and a backbone that begins at random needs more than the 1e-5 of a pretrained one.
        rate = given.get("optimizer_lr", HABITS.learning_rate)
        habits |= {"optimizer_lr": rate, "optimizer_lr_backbone": rate}
    return {**habits, **given, **chunk}


def refuse(window: WindowSpec) -> None:
    """Refuse a window that ACT cannot have.

    Raises:
        TrainingRefused: it asks for the past.
    """
    if window.history_s != (0.0,):
        raise TrainingRefused("lerobot's ACT sees the present only: leave history_s out of [window].")


def train(job: ForeignJob) -> Mapping[str, Any]:
    """Train with lerobot's loop, and leave a checkpoint that `load` opens."""
    from robokata.policies._lerobot.training import Kind
    from robokata.policies._lerobot.training import train as learn

    return learn(Kind("lerobot_act", "act", HABITS, arguments, refuse), job)


def load(order: PolicyRef) -> Policy:
    """Open a checkpoint folder: lerobot serves it, and we ask."""
    from robokata.policies._lerobot.policy import open_served

    return open_served(order, "act")
