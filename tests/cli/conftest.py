"""The command line, called as a user calls it, inside this process."""

from __future__ import annotations

from pathlib import Path

import pytest
from kata_command import Kata, Said

from robokata.cli.main import run
from robokata.testing.sample import write_sample


@pytest.fixture
def kata(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Kata:
    """`kata("look", path)`: the exit code and both outputs; through `run`, which turns errors into messages."""
    monkeypatch.delenv("ROBOKATA_TRACEBACK", raising=False)

    def call(*words: object) -> Said:
        capsys.readouterr()
        code: object = 0
        try:
            run([str(word) for word in words])
        except SystemExit as end:
            code = end.code or 0
        out, err = capsys.readouterr()
        assert isinstance(code, int)
        assert "Traceback" not in out + err
        return Said(code, out, err)

    return call


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's dataset with its known defects, written once."""
    path = tmp_path_factory.mktemp("cli") / "sample_dataset"
    write_sample(path)
    return path


@pytest.fixture(scope="session")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two sound episodes without pictures: what costs little to check."""
    from dataclasses import replace

    from robokata.core.shelf import shelf
    from robokata.testing.tiny import tiny_episode

    path = tmp_path_factory.mktemp("cli") / "sound_dataset"
    episodes = [tiny_episode(n, duration_s=4.0, is_measured=False) for n in range(2)]
    numbers = [replace(e.without_stream(next(e.pictures()).name), id=str(n)) for n, e in enumerate(episodes)]
    shelf("formats")["lerobot_v3"].write(path, numbers)
    return path
