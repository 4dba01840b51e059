"""The process that renders the live cameras. Physics never waits for it.

It is asked through its standard input and answers on its standard output (`wire`); it ends when the asker does.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import numpy as np

from robokata.collection.recording.episode import setup_from_json
from robokata.collection.robot import wire
from robokata.core.require import require
from robokata.sim.demonstration import Scene, world_of
from robokata.sim.render import Renderer

NICENESS = 5
"""Where cores are short the loop goes first: a late picture is seen, a late command is felt."""
_QUALITY = 80
"""Of 100: 40 kB for 480x640, half of what is recorded; the page is not for measuring."""


def main() -> None:
    """Answer until standard input closes."""
    os.setpriority(os.PRIO_PROCESS, 0, NICENESS)
    asked, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print must not come between the messages
    first = wire.receive(asked)
    if first is None:
        return
    head = first.head
    world = world_of(Scene(**head["scene"]))
    encode = require("simplejpeg", extra="images").encode_jpeg
    renderer = Renderer(world.model, height_px=head["height_px"], width_px=head["width_px"])
    while (message := wire.receive(asked)) is not None:
        if "setup" in message.head:
            # Things that stand where the reset puts them are part of the model, not of its state.
            world.reset(setup_from_json(message.head["setup"]))
        renderer.at(np.frombuffer(message.blobs[0]))
        cameras: list[str] = message.head["cameras"]
        pictures: list[Any] = [
            encode(renderer.rgb(camera), quality=_QUALITY, colorspace="RGB", colorsubsampling="420")
            for camera in cameras
        ]
        wire.send(answers, {"time_s": message.head["time_s"], "cameras": cameras}, pictures)


if __name__ == "__main__":
    main()
