"""ManiSkill trajectories: traj_0, traj_1, ... in one HDF5 file, with a JSON of the same name beside it.

A trajectory of T actions has T + 1 observations and states of the simulator: the last ones are what the last action led
to. `rewards`, `terminated`, `truncated`, `success` and `fail` are what a step led to, and stand one step later than its
action. The rate is `control_freq` where the JSON has it: declared, never measured; the robot, the control mode and the
outcome come from there too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

from robokata.containers.hdf5.file import Container
from robokata.containers.hdf5.open_files import SUFFIXES, file_bytes, has_signature
from robokata.containers.hdf5.values import Table
from robokata.core.clock import ClockQuality, paced_clock, rate_fraction, step_clock
from robokata.core.episode import Embodiment, Episode, EpisodeRef, Outcome
from robokata.core.errors import DamagedData, MissingPart, UnknownName
from robokata.core.source import Declaration, EpisodeRow, Facts, Size
from robokata.core.stream import Role, Stream
from robokata.formats._hdf5.streams import kind_of_numbers, stream_of
from robokata.formats._lerobot.facts import read_json
from robokata.formats._roles import column_role

LOOKS_FOR = "an HDF5 file with trajectories in traj_0, traj_1, ... (ManiSkill), and a .json of the same name"
_TRAJECTORY = re.compile(r"traj_\d+")
_LED_TO = ("rewards", "reward", "terminated", "truncated", "success", "fail", "dones")
"""What the step after an action led to."""


def sniff(path: Path) -> float:
    """0.95 for a file that holds traj_<n>."""
    if path.is_dir() or not (path.name.lower().endswith(SUFFIXES) and has_signature(path)):
        return 0.0
    try:
        return 0.95 if any(_TRAJECTORY.fullmatch(name) for name in Container(path).children("")) else 0.0
    except (DamagedData, MissingPart):
        return 0.0


def read(path: Path) -> ManiSkillSource:
    """Open one file: the names of its trajectories, and the JSON beside it.

    Raises:
        DamagedData: the file cannot be opened.
    """
    return ManiSkillSource(path)


class ManiSkillSource:
    """Trajectories of one file. A class, because it keeps what the JSON says."""

    format = "maniskill_hdf5"

    def __init__(self, path: Path) -> None:
        self.path = path
        self._box = Container(path)
        names = self._box.children("").items()
        self._places = {name: raw for name, raw in names if _TRAJECTORY.fullmatch(name)}
        self._problem: str | None = None
        self._said: Mapping[str, Any] = {}
        try:
            said = read_json(path.with_suffix(".json"))
            self._said = said if isinstance(said, dict) else {}
        except DamagedData as damage:
            self._problem = str(damage)  # the trajectories are whole without it
        env = _mapping(self._said.get("env_info"))
        self._env = {**env, **_mapping(env.get("env_kwargs"))}
        listed = self._said.get("episodes")
        entries = [entry for entry in listed if isinstance(entry, dict)] if isinstance(listed, list) else []
        self._entries = {f"traj_{entry.get('episode_id')}": entry for entry in entries}

    def keys(self) -> Sequence[str]:
        return list(self._places)

    def episode(self, key: str) -> Episode:
        """One trajectory.

        Raises:
            UnknownName: no trajectory has this name.
            DamagedData: it cannot be read.
        """
        if key not in self._places:
            raise UnknownName("episode", key, self._places)
        raw = self._places[key]
        tables, steps = self._box.listing(raw).tables, self._steps(key)
        streams: dict[str, Stream] = {}
        extra: dict[str, Any] = {**self._box.attributes(raw), **self._entries.get(key, {})}
        for table in tables:
            if table.shape and table.shape[0] in (steps, steps + 1) and table.content != "references":
                streams[table.name] = self._stream(table)
            else:
                extra[table.name] = self._box.whole(table)
        return Episode(
            id=key,
            streams=streams,
            embodiment=Embodiment(self._robot) if self._robot else None,
            outcome=self._outcome(key),
            declared_rate_hz=self._rate_hz,
            declared_steps=_count(self._entries.get(key, {}).get("elapsed_steps")),
            extra={**extra, **({"env_info": self._said["env_info"]} if "env_info" in self._said else {})},
            ref=EpisodeRef(self.format, str(self.path), key),
        )

    def facts(self) -> Facts:
        """Rows from the lengths of the actions and from the JSON; no value is read."""
        rows: list[EpisodeRow] = []
        declarations: list[Declaration] = []
        unreadable: dict[str, str] = {}
        for key in self._places:
            steps = None
            try:
                steps = self._steps(key)
            except DamagedData as damage:
                unreadable[key] = str(damage)
            duration_s = None if steps is None or self._rate_hz is None else float(steps / self._rate_hz)
            row = EpisodeRow(key, steps, duration_s, robot=self._robot, success=self._outcome(key).success)
            rows.append(row)
            declared = _count(self._entries.get(key, {}).get("elapsed_steps"))
            if declared is not None and steps is not None:
                where = f"{self.path.stem}.json: {key}"
                declarations.append(Declaration(f"{key}.elapsed_steps", declared, steps, where, "number of actions"))
        beside = {"json": self._problem} if self._problem else {}
        return Facts(
            format=self.format,
            version=None,
            rows=rows,
            robots=(self._robot,) if self._robot else (),
            declared_rate_hz=self._rate_hz,
            declarations=tuple(declarations),
            total_size=Size(file_bytes([self.path])),
            extra={**self._said, "episodes": len(self._entries), "unreadable": {**unreadable, **beside}},
        )

    @property
    def _rate_hz(self) -> Fraction | None:
        rate = _mapping(self._env.get("sim_config")).get("control_freq", self._env.get("control_freq"))
        return rate_fraction(rate) if isinstance(rate, (int, float)) and not isinstance(rate, bool) else None

    @property
    def _robot(self) -> str | None:
        robot = self._env.get("robot_uids")
        return robot if isinstance(robot, str) and robot else None

    def _steps(self, key: str) -> int:
        rows = self._box.glimpse(self._places[key], member=b"actions").rows
        if rows is None:
            raise DamagedData(self.path, f"'{key}' has no actions: not a ManiSkill trajectory.")
        return rows

    def _outcome(self, key: str) -> Outcome:
        success = self._entries.get(key, {}).get("success")
        return Outcome(success, f"{self.path.stem}.json: success") if isinstance(success, bool) else Outcome()

    def _stream(self, table: Table) -> Stream:
        is_later = table.name in _LED_TO
        clock = step_clock(table.shape[0], first_step=1 if is_later else 0)
        if self._rate_hz is not None:
            clock = paced_clock(clock, self._rate_hz, quality=ClockQuality.DECLARED)
        extra = {"steps_later": 1} if is_later else {}
        return stream_of(self._box, table, name=table.name, role=_role(table), clock=clock, extra=extra)


def _role(table: Table) -> Role:
    if table.name.startswith("env_states"):
        return Role.SENSOR  # the simulator's whole state
    if table.name == "fail":
        return Role.ENDING
    if table.name.startswith("obs/sensor_param"):
        return Role.SENSOR
    otherwise = Role.SENSOR if table.name.startswith("obs") else Role.UNKNOWN
    if table.name.startswith(("obs/agent", "obs/extra/tcp")) or table.name == "obs":
        otherwise = Role.STATE
    return column_role(table.name, kind_of_numbers(table), table.dtype, otherwise=otherwise)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
