"""Demonstrating through the page's server, as a browser and a program do."""

from __future__ import annotations

import math
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
import websockets.sync.client
from websockets.exceptions import InvalidStatus

from collection.served import Served, served
from robokata.collection.client import Operator
from robokata.core.detection import open_source
from robokata.core.episode import Episode
from robokata.core.errors import CollectionRefused
from robokata.core.finding import Level
from robokata.core.source import EpisodeList
from robokata.inspection.run import check_dataset


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("sim") / "out", "lift", "--seed", "3") as running:
        yield running


@pytest.fixture(scope="module")
def operator(server: Served) -> Iterator[Operator]:
    with Operator(server.url) as driving:
        yield driving


def phase(operator: Operator, wanted: str) -> None:
    operator.until(lambda: operator.status["phase"] == wanted)


def drive(operator: Operator, twist: list[float], *, steps: int, opening: float | None = None) -> list[int]:
    numbers = []
    for _ in range(steps):
        numbers.append(operator.twist("arm", twist, opening_share=opening))
        time.sleep(0.02)
    return numbers


def held(operator: Operator) -> None:
    """Nothing that was commanded before is in force any more."""
    time.sleep(0.3)
    operator.until(lambda: operator.status["holds"] in (["stale"], ["nobody"]))


def record(operator: Operator, *, steps: int = 40, keep: bool = True) -> None:
    phase(operator, "ready")
    operator.act("record")
    phase(operator, "recording")
    drive(operator, [0.05, 0.05, -0.05, 0, 0, 0.2], steps=steps, opening=0.5)
    before = operator.status["kept"]
    operator.act("keep" if keep else "discard")
    operator.until(lambda: operator.status["phase"] == "ready" and operator.status["kept"] == before + keep)


def finished(operator: Operator) -> None:
    operator.until(lambda: all(each["stage"] == "done" for each in operator.status["recordings"]), patience_s=60)


def test_a_command_is_taken_up_and_its_times_come_back(operator: Operator) -> None:
    numbers = drive(operator, [0.1, 0, 0, 0, 0, 0], steps=10)
    operator.until(lambda: any(number in operator.applied for number in numbers))
    applied = next(operator.applied[number] for number in numbers if number in operator.applied)
    assert applied["t_ms"] <= applied["received_ms"] <= applied["applied_ms"] < applied["t_ms"] + 2000


def test_a_twist_moves_the_tip_where_it_says_and_the_jaws_follow(operator: Operator) -> None:
    held(operator)
    scene = operator.status["scene"]
    operator.act("reset")
    operator.until(lambda: operator.status["scene"] > scene)
    before = np.array(operator.state["commands"]["arm"])
    drive(operator, [0.0, 0.2, 0, 0, 0, 0], steps=25, opening=0.25)
    operator.until(lambda: abs(operator.state["openings"]["arm"] - 0.25) < 0.02)
    moved = np.array(operator.state["commands"]["arm"]) - before
    assert 0.03 < moved[1] < 0.2
    assert abs(moved[0]) < 0.005
    assert abs(moved[2]) < 0.005


def test_a_leader_arm_is_copied_joint_by_joint(operator: Operator) -> None:
    arm = operator.hello["arms"][0]
    wanted = np.array(arm["home"]) + 0.1
    for _ in range(60):
        operator.joints("arm", wanted.tolist(), opening_share=0.5)
        time.sleep(0.02)
    operator.until(lambda: np.abs(np.array(operator.state["state"][:7]) - wanted).max() < 0.01)
    assert np.allclose(operator.state["action"][:7], wanted, atol=1e-9)


@pytest.mark.parametrize("values", [[math.nan] * 6, [math.inf, 0, 0, 0, 0, 0], [5, 0, 0, 0, 0, 0], [0] * 5])
def test_a_command_out_of_range_is_refused_counted_and_never_taken_up(operator: Operator, values: list[float]) -> None:
    held(operator)
    before, count = operator.state["action"], operator.status["refused"]
    number = operator.twist("arm", values)
    operator.until(lambda: operator.status["refused"] == count + 1)
    assert operator.refused[-1]["seq"] == number
    time.sleep(0.2)
    assert number not in operator.applied
    assert operator.state["action"] == before


def test_what_is_no_message_of_ours_is_refused_and_the_connection_goes_on(operator: Operator) -> None:
    count = operator.status["refused"]
    for text in ("", "{", "[]", "null", '"x"', '{"type": 5}', "[" * 8000, '{"v": 1e999}'):
        operator._socket.send(text)
    operator.until(lambda: operator.status["refused"] == count + 8)
    test_a_command_is_taken_up_and_its_times_come_back(operator)


def test_a_silent_operator_is_held_after_a_fifth_of_a_second(operator: Operator) -> None:
    drive(operator, [0.1, 0, 0, 0, 0, 0], steps=10)
    operator.until(lambda: operator.status["holds"] == ["stale"])
    before = operator.state["action"]
    time.sleep(0.3)
    assert operator.state["action"] == before


def test_a_second_browser_with_the_same_link_watches_only(server: Served, operator: Operator) -> None:
    with Operator(server.url) as other:
        other.until(lambda: other.status.get("drives") is False and other.pictures > 0, patience_s=30)
        before = other.state["action"]
        number = other.twist("arm", [0.1, 0, 0, 0, 0, 0])
        other.act("record")
        other.until(lambda: len(other.refused) >= 2)
        assert {each["why"] for each in other.refused} == {"this page only watches"}
        assert other.refused[0]["seq"] == number
        other.send({"type": "take_over"})
        time.sleep(0.3)
        assert other.status["drives"] is False
        assert other.status["phase"] == "ready"
        assert other.state["action"] == before
        operator.until(lambda: operator.status["watchers"] == 1)
        assert httpx.post(f"{base(server)}/link", cookies=session(other), headers=origin(server)).status_code == 403


def base(server: Served) -> str:
    return server.url.partition("/?")[0]


def origin(server: Served) -> dict[str, str]:
    return {"Origin": base(server)}


def session(operator: Operator) -> dict[str, str]:
    return {"robokata_session": operator.cookie}


def test_a_wrong_token_gets_nothing_neither_page_nor_file_nor_socket(server: Served) -> None:
    for path in ("/", "/?token=", "/?token=wrong", "/page/app.js", "/docs", "/openapi.json", "/page/..%2fserver.py"):
        answer = httpx.get(base(server) + path)
        assert (answer.status_code in (403, 404), answer.headers.get("set-cookie")) == (True, None), path
        assert b"obokata" not in answer.content
    with pytest.raises(CollectionRefused, match="this token opens nothing"):
        Operator(base(server) + "/?token=wrong")
    for cookie in ("", "robokata_session=wrong"):
        with (
            pytest.raises(InvalidStatus),
            websockets.sync.client.connect(
                f"{base(server)}/socket".replace("http", "ws", 1),
                origin=base(server),
                additional_headers={"Cookie": cookie},
            ),
        ):
            pytest.fail("it was let in")


def test_a_page_of_another_origin_cannot_use_the_session(server: Served, operator: Operator) -> None:
    socket, cookie = f"{base(server)}/socket".replace("http", "ws", 1), f"robokata_session={operator.cookie}"
    for wrong in ("http://evil.example", None):
        with (
            pytest.raises(InvalidStatus),
            websockets.sync.client.connect(socket, origin=wrong, additional_headers={"Cookie": cookie}),
        ):
            pytest.fail("it was let in")
    assert httpx.post(f"{base(server)}/link", cookies=session(operator)).status_code == 403
    rebound = httpx.get(f"{base(server)}/", cookies=session(operator), headers={"Host": "evil.example"})
    assert rebound.status_code == 403


def test_the_page_is_served_whole_and_asks_no_other_site(server: Served, operator: Operator) -> None:
    with httpx.Client(base_url=base(server), cookies=session(operator)) as browser:
        page = browser.get("/")
        assert page.headers["content-security-policy"].startswith("default-src 'self'")
        for name in ("app.js", "style.css", "world.js", "headset.js", "mark.svg"):
            assert browser.get(f"/page/{name}").status_code == 200
        assert "http" not in page.text.replace("http-equiv", "")
        assert browser.get("/page/index.html/../../server.py").status_code in (403, 404)


def test_a_message_that_is_too_large_ends_that_connection_only(server: Served, operator: Operator) -> None:
    with Operator(server.url) as other:
        other._socket.send("x" * 20_000)
        other._listener.join(10)
        assert not other._listener.is_alive()
    test_a_command_is_taken_up_and_its_times_come_back(operator)


def test_kept_discarded_and_undone_episodes(server: Served, operator: Operator) -> None:
    others = set(server.out.glob("*.mcap"))
    kept = operator.status["kept"]
    record(operator)
    record(operator, keep=False)
    record(operator)
    finished(operator)
    first, second = sorted(set(server.out.glob("*.mcap")) - others)
    bytes_of_first, bytes_of_second = first.read_bytes(), second.read_bytes()
    operator.act("undo")
    operator.until(lambda: operator.status["kept"] == kept + 1)
    assert set(server.out.glob("*.mcap")) == others | {first}
    assert first.read_bytes() == bytes_of_first
    assert (server.out / ".undone" / second.name).read_bytes() == bytes_of_second
    operator.act("undo")
    operator.until(lambda: operator.status["kept"] == kept)
    assert set(server.out.glob("*.mcap")) == others


def test_undo_takes_nothing_of_an_earlier_session(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with served(out, "lift") as server, Operator(server.url) as operator:
        record(operator, steps=10)
        finished(operator)
        server.end()
    with served(out, "lift") as server, Operator(server.url) as operator:
        operator.act("undo")
        operator.until(lambda: operator.status["notice"].startswith("There is nothing to undo"))
        server.end()
    assert len(list(out.glob("*.mcap"))) == 1


@pytest.fixture(scope="module")
def recorded(server: Served, operator: Operator) -> Episode:
    """One demonstration that was driven and kept."""
    before = set(server.out.glob("*.mcap"))
    record(operator, steps=100)
    finished(operator)
    (made,) = set(server.out.glob("*.mcap")) - before
    return open_source(made).episode(made.stem)


def test_a_recorded_episode_tells_every_command_and_passes_every_check(recorded: Episode) -> None:
    episode = recorded
    told = episode.extra["teleoperation"]
    assert told["devices"] == ["program"]
    assert told["sent_to_applied_ms"]["p99"] > 0
    assert told["tracking_error_mm"]["max"] > 0
    twist = episode.stream("teleoperation.arm.twist")
    assert np.allclose(np.unique(twist.table, axis=0), [[0.05, 0.05, -0.05, 0, 0, 0.2]])
    sent, received, applied = (twist.other_clocks[name].times_ns for name in ("sent", "received", "applied"))
    assert np.all(sent <= received + 1_000_000)  # the offset of the clocks is known to half a round trip
    assert np.all(received < applied)
    assert np.all(np.diff(episode.stream("teleoperation.arm.way").table[:, 0]) > 0)
    # What was sent is in joints; the tip that it stands for is beside it, and the measured one follows.
    assert episode.stream("action").table.shape == (len(episode.stream("action")), 8)
    assert episode.stream("observation.images.scene").shape == (96, 128, 3)
    pictures = episode.stream("observation.images.scene")
    assert abs(len(pictures) - 30 * episode.duration_s) < 3
    report = check_dataset(EpisodeList([episode]))
    errors = [finding for finding in report.findings if finding.level is Level.ERROR]
    assert errors == []


def test_pictures_are_of_the_very_moments_that_their_stamps_say(recorded: Episode) -> None:
    """Rendered again from the state stored at each stamp, byte by byte: recording is exact."""
    from robokata.core.require import require
    from robokata.sim.demonstration import scene_of, world_of
    from robokata.sim.render import Renderer

    film, states = recorded.stream("observation.images.wrist"), recorded.stream("simulation.state")
    at = {int(time_ns): row for time_ns, row in zip(states.clock.times_ns, states.table, strict=True)}
    renderer = Renderer(world_of(scene_of("lift", control_hz=50)).model, height_px=96, width_px=128)
    encode = require("simplejpeg", extra="images").encode_jpeg
    for number in range(0, len(film), 7):
        renderer.at(at[int(film.clock.times_ns[number])])
        reset_sample = encode(renderer.rgb("wrist"), quality=92, colorspace="RGB", colorsubsampling="444")
        shown = film.pictures.encoded(number)
        assert shown is not None
        assert shown.data == reset_sample
    renderer.close()


def test_the_original_clocks_survive_lerobot(recorded: Episode, tmp_path: Path) -> None:
    from robokata.conversion.convert import convert

    before = recorded
    convert(EpisodeList([before]), tmp_path / "lerobot", "lerobot_v3")
    after_source = open_source(tmp_path / "lerobot")
    after = after_source.episode(after_source.keys()[-1])
    for name, stream in before.streams.items():
        assert np.array_equal(after.stream(name).clock.times_ns, stream.clock.times_ns), name
        for other, clock in stream.other_clocks.items():
            assert np.array_equal(after.stream(name).other_clocks[other].times_ns, clock.times_ns), (name, other)


def test_another_server_may_not_record_into_the_same_folder(server: Served) -> None:
    with pytest.raises(AssertionError, match=r"another run is at work in this folder"):
        Served(server.out, "lift")


def test_a_headset_on_the_network_gets_tls_with_the_fingerprint_that_is_printed(tmp_path: Path) -> None:
    import hashlib
    import socket

    with served(tmp_path / "out", "lift", "--host", "0.0.0.0") as running:
        assert running.url.startswith("https://")
        address, port = running.url.split("/")[2].split(":")
        trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
        with socket.create_connection((address, int(port))) as plain, trusting.wrap_socket(plain) as secure:
            shown = hashlib.sha256(secure.getpeercert(binary_form=True) or b"").hexdigest()
        assert running.events[0]["fingerprint"].replace(":", "").lower() == shown
        with Operator(running.url, tls=trusting) as driving:
            number = driving.twist("arm", [0.1, 0, 0, 0, 0, 0])
            driving.until(lambda: number in driving.applied)
        ended = running.end()
    assert ended["event"] == "ended"
