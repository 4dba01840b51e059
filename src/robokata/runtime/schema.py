"""TOML files as typed objects: one reader, one wording of what is wrong.

A dataclass says what a table may hold; a `Kind` beside a field's type says which values it takes, and in which words.
Pydantic walks the table; the messages are ours: file, place, key, what is allowed, what was found.
"""

from __future__ import annotations

import functools
import math
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, cast

from robokata.core.errors import RecipeRefused, RobokataError

if TYPE_CHECKING:
    from pydantic import TypeAdapter
    from pydantic_core import CoreSchema, ErrorDetails

T = TypeVar("T")


@dataclass(frozen=True)
class Kind:
    """Values that a field takes, in words and as a predicate on what TOML gives."""

    words: str
    """Follows "must be": `an integer >= 0`."""
    accepts: Callable[[Any], bool]
    convert: Callable[[Any], Any] | None = None
    """What the field holds of an accepted value, where pydantic would not make it of it."""

    def __get_pydantic_core_schema__(self, source: Any, handler: Callable[[Any], CoreSchema]) -> CoreSchema:
        # Pydantic's own hook: the predicate runs on the raw value, before pydantic makes a tuple or an enum of it.
        from pydantic_core import PydanticCustomError, core_schema

        def accept(value: Any) -> Any:
            if not self.accepts(value):
                raise PydanticCustomError("kind", "{words}", {"words": self.words})
            return value if self.convert is None else self.convert(value)

        return core_schema.no_info_before_validator_function(accept, handler(source))


def is_integer(value: Any) -> bool:
    """True for 3, and for nothing that Python merely takes for a number: not for `true`."""
    return type(value) is int


def is_number(value: Any) -> bool:
    """True for 3 and 0.5; not for `true`, infinity and NaN."""
    return type(value) in (int, float) and math.isfinite(value)


def _is_texts(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and all(isinstance(each, str) for each in value)


def optional(kind: Kind) -> Kind:
    """The same, or nothing: for `X | None`."""
    return Kind(
        kind.words, lambda value: value is None or kind.accepts(value), kind.convert and _unless_none(kind.convert)
    )


def _unless_none(convert: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: None if value is None else convert(value)


TEXT = Kind("a string", lambda value: isinstance(value, str) and value != "")
FLAG = Kind("true or false", lambda value: isinstance(value, bool))
TEXTS = Kind("a list of strings", _is_texts)
COUNT = Kind("an integer >= 1", lambda value: is_integer(value) and 1 <= value < 1e6)
POSITIVE = Kind("a number > 0", lambda value: is_number(value) and 0 < value < 1e6)
Text = Annotated[str, TEXT]
OptionalText = Annotated[str | None, optional(TEXT)]
Flag = Annotated[bool, FLAG]
Count = Annotated[int, COUNT]
Positive = Annotated[float, POSITIVE]
Index = Annotated[int, Kind("an integer >= 0", lambda value: is_integer(value) and value >= 0)]
Size = Annotated[float, Kind("a number >= 0", lambda value: is_number(value) and 0 <= value < 1e6)]


def read_toml(path: Path, *, refused: type[RobokataError] = RecipeRefused) -> dict[str, Any]:
    """Read the table of a TOML file.

    Raises:
        RobokataError: of the kind `refused`: the file cannot be read, or is not TOML; names the file.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise refused(f"{path}: cannot be read: {error.strerror}.") from None
    except (ValueError, RecursionError) as error:
        raise refused(f"{path}: is not TOML: {error}.") from None


def read_table(
    shape: type[T],
    table: Any,
    *,
    where: str,
    refused: type[RobokataError] = RecipeRefused,
    hidden: tuple[str, ...] = (),
    more: str = "",
) -> T:
    """Build the dataclass `shape` of a table.

    `hidden` are fields that a table may not set; `more` names keys beside the fields, which the caller has taken out.

    Raises:
        RobokataError: of the kind `refused`: an unknown key, a missing one, or a value that a field does not take.
    """
    require_table(table, where=where, refused=refused)
    allowed = [field.name for field in fields(shape) if field.name not in hidden]  # type: ignore[arg-type]
    unknown = next((name for name in table if name not in allowed), None)
    if unknown is not None:
        listed = ", ".join([*allowed, *([more] if more else [])])
        raise refused(f"{where}: unknown key {unknown!r}. Allowed: {listed}.")
    from pydantic import ValidationError

    try:
        built: T = _adapter(cast(Any, shape)).validate_python(dict(table))
    except ValidationError as error:
        raise refused(_sentence(error.errors(include_url=False)[0], where)) from None
    return built


def require_table(value: Any, *, where: str, refused: type[RobokataError] = RecipeRefused) -> Mapping[str, Any]:
    """Return a value of a TOML file that must be a table.

    Raises:
        RobokataError: of the kind `refused`: it is something else.
    """
    if not isinstance(value, Mapping):
        raise refused(f"{where} must be a table, got {value!r}.")
    return value


def require_keys(
    table: Any, allowed: tuple[str, ...], *, where: str, refused: type[RobokataError] = RecipeRefused
) -> Mapping[str, Any]:
    """Return a table that holds no other keys than these.

    Raises:
        RobokataError: of the kind `refused`: it is not a table, or has another key.
    """
    for name in require_table(table, where=where, refused=refused):
        if name not in allowed:
            raise refused(f"{where}: unknown key {name!r}. Allowed: {', '.join(allowed)}.")
    return require_table(table, where=where)


@functools.cache
def _adapter(shape: Any) -> TypeAdapter[Any]:
    from pydantic import TypeAdapter

    return TypeAdapter(shape)


def _sentence(error: ErrorDetails, where: str) -> str:
    place = where
    *parents, key = error["loc"] or ("",)
    for parent in parents:
        place += f" {parent + 1}" if isinstance(parent, int) else f", {parent}"
    if isinstance(key, int):
        place, key = f"{place}, {parents[-1]}" if parents else place, f"entry {key + 1}"
    if error["type"] in ("missing", "missing_argument", "missing_keyword_only_argument"):
        return f"{place}: {key} is missing."
    context = error.get("ctx", {})
    if error["type"] in ("enum", "literal_error"):
        choices = str(context["expected"]).replace("'", "").replace(" or ", ", ")
        return f"{place}: {key} must be one of {choices}, got {error['input']!r}."
    if error["type"] == "value_error":
        return f"{place}: {context['error']}"
    words = context.get("words") or error["msg"].removeprefix("Input should be ")
    return f"{place}: {key} must be {words}, got {error['input']!r}."
