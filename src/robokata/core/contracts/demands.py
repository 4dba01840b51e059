"""Which protocols a leaf must meet, and what it lacks of them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from robokata.core.contracts.checks import CheckLeaf, DatasetCheckLeaf
from robokata.core.contracts.curation import CuratorLeaf, DatasetStepLeaf, StepLeaf
from robokata.core.contracts.expansion import ExpanderLeaf, ValidatingExpanderLeaf
from robokata.core.contracts.formats import ComparableFormatLeaf, ReadableFormatLeaf, WritableFormatLeaf
from robokata.core.contracts.metrics import MetricLeaf, SummarisingMetricLeaf
from robokata.core.contracts.policies import ForeignLeaf, PolicyLeaf, TrainableLeaf
from robokata.core.contracts.simulation import RobotLeaf, TaskLeaf


class Contract(NamedTuple):
    """What stands on one shelf."""

    kinds: tuple[type, ...]
    """Protocols, the usual one first. A leaf is each kind of which it has a name that the usual one has not, and the
    usual one where it is none of the others or has all that sets the usual one apart."""
    is_one_kind: bool = False
    """True where a leaf is of one kind only."""


CONTRACTS: Mapping[str, Contract] = {
    "formats": Contract((ReadableFormatLeaf, WritableFormatLeaf, ComparableFormatLeaf)),
    "checks": Contract((CheckLeaf, DatasetCheckLeaf), is_one_kind=True),
    "metrics": Contract((MetricLeaf, SummarisingMetricLeaf)),
    "steps": Contract((StepLeaf, DatasetStepLeaf), is_one_kind=True),
    "curators": Contract((CuratorLeaf,)),
    "expanders": Contract((ExpanderLeaf, ValidatingExpanderLeaf)),
    "robots": Contract((RobotLeaf,)),
    "tasks": Contract((TaskLeaf,)),
    "policies": Contract((PolicyLeaf, TrainableLeaf, ForeignLeaf)),
}
_PLAIN: Mapping[str, type] = {"bool": bool, "str": str}


class ContractMember(NamedTuple):
    """One name that a protocol has."""

    name: str
    annotation: str
    """Of a value; empty for a function."""
    function: Callable[..., Any] | None
    has_default: bool
    default: Any


def faults(folder: str, leaf: object) -> tuple[str, ...]:
    """What a leaf lacks of the contract of its shelf, a phrase each; and what it has in another form."""
    if folder not in CONTRACTS:
        return ()
    kinds = kinds_of(folder, leaf)
    if CONTRACTS[folder].is_one_kind and len(kinds) > 1:
        return (f"one of {' or '.join(_own_names(folder, kind) for kind in kinds)}, and has both",)
    found: dict[str, str] = {}
    for kind in kinds:
        for member in members_of(kind):
            fault = _fault(member, leaf)
            if fault is not None:
                found.setdefault(member.name, fault)
    return tuple(found.values())


def fill_defaults(folder: str, leaf: object) -> None:
    """Give a leaf what it does not say and its contract has a default for."""
    for kind in kinds_of(folder, leaf) if folder in CONTRACTS else ():
        for member in members_of(kind):
            if member.has_default and not hasattr(leaf, member.name):
                setattr(leaf, member.name, member.default)


def kinds_of(folder: str, leaf: object) -> tuple[type, ...]:
    """The protocols that a leaf must meet: which ones, the names that it has say."""
    usual, *others = kinds = CONTRACTS[folder].kinds
    found = [kind for kind in others if any(hasattr(leaf, name) for name in _apart(kind, *_without(kinds, kind)))]
    is_usual = not found or any(hasattr(leaf, name) for name in _apart(usual, *found)) or not _apart(usual, *found)
    return (usual, *found) if is_usual else tuple(found)


def members_of(kind: type) -> tuple[ContractMember, ...]:
    """The names of a protocol: values, then functions, those that it inherits first."""
    found: dict[str, ContractMember] = {}
    for each in reversed(kind.__mro__):
        if not getattr(each, "_is_protocol", False) or each.__module__ == "typing":
            continue
        own = vars(each)
        for name, annotation in inspect.get_annotations(each).items():
            found[name] = ContractMember(name, str(annotation), None, name in own, own.get(name))
        for name, value in own.items():
            if inspect.isfunction(value) and not name.startswith("_"):
                found[name] = ContractMember(name, "", value, has_default=False, default=None)
    return tuple(found.values())


def _apart(kind: type, *others: type) -> list[str]:
    """Names that set a kind apart: others need not have them."""
    shared = {member.name for other in others for member in members_of(other)}
    return [member.name for member in members_of(kind) if member.name not in shared and not member.has_default]


def _own_names(folder: str, kind: type) -> str:
    return " and ".join(f"`{name}`" for name in _apart(kind, *_without(CONTRACTS[folder].kinds, kind)))


def _without(kinds: Sequence[type], kind: type) -> list[type]:
    return [other for other in kinds if other is not kind]


def _fault(member: ContractMember, leaf: object) -> str | None:
    if not hasattr(leaf, member.name):
        return None if member.has_default else f"`{_shown(member)}`"
    value = getattr(leaf, member.name)
    if member.function is not None:
        if not callable(value):
            return f"a function `{_shown(member)}` (it is {value!r:.60})"
        return None if _fits(value, member.function) else f"`{_shown(member)}` with these arguments"
    plain = _PLAIN.get(member.annotation)
    if plain is not None and not isinstance(value, plain):
        return f"`{member.name}` as {member.annotation} (it is {value!r:.60})"
    return None


def _shown(member: ContractMember) -> str:
    return member.name if member.function is None else f"{member.name}({', '.join(_arguments(member.function))})"


def _arguments(function: Callable[..., Any]) -> list[str]:
    parameters = list(inspect.signature(function).parameters.values())[1:]
    named = [each.name for each in parameters if each.kind is inspect.Parameter.KEYWORD_ONLY]
    return [*(each.name for each in _positional(parameters)), *(["*", *named] if named else [])]


def _positional(parameters: list[inspect.Parameter]) -> list[inspect.Parameter]:
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [each for each in parameters if each.kind in kinds]


def _fits(function: Callable[..., Any], asked: Callable[..., Any]) -> bool:
    """True where a function takes what the contract gives it; options of its own are its own affair."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return True  # a function without a Python signature
    wanted = list(inspect.signature(asked).parameters.values())[1:]
    kinds, own = {each.kind for each in parameters}, _positional(parameters)
    count = len(_positional(wanted))
    needed = sum(each.default is inspect.Parameter.empty for each in own)
    named = {each.name for each in wanted if each.kind is inspect.Parameter.KEYWORD_ONLY}
    known = {each.name for each in parameters}
    return (
        needed <= count
        and (len(own) >= count or inspect.Parameter.VAR_POSITIONAL in kinds)
        and (named <= known or inspect.Parameter.VAR_KEYWORD in kinds)
    )
