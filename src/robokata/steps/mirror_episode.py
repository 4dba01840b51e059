"""The same episode seen in a mirror: left is right, and everything that was done was done by the other hand.

Pictures are flipped, poses reflected, joints turned the way that the robot's own symmetry asks (derived from its
kinematic model and verified by forward kinematics: `geometry.symmetry`), arms and cameras of a pair change places,
and so do the words left and right. A robot that is not its own mirror image is refused, and so is an episode whose
mirrored joints pass a limit. Numbers that nobody can mirror (a simulator's whole state) are left out, and named in the
trace. Writing in a picture reads backwards.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robokata.core.episode import Embodiment, Episode
from robokata.core.errors import StepRefused, Unsupported
from robokata.core.stream import Role, Stream
from robokata.core.trace import traced
from robokata.core.values import ArrayValues
from robokata.geometry.symmetry import Symmetry, Twin, symmetry_of
from robokata.steps._pictures import repainted

_NAME = __name__.rpartition(".")[2]
_BEYOND_RAD = 1e-3
"""A recording may pass a joint's limit by its encoder's noise."""
_AS_THEY_ARE = (Role.REWARD, Role.ENDING, Role.LANGUAGE, Role.BOOKKEEPING)
_POSE = ("x", "y", "z", "qx", "qy", "qz", "qw")
_WRENCH = ("fx", "fy", "fz", "tx", "ty", "tz")
_RATES = ("velocity", "delta_prev_measured", "delta_prev_command")
_SIDES = {
    **{"left": "right", "leftmost": "rightmost", "leftward": "rightward", "leftwards": "rightwards"},
    "clockwise": "counterclockwise",
}
_OTHER_SIDE = {**_SIDES, **{right: left for left, right in _SIDES.items()}}
_SIDE = re.compile(rf"\b(?:{'|'.join(_OTHER_SIDE)})\b(?!\s+(?:now|away|side up|angle)\b)", re.I)
"""Not `right now`, `right away`, `right side up`, `right angle`: these have no left."""


def step(
    episode: Episode,
    *,
    # The mirror image alone: expansion adds it to a dataset that has the original.
    keep_original: bool = False,
) -> Iterator[Episode]:
    """The mirror image, under the id `ID-mirrored`; after the original where that is kept.

    Raises:
        StepRefused: the robot is not its own mirror image, a joint would pass its limit, or numbers of state or action
            do not say what they mean.
    """
    if keep_original:
        yield episode
    robot = episode.embodiment
    if robot is None:
        raise StepRefused(_NAME, episode.id, "it does not say which robot this is.")
    try:
        symmetry = symmetry_of(robot)
    except Unsupported as reason:
        raise StepRefused(_NAME, episode.id, str(reason)) from None
    streams: dict[str, Stream] = {}
    left_out = []
    for stream in episode.streams.values():
        image = _image_of(stream, episode, robot, symmetry)
        if image is None:
            left_out.append(stream.name)
        else:
            streams[image.name] = image
    changed = replace(
        episode,
        # In the order of the original, where a pair's cameras have changed places.
        streams={name: streams[name] for name in (*episode.streams, *streams) if name in streams},
        instructions=tuple(replace(each, text=other_side(each.text)) for each in episode.instructions),
        annotations=tuple(replace(each, label=_relabelled(each.label, symmetry)) for each in episode.annotations),
        extra=_extra(episode.extra),
    )
    said = {"plane": symmetry.plane, "left_out": left_out}
    yield traced(
        changed,
        of=episode,
        step=_NAME,
        parameters={"keep_original": keep_original},
        id=f"{episode.id}-mirrored",
        said=said,
    )


def other_side(text: str) -> str:
    """A text with left and right exchanged, in the case that they are written in."""

    def swapped(found: re.Match[str]) -> str:
        word = _OTHER_SIDE[found[0].lower()]
        return word.upper() if found[0].isupper() else word.capitalize() if found[0][0].isupper() else word

    return _SIDE.sub(swapped, text)


def _image_of(stream: Stream, episode: Episode, robot: Embodiment, symmetry: Symmetry) -> Stream | None:
    """The stream in the mirror, None where nobody can tell what it would be."""
    if stream.is_picture:
        return _flipped(stream, episode, symmetry)
    if stream.role in _AS_THEY_ARE or not stream.is_numeric:
        return stream
    if stream.channels is None or len(stream.shape) != 1:
        return _left_out(stream, episode, "its numbers have no names")
    table = np.asarray(stream.table, np.float64)
    image = np.full_like(table, np.nan)
    column = {channel: number for number, channel in enumerate(stream.channels)}
    done = {
        *_joints(stream, episode, robot, symmetry, column, table, image),
        *_poses(stream, symmetry, column, table, image),
        *_wrenches(symmetry, column, table, image),
    }
    unknown = [channel for channel in stream.channels if channel not in done]
    if unknown:
        return _left_out(stream, episode, f"nothing tells what {unknown[0]!r} becomes")
    return stream.with_values(ArrayValues(image.astype(stream.values.dtype)))


def _left_out(stream: Stream, episode: Episode, why: str) -> Stream | None:
    """None for what a policy can do without; state and action it cannot."""
    if stream.role in (Role.STATE, Role.ACTION):
        raise StepRefused(_NAME, episode.id, f"{stream.name} cannot be mirrored: {why}.")
    return None


def _joints(
    stream: Stream,
    episode: Episode,
    robot: Embodiment,
    symmetry: Symmetry,
    column: Mapping[str, int],
    table: NDArray[np.float64],
    image: NDArray[np.float64],
) -> Iterator[str]:
    """Mirror what is named after joints and grippers; the names that are done."""
    by_name = {arm.name: arm for arm in robot.arms}
    for arm in robot.arms:
        twin = symmetry.twins[arm.name]
        partner = by_name[twin.arm]
        if all(joint in column for joint in (*arm.joints, *partner.joints)):
            mine, theirs = [column[j] for j in arm.joints], [column[j] for j in partner.joints]
            image[:, theirs] = _turned(table[:, mine], twin, stream, episode)
            _refuse_beyond(image[:, theirs], partner.joints, robot, episode, stream)
            yield from arm.joints
        if arm.gripper and partner.gripper and {arm.gripper.joint, partner.gripper.joint} <= set(column):
            image[:, column[partner.gripper.joint]] = table[:, column[arm.gripper.joint]]
            yield arm.gripper.joint


def _turned(joints: NDArray[np.float64], twin: Twin, stream: Stream, episode: Episode) -> NDArray[np.float64]:
    said = stream.meaning.reference.value if stream.meaning.reference else None
    if said in _RATES:
        return joints * twin.signs
    if said == "absolute" or (said is None and stream.role is Role.STATE):
        return joints * twin.signs + twin.offsets_rad
    raise StepRefused(_NAME, episode.id, f"{stream.name} does not say whether its joints are absolute or changes.")


def _refuse_beyond(
    values: NDArray[np.float64], names: tuple[str, ...], robot: Embodiment, episode: Episode, stream: Stream
) -> None:
    if stream.meaning.reference is not None and stream.meaning.reference.value in _RATES:
        return
    limits = {joint.name: joint for joint in robot.joints}
    for name, column in zip(names, values.T, strict=True):
        joint = limits.get(name)
        if joint is None or joint.lower is None or joint.upper is None or not len(column):
            continue
        if column.min() < joint.lower - _BEYOND_RAD or column.max() > joint.upper + _BEYOND_RAD:
            raise StepRefused(
                _NAME,
                episode.id,
                f"{name} would go from {column.min():.3f} to {column.max():.3f} rad in {stream.name}, and its limits "
                f"are {joint.lower:.3f} and {joint.upper:.3f}.",
            )


def _poses(
    stream: Stream,
    symmetry: Symmetry,
    column: Mapping[str, int],
    table: NDArray[np.float64],
    image: NDArray[np.float64],
) -> Iterator[str]:
    """Mirror absolute poses in the world, and the openings beside them; the names that are done."""
    frame, reference = stream.meaning.frame, stream.meaning.reference
    if (frame is not None and frame.value not in ("world", "base")) or (reference and reference.value != "absolute"):
        return
    for owner in [name.removesuffix("qw") for name in column if name.endswith(".qw")]:
        names = [f"{owner}{axis}" for axis in _POSE]
        twin = [f"{_twin_owner(owner, symmetry)}{axis}" for axis in _POSE]
        if all(name in column for name in (*names, *twin)):
            # A thing on the table has no hand: it is mirrored in itself, as a cube or a bowl is.
            own = symmetry.tool if _is_tip(owner, symmetry) else symmetry.space
            image[:, [column[n] for n in twin]] = mirrored_poses(
                table[:, [column[n] for n in names]], symmetry.space, own
            )
            yield from names
    for name in column:
        if name == "opening" or name.endswith(".opening"):
            image[:, column[_twin_owner(name, symmetry)]] = table[:, column[name]]
            yield name


def mirrored_poses(
    sevens: NDArray[np.float64], space: NDArray[np.float64], own: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Poses (T, 7) of things, in a mirror `space` of the world, for things that are mirrored in `own` of their frame.

    Rotation M R K = (M R M) (M K). M R M mirrors the axis as an axial vector: the quaternion's parts in the plane's
    own coordinates change their sign. M K is the identity, or half a turn about z. Signs never jump where they did not.
    """
    quat = sevens[:, 3:7] * np.append(-np.diag(space), 1.0)
    if not np.array_equal(space, own):
        x, y, z, w = quat.T
        quat = np.stack([y, -x, w, -z], axis=1)  # times (0, 0, 1, 0)
    return np.concatenate([sevens[:, :3] * np.diag(space), quat], axis=1)


def _wrenches(
    symmetry: Symmetry, column: Mapping[str, int], table: NDArray[np.float64], image: NDArray[np.float64]
) -> Iterator[str]:
    """Mirror forces and torques in the tool's frame: a torque is axial."""
    signs = np.concatenate([np.diag(symmetry.tool), -np.diag(symmetry.tool)])
    for owner in [name.removesuffix("fx") for name in column if name.endswith("fx")]:
        names = [f"{owner}{axis}" for axis in _WRENCH]
        twin = [f"{_twin_owner(owner, symmetry)}{axis}" for axis in _WRENCH]
        if all(name in column for name in (*names, *twin)):
            image[:, [column[n] for n in twin]] = table[:, [column[n] for n in names]] * signs
            yield from names


def _is_tip(owner: str, symmetry: Symmetry) -> bool:
    parts = owner.rstrip(".").split(".")
    return parts[-1] == "tip" and (len(parts) == 1 or parts[0] in symmetry.twins)


def _twin_owner(owner: str, symmetry: Symmetry) -> str:
    """`left.tip.` becomes `right.tip.` where the arms change places."""
    arm, dot, rest = owner.partition(".")
    return f"{symmetry.twins[arm].arm}{dot}{rest}" if dot and arm in symmetry.twins else owner


def _flipped(stream: Stream, episode: Episode, symmetry: Symmetry) -> Stream:
    place, dot, camera = stream.name.rpartition(".")
    other = symmetry.cameras.get(camera)
    moved = [name for name in _factors(episode) if "camera" in name]
    if other is None or moved:
        why = f"was moved by {moved[0]}" if moved else f"does not look along the mirror of robot {_robot(episode)}"
        raise StepRefused(
            _NAME, episode.id, f"the camera of {stream.name} {why}. Leave it out first, with keep_cameras."
        )
    frame = stream.meaning.frame
    meaning = stream.meaning
    if frame is not None and frame.value == f"camera:{camera}":
        meaning = replace(meaning, frame=replace(frame, value=f"camera:{other}"))
    return replace(repainted(stream, _flip), name=f"{place}{dot}{other}", meaning=meaning)


def _flip(picture: NDArray[Any], index: int) -> NDArray[Any]:
    return picture[:, ::-1]


def _robot(episode: Episode) -> str:
    return episode.embodiment.name if episode.embodiment else "unknown"


def _factors(episode: Episode) -> Mapping[str, Any]:
    found = episode.extra.get("simulation", {}).get("factors", {})
    return found if isinstance(found, Mapping) else {}


def _relabelled(label: str, symmetry: Symmetry) -> str:
    twins = {name: twin.arm for name, twin in symmetry.twins.items()}
    return ":".join(twins.get(part, part) for part in label.split(":"))


def _extra(extra: Mapping[str, Any]) -> dict[str, Any]:
    """What a simulator says of the episode: the words of its instruction change sides too."""
    simulation = extra.get("simulation")
    if not isinstance(simulation, Mapping) or not isinstance(simulation.get("words"), Mapping):
        return dict(extra)
    words = {slot: other_side(str(word)) for slot, word in simulation["words"].items()}
    return {**extra, "simulation": {**simulation, "words": words}}
