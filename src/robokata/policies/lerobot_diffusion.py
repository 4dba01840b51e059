"""Diffusion Policy (Chi et al. 2023) through lerobot's own code, in lerobot's own environment.

Options: `python` (of that environment; else the variable ROBOKATA_LEROBOT_PYTHON), `num_workers`, `save_freq`,
`execute_steps`, and every option of lerobot's DiffusionConfig: `down_dims`, `num_inference_steps`, ...
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
    # The published 16, 8 and 2: horizon, executed, seen.
    chunk_steps=16,
    execute_steps=8,
    history_s=(-0.05, 0.0),
    batch_size=64,
    steps=20_000,
    learning_rate=1e-4,
)


def arguments(window: WindowSpec, given: Mapping[str, Any]) -> dict[str, Any]:
    """lerobot's options from our window and what the user says.

    Raises:
        TrainingRefused: more actions are to be answered than lie ahead.
    """
    seen, horizon = len(window.history_s), window.chunk_steps
    # Half of the horizon, of which the past takes some, as published.
    answered = int(given.get("n_action_steps", max(1, min(horizon // 2, horizon - seen + 1))))
    if not 1 <= answered <= horizon - seen + 1:
        raise TrainingRefused(
            f"n_action_steps is {answered}, and at most {horizon - seen + 1} of a chunk of {horizon} lie ahead."
        )
    habits = {
        "pretrained_backbone_weights": None,
        # What the paper has in the place of batch norm where nothing is pretrained; lerobot 0.6 wants to be told.
        "use_group_norm": given.get("pretrained_backbone_weights") in (None, "null"),
        "drop_n_last_frames": horizon - answered - seen + 1,
    }
    return {**habits, **given, "horizon": horizon, "n_obs_steps": seen, "n_action_steps": answered}


def refuse(window: WindowSpec) -> None:
    """Refuse a window that lerobot's Diffusion Policy cannot have.

    Raises:
        TrainingRefused: it asks for a past that is not the rows before.
    """
    rows = [1 - len(window.history_s) + place for place in range(len(window.history_s))]
    if any(abs(at_s * window.timed_rate_hz - row) > 1e-3 for at_s, row in zip(window.history_s, rows, strict=True)):
        wanted = ", ".join(f"{row / window.timed_rate_hz:g}" for row in rows)
        raise TrainingRefused(f"lerobot's Diffusion Policy sees the rows before: history_s = [{wanted}].")


def train(job: ForeignJob) -> Mapping[str, Any]:
    """Train with lerobot's loop, and leave a checkpoint that `load` opens."""
    from robokata.policies._lerobot.training import Kind
    from robokata.policies._lerobot.training import train as learn

    return learn(Kind("lerobot_diffusion", "diffusion", HABITS, arguments, refuse), job)


def load(order: PolicyRef) -> Policy:
    """Open a checkpoint folder: lerobot serves it, and we ask."""
    from robokata.policies._lerobot.policy import open_served

    return open_served(order, "diffusion")
