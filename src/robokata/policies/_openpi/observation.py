"""What a client of a policy server says, as an observation or a reset: every value is looked at first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from robokata.core.errors import PolicyFailed


class Reset(NamedTuple):
    """The beginning of an attempt."""

    episode: str
    seed: int
    embodiment: str | None


def observation_in(seen: Mapping[str, Any]) -> dict[str, Any]:
    """A request as an observation; `prompt` is openpi's word for the instruction.

    Raises:
        PolicyFailed: a name is no text, a number is not finite, or a value is no array, number or text.
    """
    out = dict(seen)
    out["instruction"] = out.pop("prompt", out.get("instruction", ""))
    _refuse_odd_values(out)
    if not isinstance(out["instruction"], (str, type(None))):
        raise _bad(f"the prompt is {_kind(out['instruction'])}; it is text")
    return out


def reset_in(told: Any) -> Reset:
    """A request to begin an attempt.

    Raises:
        PolicyFailed: a field is unknown, or is not of its type.
    """
    if not isinstance(told, dict):
        raise _bad(f"the reset is {_kind(told)}; it is a map of {', '.join(Reset._fields)}")
    unknown = [name for name in told if name not in Reset._fields]
    if unknown:
        raise _bad(f"the reset has the field {unknown[0]!r:.40}; known are {', '.join(Reset._fields)}")
    episode, seed, embodiment = told.get("episode", ""), told.get("seed", 0), told.get("embodiment")
    if not isinstance(episode, str):
        raise _bad(f"the episode is {_kind(episode)}; it is text")
    if not isinstance(seed, (int, np.integer)) or isinstance(seed, bool) or abs(int(seed)) >= 2**63:
        raise _bad(f"the seed is {seed!r:.40}; it is a whole number of at most 63 bits")
    if not isinstance(embodiment, (str, type(None))):
        raise _bad(f"the embodiment is {_kind(embodiment)}; it is text")
    return Reset(episode, int(seed), embodiment)


def _refuse_odd_values(seen: Mapping[Any, Any]) -> None:
    for name, value in seen.items():
        if not isinstance(name, str):
            raise _bad(f"the observation has the name {name!r:.40}; names are text")
        if isinstance(value, dict):  # some of openpi's own robots send their pictures in a map
            _refuse_odd_values(value)
        else:
            _refuse_odd(name, value)


def _refuse_odd(name: str, value: Any) -> None:
    """Refuse what is no value of a robot's."""
    if value is None or isinstance(value, (str, bool)):
        return
    if isinstance(value, (int, np.integer)):
        if abs(int(value)) >= 2**63:
            raise _bad(f"{name!r:.80} is a whole number of more than 63 bits")
        return
    if isinstance(value, (list, tuple)):
        value = _numbers(name, value)
    if isinstance(value, (float, np.ndarray, np.generic)):
        if not np.all(np.isfinite(value)):
            raise _bad(f"{name!r:.80} holds numbers that are not finite")
        return
    raise _bad(f"{name!r:.80} is {_kind(value)}; values are arrays, numbers and text")


def _numbers(name: str, value: Any) -> np.ndarray[Any, Any]:
    try:
        found = np.asarray(value)
    except (ValueError, OverflowError) as error:
        raise _bad(f"{name!r:.80} is no array: {str(error)[:80]}") from None
    if found.dtype.kind not in "fiub":
        raise _bad(f"{name!r:.80} is a list of other things than numbers")
    return found


def _kind(value: Any) -> str:
    return "an array" if isinstance(value, np.ndarray) else type(value).__name__


def _bad(what: str) -> PolicyFailed:
    return PolicyFailed("bad_message", f"{what}.")
