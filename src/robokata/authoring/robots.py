"""Everything that a robot imports: `from robokata.authoring.robots import Arm, Embodiment, Gripper, Joint`.

A robot defines `ROBOT: Embodiment`, named like the file; each number has an `Evidence`: its source. It can do every
task whose needs it meets. `mjcf` writes its kinematic model. Entry point group: `robokata.robots`. Tests:
`robokata.testing.ROBOT_CLAUSES`.
"""

from robokata.core.contracts import RobotLeaf
from robokata.core.episode import Arm, Embodiment, Gripper, Joint
from robokata.core.shelf import shelf
from robokata.core.stream import Evidence
from robokata.robots import _mjcf as mjcf

__all__ = [
    "Arm",
    "Embodiment",
    "Evidence",
    "Gripper",
    "Joint",
    "RobotLeaf",
    "mjcf",
    "shelf",
]
