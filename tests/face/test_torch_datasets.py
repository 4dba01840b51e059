"""Tests of the PyTorch datasets: every number is the episode's own, in a loop that is not ours."""

from __future__ import annotations

import subprocess
import sys
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


def test_pictures_are_floats_from_0_to_1_on_request(folder: Path) -> None:
    as_bytes, as_floats = (
        rk.torch.ChunkDataset(folder, picture_px=32, has_float_pictures=is_float)[3] for is_float in (False, True)
    )
    (camera,) = (name for name in as_bytes if f"{name}.is_there" in as_bytes)
    assert as_floats[camera].dtype == torch.float32
    torch.testing.assert_close(as_floats[camera] * 255, as_bytes[camera].float())


def order_of(data: object, sampler: object, workers: int) -> list[int]:
    loader = torch.utils.data.DataLoader(data, batch_size=8, sampler=sampler, num_workers=workers)
    return [int(index) for batch in loader for index in batch["index"]]


def test_a_training_that_stopped_goes_on_with_the_same_batches_with_any_number_of_workers(folder: Path) -> None:
    data = rk.torch.ChunkDataset(folder, chunk_steps=4, picture_px=32)
    sampler = rk.torch.ChunkSampler(data, seed=3)
    first, second = order_of(data, sampler, 0), order_of(data, sampler, 2)
    assert sorted(first) == sorted(second) == list(range(len(data)))
    assert first != second
    assert order_of(data, rk.torch.ChunkSampler(data, seed=3, epoch=1, start=16), 2) == second[16:]
    assert order_of(data, rk.torch.ChunkSampler(data, seed=4), 0) != first


def test_processes_that_train_together_share_an_epoch(folder: Path) -> None:
    data = rk.torch.ChunkDataset(folder, chunk_steps=4, picture_px=32)
    shares = [list(rk.torch.ChunkSampler(data, rank=rank, ranks=4)) for rank in range(4)]
    assert {len(share) for share in shares} == {len(data) // 4}
    assert len({sample for share in shares for sample in share}) == len(data) // 4 * 4
    with pytest.raises(ValueError, match="rank must be between"):
        rk.torch.ChunkSampler(data, rank=4, ranks=4)
    with pytest.raises(ValueError, match="start must be between"):
        rk.torch.ChunkSampler(data, start=len(data) + 1)


@pytest.mark.parametrize("way", ["fork", "spawn"])
def test_workers_read_whole_episodes_also_when_they_are_spawned(folder: Path, way: str) -> None:
    camera = next(rk.open(folder)[0].pictures()).name
    data = rk.torch.EpisodeDataset(folder, cameras=[camera])
    expected = [data[index] for index in range(len(data))]
    loader = torch.utils.data.DataLoader(data, batch_size=None, num_workers=2, multiprocessing_context=way)
    for sample, other in zip(loader, expected, strict=True):
        assert sample["id"] == other["id"]
        assert torch.equal(sample[camera], other[camera])


def test_a_part_of_a_dataset_is_learnt_from_alone(folder: Path) -> None:
    part = rk.open(folder)[1:2]
    assert len(rk.torch.EpisodeDataset(part)) == 1
    assert len(rk.torch.ChunkDataset(part, cameras=[])) < len(rk.torch.ChunkDataset(folder, cameras=[]))


def test_importing_the_front_door_does_not_load_torch() -> None:
    code = "import sys, robokata as rk; rk.open, rk.look, rk.check; assert 'torch' not in sys.modules; rk.torch"
    subprocess.run([sys.executable, "-c", code], check=True)
