"""Everything that an expander imports: `from robokata.authoring.expanders import ExpansionJobs, Made, Source`.

An expander defines

- `plan(source, *, keys, ...) -> ExpansionJobs`: numbered jobs that make new episodes; options are keyword-only;
- `validate(*, where, ...)`, where options can be refused before data are opened.

`step_jobs` makes the jobs of an expander that applies a step. Entry point group: `robokata.expanders`. Tests:
`robokata.testing.EXPANDER_CLAUSES`.
"""

from robokata.core.ancestry import ancestry_of
from robokata.core.contracts import ExpanderLeaf, ExpansionJobs, ValidatingExpanderLeaf
from robokata.core.declared_rate import Rate, rates_in, reopen_paced
from robokata.core.detection import reopen
from robokata.core.episode import Episode, Origin
from robokata.core.errors import GeneratorFailed, RecipeRefused, RobokataError, UnknownName, Unsupported
from robokata.core.source import Source
from robokata.core.stream import Kind, Stream
from robokata.core.trace import traced
from robokata.core.world import Setup, Width, instruction_of
from robokata.expanders._steps import step_jobs
from robokata.geometry.poses import pose_from_seven
from robokata.media.images import EncodedImages
from robokata.runtime.jobs import Made
from robokata.sim.attempt import Attempt, Recorder
from robokata.sim.cameras import Filming, cameras_of, film
from robokata.sim.demonstration import Scene, begin, world_of
from robokata.sim.episode import episode_of
from robokata.sim.gl import mujoco
from robokata.sim.segments import Demonstration, demonstration_of, scene_told_by
from robokata.sim.sensors import Sensors
from robokata.sim.trajectory_transfer import Generated, generate
from robokata.sim.transfer_options import Tellings, tellings_from
from robokata.sim.variation import Variation, variation_from
from robokata.sim.world import SimWorld, Target

__all__ = [
    "Attempt",
    "Demonstration",
    "EncodedImages",
    "Episode",
    "ExpanderLeaf",
    "ExpansionJobs",
    "Filming",
    "Generated",
    "GeneratorFailed",
    "Kind",
    "Made",
    "Origin",
    "Rate",
    "RecipeRefused",
    "Recorder",
    "RobokataError",
    "Scene",
    "Sensors",
    "Setup",
    "SimWorld",
    "Source",
    "Stream",
    "Target",
    "Tellings",
    "UnknownName",
    "Unsupported",
    "ValidatingExpanderLeaf",
    "Variation",
    "Width",
    "ancestry_of",
    "begin",
    "cameras_of",
    "demonstration_of",
    "episode_of",
    "film",
    "generate",
    "instruction_of",
    "mujoco",
    "pose_from_seven",
    "rates_in",
    "reopen",
    "reopen_paced",
    "scene_told_by",
    "step_jobs",
    "tellings_from",
    "traced",
    "variation_from",
    "world_of",
]
