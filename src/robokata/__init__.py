"""Robokata: the data engine for Vision-Language-Action robots. `import robokata as rk` is the front door.

It loads nothing heavy: each name below is imported when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from robokata.core.version import __version__

if TYPE_CHECKING:
    from robokata import authoring, torch
    from robokata.collection.collect_expert import collect_expert
    from robokata.collection.collect_page import collect_page
    from robokata.collection.collect_robot import collect_robot
    from robokata.collection.umi.collect_umi import collect_umi
    from robokata.conversion.convert_dataset import convert, plan_conversion
    from robokata.core import errors
    from robokata.core.detection import find_datasets
    from robokata.core.episode import Episode
    from robokata.core.estimate import Estimate
    from robokata.core.finding import Abstention, Finding
    from robokata.core.source import Source
    from robokata.core.stream import Stream
    from robokata.core.suite import Suite
    from robokata.curation.curate_dataset import curate, plan_curation
    from robokata.curation.recipe import Recipe
    from robokata.dataset import Dataset
    from robokata.dataset import open_dataset as open
    from robokata.evaluation.evaluate import evaluate
    from robokata.evaluation.evaluation import Evaluation
    from robokata.evaluation.measure import measure
    from robokata.evaluation.serve import serve
    from robokata.expansion.expand import expand
    from robokata.expansion.expansion import Expansion
    from robokata.inspection.catalogue import explain
    from robokata.inspection.check import check
    from robokata.inspection.run import Report
    from robokata.store.snapshot import diff, history, snapshot, verify
    from robokata.studies.ask import plan_question as plan_study
    from robokata.studies.ask import study
    from robokata.studies.demo import demo
    from robokata.survey.dataset_survey import Survey
    from robokata.survey.look import look
    from robokata.training.train import train

__all__ = [
    "Abstention",
    "Dataset",
    "Episode",
    "Estimate",
    "Evaluation",
    "Expansion",
    "Finding",
    "Recipe",
    "Report",
    "Source",
    "Stream",
    "Suite",
    "Survey",
    "__version__",
    "authoring",
    "check",
    "collect_expert",
    "collect_page",
    "collect_robot",
    "collect_umi",
    "convert",
    "curate",
    "demo",
    "diff",
    "errors",
    "evaluate",
    "expand",
    "explain",
    "find_datasets",
    "history",
    "look",
    "measure",
    "open",
    "plan_conversion",
    "plan_curation",
    "plan_study",
    "serve",
    "snapshot",
    "study",
    "torch",
    "train",
    "verify",
]

_HOMES = {
    "Abstention": "core.finding:Abstention",
    "Dataset": "dataset:Dataset",
    "Episode": "core.episode:Episode",
    "Estimate": "core.estimate:Estimate",
    "Evaluation": "evaluation.evaluation:Evaluation",
    "Expansion": "expansion.expansion:Expansion",
    "Finding": "core.finding:Finding",
    "Recipe": "curation.recipe:Recipe",
    "Report": "inspection.run:Report",
    "Source": "core.source:Source",
    "Stream": "core.stream:Stream",
    "Suite": "core.suite:Suite",
    "Survey": "survey.dataset_survey:Survey",
    "authoring": "authoring:",
    "check": "inspection.check:check",
    "collect_expert": "collection.collect_expert:collect_expert",
    "collect_page": "collection.collect_page:collect_page",
    "collect_robot": "collection.collect_robot:collect_robot",
    "collect_umi": "collection.umi.collect_umi:collect_umi",
    "convert": "conversion.convert_dataset:convert",
    "curate": "curation.curate_dataset:curate",
    "demo": "studies.demo:demo",
    "diff": "store.snapshot:diff",
    "errors": "core.errors:",
    "evaluate": "evaluation.evaluate:evaluate",
    "expand": "expansion.expand:expand",
    "explain": "inspection.catalogue:explain",
    "find_datasets": "core.detection:find_datasets",
    "history": "store.snapshot:history",
    "look": "survey.look:look",
    "measure": "evaluation.measure:measure",
    "open": "dataset:open_dataset",
    "plan_conversion": "conversion.convert_dataset:plan_conversion",
    "plan_curation": "curation.curate_dataset:plan_curation",
    "plan_study": "studies.ask:plan_question",
    "serve": "evaluation.serve:serve",
    "snapshot": "store.snapshot:snapshot",
    "study": "studies.ask:study",
    "torch": "torch:",
    "train": "training.train:train",
    "verify": "store.snapshot:verify",
}
"""Where each name lies: `module:name`, `module:` for the module itself.

A module of the package never has the name of something else here."""


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'robokata' has no attribute {name!r}")
    module, _, attribute = _HOMES[name].partition(":")
    home = importlib.import_module(f"robokata.{module}")
    return getattr(home, attribute) if attribute else home


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
