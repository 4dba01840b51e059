"""A small robot that does everything right: the sound episode that every check must stay silent on."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from robokata.core.clock import NS_PER_S, Clock, grid_clock, measured_clock
from robokata.core.episode import Embodiment, Episode, Instruction, Origin, Outcome
from robokata.core.source import Declaration, EpisodeList, Facts, row_of
from robokata.core.stream import Kind, Role, Stream
from robokata.core.values import ArrayValues
from robokata.media.images import RawImages

JOINTS = ("shoulder_pan", "shoulder_lift", "elbow", "wrist_roll", "wrist_pitch", "gripper")
CAMERA = "observation.images.front"
INSTRUCTIONS = (
    "pick up the red block and place it in the bowl",
    "open the top drawer",
    "stack the green cube on the blue cube",
)
_RATE_HZ = Fraction(50)
_LAG_SAMPLES = 3
"""The robot follows its commands 60 ms late, as position-controlled arms do."""


def tiny_episode(
    number: int = 0,
    *,
    duration_s: float = 8.0,
    seed: int = 0,
    is_measured: bool = True,
    split: str = "train",
    camera_rate_hz: Fraction = Fraction(30),
    height_px: int = 48,
    width_px: int = 64,
) -> Episode:
    """One sound episode: 6 joints at 50 Hz, the commands that moved them, and a small camera at 30 Hz.

    The arm moves through five poses with a short rest at each, ends at rest, and the camera sees it move.
    Episodes of different `number` or `seed` differ in everything. `is_measured=False` gives the clocks that
    LeRobot synthesizes instead of jittered ones.
    """
    rng = np.random.default_rng([seed, number])
    steps = round(duration_s * _RATE_HZ)
    frames = int(steps * camera_rate_hz / _RATE_HZ)
    path = _joint_path(steps + _LAG_SAMPLES, rng)
    # Encoder noise of 0.3 mrad: a 12-bit encoder's half step is 0.8 mrad.
    state = path[:steps] + rng.normal(0, 3e-4, (steps, len(JOINTS)))
    action = path[_LAG_SAMPLES:]
    clock = _clock(steps, _RATE_HZ, rng, is_measured)
    camera_clock = _clock(frames, camera_rate_hz, rng, is_measured)
    at = np.clip(np.searchsorted(clock.times_ns, camera_clock.times_ns), 0, steps - 1)
    counter = np.arange(steps, dtype=np.int64)
    streams = [
        Stream(
            "observation.state", Kind.TENSOR, Role.STATE, clock, ArrayValues(state.astype(np.float32)), channels=JOINTS
        ),
        Stream("action", Kind.TENSOR, Role.ACTION, clock, ArrayValues(action.astype(np.float32)), channels=JOINTS),
        Stream(
            CAMERA,
            Kind.IMAGE,
            Role.CAMERA,
            camera_clock,
            RawImages(
                ArrayValues(_pictures(state[at], rng, height_px, width_px)), where=f"tiny episode {number}: {CAMERA}"
            ),
            encoding="raw",
        ),
        Stream("frame_index", Kind.TENSOR, Role.BOOKKEEPING, clock, ArrayValues(counter)),
        Stream("episode_index", Kind.TENSOR, Role.BOOKKEEPING, clock, ArrayValues(np.full(steps, number))),
        Stream("index", Kind.TENSOR, Role.BOOKKEEPING, clock, ArrayValues(counter + number * steps)),
    ]
    return Episode(
        id=str(number),
        streams={stream.name: stream for stream in streams},
        embodiment=Embodiment("tiny_arm"),
        instructions=(Instruction(INSTRUCTIONS[number % len(INSTRUCTIONS)], source="task"),),
        outcome=Outcome(success=True, reason="declared"),
        origin=Origin(split=split),
        declared_rate_hz=_RATE_HZ,
        declared_steps=steps,
    )


def tiny_source(count: int = 6, *, seed: int = 0, duration_s: float = 4.0, is_measured: bool = True) -> EpisodeList:
    """Sound episodes as a dataset whose every declaration holds; the last third is the split `val`."""
    train = count - count // 3
    episodes = [
        tiny_episode(
            n, duration_s=duration_s, seed=seed, is_measured=is_measured, split="train" if n < train else "val"
        )
        for n in range(count)
    ]
    return EpisodeList(episodes, sound_facts(episodes))


def sound_facts(episodes: list[Episode]) -> Facts:
    """Facts that agree with the episodes in every declaration, pointer and statistic."""
    rows, first = [], 0
    for episode in episodes:
        row = row_of(episode)
        rows.append(replace(row, first_row=first, end_row=first + (row.steps or 0)))
        first += row.steps or 0
    splits = {row.split or "": sum(r.split == row.split for r in rows) for row in rows}
    tables = {
        name: np.concatenate([episode.streams[name].table for episode in episodes]).astype(np.float64)
        for name in ("observation.state", "action")
        if episodes and name in episodes[0].streams
    }
    return Facts(
        format="memory",
        version="1",
        rows=rows,
        robots=("tiny_arm",),
        declared_rate_hz=_RATE_HZ,
        splits=splits,
        declarations=(
            Declaration("total_episodes", len(rows), len(rows), "meta/info.json"),
            Declaration("total_frames", first, first, "meta/info.json"),
            *(Declaration(f"splits.{name}", count, count, "meta/info.json") for name, count in splits.items()),
        ),
        statistics={
            name: {
                "mean": table.mean(0),
                "std": table.std(0),
                "min": table.min(0),
                "max": table.max(0),
                "count": np.asarray([len(table)]),
            }
            for name, table in tables.items()
        },
    )


def _joint_path(samples: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Minimum-jerk moves between random poses, (samples, 6) in radians; the gripper opens and closes in 0..1."""
    poses = rng.uniform(-1.2, 1.2, (6, len(JOINTS)))
    poses[:, -1] = [1.0, 1.0, 0.0, 0.0, 1.0, 1.0]
    # Each move is long enough to see, the last pose is reached before the end.
    knots = np.linspace(0, samples * 0.96, len(poses))
    phase = np.interp(np.arange(samples), knots, np.arange(len(poses)))
    leg = np.minimum(phase.astype(int), len(poses) - 2)
    t = np.clip((phase - leg) / 0.9, 0, 1)  # the last tenth of each leg is rest
    blend = (10 * t**3 - 15 * t**4 + 6 * t**5)[:, np.newaxis]
    return np.asarray(poses[leg] + blend * (poses[leg + 1] - poses[leg]))


def _clock(count: int, rate_hz: Fraction, rng: np.random.Generator, is_measured: bool) -> Clock:
    if not is_measured:
        return grid_clock(count, rate_hz)
    # 1 % jitter and a random start within the first millisecond: a good USB camera on an idle machine.
    period_ns = float(NS_PER_S / rate_hz)
    times = np.arange(count) * period_ns + rng.normal(0, 0.01 * period_ns, count) + rng.uniform(0, 1e6)
    start_ns = 1_700_000_000 * NS_PER_S
    return measured_clock(start_ns + np.sort(times).astype(np.int64), declared_rate_hz=rate_hz)


def _pictures(states: NDArray[np.float64], rng: np.random.Generator, height: int, width: int) -> NDArray[np.uint8]:
    """What a fixed camera sees: three links and a gripper before a textured wall, (T, H, W, 3)."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    wall = 105 + 14 * np.sin(x * 13 / width) * np.cos(y * 7 / height) + rng.normal(0, 6, (height, width))
    table = np.where(y > 0.86 * height, wall * 0.6, wall)
    pictures = np.repeat(np.stack([table * 0.92, table, table * 1.08], axis=-1)[np.newaxis], len(states), axis=0)
    block_x = width * rng.uniform(0.1, 0.9)
    block = (np.abs(x - block_x) < 0.05 * width) & (np.abs(y - 0.84 * height) < 0.05 * height)
    pictures[:, block] = (190, 48, 40)
    joint_x, joint_y = np.full(len(states), width * 0.5), np.full(len(states), height * 0.88)
    bearing = np.full(len(states), -np.pi / 2)
    lengths, colours = (0.36, 0.30, 0.18), ((226, 138, 40), (240, 176, 60), (70, 74, 84))
    for joint, (length, colour) in enumerate(zip(lengths, colours, strict=True)):
        bearing = bearing + states[:, joint]
        next_x, next_y = joint_x + length * height * np.cos(bearing), joint_y + length * height * np.sin(bearing)
        # The gripper opens: its link is drawn up to twice as thick.
        thickness = height * (0.05 + 0.03 * np.clip(states[:, -1], 0, 1) if joint == 2 else np.full(len(states), 0.05))
        _draw_links(pictures, (joint_x, joint_y, next_x, next_y), thickness, np.asarray(colour, np.float32), x, y)
        joint_x, joint_y = next_x, next_y
    noise = rng.normal(0, 1.5, (4, height, width))
    pictures += noise[np.arange(len(states)) % 4, ..., np.newaxis]
    return np.ascontiguousarray(np.clip(pictures, 0, 255).astype(np.uint8))


def _draw_links(
    pictures: NDArray[np.float32],
    ends: tuple[NDArray[np.float64], ...],
    thickness: NDArray[np.float64],
    colour: NDArray[np.float32],
    x: NDArray[np.float32],
    y: NDArray[np.float32],
) -> None:
    """One link per picture: pixels within `thickness` of the segment, with a soft edge of one pixel."""
    for row, (x0, y0, x1, y1) in enumerate(zip(*ends, strict=True)):
        along_x, along_y = x1 - x0, y1 - y0
        share = np.clip(((x - x0) * along_x + (y - y0) * along_y) / (along_x**2 + along_y**2), 0, 1)
        distance = np.hypot(x - x0 - share * along_x, y - y0 - share * along_y)
        cover = np.clip(thickness[row] - distance, 0, 1)[..., np.newaxis]
        pictures[row] += cover * (colour - pictures[row])
