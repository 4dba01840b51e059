"""Joint values that bring an arm's tip to a pose: damped least squares with a pull to the rest pose.

After Buss, Introduction to inverse kinematics with Jacobian transpose, pseudoinverse and damped least squares methods
(2004), section 5, with the null-space term of its section 7.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from robokata.core.episode import Arm, Embodiment
from robokata.geometry.poses import Pose, rotation_vector
from robokata.sim.gl import mujoco
from robokata.sim.model import compiled

DAMPING = 1e-4
"""On J J^T: 1 cm of step near a singularity costs 1 mrad, and accuracy elsewhere is below a micrometre."""
LARGEST_STEP_RAD = 0.2
"""Beyond this the linearisation is wrong by more than it gains."""
HOME_PULL = 0.1
"""Share of the way to the rest pose per iteration, in the null space of the tip."""
ENOUGH = 1e-4
"""Error (m, and rad times the weight) at which to stop: a tenth of the repeatability of such arms."""
FEW_JOINTS_WEIGHT = 0.12
"""Weight (m/rad) of rotation for arms of fewer than six joints: they cannot have both, and position matters more."""


class Solution(NamedTuple):
    """Joint values and what is missing at the tip."""

    joints_rad: NDArray[np.float64]
    """(dof,)."""
    error_m: float
    error_rad: float


class ArmKinematics:
    """One arm's forward and inverse kinematics. A class, because it keeps the scratch state it iterates on."""

    def __init__(self, robot: Embodiment, arm: Arm) -> None:
        self._mujoco = mujoco()
        self._model = compiled(robot.model or "")
        self._data = self._mujoco.MjData(self._model)
        self._site = self._model.site(arm.tip).id
        joints = [self._model.joint(name) for name in arm.joints]
        self._qpos = np.array([joint.qposadr[0] for joint in joints])
        self._dofs = np.array([joint.dofadr[0] for joint in joints])
        self._limits = np.array([joint.range for joint in joints])
        self._home = np.array(arm.home)
        self._weight = 1.0 if len(joints) >= 6 else FEW_JOINTS_WEIGHT
        self._jacobian = np.zeros((6, self._model.nv))
        self._eye = np.eye(6)

    def tip(self, joints_rad: NDArray[np.float64]) -> Pose:
        """world_from_tip at these joint values (dof,)."""
        self._move(joints_rad)
        pose: Pose = np.eye(4)
        pose[:3, :3] = self._data.site_xmat[self._site].reshape(3, 3)
        pose[:3, 3] = self._data.site_xpos[self._site]
        return pose

    def solve(self, target: Pose, start_rad: NDArray[np.float64], *, iterations: int = 4) -> Solution:
        """Joint values near `start_rad` (dof,) whose tip is at `target`; 4 iterations follow a path, 60 find a pose."""
        joints = np.array(start_rad, dtype=np.float64)
        error = np.empty(6)
        for left in range(iterations, -1, -1):
            self._move(joints)
            error[:3] = target[:3, 3] - self._data.site_xpos[self._site]
            error[3:] = rotation_vector(target[:3, :3] @ self._data.site_xmat[self._site].reshape(3, 3).T)
            if left == 0 or (abs(error[:3]).max() < ENOUGH and abs(error[3:]).max() * self._weight < ENOUGH):
                break
            joints = np.clip(joints + self._step(joints, error), self._limits[:, 0], self._limits[:, 1])
        return Solution(joints, float(np.sqrt(error[:3] @ error[:3])), float(np.sqrt(error[3:] @ error[3:])))

    def _move(self, joints_rad: NDArray[np.float64]) -> None:
        self._data.qpos[self._qpos] = joints_rad
        self._mujoco.mj_kinematics(self._model, self._data)

    def _step(self, joints_rad: NDArray[np.float64], error: NDArray[np.float64]) -> NDArray[np.float64]:
        self._mujoco.mj_comPos(self._model, self._data)
        self._mujoco.mj_jacSite(self._model, self._data, self._jacobian[:3], self._jacobian[3:], self._site)
        jacobian = self._jacobian[:, self._dofs]
        wanted = error.copy()
        if self._weight != 1.0:
            jacobian[3:] *= self._weight
            wanted[3:] *= self._weight
        gram = np.linalg.inv(jacobian @ jacobian.T + DAMPING * self._eye)
        pull = HOME_PULL * (self._home - joints_rad)
        step = jacobian.T @ (gram @ (wanted - jacobian @ pull)) + pull
        largest = np.abs(step).max()
        return np.asarray(step * (LARGEST_STEP_RAD / largest) if largest > LARGEST_STEP_RAD else step)
