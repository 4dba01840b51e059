"""Everything that a curator imports: `from robokata.authoring.curators import Selection, selection_of`.

A curator defines

- `describe(episode, *, ...)`: what the choice needs of one episode, small and picklable;
- `choose(rows, *, keep, rng, ...) -> Selection`: `keep` of the episodes, whatever the order of the rows.

Entry point group: `robokata.curators`. Tests: `robokata.testing.CURATOR_CLAUSES`.
"""

from robokata.core.clock import NS_PER_S
from robokata.core.contracts import CuratorLeaf
from robokata.core.episode import Episode
from robokata.core.errors import RecipeRefused, SelectionRefused
from robokata.core.selection import Described, Selection, selection_of
from robokata.core.stream import Role
from robokata.curators._unjudged import note_unjudged
from robokata.geometry.motion import motion_of
from robokata.geometry.smoothness import ldlj, low_passed, moving_part, on_even_clock, sparc
from robokata.geometry.tip import tip_paths

__all__ = [
    "NS_PER_S",
    "CuratorLeaf",
    "Described",
    "Episode",
    "RecipeRefused",
    "Role",
    "Selection",
    "SelectionRefused",
    "ldlj",
    "low_passed",
    "motion_of",
    "moving_part",
    "note_unjudged",
    "on_even_clock",
    "selection_of",
    "sparc",
    "tip_paths",
]
