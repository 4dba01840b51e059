"""Everything that a step imports: `from robokata.authoring.steps import Episode, StepRefused, traced`.

A step that changes episodes one by one defines

- `step(episode, *, ...) -> Iterator[Episode]`: none (dropped), one (changed) or more (expanded); options are
  keyword-only, `seed` is named where chance has a part, and changes leave a trace (`traced`);
- `REMOVES_EPISODES = True`, if it can leave episodes out.

A step that chooses among all episodes defines `describe(episode, *, ...)` and `choose(rows, *, ...) -> Selection`.
Entry point group: `robokata.steps`. Tests: `robokata.testing.STEP_CLAUSES`.
"""

from robokata.core.clock import NS_PER_S, Clock
from robokata.core.contracts import CheckLeaf, DatasetStepLeaf, Gathered, StepLeaf
from robokata.core.episode import Annotation, Embodiment, Episode, Instruction
from robokata.core.errors import RecipeRefused, StepRefused, UnknownName, Unsupported
from robokata.core.finding import Abstention, Finding, Level, Verdict
from robokata.core.fingerprint import Fingerprint, fingerprint_of, kin_among
from robokata.core.lineage import families_of
from robokata.core.selection import Described, Selection, selection_of
from robokata.core.shelf import shelf
from robokata.core.source import EpisodeRow, Facts, row_of
from robokata.core.stream import Role, Stream
from robokata.core.trace import rng_of, traced
from robokata.core.values import ArrayValues, Values
from robokata.geometry.channels import has_few_values
from robokata.geometry.motion import still_share
from robokata.geometry.runs import runs_of, samples_in
from robokata.geometry.symmetry import Symmetry, Twin, symmetry_of
from robokata.steps._pictures import repainted
from robokata.steps._samples import at_times, picked

__all__ = [
    "NS_PER_S",
    "Abstention",
    "Annotation",
    "ArrayValues",
    "CheckLeaf",
    "Clock",
    "DatasetStepLeaf",
    "Described",
    "Embodiment",
    "Episode",
    "EpisodeRow",
    "Facts",
    "Finding",
    "Fingerprint",
    "Gathered",
    "Instruction",
    "Level",
    "RecipeRefused",
    "Role",
    "Selection",
    "StepLeaf",
    "StepRefused",
    "Stream",
    "Symmetry",
    "Twin",
    "UnknownName",
    "Unsupported",
    "Values",
    "Verdict",
    "at_times",
    "families_of",
    "fingerprint_of",
    "has_few_values",
    "kin_among",
    "picked",
    "repainted",
    "rng_of",
    "row_of",
    "runs_of",
    "samples_in",
    "selection_of",
    "shelf",
    "still_share",
    "symmetry_of",
    "traced",
]
