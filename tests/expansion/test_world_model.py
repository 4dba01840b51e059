"""A world model behind HTTP: what is asked, what is kept, and what is kept out with which reason."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import jsonschema
import numpy as np
import pytest

from robokata.core.clock import measured_clock
from robokata.core.contracts import ExpansionJobs
from robokata.core.detection import open_source
from robokata.core.episode import Episode
from robokata.core.errors import GeneratorFailed, OptionRefused, RecipeRefused, WriteRefused
from robokata.core.shelf import shelf
from robokata.core.stream import Kind, Role, Stream
from robokata.core.values import ArrayValues
from robokata.expanders import world_model
from robokata.expanders._world_model.client import Server
from robokata.expanders._world_model.message import question_of
from robokata.expanders.world_model import WorldModelJob
from robokata.expansion.expand import plan_expansion, run_expansion
from robokata.expansion.expansion import Expansion
from robokata.media.images import RawImages
from robokata.runtime.options import options_from_words, options_of
from robokata.testing import tiny_episode

SCHEMAS = Path(world_model.__file__).parent / "_world_model"
STAND_IN = Path(__file__).parent / "stand_in_world_model.py"


def started() -> tuple[subprocess.Popen[str], str]:
    process = subprocess.Popen([sys.executable, str(STAND_IN)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, f"http://127.0.0.1:{process.stdout.readline().strip()}"


def ended(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()
    assert process.stdout is not None
    process.stdout.close()


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    process, url = started()
    yield url
    ended(process)


def filmed(number: int = 0) -> Episode:
    """Two seconds of the tiny robot, seen at 30 Hz, with depth and labels on the camera's clock."""
    episode = tiny_episode(number, duration_s=2.0)
    camera = episode.streams["observation.images.front"]
    grey = np.asarray(camera.values[:])[..., 0]
    depth = RawImages(ArrayValues(grey.astype(np.uint16) * 5), where="depth")
    labels = ArrayValues((grey > 120).astype(np.int16) - 1)
    return replace(
        episode.with_stream(Stream("observation.depth.front", Kind.IMAGE, Role.CAMERA, camera.clock, depth)),
    ).with_stream(Stream("simulation.segmentation.front", Kind.TENSOR, Role.SENSOR, camera.clock, labels))


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("filmed") / "set"
    shelf("formats")["mcap"].write(path, [filmed(number) for number in range(2)])
    return path


def job(dataset: Path, url: str, **settings: object) -> WorldModelJob:
    source = open_source(dataset)
    patient = Server(url, timeout_s=20.0, retries=1, wait_s=0.05)
    return WorldModelJob(str(source.path), source.format, tuple(source.keys()), patient, **settings)  # type: ignore[arg-type]


def run_jobs(job: WorldModelJob, out: Path, *, episodes: int, workers: int) -> Expansion:
    jobs = ExpansionJobs(job, job.described(), tries_per_episode=2)
    return run_expansion(jobs, out, by="world_model", episodes=episodes, workers=workers)


@pytest.mark.parametrize("encoding", ["jpeg", "mp4"])
def test_request_and_answer_are_what_the_schemas_say(
    server: str, encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = json.loads((SCHEMAS / "request.schema.json").read_text())
    response = json.loads((SCHEMAS / "response.schema.json").read_text())
    controls = ("depth", "segmentation", "edges")
    question = question_of(filmed(), prompt="at night", seed=3, encoding=encoding, controls=controls)
    jsonschema.validate(question, request)
    told = question["cameras"]["front"]["controls"]
    assert {name: len(each["data"]) for name, each in told.items()} == {"depth": 60, "segmentation": 60, "edges": 60}
    answer = world_model.ask(Server(f"{server}/good"), question)
    jsonschema.validate(answer, response)


@pytest.mark.parametrize("way", ["good", "mp4"])
def test_new_pictures_are_kept_and_every_number_stays_to_the_bit(
    server: str, dataset: Path, way: str, tmp_path: Path
) -> None:
    made = run_jobs(job(dataset, f"{server}/{way}"), tmp_path / "out", episodes=2, workers=1)
    assert (made.production.kept, made.reasons) == (2, {})
    old, new = open_source(dataset), open_source(tmp_path / "out")
    for key, other in zip(old.keys(), new.keys(), strict=True):
        before, after = old.episode(key), new.episode(other)
        for stream in before.numeric(Role.STATE, Role.ACTION):
            np.testing.assert_array_equal(after.streams[stream.name].table, stream.table)
            np.testing.assert_array_equal(after.streams[stream.name].clock.times_ns, stream.clock.times_ns)
        camera = after.streams["observation.images.front"]
        np.testing.assert_array_equal(camera.clock.times_ns, before.streams[camera.name].clock.times_ns)
        blue = np.asarray(before.streams[camera.name].values[10])[..., 2] * 0.8
        assert np.abs(camera.values[10][..., 0] - blue).mean() < 6
        assert after.origin.made_from[0].startswith(f"{key}@")
        assert after.extra["steps"][-1]["model"] == "stand-in 1.0"
        assert "observation.depth.front" not in after.streams, "depth of the old world is left out"


REFUSED = {
    "one_too_few": ("unfaithful", "camera front: 59 pictures came, 60 were sent."),
    "one_too_many": ("unfaithful", "camera front: 61 pictures came, 60 were sent."),
    "small": ("unfaithful", "camera front, picture 0: is 24x32, sent was 48x64."),
    "blank": ("unfaithful", "observation.images.front: 3 pictures are blank, the first is 57."),
    "unchanged": ("unfaithful", "observation.images.front: the pictures came back as they were sent"),
    "frozen": ("unfaithful", "observation.images.front: the pictures hardly move: 0.0 % of the motion that was sent."),
    "half_frozen": ("unfaithful", "observation.images.front: the pictures stand still from"),
    "late": ("unfaithful", "observation.images.front: the motion comes 4 pictures late"),
    "one_camera": ("bad_message", "answers cameras , asked were front."),
    "other_id": ("bad_message", "answers 'robokata-world-model/1' 'of somebody else'"),
    "no_base64": ("bad_message", "camera front: no pictures can be read from it"),
    "no_picture": ("bad_message", "camera front, picture 0: neither JPEG nor PNG"),
    "bomb": ("bad_message", "camera front, picture 0: the picture's header claims 65535 x 65535 pixels."),
    "half_a_picture": ("bad_message", "camera front, picture 1: the JPEG cannot be decoded"),
    "garbage": ("bad_message", "answers no JSON, but"),
    "list": ("bad_message", "answers a list, not an object."),
    "refuses": ("refused", "refuses with 422: no such prompt"),
    "token": ("refused", "refuses with 401: no token"),
    "breaks": ("server_error", "fails with 500: out of memory"),
    "busy": ("busy", "answers 503, also when asked again: warming up"),
    "hangs_up": ("unreachable", "Is the server up?"),
    "cut": ("unreachable", "Is the server up?"),
}


@pytest.mark.parametrize("way", REFUSED)
def test_what_comes_back_wrong_is_kept_out_with_its_reason(server: str, dataset: Path, way: str) -> None:
    kind, words = REFUSED[way]
    asked = job(dataset, f"{server}/{way}")
    with pytest.raises(GeneratorFailed) as refusal:
        asked.shown(open_source(dataset).episode(asked.keys[0]), 0)
    assert refusal.value.kind == kind
    assert words in str(refusal.value)
    row = asked(0)
    assert row.episode is None
    assert row.row["reason"].startswith(f"{kind}: ")


def test_pictures_of_noise_are_kept_out(server: str, dataset: Path) -> None:
    asked = job(dataset, f"{server}/noise")
    with pytest.raises(GeneratorFailed) as refusal:
        asked.shown(open_source(dataset).episode(asked.keys[0]), 0)
    assert refusal.value.kind == "unfaithful"


@pytest.mark.parametrize("way", ["slow", "drips"])
def test_a_server_that_is_too_slow_is_left_at_the_deadline(server: str, dataset: Path, way: str) -> None:
    asked = replace(job(dataset, server), server=Server(f"{server}/{way}", timeout_s=0.5, retries=0))
    with pytest.raises(GeneratorFailed) as refusal:
        asked.shown(open_source(dataset).episode(asked.keys[0]), 0)
    assert refusal.value.kind == "stalled"
    assert str(refusal.value) == f"{server}/{way}: no answer within 0.5 s."


def test_more_than_may_come_or_go_is_refused(server: str, dataset: Path) -> None:
    episode = open_source(dataset).episode("0")
    flood = replace(job(dataset, server), server=Server(f"{server}/floods", max_response_bytes=1_000_000))
    with pytest.raises(GeneratorFailed, match="answers with more than 1000000 bytes"):
        flood.shown(episode, 0)
    large = replace(job(dataset, server), server=Server(f"{server}/good", max_request_bytes=10_000))
    with pytest.raises(GeneratorFailed, match="at most 10000 are sent"):
        large.shown(episode, 0)


def test_a_busy_server_is_asked_again(server: str, dataset: Path) -> None:
    asked = job(dataset, f"{server}/busy_once")
    assert asked(0).episode is not None


def test_a_token_is_sent_and_stored_nowhere(server: str, dataset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROBOKATA_WORLD_MODEL_TOKEN", "secret")
    asked = job(dataset, f"{server}/token")
    made = asked(0)
    assert made.episode is not None
    assert "secret" not in json.dumps([asked.described(), made.episode.extra, made.row], default=str)
    with pytest.raises(RecipeRefused, match="would be written down"):
        Server("http://me:secret@example.org/")


def test_a_server_that_dies_costs_no_finished_episode(dataset: Path, tmp_path: Path) -> None:
    process, url = started()
    try:
        run_jobs(job(dataset, f"{url}/good"), tmp_path / "out", episodes=1, workers=1)
        gone = replace(job(dataset, f"{url}/good"), server=Server(f"{url}/dies", retries=1, wait_s=0.05))
        made = gone(1)
        assert made.episode is None
        assert made.row["reason"].startswith("unreachable: ")
        assert len(open_source(tmp_path / "out").keys()) == 1
        with pytest.raises(WriteRefused, match=r"no episode could be made of 2 tries\. Most often: unreachable"):
            run_jobs(gone, tmp_path / "other", episodes=1, workers=1)
    finally:
        ended(process)


def test_options_are_checked_before_anything_is_sent(dataset: Path) -> None:
    source = open_source(dataset)
    known = options_of(world_model.plan)
    words = ["url=http://127.0.0.1:1/x", "prompt=a red = room", "encoding=mp4", "retries=0"]
    made = plan_expansion(source, "world_model", keys=["0"], options=options_from_words(words, known, "--option")).job
    assert (made.prompt, made.encoding, made.server.retries) == ("a red = room", "mp4", 0)
    for words, message in [
        ([], "expander world_model: url is needed (a text)."),
        (["url=ftp://x"], "'ftp://x' is no address of a world model. Write http://HOST:PORT/PATH."),
        (["url=http://x", "encoding=gif"], "encoding is 'gif'. It is one of jpeg, mp4."),
        (["url=http://x", "controls=lidar"], "no control is called 'lidar'. Known: depth, segmentation, edges."),
        (["url=http://x", "colour=red"], "expander world_model: knows no option 'colour'."),
    ]:
        options = options_from_words(words, known, "--option")
        with pytest.raises(RecipeRefused) as refusal:
            plan_expansion(source, "world_model", keys=["0"], options=options)
        assert str(refusal.value).startswith(message)
    with pytest.raises(OptionRefused, match="--option 'nothing' is not NAME=VALUE"):
        options_from_words(["nothing"], known, "--option")


def test_an_episode_without_pictures_is_refused_by_name(server: str, dataset: Path) -> None:
    bare = filmed().without_stream("observation.images.front")
    with pytest.raises(GeneratorFailed, match="episode 0 has no camera : none"):
        job(dataset, f"{server}/good").shown(bare, 0)


def test_a_camera_that_sees_nothing_move_is_not_called_frozen(server: str, dataset: Path) -> None:
    episode = filmed()
    camera = episode.streams["observation.images.front"]
    still = np.repeat(np.asarray(camera.values[:1]), len(camera), axis=0)
    clock = measured_clock(camera.clock.times_ns)
    resting = episode.with_stream(camera.with_values(RawImages(ArrayValues(still), where="still"), clock=clock))
    assert job(dataset, f"{server}/good").shown(resting, 0).streams[camera.name].values.shape == still.shape
