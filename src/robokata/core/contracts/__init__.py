"""What a leaf must define to stand on its shelf. Modules meet these protocols; nothing is inherited."""

from robokata.core.contracts.checks import (
    CheckLeaf,
    CurveKind,
    DatasetCheckLeaf,
    Gathered,
    Need,
    Unmet,
    to_plant_into,
    unmet_need,
)
from robokata.core.contracts.curation import CuratorLeaf, DatasetStepLeaf, StepLeaf
from robokata.core.contracts.expansion import ExpanderLeaf, ExpansionJobs, ValidatingExpanderLeaf
from robokata.core.contracts.formats import (
    ComparableFormatLeaf,
    FormatLeaf,
    ReadableFormatLeaf,
    WritableFormatLeaf,
    WrittenEpisode,
)
from robokata.core.contracts.metrics import Mean, MetricLeaf, MetricPart, PlantedTrial, SummarisingMetricLeaf
from robokata.core.contracts.policies import (
    Chunk,
    ForeignLeaf,
    Policy,
    PolicyLeaf,
    PolicyRef,
    PolicySpec,
    Sensed,
    StreamNeed,
    TrainableLeaf,
)
from robokata.core.contracts.simulation import RobotLeaf, TaskLeaf

__all__ = [
    "CheckLeaf",
    "Chunk",
    "ComparableFormatLeaf",
    "CuratorLeaf",
    "CurveKind",
    "DatasetCheckLeaf",
    "DatasetStepLeaf",
    "ExpanderLeaf",
    "ExpansionJobs",
    "ForeignLeaf",
    "FormatLeaf",
    "Gathered",
    "Mean",
    "MetricLeaf",
    "MetricPart",
    "Need",
    "PlantedTrial",
    "Policy",
    "PolicyLeaf",
    "PolicyRef",
    "PolicySpec",
    "ReadableFormatLeaf",
    "RobotLeaf",
    "Sensed",
    "StepLeaf",
    "StreamNeed",
    "SummarisingMetricLeaf",
    "TaskLeaf",
    "TrainableLeaf",
    "Unmet",
    "ValidatingExpanderLeaf",
    "WritableFormatLeaf",
    "WrittenEpisode",
    "to_plant_into",
    "unmet_need",
]
