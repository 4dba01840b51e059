"""A MuJoCo world that a task can be asked about and arms can be commanded in."""

from __future__ import annotations

import copy
import functools
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from robokata.core.clock import NS_PER_S
from robokata.core.episode import Embodiment
from robokata.core.world import Prop, Setup
from robokata.geometry.poses import Pose, quat_xyzw_of
from robokata.sim.gl import mujoco
from robokata.sim.inverse_kinematics import ArmKinematics
from robokata.sim.model import PHYSICS_HZ, compiled, model_text
from robokata.sim.model_index import Limb, entities, entity_names, joint_of, limb_of, opening_of

_VARIED = (
    *(
        "geom_type",
        "geom_rgba",
        "geom_size",
        "geom_pos",
        "geom_rbound",
        "geom_aabb",
        "geom_friction",
        "geom_matid",
        "mat_rgba",
    ),
    *("body_mass", "body_inertia", "cam_pos", "cam_quat", "light_diffuse", "light_dir", "body_pos", "body_quat"),
)
"""What `restore` brings back; the reset after it places fixed props."""


class Target(NamedTuple):
    """What one arm is told."""

    tip: Pose
    """world_from_tip."""
    opening_m: float


class SimWorld:
    """One scene while time runs. A class, because it is the state of a world.

    Times are integers: physics steps since the reset. `command` says what the arms shall do, `advance` lets time pass.
    """

    def __init__(self, robot: Embodiment, props: Sequence[Prop], *, control_hz: int = 20) -> None:
        if PHYSICS_HZ % control_hz:
            raise ValueError(f"a control rate of {control_hz} Hz does not divide the physics' {PHYSICS_HZ} Hz")
        self.robot, self.props, self.control_hz = robot, tuple(props), control_hz
        self.text = model_text(robot, props)
        # A copy: variation edits colours, sizes and cameras of this world only.
        self.model = copy.copy(compiled(self.text))
        self.data = mujoco().MjData(self.model)
        self.setup = Setup({})
        self.steps = 0
        self._limbs = {arm.name: limb_of(self.model, robot, arm) for arm in robot.arms}
        self._kinematics = {arm.name: ArmKinematics(robot, arm) for arm in robot.arms}
        self._targets: dict[str, Target] = {}
        self._sent: dict[str, NDArray[np.float64]] = {}
        self._entities, self._entity_of_geom = entities(self.model, robot, props)
        self._scales: dict[str, float] = {}
        self._touching: tuple[int, frozenset[tuple[int, int]]] = (-1, frozenset())

    # -- what a task may ask (core.world.World) ------------------------------------------------------------------

    @property
    def arms(self) -> tuple[str, ...]:
        """Names of the arms."""
        return tuple(self._limbs)

    @property
    def time_s(self) -> float:
        """Seconds since the reset."""
        return self.steps / PHYSICS_HZ

    @property
    def time_ns(self) -> int:
        """Nanoseconds since the reset, exact."""
        return self.steps * (NS_PER_S // PHYSICS_HZ)

    def pose(self, prop: str) -> Pose:
        """world_from_prop."""
        body = self.model.body(prop).id
        pose: Pose = np.eye(4)
        pose[:3, :3] = self.data.xmat[body].reshape(3, 3)
        pose[:3, 3] = self.data.xpos[body]
        return pose

    def mark_m(self, prop: str, mark: str) -> NDArray[np.float64]:
        """A named point of a prop in the world, (3,)."""
        return np.array(self.data.site_xpos[self.model.site(f"{prop}/{mark}").id])

    def slide_m(self, prop: str) -> float:
        """How far a sliding prop is drawn."""
        return float(self.data.qpos[self.model.joint(f"{prop}/slide").qposadr[0]])

    def scale(self, prop: str) -> float:
        """Size of a prop as a share of what the task says."""
        return self._scales.get(prop, 1.0)

    def speed_m_s(self, prop: str) -> float:
        """How fast a prop moves."""
        return float(np.linalg.norm(self.data.cvel[self.model.body(prop).id][3:]))

    def tip(self, arm: str) -> Pose:
        """Measured world_from_tip."""
        site = self._limbs[arm].site
        pose: Pose = np.eye(4)
        pose[:3, :3] = self.data.site_xmat[site].reshape(3, 3)
        pose[:3, 3] = self.data.site_xpos[site]
        return pose

    def command(self, arm: str) -> Pose:
        """The tip pose last commanded."""
        return self._targets[arm].tip

    def opening_m(self, arm: str) -> float:
        """Measured distance of the jaws."""
        limb = self._limbs[arm]
        return opening_of(limb.arm, float(self.data.qpos[limb.gripper_qpos]))

    def max_opening_m(self, arm: str) -> float:
        """Distance of the jaws when the gripper is open."""
        gripper = self._limbs[arm].arm.gripper
        return 0.0 if gripper is None else gripper.open_m

    def touches(self, one: str, other: str) -> bool:
        """True while two of these touch: props, arms (their jaws or palm), `table`."""
        pairs = self.touching()
        return any((min(a, b), max(a, b)) in pairs for a in self._entities[one] for b in self._entities[other])

    def holds(self, arm: str, prop: str) -> bool:
        """True while a prop touches both jaws of an arm."""
        pairs, props = self.touching(), self._entities[prop]
        jaws = self._entities[f"{arm}/jaws"]
        return all(any((min(jaw, p), max(jaw, p)) in pairs for p in props) for jaw in jaws)

    # -- what acts ------------------------------------------------------------------------------------------------

    def reset(self, setup: Setup, *, joint_noise_rad: Mapping[str, NDArray[np.float64]] | None = None) -> None:
        """Put everything where `setup` says, arms at home (plus noise (dof,) per arm), and let it come to rest."""
        self.place(setup, joint_noise_rad=joint_noise_rad)
        self.settle()

    def place(self, setup: Setup, *, joint_noise_rad: Mapping[str, NDArray[np.float64]] | None = None) -> None:
        """Put everything where `setup` says, and arms at home; no time passes."""
        self.setup = setup
        mujoco().mj_resetData(self.model, self.data)
        for prop in self.props:
            if prop.name in setup.poses:
                self._place(prop, setup.poses[prop.name])
        for name, limb in self._limbs.items():
            joints = np.array(limb.arm.home)
            if joint_noise_rad is not None:
                joints = joints + joint_noise_rad[name]
            self.data.qpos[limb.qpos] = joints
            self.data.ctrl[limb.motors] = joints
            opening_m = self.max_opening_m(name)
            self._set_gripper(limb, opening_m)
            self._sent[name] = joints
            self._targets[name] = Target(self._kinematics[name].tip(joints), opening_m)
        mujoco().mj_forward(self.model, self.data)

    def settle(self) -> None:
        """Let everything come to rest, and begin to count time."""
        mujoco().mj_forward(self.model, self.data)
        # Half a second: props that were placed a hair above the table stand still, and jaws have closed their loop.
        mujoco().mj_step(self.model, self.data, nstep=PHYSICS_HZ // 2)
        self.data.time = 0.0
        self.steps = 0
        mujoco().mj_forward(self.model, self.data)

    # -- what varies (sim.variation) ------------------------------------------------------------------------------

    def restore(self) -> None:
        """Undo every variation: sizes, masses, frictions, colours, cameras and lights are the task's own again."""
        original = compiled(self.text)
        for name in _VARIED:
            getattr(self.model, name)[:] = getattr(original, name)
        self.model.vis.headlight.ambient[:] = original.vis.headlight.ambient
        self._scales.clear()
        self.weigh()

    def weigh(self) -> None:
        """Work out again what follows from masses: the contact solver goes by it."""
        mujoco().mj_setConst(self.model, mujoco().MjData(self.model))

    @property
    def own_props(self) -> tuple[Prop, ...]:
        """Props that the task is about."""
        return tuple(prop for prop in self.props if not prop.is_distractor)

    @property
    def free_props(self) -> tuple[Prop, ...]:
        """Props that move freely."""
        return tuple(prop for prop in self.props if prop.is_free)

    def geoms_of(self, prop: str) -> list[int]:
        """Numbers of a prop's geoms."""
        count = len(next(each for each in self.props if each.name == prop).solids)
        return [self.model.geom(f"prop/{prop}/{number}").id for number in range(count)]

    def rescale(self, prop: str, scale: float) -> None:
        """Make a free prop larger or smaller in all directions; its mass follows its volume. It stands as it stood."""
        body = self.model.body(prop).id
        for geom in self.geoms_of(prop):
            self.model.geom_size[geom] *= scale
            self.model.geom_pos[geom] *= scale
            self.model.geom_rbound[geom] *= scale
            self.model.geom_aabb[geom] *= scale
        self.model.body_mass[body] *= scale**3
        self.model.body_inertia[body] *= scale**5
        at = self.model.joint(f"{prop}/free").qposadr[0]
        self.data.qpos[at + 2] *= scale
        self._scales[prop] = scale

    def shift_start(self, offset_std: float, rng: np.random.Generator) -> dict[str, list[float]]:
        """Move every arm's start by normal deviations of `offset_std` radians; what was drawn."""
        out = {}
        for name, limb in self._limbs.items():
            offset = rng.normal(0.0, offset_std, len(limb.qpos))
            joints = np.clip(self._sent[name] + offset, limb.limits[:, 0], limb.limits[:, 1])
            self.data.qpos[limb.qpos] = joints
            self._sent[name] = joints
            self.data.ctrl[limb.motors] = joints
            self._targets[name] = Target(self._kinematics[name].tip(joints), self.max_opening_m(name))
            out[name] = offset.tolist()
        return out

    def reaches(self, arm: str, tip: Pose) -> bool:
        """True where the arm can be at this pose (5 mm and 3 degrees), looked for from where it is."""
        found = self._kinematics[arm].solve(tip, self._sent[arm], iterations=60)
        return found.error_m < 0.005 and (found.error_rad < 0.05 or len(self._limbs[arm].qpos) < 6)

    def command_tips(self, targets: Mapping[str, Target]) -> None:
        """Command tip poses: joint targets by inverse kinematics, no faster than the joints' limits."""
        for name, target in targets.items():
            limb = self._limbs[name]
            found = self._kinematics[name].solve(target.tip, self._sent[name])
            largest = limb.speed_rad_s / self.control_hz
            joints = self._sent[name] + np.clip(found.joints_rad - self._sent[name], -largest, largest)
            self._send(limb, joints, target.opening_m)
            self._targets[name] = target

    def command_joints(self, action: NDArray[np.float64]) -> None:
        """Command joint targets (rad) and openings (m), laid out as `action_channels`; the commanded tip follows."""
        at = 0
        for name, limb in self._limbs.items():
            dof = len(limb.qpos)
            joints, opening_m = action[at : at + dof], float(action[at + dof])
            largest = limb.speed_rad_s / self.control_hz
            joints = self._sent[name] + np.clip(joints - self._sent[name], -largest, largest)
            self._send(limb, joints, opening_m)
            self._targets[name] = Target(self._kinematics[name].tip(self._sent[name]), opening_m)
            at += dof + 1

    def command_arm_joints(self, arm: str, joints_rad: NDArray[np.float64], opening_m: float) -> None:
        """Command one arm's joint targets (dof,), no faster than its limits; the commanded tip follows."""
        limb = self._limbs[arm]
        largest = limb.speed_rad_s / self.control_hz
        self._send(limb, self._sent[arm] + np.clip(joints_rad - self._sent[arm], -largest, largest), opening_m)
        self._targets[arm] = Target(self._kinematics[arm].tip(self._sent[arm]), opening_m)

    def hold(self, arm: str) -> None:
        """Stay at the joint targets last sent: the commanded tip becomes the one that belongs to them."""
        self._targets[arm] = Target(self._kinematics[arm].tip(self._sent[arm]), self._targets[arm].opening_m)

    def commanded_opening_m(self, arm: str) -> float:
        """The distance of the jaws last commanded."""
        return self._targets[arm].opening_m

    def advance(self, physics_steps: int) -> None:
        """Let time pass."""
        mujoco().mj_step(self.model, self.data, nstep=physics_steps)
        # A step ends with new joints and the poses of the old ones: without this every pose would be 2 ms late.
        mujoco().mj_kinematics(self.model, self.data)
        self.steps += physics_steps

    # -- what is recorded -----------------------------------------------------------------------------------------

    @functools.cached_property
    def action_channels(self) -> tuple[str, ...]:
        """Names of the numbers of state and action: joints and gripper of each arm."""
        out: list[str] = []
        for limb in self._limbs.values():
            out += [*limb.arm.joints, *([limb.arm.gripper.joint] if limb.arm.gripper else [])]
        return tuple(out)

    @functools.cached_property
    def command_channels(self) -> tuple[str, ...]:
        """Names of the numbers of a tip command: pose and opening of each arm."""
        prefixes = [("" if len(self._limbs) == 1 else f"{name}.") for name in self._limbs]
        axes = ("x", "y", "z", "qx", "qy", "qz", "qw")
        return tuple(f"{arm}{name}" for arm in prefixes for name in (*(f"tip.{axis}" for axis in axes), "opening"))

    def state(self) -> NDArray[np.float64]:
        """Measured joints (rad) and openings (m), as `action_channels`."""
        return np.concatenate(
            [[*self.data.qpos[limb.qpos], self.opening_m(name)] for name, limb in self._limbs.items()]
        )

    def state_of(self, physics: NDArray[np.float64]) -> NDArray[np.float64]:
        """The same of stored states (T, nq + nv): (T, D)."""
        columns = []
        for limb in self._limbs.values():
            columns.append(physics[:, limb.qpos])
            gripper = [[opening_of(limb.arm, value)] for value in physics[:, limb.gripper_qpos]]
            columns.append(np.array(gripper).reshape(len(physics), 1))
        return np.concatenate(columns, axis=1)

    @functools.cached_property
    def is_joint(self) -> NDArray[np.bool_]:
        """Which numbers of state and action are joints, (D,); the others are openings."""
        return np.concatenate([[*[True] * len(limb.qpos), False] for limb in self._limbs.values()])

    def action(self) -> NDArray[np.float64]:
        """Joint targets (rad) and openings (m) last sent, as `action_channels`."""
        return np.concatenate([[*self._sent[name], self._targets[name].opening_m] for name in self._limbs])

    def objects(self) -> NDArray[np.float64]:
        """x y z (m) and quaternion x y z w of every prop of the task, (P, 7)."""
        bodies = self._prop_bodies
        quat_wxyz = self.data.xquat[bodies]
        return np.concatenate([self.data.xpos[bodies], quat_wxyz[:, [1, 2, 3, 0]]], axis=1)

    def tips(self) -> NDArray[np.float64]:
        """Measured tip pose of every arm, (A, 7)."""
        return np.array([_seven(self.tip(name)) for name in self._limbs])

    def commands(self) -> NDArray[np.float64]:
        """Commanded tip pose and opening of every arm, (A, 8)."""
        return np.array([[*_seven(target.tip), target.opening_m] for target in self._targets.values()])

    def physics_state(self) -> NDArray[np.float64]:
        """qpos and qvel, (nq + nv,): enough to render this moment again."""
        return np.concatenate([self.data.qpos, self.data.qvel])

    def force(self) -> NDArray[np.float64]:
        """Force (N) and torque (N m) that each arm's wrist carries, (A, 6), in the frame of its tip."""
        out = []
        for limb in self._limbs.values():
            # What the rest of the arm puts on the hand's body, which the constraint solver knows after a step.
            body = self.model.site_bodyid[limb.site]
            mujoco().mj_rnePostConstraint(self.model, self.data)
            torque, force = self.data.cfrc_int[body][:3], self.data.cfrc_int[body][3:]
            rotation = self.data.site_xmat[limb.site].reshape(3, 3)
            out.append([*(rotation.T @ force), *(rotation.T @ torque)])
        return np.array(out)

    def touching(self) -> frozenset[tuple[int, int]]:
        """Pairs of entities that touch now, each (smaller, larger)."""
        if self._touching[0] != self.steps:
            contacts = self.data.contact
            pairs = self._entity_of_geom[contacts.geom][contacts.dist < 0.0005]
            found = frozenset((min(a, b), max(a, b)) for a, b in pairs.tolist() if a >= 0 and b >= 0 and a != b)
            self._touching = (self.steps, found)
        return self._touching[1]

    @functools.cached_property
    def entity_names(self) -> tuple[str, ...]:
        """Name of each entity of `touching`: table, props, `<arm>/jaw...`, `<arm>/palm`."""
        return entity_names(self.robot, self.props)

    @functools.cached_property
    def _prop_bodies(self) -> NDArray[np.int64]:
        return np.array([self.model.body(prop.name).id for prop in self.own_props], dtype=np.int64)

    def _place(self, prop: Prop, pose: Pose) -> None:
        x, y, z, w = quat_xyzw_of(pose[:3, :3])
        if prop.is_free:
            at = self.model.joint(f"{prop.name}/free").qposadr[0]
            self.data.qpos[at : at + 7] = [*pose[:3, 3], w, x, y, z]
        else:
            body = self.model.body(prop.name).id
            self.model.body_pos[body] = pose[:3, 3]
            self.model.body_quat[body] = [w, x, y, z]

    def _send(self, limb: Limb, joints_rad: NDArray[np.float64], opening_m: float) -> None:
        self._sent[limb.arm.name] = joints_rad
        self.data.ctrl[limb.motors] = joints_rad
        self.data.ctrl[limb.gripper_motor] = joint_of(limb.arm, opening_m)

    def _set_gripper(self, limb: Limb, opening_m: float) -> None:
        value = joint_of(limb.arm, opening_m)
        self.data.qpos[limb.gripper_qpos] = value
        self.data.ctrl[limb.gripper_motor] = value
        for equality in range(self.model.neq):  # the other jaw, where one motor drives two
            if self.model.jnt_qposadr[self.model.eq_obj2id[equality]] == limb.gripper_qpos:
                self.data.qpos[self.model.jnt_qposadr[self.model.eq_obj1id[equality]]] = value


def _seven(pose: Pose) -> list[float]:
    return [*pose[:3, 3], *quat_xyzw_of(pose[:3, :3])]
