"""What streams are called in a LeRobot dataset."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from robokata.core.episode import Episode
from robokata.core.stream import Role, Stream
from robokata.formats._lerobot.streams import role_of

MADE = ("timestamp", "frame_index", "episode_index", "index", "task_index")
"""Columns that every LeRobot dataset makes itself."""
_LONGEST = 120
"""Characters of a name: cameras become folders, and folders hold 255 bytes."""
_OPENINGS = {"steps", "observation", "observations", "obs", "images", "image", "data", "action_dict", "states", "state"}
"""First words of a path that say only what the target's own prefix says again."""
_OF_THIS_STEP = ("is_first", "is_last")
"""Flags of the step that they stand in; LeRobot's `next.` are of the step that an action leads to."""
_PREFIXES = {Role.STATE: "observation.", Role.SENSOR: "observation.", Role.ACTION: "action.", Role.ENDING: "next."}


def target_names(episode: Episode, streams: Sequence[Stream]) -> Mapping[str, str]:
    """Stream -> feature, for the streams that get one; the same for every episode of the same streams.

    A LeRobot name stays. Else the only state, or of several the joint positions, become `observation.state`, which
    policies ask for; the only action becomes `action`, the only reward `next.reward`, cameras `observation.images.*`,
    and the rest the words of their own name behind the prefix of their role.
    """
    is_lerobot = episode.ref is not None and episode.ref.format.startswith("lerobot")
    names = {s.name: s.name for s in streams if _is_legal(s.name) and (is_lerobot or _is_conventional(s))}
    used = {*names.values(), *MADE}
    for stream in streams:
        if stream.name not in names:
            names[stream.name] = _free(_wanted(stream, streams), used)
            used.add(names[stream.name])
    return names


def _is_legal(name: str) -> bool:
    """True for what LeRobot takes and every file system holds."""
    return name not in (*MADE, "", ".", "..") and bool(re.fullmatch(rf"[\w.+\- ]{{1,{_LONGEST}}}", name, re.ASCII))


def _is_conventional(stream: Stream) -> bool:
    if stream.is_picture:
        return stream.name.startswith("observation.image")
    # `actions` and `observation_state` are other formats' words.
    is_plain = stream.role not in _PREFIXES or stream.name == "action" or stream.name.startswith(_PREFIXES[stream.role])
    return is_plain and role_of(stream.name, stream.kind, stream.values.dtype) is stream.role


def _wanted(stream: Stream, streams: Sequence[Stream]) -> str:
    if stream.is_picture:
        return f"observation.images.{slug(stream.name)}"
    if slug(stream.name) in _OF_THIS_STEP:
        return slug(stream.name)
    alone = {Role.STATE: "observation.state", Role.ACTION: "action", Role.REWARD: "next.reward"}
    alike = [s for s in streams if s.role is stream.role and s.is_numeric]
    if stream.role in alone and (len(alike) == 1 or (stream.role is Role.STATE and stream is _positions(alike))):
        return alone[stream.role]
    return f"{_PREFIXES.get(stream.role, '')}{slug(stream.name)}"


def _positions(states: Sequence[Stream]) -> Stream | None:
    """The joint positions among several states, by their name; None where no name says so."""
    for pattern in (r"qpos", r"joint.*pos", r"proprio", r"^(robot_)?state$"):
        found = next((state for state in states if re.search(pattern, state.name, re.IGNORECASE)), None)
        if found is not None:
            return found
    return None


def slug(name: str) -> str:
    """The words of a name, without those that only say where it lies."""
    words = [word for word in re.split(r"[^0-9A-Za-z]+", name) if word]
    while len(words) > 1 and words[0].lower() in _OPENINGS:
        words = words[1:]
    return "_".join(words)[: _LONGEST - 40] or "stream"


def _free(name: str, used: set[str]) -> str:
    chosen, number = name, 2
    while chosen in used:
        chosen, number = f"{name}_{number}", number + 1
    return chosen
