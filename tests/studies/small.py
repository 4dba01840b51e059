"""A small question about lifting, and a bar that shows nothing."""

from pathlib import Path

from robokata.collection.scripted import ExpertJob, record_expert
from robokata.core.world import Width
from robokata.sim.cameras import Filming
from robokata.sim.demonstration import scene_of
from robokata.sim.sensors import Sensors

QUESTION = """
name = "Does half of it do?"
task = "lift"
policy = "bc_mlp"
steps = 12
training_seeds = 2
trials = 2
picture_px = 32
design = "one_at_a_time"
[data]
[[data.source]]
path = "recorded"
[[factor]]
name = "amount"
[[factor.level]]
name = "all"
size = 4
[[factor.level]]
name = "half"
size = 2
step = [{ name = "take_subset", episodes = 2 }]
"""


def record(out: Path, *, filming: Filming | None = None) -> None:
    job = ExpertJob(scene_of("lift"), Width.D0, 0, filming, Sensors())
    record_expert(job, out, episodes=4, workers=1)
