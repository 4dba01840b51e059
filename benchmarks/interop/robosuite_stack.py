"""robosuite's Stack, demonstrated by a script and told again by Robokata's generator; runs where robosuite lives.

    PYTHONPATH=src $ROBOSUITE benchmarks/interop/robosuite_stack.py FOLDER EPISODES

`speed_robosuite.py` calls it and says what is compared.
"""

from __future__ import annotations

import itertools
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import mujoco
import numpy as np
import robosuite
import simplejpeg
from robosuite.controllers import load_composite_controller_config

from robokata.core.world import Prop
from robokata.geometry.poses import Pose, pose_of, rotation_vector, wrapped_rad, yaw_of, yaw_rotation
from robokata.sim.segments import Cut
from robokata.sim.transfer_options import Telling, bridge, chosen, moved, targets_of, with_noise
from robokata.sim.world import Target

CONTROL_HZ = 20
SOURCES = 10
OPEN_M, CLOSED_M = 0.08, 0.0
CUBES = tuple(Prop(name, (), yaw_symmetry=4) for name in ("cubeA", "cubeB"))
STACKED_M = 0.045
"""Distance of the middles: half edges of 20 and 25 mm, robosuite/environments/manipulation/stack.py."""
LIFTED_M = 0.04
CAMERAS = ("agentview", "robot0_eye_in_hand")
SIZE_PX, JPEG_QUALITY = 128, 92
HAND_DOWN = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, -1.0]])
"""world_from_grip_site of robosuite's Panda at rest, its tilt of a few degrees taken out."""
MARGIN_STEPS = 5
"""Steps past the lift that a cut keeps: `Telling.offset_steps` moves its end that far."""
TAIL_STEPS = 8
"""0.4 s after the last command in which a success must last, as with Robokata's."""


class Step(NamedTuple):
    """What the arm is told in one control step: as meant, and with the wander."""

    clean: Target
    sent: Target


class Attempt(NamedTuple):
    """One demonstration or one telling of it."""

    states: list[Any]
    """qpos before each step."""
    actions: list[Any]
    targets: list[Target]
    lifted: int
    """Step in which cube A was lifted: the first subtask was reached."""
    cubes: list[Pose]
    """Where cube A lay at the beginning, and cube B when cube A was lifted."""
    is_success: bool


Teller = Callable[["Stack", Target, Pose], Iterable[Step]]
"""The steps of a subtask: from the world, the last command, and where its cube lies."""


class Stack:
    """robosuite's Stack and a renderer of its model. A class, because it is the state of a world."""

    def __init__(self, *, seed: int) -> None:
        self.env = robosuite.make(
            "Stack",
            robots="Panda",
            controller_configs=load_composite_controller_config(controller="BASIC", robot="Panda"),
            control_freq=CONTROL_HZ,
            has_renderer=False,
            has_offscreen_renderer=False,
            use_camera_obs=False,
            use_object_obs=False,
            hard_reset=False,
            ignore_done=True,
            seed=seed,
        )
        self.env.reset()
        self.model, self.data = self.env.sim.model._model, self.env.sim.data._data
        self.model.vis.quality.offsamples = 0
        self._seen, self._option = mujoco.MjData(self.model), mujoco.MjvOption()
        self._option.geomgroup[0] = 0  # collision geoms
        self._renderer = mujoco.Renderer(self.model, SIZE_PX, SIZE_PX)

    def tip(self) -> Pose:
        site = self.data.site("gripper0_right_grip_site")
        return pose_of(site.xpos, site.xmat.reshape(3, 3))

    def cube(self, name: str) -> Pose:
        body = self.data.body(f"{name}_main")
        return pose_of(body.xpos, body.xmat.reshape(3, 3))

    def step(self, target: Target) -> Any:
        """One control step towards a pose; the action, (7,): shares of 0.05 m and 0.5 rad, and the jaws."""
        tip = self.tip()
        position = np.clip((target.tip[:3, 3] - tip[:3, 3]) / 0.05, -1, 1)
        turn = np.clip(rotation_vector(target.tip[:3, :3] @ tip[:3, :3].T) / 0.5, -1, 1)
        action = np.array([*position, *turn, -1.0 if target.opening_m > OPEN_M / 2 else 1.0])
        self.env.step(action)
        return action

    def is_lifted(self) -> bool:
        return bool(self.cube("cubeA")[2, 3] - self.env.table_offset[2] > 0.02 + LIFTED_M)

    def film(self, states: list[Any]) -> dict[str, list[bytes]]:
        """JPEG of both cameras at every stored state."""
        films: dict[str, list[bytes]] = {camera: [] for camera in CAMERAS}
        for state in states:
            self._seen.qpos[:] = state
            mujoco.mj_kinematics(self.model, self._seen)
            mujoco.mj_camlight(self.model, self._seen)
            for camera, pictures in films.items():
                self._renderer.update_scene(self._seen, camera, self._option)
                self._renderer.scene.flags[mujoco.mjtRndFlag.mjRND_REFLECTION] = 0
                self._renderer.scene.flags[mujoco.mjtRndFlag.mjRND_SHADOW] = 0
                pictures.append(simplejpeg.encode_jpeg(self._renderer.render(), JPEG_QUALITY, "RGB", "444"))
        return films


def played(stack: Stack, tellers: tuple[Teller, Teller]) -> Attempt:
    """One attempt from a new reset; it ends early where cube A was not lifted."""
    stack.env.reset()
    here = Target(stack.tip(), OPEN_M)
    made = Attempt([], [], [], 0, [], False)
    for cube, teller in zip(CUBES, tellers, strict=True):
        made.cubes.append(stack.cube(cube.name))
        for step in teller(stack, here, made.cubes[-1]):
            _record(stack, made, step)
            here = step.clean
            if not made.lifted and stack.is_lifted():
                made = made._replace(lifted=len(made.targets) - 1)
        if not made.lifted:
            return made
    for _ in range(TAIL_STEPS):
        _record(stack, made, Step(here, here))
    return made._replace(is_success=bool(stack.env._check_success()))


def _record(stack: Stack, made: Attempt, step: Step) -> None:
    made.states.append(stack.data.qpos.copy())
    made.actions.append(stack.step(step.sent))
    made.targets.append(step.clean)


def expert(rng: np.random.Generator) -> tuple[Teller, Teller]:
    """A scripted demonstration: brisk in transit, slow near the cubes, waiting where the arm must catch up."""
    fast, slow = Telling(bridge_speed_m_s=rng.uniform(0.3, 0.45)), Telling(bridge_speed_m_s=rng.uniform(0.15, 0.25))
    above_m = rng.uniform(0.06, 0.1)

    def take(stack: Stack, here: Target, cube: Pose) -> Iterator[Step]:
        grasp = _hand(cube[:3, 3], cube)
        over = _raised(grasp, above_m)
        yield from _through(here, [(over, OPEN_M, fast, 2), (grasp, OPEN_M, slow, 5), (grasp, CLOSED_M, slow, 6)])
        yield from _through(Target(grasp, CLOSED_M), [(_raised(grasp, 0.1), CLOSED_M, fast, 4)])

    def place(stack: Stack, here: Target, cube: Pose) -> Iterator[Step]:
        held_m = stack.tip()[:3, 3] - stack.cube("cubeA")[:3, 3]
        top = _hand(cube[:3, 3] + held_m + [0, 0, STACKED_M + 0.002], cube)
        down = [(_raised(top, 0.07), CLOSED_M, fast, 4), (top, CLOSED_M, slow, 6), (top, OPEN_M, slow, 4)]
        yield from _through(here, [*down, (_raised(top, above_m), OPEN_M, fast, 0)])

    return take, place


def _through(here: Target, points: list[tuple[Pose, float, Telling, int]]) -> Iterator[Step]:
    for tip, opening_m, speed, waiting_steps in points:
        way = [*bridge(here, tip, speed, control_hz=CONTROL_HZ)] if here.opening_m == opening_m else []
        here = Target(tip, opening_m)
        yield from (Step(target, target) for target in [*way, here, *[here] * waiting_steps])


def _hand(position_m: Any, cube: Pose) -> Pose:
    """A hand that points down, square to a cube."""
    return pose_of(position_m, yaw_rotation(wrapped_rad(yaw_of(cube), period_rad=np.pi / 2)) @ HAND_DOWN)


def _raised(tip: Pose, height_m: float) -> Pose:
    return pose_of(tip[:3, 3] + [0, 0, height_m], tip[:3, :3])


def retold(sources: list[Attempt], rng: np.random.Generator) -> tuple[Teller, Teller]:
    """Both subtasks after the nearest demonstrations, by the generator's own functions."""
    telling = Telling()

    def teller(number: int) -> Teller:
        def tell(stack: Stack, here: Target, cube: Pose) -> Iterator[Step]:
            cuts = [_cut(source, number) for source in sources]
            cut = chosen(cuts, telling, prop=CUBES[number], prop_now=cube, tip_now=stack.tip(), rng=rng)
            motion = moved(cut, CUBES[number], cube)
            clean = targets_of(cut, motion, telling, start=here, control_hz=CONTROL_HZ, rng=rng)
            sent = with_noise(clean, telling, control_hz=CONTROL_HZ, rng=rng)
            return map(Step, clean, sent)

        return tell

    return teller(0), teller(1)


def _cut(source: Attempt, number: int) -> Cut:
    reached = source.lifted + 1
    piece = source.targets[: reached + MARGIN_STEPS] if number == 0 else source.targets[reached:]
    return Cut(
        source="",
        subtask=CUBES[number].name,
        targets=tuple(target.tip for target in piece),
        openings_m=np.array([target.opening_m for target in piece]),
        prop_at_start=source.cubes[number],
        end=reached if number == 0 else len(piece),
    )


def main(folder: Path, *, episodes: int) -> None:
    """One line of JSON: what `episodes` accepted ones cost, with those that were tried in vain."""
    folder.mkdir(parents=True)
    stack, rng = Stack(seed=0), np.random.default_rng(0)
    demonstrations = (played(stack, expert(rng)) for _ in range(3 * SOURCES))
    sources = [*itertools.islice((made for made in demonstrations if made.is_success), SOURCES)]
    stack.film(sources[0].states[:2])  # shaders are compiled before the clock starts
    began_s, began_cpu_s, lengths, tried = time.perf_counter(), time.process_time(), [], 0
    while len(lengths) < episodes:
        tried += 1
        made = played(stack, retold(sources, rng))
        if made.is_success:
            _write(folder / f"{tried}.npz", made, stack.film(made.states))
            lengths.append(len(made.states))
    cpu_s, wall_s = time.process_time() - began_cpu_s, time.perf_counter() - began_s
    spent = {"cpu_s": cpu_s, "wall_s": wall_s, "median_s": statistics.median(lengths) / CONTROL_HZ}
    print(json.dumps({"accepted": len(lengths), "tried": tried, **spent}))


def _write(path: Path, made: Attempt, films: dict[str, list[bytes]]) -> None:
    pictures = {camera: np.frombuffer(b"".join(film), np.uint8) for camera, film in films.items()}
    np.savez(path, states=np.array(made.states), actions=np.array(made.actions), **pictures)


if __name__ == "__main__":
    main(Path(sys.argv[1]), episodes=int(sys.argv[2]))
