"""Which episodes, with which weights, bound by content hash to the data that they were chosen from."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from robokata.core.errors import SelectionRefused
from robokata.core.lineage import Relative


class Described(NamedTuple):
    """One episode's row for `choose`."""

    episode: str
    name: str
    """Its id and what it holds: `geometry.ancestry.name_of`."""
    made_from: tuple[str, ...]
    split: str | None
    steps: int
    duration_s: float | None
    """None where the source keeps no times."""
    value: Any = None
    """What the leaf's own `describe` gave."""

    @property
    def relative(self) -> Relative:
        """What tells its family."""
        return Relative(self.episode, self.name, self.made_from, self.split)


class Pick(NamedTuple):
    """A chosen episode."""

    episode: str
    weight: float = 1.0
    """How often it comes in training, relative to the others."""


@dataclass(frozen=True)
class Selection:
    """Chosen episodes. `made_from` is the hash of the data; on other data it is refused, whatever the ids say."""

    made_from: str
    picks: tuple[Pick, ...]
    left_out: Mapping[str, str]
    """Episode -> why it is not among them."""
    notes: tuple[str, ...] = ()
    """What could not be judged, a sentence each: the choice says nothing of it."""

    @property
    def episodes(self) -> tuple[str, ...]:
        """Ids of the chosen ones."""
        return tuple(pick.episode for pick in self.picks)

    @property
    def hash(self) -> str:
        """64 hexadecimal digits that depend on nothing but data, picks and weights."""
        picks = sorted((pick.episode, pick.weight) for pick in self.picks)
        return hashlib.sha256(json.dumps([self.made_from, picks]).encode()).hexdigest()

    def refuse_other_data(self, rows: Sequence[Described]) -> None:
        """Do nothing where these rows describe the data that it was made from.

        Raises:
            SelectionRefused: they do not.
        """
        found = data_hash(rows)
        if found != self.made_from:
            raise SelectionRefused(
                f"This selection was made from other data (hash {self.made_from[:12]}) than what lies here "
                f"({found[:12]}): the same ids may mean other episodes. Choose again."
            )

    def to_json(self) -> dict[str, Any]:
        """Plain values for `json.dumps`; `read_selection` takes them back."""
        return {
            "made_from": self.made_from,
            "picks": [pick._asdict() for pick in self.picks],
            "left_out": dict(self.left_out),
            "notes": list(self.notes),
            "hash": self.hash,
        }


def data_hash(rows: Iterable[Described]) -> str:
    """Hash of the data that rows describe, whatever their order."""
    return hashlib.sha256("\n".join(sorted(row.name for row in rows)).encode()).hexdigest()


def selection_of(
    rows: Sequence[Described],
    chosen: Iterable[str],
    *,
    weights: Mapping[str, float] | None = None,
    why_not: Mapping[str, str] | str = "",
    notes: Sequence[str] = (),
) -> Selection:
    """The selection of some of the described episodes, in the order of their ids.

    `why_not` says of those left out why: one text for all, or one each. `notes` say what could not be judged.

    Raises:
        SelectionRefused: an episode is chosen that no row describes, or a weight is no finite number >= 0.
    """
    kept, known = set(chosen), {row.episode for row in rows}
    if kept - known:
        raise SelectionRefused(f"episode {min(kept - known)} was chosen, and is not among the {len(known)} described.")
    for name, weight in (weights or {}).items():
        if not (math.isfinite(weight) and weight >= 0):
            raise SelectionRefused(f"the weight of episode {name} is {weight}, and a number of at least 0 is needed.")
    picks = tuple(Pick(name, (weights or {}).get(name, 1.0)) for name in sorted(kept))
    reasons = {name: why_not if isinstance(why_not, str) else why_not.get(name, "") for name in sorted(known - kept)}
    return Selection(data_hash(rows), picks, reasons, tuple(notes))


def read_selection(path: Path) -> Selection:
    """A selection that was kept as JSON.

    Raises:
        SelectionRefused: it is none, or was changed by hand: its hash does not fit.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        picks = tuple(Pick(str(each["episode"]), float(each["weight"])) for each in found["picks"])
        selection = Selection(
            str(found["made_from"]), picks, dict(found.get("left_out", {})), tuple(found.get("notes", ()))
        )
        kept_hash = found["hash"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise SelectionRefused(f"{path}: is no selection: {error!r}.") from None
    if selection.hash != kept_hash:
        raise SelectionRefused(f"{path}: was changed after it was written: its hash does not fit. Choose again.")
    return selection
