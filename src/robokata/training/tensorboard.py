"""TensorBoard's event file of a training."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from robokata.core.errors import WriteRefused
from robokata.core.require import require
from robokata.runtime.disk import DISK_FULL
from robokata.training.curve import Curve


@contextmanager
def refused_when_full(out: Path) -> Iterator[None]:
    """TensorBoard's events are written by a library: its error does not name a file.

    Raises:
        WriteRefused: the disk is full.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in DISK_FULL:
            raise
        raise WriteRefused(
            f"{out}: {os.strerror(error.errno)}. What was learnt up to the last checkpoint is kept; make room, then "
            "--resume goes on."
        ) from None


class Events:
    """TensorBoard's event file. A class, because it owns the writer."""

    def __init__(self, out: Path, *, first_step: int) -> None:
        tensorboard = require("torch.utils.tensorboard", extra="learn")
        # purge_step: what an interrupted run wrote after its last checkpoint is not shown twice.
        self._writer = tensorboard.SummaryWriter(str(out / "training" / "tensorboard"), purge_step=first_step)

    def __enter__(self) -> Events:
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.close()

    def add(self, curve: Curve) -> None:
        """What happened at the last step."""
        step, row = len(curve) - 1, curve.last
        for name in ("loss", "gradient_norm", "learning_rate"):
            self._writer.add_scalar(name, row[name], step)
        validation = curve.validation()
        if len(validation) and int(validation[-1, 0]) == step:
            self._writer.add_scalar("validation_loss", validation[-1, 1], step)
        self._writer.add_scalar("steps_per_s", 1 / max(row["seconds"], 1e-9), step)
