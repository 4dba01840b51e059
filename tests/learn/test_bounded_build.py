"""A card that asks for another network than its weights are is refused before memory is taken."""

from __future__ import annotations

import json
import resource
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from loading.reaching import reaching_episode
from robokata.core.contracts import Policy
from robokata.core.errors import DamagedData, TooLarge
from robokata.learn.checkpoint import CARD, STATE, read_state
from robokata.learn.open_policy import open_policy
from robokata.learn.training_spec import TrainingSpec
from robokata.loading.data_source import DataSource
from robokata.policies import bc_mlp
from robokata.testing import POLICY_CLAUSES
from robokata.training.data import in_memory
from robokata.training.fit import fit, plan
from robokata.training.settings import settings_for


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    spec = TrainingSpec((DataSource("memory"),), options={"width": 16, "layers": 1})
    source = in_memory([reaching_episode(n) for n in range(2)])
    job = plan("bc_mlp", spec, [source], settings_for(bc_mlp.HABITS, steps=1, threads=1, device="cpu"))
    return fit(job, tmp_path_factory.mktemp("policy") / "out").folder


@pytest.mark.parametrize("clause", POLICY_CLAUSES, ids=lambda clause: clause.__name__)
def test_a_trained_policy_keeps_the_contract(trained: Path, clause: Callable[[Policy], None]) -> None:
    policy = open_policy(trained)
    clause(policy)
    policy.close()


def with_card(trained: Path, folder: Path, **changes: Any) -> Path:
    shutil.copytree(trained, folder)
    card = json.loads((folder / CARD).read_text())
    card["options"].update(changes.pop("options", {}))
    (folder / CARD).write_text(json.dumps(card | changes))
    return folder


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"width": 1000}, "the weights do not fit: its options ask for a larger network"),
        ({"layers": 300}, "the weights do not fit: its options ask for a larger network"),
        ({"layers": 10**7}, "option layers is 10000000, and the weights have"),
        ({"width": 10**9}, "option width is 1000000000, and the weights have"),
        ({"width": -1}, "option width is -1"),
        ({"width": "x"}, "option width is 'x', not int"),
        ({"layers": True}, "option layers is True, not int"),
        ({"width": None}, "option width is None, not int"),
    ],
)
def test_a_card_that_asks_for_another_network_is_refused(
    trained: Path, tmp_path: Path, options: dict[str, Any], said: str
) -> None:
    folder = with_card(trained, tmp_path / "policy", options=options)
    before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(DamagedData, match=said) as refused:
        open_policy(folder)
    assert refused.value.file == str(folder / CARD)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb < 200_000


def test_the_card_as_it_was_written_opens(trained: Path, tmp_path: Path) -> None:
    assert open_policy(with_card(trained, tmp_path / "policy")).hello().chunk_steps


@pytest.mark.parametrize("changes", [{"execute_steps": "x"}, {"cameras_of": [1]}, {"execute_steps": None}])
def test_other_fields_of_another_kind_are_damage(trained: Path, tmp_path: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(DamagedData, match=r"card.json: what it says of the policy is damaged"):
        open_policy(with_card(trained, tmp_path / "policy", **changes))


def test_weights_that_are_packed_are_refused_by_what_they_claim(trained: Path, tmp_path: Path) -> None:
    state = tmp_path / STATE
    state.parent.mkdir()
    with zipfile.ZipFile(state, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("archive/data.pkl", b"\0" * 50_000_000)
    with pytest.raises(TooLarge, match="claims to unpack to 50,000,000 bytes, and torch packs nothing"):
        read_state(tmp_path)
