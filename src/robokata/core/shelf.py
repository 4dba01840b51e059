"""A shelf is a package folder, and a file on it is its own registration."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import pkgutil
from types import ModuleType

from robokata.core.errors import LeafRefused, UnknownName


class Shelf:
    """The leaves of one folder, by name, plus those of third parties.

    Listing imports nothing but the (empty) folder package: names come from the file names. A leaf is
    imported when it is asked for. Third parties add leaves through the entry-point group
    `robokata.<folder>`. Files that start with an underscore are shared parts, not leaves.
    """

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.package = f"robokata.{folder}"
        self._loaded: dict[str, ModuleType] = {}

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

    def __getitem__(self, name: str) -> ModuleType:
        """Import one leaf.

        Raises:
            UnknownName: no leaf has this name; the message lists those that exist.
            LeafRefused: a third party's leaf cannot be imported, or lacks what its contract demands.
        """
        if name not in self._loaded:
            if name in self._own:
                self._loaded[name] = importlib.import_module(f"{self.package}.{name}")
            elif name in self._foreign:
                self._loaded[name] = self._load_foreign(name)
            else:
                raise UnknownName(_one_of(self.folder), name, self.names())
        return self._loaded[name]

    def _load_foreign(self, name: str) -> ModuleType:
        # Imported here: the contracts name what lies on shelves.
        from robokata.core.contracts import lacking_names

        place = self._foreign[name]
        subject = f"the {_one_of(self.folder)} {name!r} of another package ({place})"
        try:
            leaf = importlib.import_module(place)
        except ImportError as error:
            raise LeafRefused(
                f"{subject} cannot be imported: {error}. Install what it lacks, or uninstall the package that names "
                f"it in the entry points {self.package}."
            ) from None
        lacking = lacking_names(self.folder, leaf)
        if lacking:
            raise LeafRefused(
                f"{subject} lacks {', '.join(lacking)}: see docs/adding.md for what a {_one_of(self.folder)} defines. "
                "Add it there, or uninstall the package."
            )
        return leaf


@functools.cache
def shelf(folder: str) -> Shelf:
    """The shelf of one folder: `shelf("formats")["rlds"]` is the module that reads RLDS."""
    return Shelf(folder)


def _one_of(folder: str) -> str:
    """`policies` -> `policy`, `checks` -> `check`."""
    return f"{folder.removesuffix('ies')}y" if folder.endswith("ies") else folder.removesuffix("s")
