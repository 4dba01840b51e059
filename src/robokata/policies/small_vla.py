"""The reference vision-language-action policy: five parts of the field's architecture, about two million parameters.

vision (small convolutions, or DINOv2/SigLIP from a folder), language (hashed words, or a local transformers model),
proprioception (a map per robot), fusion (a transformer that looks at the pictures' patches) and decoder (L1 chunk, or
flow matching). Each is an option: `vision=hf:FOLDER`, `language=hf:FOLDER`, `decoder=flow`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from robokata.core.contracts import Policy, PolicyRef
from robokata.learn.trainable import Habits
from robokata.loading.actions import Frame
from robokata.loading.codec import Codec

if TYPE_CHECKING:
    from robokata.learn.net import Net

HABITS = Habits(
    inputs=("observation.state", "observation.tip_pose"),
    sees_pictures=True,
    # What a fixed camera shows is told in the world's axes; how the wrist camera stands in them is in the joints seen.
    frame=Frame.WORLD,
    # Small batches and many steps: on two cores, 6,000 steps of 32 take half an hour.
    batch_size=32,
    steps=6000,
    learning_rate=6e-4,
    options={
        "vision": "conv",
        "language": "hashed",
        "decoder": "l1",
        "width": 128,
        "layers": 4,
        "heads": 4,
        "readouts": 8,
        # None: cameras of a cell stand still, and a shift hides where a thing is by as much. 0.05 where they do not.
        "shift": 0.0,
        "colour": 0.1,
    },
)


def build(codec: Codec, options: Mapping[str, Any]) -> Net:
    """The network for these robots and cameras."""
    from robokata.learn.vla import VisionLanguageAction

    return VisionLanguageAction(codec, options)


def load(order: PolicyRef) -> Policy:
    """Open a checkpoint folder."""
    import sys

    from robokata.learn.torch_policy import open_trained

    return open_trained(order, sys.modules[__name__])
