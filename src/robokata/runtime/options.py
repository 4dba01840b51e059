"""What a leaf may be told: its keyword-only parameters, as options of a command line and of a TOML file."""

from __future__ import annotations

import inspect
import math
import shlex
import tomllib
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from robokata.core.errors import OptionRefused, RecipeRefused
from robokata.runtime.schema import read_toml

_NEEDED = inspect.Parameter.empty
OURS = frozenset({"seed", "keep", "rng", "keys", "size_px"})
"""Parameters that the engine gives; no user says them to a leaf."""
_WORDS: dict[type, str] = {
    **{int: "a whole number", float: "a number", bool: "true or false", str: "a text", tuple: "a list of texts"},
    Mapping: "a table",
}


class Option(NamedTuple):
    """One thing that a leaf may be told."""

    name: str
    kind: type
    """`int`, `float`, `bool`, `str`, `tuple` for a list of texts, or `Mapping` for a table, which a file may hold."""
    default: Any
    """`inspect.Parameter.empty` where it must be said."""
    may_be_none: bool

    @property
    def is_needed(self) -> bool:
        """True where there is no default."""
        return self.default is _NEEDED

    def __str__(self) -> str:
        return f"{self.name} ({_WORDS[self.kind]}{'' if self.is_needed else f', usually {self.default!r}'})"


def options_of(*functions: Callable[..., Any]) -> dict[str, Option]:
    """Options of a leaf's functions, by name.

    Raises:
        TypeError: a parameter is of a kind that no TOML file can hold.
    """
    found: dict[str, Option] = {}
    for function in functions:
        hints = typing.get_type_hints(function)
        for name, parameter in inspect.signature(function).parameters.items():
            if parameter.kind is inspect.Parameter.KEYWORD_ONLY and name not in OURS:
                kind, may_be_none = _kind_of(hints[name])
                found[name] = Option(name, kind, parameter.default, may_be_none)
    return found


def takes(function: Callable[..., Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the options that one function takes."""
    known = inspect.signature(function).parameters
    return {name: value for name, value in options.items() if name in known}


def fitted(options: Mapping[str, Any], known: Mapping[str, Option], *, where: str) -> dict[str, Any]:
    """Options as the leaf wants them, with every default filled in: so that a recipe's hash says all of them.

    Raises:
        RecipeRefused: an unknown option, one of the wrong kind, or one that is needed and absent; names the place.
    """
    for name in options:
        if name not in known:
            raise RecipeRefused(f"{where}: knows no option {name!r}. It has: {_listed(known)}.")
    out: dict[str, Any] = {}
    for name, option in known.items():
        if name not in options:
            if option.is_needed:
                raise RecipeRefused(f"{where}: {name} is needed ({_WORDS[option.kind]}).")
            out[name] = option.default
            continue
        out[name] = _value(options[name], option, f"{where}: {name}")
    return out


def parse_assignments(words: Sequence[str], what: str) -> dict[str, str]:
    """Words such as `NAME=VALUE` as a table of texts; `what` is where they stand: `--option`.

    Raises:
        OptionRefused: a word has no name or no equals sign, or a name comes twice.
    """
    table: dict[str, str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        name = name.strip()
        if not equals or not name:
            raise OptionRefused(f"{what} {word!r} is not NAME=VALUE.")
        if name in table:
            raise OptionRefused(f"{what} {name} is given twice: {table[name]!r} and {value!r}.")
        table[name] = value
    return table


def options_from_words(words: Sequence[str], known: Mapping[str, Option], what: str) -> dict[str, Any]:
    """Words such as `NAME=VALUE` as options; a text stays as it is written, other values are read as in TOML.

    Raises:
        OptionRefused: a word is not NAME=VALUE.
    """
    table = parse_assignments(words, what)
    is_text = {name for name, option in known.items() if option.kind is str}
    return {name: value if name in is_text else _literal(value) for name, value in table.items()}


def told(text: str, *, where: str) -> tuple[str, dict[str, Any]]:
    """A leaf and its options, written as `retime_motion factor=1.5 cameras=wrist,scene`.

    Raises:
        RecipeRefused: no name, or a word that is no KEY=VALUE.
    """
    try:
        name, *words = shlex.split(text)
    except ValueError as error:
        raise RecipeRefused(f"{where} {text!r}: {error or 'is empty'}. Write NAME KEY=VALUE ...") from None
    options: dict[str, Any] = {}
    for word in words:
        key, is_said, value = word.partition("=")
        if not is_said:
            raise RecipeRefused(f"{where} {text!r}: {word!r} is no KEY=VALUE.")
        options[key] = _literal(value)
    return name, options


def _literal(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (ValueError, RecursionError):
        return text


def _kind_of(hint: Any) -> tuple[type, bool]:
    parts = typing.get_args(hint) if typing.get_origin(hint) in (typing.Union, types.UnionType) else (hint,)
    kinds = [part for part in parts if part is not type(None)]
    kind = typing.get_origin(kinds[0]) or kinds[0]
    if len(kinds) != 1 or kind not in _WORDS:
        raise TypeError(f"an option cannot be {hint}")
    return kind, len(kinds) < len(parts)


def _value(value: Any, option: Option, where: str) -> Any:
    if value is None and option.may_be_none:
        return None
    if option.kind is tuple:
        texts = value.split(",") if isinstance(value, str) else value
        if isinstance(texts, Sequence) and all(isinstance(text, str) for text in texts):
            return tuple(text.strip() for text in texts)
    elif option.kind is Mapping:
        table = read_toml(Path(value)) if isinstance(value, str) else value
        if isinstance(table, Mapping):
            return dict(table)
    elif option.kind is float:
        if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value):
            return float(value)
    elif option.kind is str and isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)  # `--step "keep_episode id=7"`: on a command line, texts may look like numbers
    elif type(value) is option.kind:
        return value
    raise RecipeRefused(f"{where} is {value!r}, and {_WORDS[option.kind]} is needed.")


def _listed(known: Mapping[str, Option]) -> str:
    return ", ".join(str(option) for option in known.values()) or "none"
