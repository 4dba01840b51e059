"""What a project demands of its data: thresholds, checks turned off, and waivers that expire."""

from __future__ import annotations

import datetime
import fnmatch
import functools
import inspect
import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from robokata.core.errors import SuiteRefused, UnknownName
from robokata.core.finding import Finding, Level
from robokata.core.shelf import shelf


@dataclass(frozen=True)
class Waiver:
    """A finding that the project accepts, why, and until when. A finding about several episodes needs them all."""

    check: str
    reason: str
    expires: datetime.date
    episode: str = "*"
    stream: str = "*"

    def covers(self, finding: Finding, today: datetime.date) -> bool:
        """True where the finding is accepted today."""
        return (
            today <= self.expires
            and fnmatch.fnmatchcase(finding.check, self.check)
            and all(fnmatch.fnmatchcase(episode, self.episode) for episode in finding.episodes or ("",))
            and fnmatch.fnmatchcase(finding.stream or "", self.stream)
        )


@dataclass(frozen=True)
class Suite:
    """Thresholds per check, checks that are off, waivers. The default demands what the checks' authors chose."""

    thresholds: Mapping[str, Mapping[str, float | int | str | bool]] = field(default_factory=dict)
    off: frozenset[str] = frozenset()
    waivers: tuple[Waiver, ...] = ()
    fail_on: Level = Level.ERROR

    @functools.cached_property
    def checks(self) -> tuple[str, ...]:
        """Names of the checks to run, sorted."""
        return tuple(name for name in shelf("checks").names() if name not in self.off)

    def arguments(self, check: str, part: str) -> dict[str, Any]:
        """Keyword arguments for one function of a check: `check`, `gather` or `judge`."""
        chosen = self.thresholds.get(check)
        if not chosen:
            return {}
        known = thresholds_of(shelf("checks")[check], parts=(part,))
        return {name: value for name, value in chosen.items() if name in known}


def thresholds_of(leaf: object, *, parts: tuple[str, ...] = ("check", "gather", "judge")) -> dict[str, Any]:
    """Thresholds that a check takes, with their defaults: the keyword-only arguments of its functions."""
    found: dict[str, Any] = {}
    for part in parts:
        function = getattr(leaf, part, None)
        if function is not None:
            for name, parameter in inspect.signature(function).parameters.items():
                if parameter.kind is inspect.Parameter.KEYWORD_ONLY:
                    found[name] = parameter.default
    return found


def read_suite(path: Path) -> Suite:
    """A suite file.

    ```toml
    fail_on = "error"                     # or "warning", "info"

    [checks.clock_gap]
    longer_than_periods = 2.5             # thresholds by the names that `kata explain clock_gap` prints

    [checks.idle_stretch]
    off = true

    [[waive]]
    check = "blank_instruction"           # patterns: *, ?, [abc]
    episode = "1*"
    reason = "the first hundred episodes are calibration moves"
    expires = 2027-01-31
    ```

    Raises:
        SuiteRefused: not TOML, an unknown check, threshold or key, a waiver without reason or expiry date.
    """
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SuiteRefused(f"{path}: cannot be read: {error.strerror}.") from None
    except (ValueError, RecursionError) as error:
        raise SuiteRefused(f"{path}: not a TOML file: {error}.") from None
    unknown = sorted(set(raw) - {"checks", "waive", "fail_on"})
    if unknown:
        raise SuiteRefused(f"{path}: unknown key {unknown[0]!r}. Known: checks, waive, fail_on.")
    thresholds, off = _checks(path, raw.get("checks", {}))
    level = raw.get("fail_on", "error")
    if level not in list(Level):
        raise SuiteRefused(f"{path}: fail_on is {level!r}. It is one of {', '.join(Level)}.")
    waivers = raw.get("waive", [])
    if not isinstance(waivers, list):
        raise SuiteRefused(f"{path}: waivers are written as [[waive]], one table each.")
    return Suite(thresholds, frozenset(off), tuple(_waiver(path, n, w) for n, w in enumerate(waivers, 1)), Level(level))


def _checks(path: Path, raw: Any) -> tuple[dict[str, dict[str, Any]], set[str]]:
    thresholds: dict[str, dict[str, Any]] = {}
    off: set[str] = set()
    if not isinstance(raw, dict):
        raise SuiteRefused(f"{path}: checks must be tables: [checks.clock_gap].")
    for name, chosen in raw.items():
        try:
            known = thresholds_of(shelf("checks")[name])
        except UnknownName as error:
            raise SuiteRefused(f"{path}: {error}") from None
        if not isinstance(chosen, dict):
            raise SuiteRefused(f"{path}: [checks.{name}] must be a table of thresholds.")
        chosen = dict(chosen)
        is_off = chosen.pop("off", False)
        if not isinstance(is_off, bool):
            raise SuiteRefused(f"{path}: {name}.off is {is_off!r}, and true or false is needed.")
        if is_off:
            off.add(name)
        for threshold, value in chosen.items():
            if threshold not in known:
                names = ", ".join(sorted(known)) or "none"
                raise SuiteRefused(f"{path}: {name} has no threshold {threshold!r}. It has: {names}.")
            if not _fits(value, known[threshold]):
                raise SuiteRefused(
                    f"{path}: {name}.{threshold} is {value!r}, and a {type(known[threshold]).__name__} is needed "
                    f"(default {known[threshold]!r})."
                )
        thresholds[name] = chosen
    return thresholds, off


def _fits(value: Any, default: Any) -> bool:
    if isinstance(default, bool) or isinstance(value, bool):
        return isinstance(value, bool) and isinstance(default, bool)
    if isinstance(default, (int, float)):
        # Nothing is above NaN: such a threshold would silently turn its check off. Infinity says that it is meant.
        return isinstance(value, (int, float)) and not math.isnan(value)
    return isinstance(value, type(default))


def _waiver(path: Path, number: int, raw: Any) -> Waiver:
    place = f"{path}: waiver {number}"
    if not isinstance(raw, dict):
        raise SuiteRefused(f"{place} is not a table.")
    unknown = sorted(set(raw) - {"check", "episode", "stream", "reason", "expires"})
    if unknown:
        raise SuiteRefused(
            f"{place} has the unknown key {unknown[0]!r}. Known: check, episode, stream, reason, expires."
        )
    if not str(raw.get("reason", "")).strip():
        raise SuiteRefused(f"{place} has no reason. Write why these findings are acceptable.")
    if not isinstance(raw.get("expires"), datetime.date) or isinstance(raw.get("expires"), datetime.datetime):
        raise SuiteRefused(f"{place} has no expiry date. Write expires = 2027-01-31, without quotes.")
    check = str(raw.get("check", ""))
    if not any(fnmatch.fnmatchcase(name, check) for name in shelf("checks").names()):
        raise SuiteRefused(f"{place} matches no check: {check!r}. `kata check --list` names them.")
    return Waiver(check, str(raw["reason"]), raw["expires"], str(raw.get("episode", "*")), str(raw.get("stream", "*")))
