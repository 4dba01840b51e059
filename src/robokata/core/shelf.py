"""A shelf is a package folder, and a file on it is its own registration."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import pkgutil
from typing import Any, Generic, Literal, TypeVar, overload

from robokata.core.contracts import (
    CheckLeaf,
    CuratorLeaf,
    DatasetCheckLeaf,
    DatasetStepLeaf,
    ExpanderLeaf,
    FormatLeaf,
    MetricLeaf,
    PolicyLeaf,
    RobotLeaf,
    StepLeaf,
    TaskLeaf,
)
from robokata.core.contracts.demands import faults, fill_defaults
from robokata.core.errors import LeafRefused, UnknownName

Leaf = TypeVar("Leaf", covariant=True)


class Shelf(Generic[Leaf]):
    """The leaves of one folder, by name, plus those of third parties.

    Listing imports nothing but the (empty) folder package: names come from the file names. A leaf is
    imported when it is asked for, and held against the contract of its shelf then. Third parties add leaves through
    the entry-point group `robokata.<folder>`. Files that start with an underscore are shared parts, not leaves.
    """

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.package = f"robokata.{folder}"
        self._loaded: dict[str, Leaf] = {}

    @functools.cached_property
    def _own(self) -> tuple[str, ...]:
        spec = importlib.util.find_spec(self.package)
        folders = list(spec.submodule_search_locations or ()) if spec else []
        return tuple(sorted(m.name for m in pkgutil.iter_modules(folders) if not m.name.startswith("_")))

    @functools.cached_property
    def _foreign(self) -> dict[str, str]:
        # Imported here: reading the entry points of a large environment takes tens of milliseconds.
        from importlib.metadata import entry_points

        found = {point.name: point.value for point in entry_points(group=self.package)}
        return {name: value for name, value in sorted(found.items()) if name not in self._own}

    def names(self) -> tuple[str, ...]:
        """Names of all leaves, sorted, our own and third parties'."""
        return tuple(sorted((*self._own, *self._foreign)))

    def __contains__(self, name: str) -> bool:
        return name in self._own or name in self._foreign

    def get(self, name: str) -> Leaf | None:
        """A leaf, or None where none has this name.

        Raises:
            LeafRefused: it cannot be imported, or lacks what its contract demands.
        """
        if name not in self:
            return None
        return self[name]

    def __getitem__(self, name: str) -> Leaf:
        """Import one leaf.

        Raises:
            UnknownName: no leaf has this name; the message lists those that exist.
            LeafRefused: a third party's leaf cannot be imported, or a leaf lacks what its contract demands.
        """
        if name not in self._loaded:
            if name not in self:
                raise UnknownName(_one_of(self.folder), name, self.names())
            self._loaded[name] = self._load(name)
        return self._loaded[name]

    def _load(self, name: str) -> Leaf:
        one, place = _one_of(self.folder), self._foreign.get(name)
        subject = f"the {one} {name!r}" if place is None else f"the {one} {name!r} of another package ({place})"
        try:
            leaf: Any = importlib.import_module(place or f"{self.package}.{name}")
        except ImportError as error:
            if place is None:
                raise
            raise LeafRefused(
                f"{subject} cannot be imported: {error}. Install what it lacks, or uninstall the package that names "
                f"it in the entry points {self.package}."
            ) from None
        lacking = faults(self.folder, leaf)
        article = "An" if one[0] in "aeiou" else "A"
        if lacking:
            remedy = "" if place is None else ", or uninstall the package"
            raise LeafRefused(
                f'{subject} lacks {", ".join(lacking)}. See "{article} {one}" in docs/adding.md for what '
                f"{article.lower()} {one} defines: add it there{remedy}."
            )
        fill_defaults(self.folder, leaf)
        loaded: Leaf = leaf
        return loaded


@overload
def shelf(folder: Literal["formats"]) -> Shelf[FormatLeaf]: ...
@overload
def shelf(folder: Literal["checks"]) -> Shelf[CheckLeaf | DatasetCheckLeaf]: ...
@overload
def shelf(folder: Literal["metrics"]) -> Shelf[MetricLeaf]: ...
@overload
def shelf(folder: Literal["steps"]) -> Shelf[StepLeaf | DatasetStepLeaf]: ...
@overload
def shelf(folder: Literal["curators"]) -> Shelf[CuratorLeaf]: ...
@overload
def shelf(folder: Literal["expanders"]) -> Shelf[ExpanderLeaf]: ...
@overload
def shelf(folder: Literal["robots"]) -> Shelf[RobotLeaf]: ...
@overload
def shelf(folder: Literal["tasks"]) -> Shelf[TaskLeaf]: ...
@overload
def shelf(folder: Literal["policies"]) -> Shelf[PolicyLeaf]: ...
@overload
def shelf(folder: str) -> Shelf[Any]: ...
def shelf(folder: str) -> Shelf[Any]:
    """The shelf of one folder: `shelf("formats")["rlds"]` is the module that reads RLDS."""
    return _shelf(folder)


@functools.cache
def _shelf(folder: str) -> Shelf[Any]:
    return Shelf(folder)


def _one_of(folder: str) -> str:
    """`policies` -> `policy`, `checks` -> `check`."""
    return f"{folder.removesuffix('ies')}y" if folder.endswith("ies") else folder.removesuffix("s")
