"""Tests of the PyTorch datasets: every number is the episode's own, in a loop that is not ours."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import robokata as rk
from robokata.core.shelf import shelf
from robokata.testing import tiny_source

torch = pytest.importorskip("torch")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("torch") / "set"
    source = tiny_source(3)
    shelf("formats")["lerobot_v3"].write(path, (source.episode(key) for key in source.keys()))
    return path


def test_a_sample_holds_what_the_episode_holds_at_that_moment(folder: Path) -> None:
    data = rk.torch.ChunkDataset(folder, chunk_steps=4, rate_hz=50.0, every_s=0.02, picture_px=32)
    sample = data[0]
    episode = rk.open(folder)[0]
    # The first moment at which everything has been seen, which may be some samples into a stream.
    apart = np.abs(episode["observation.state"].table[:3] - sample["observation.state"][-1].numpy()).max(1)
    assert apart.min() < 1e-6
    assert sample["action"].shape == (4, episode["action"].table.shape[1])
    assert sample["action_is_pad"].dtype == torch.bool
    assert not sample["action_is_pad"].any()
    assert data[len(data) - 1]["action_is_pad"].any()
    (camera,) = (name for name in sample if f"{name}.is_there" in sample)
    assert sample[camera].shape == (3, 32, 32)
    assert sample[camera].dtype == torch.uint8
    with pytest.raises(IndexError):
        data[len(data)]


@pytest.mark.parametrize("workers", [0, 2])
def test_a_data_loader_shuffles_and_batches_with_any_number_of_workers(folder: Path, workers: int) -> None:
    data = rk.torch.ChunkDataset(folder, chunk_steps=4, picture_px=32)
    loader = torch.utils.data.DataLoader(
        data, batch_size=8, shuffle=True, num_workers=workers, generator=torch.Generator().manual_seed(3)
    )
    seen = torch.cat([batch["index"] for batch in loader])
    assert sorted(seen.tolist()) == list(range(len(data)))
    assert seen.tolist() != list(range(len(data)))


def test_an_episode_is_whole_on_its_own_clocks(folder: Path) -> None:
    data = rk.torch.EpisodeDataset(folder, streams=["observation.state"])
    sample = data[1]
    episode = rk.open(folder)[1]
    np.testing.assert_allclose(sample["observation.state"], episode["observation.state"].table, rtol=1e-6)
    assert 0 <= sample["observation.state.time_s"][0] < 0.1
    assert len(data) == 3
