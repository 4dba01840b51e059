"""What third parties test their leaves with: the clauses of every shelf, and episodes to run them on.

A clause is a function that raises AssertionError and says what is broken. `docs/adding.md` shows how to run them.
"""

from robokata.metrics._scripted_trial import scripted_trial
from robokata.testing.barcode import Barcode, barcode_picture, barcode_video, read_barcode
from robokata.testing.clauses import CHECK_CLAUSES, SOURCE_CLAUSES
from robokata.testing.curation_clauses import CURATOR_CLAUSES, STEP_CLAUSES
from robokata.testing.expander_clauses import EXPANDER_CLAUSES
from robokata.testing.metric_clauses import METRIC_CLAUSES
from robokata.testing.policy_clauses import POLICY_CLAUSES
from robokata.testing.simulation_clauses import ROBOT_CLAUSES, TASK_CLAUSES
from robokata.testing.tiny import sound_facts, tiny_episode, tiny_source
from robokata.testing.writer_clauses import WRITER_CLAUSES

__all__ = [
    "CHECK_CLAUSES",
    "CURATOR_CLAUSES",
    "EXPANDER_CLAUSES",
    "METRIC_CLAUSES",
    "POLICY_CLAUSES",
    "ROBOT_CLAUSES",
    "SOURCE_CLAUSES",
    "STEP_CLAUSES",
    "TASK_CLAUSES",
    "WRITER_CLAUSES",
    "Barcode",
    "barcode_picture",
    "barcode_video",
    "read_barcode",
    "scripted_trial",
    "sound_facts",
    "tiny_episode",
    "tiny_source",
]
