"""A simulated episode holds what happened, on the clocks that it happened on."""

from __future__ import annotations

import numpy as np
import pytest

from robokata.collection.scripted import ExpertJob
from robokata.core.episode import Episode
from robokata.core.errors import PolicyFailed, RecipeRefused, UnknownName
from robokata.core.source import EpisodeList
from robokata.core.stream import Meaning, Role
from robokata.core.world import Width
from robokata.geometry.poses import pose_from_seven
from robokata.inspection.run import check_dataset
from robokata.sim.attempt import Recorder
from robokata.sim.cameras import Filming
from robokata.sim.demonstration import scene_of, start, world_of
from robokata.sim.episode import _clock, _table
from robokata.sim.gl import backend
from robokata.sim.inverse_kinematics import ArmKinematics
from robokata.sim.render import Renderer
from robokata.sim.sensors import REALISTIC, Sensors, sensors_from
from robokata.sim.variation import NO_VARIATION


def recorded(number: int = 0, *, task: str = "lift", **options: object) -> Episode:
    filming = options.pop("filming", Filming(64, 64))
    sensors = options.pop("sensors", Sensors())
    job = ExpertJob(scene_of(task), Width.D0, 0, filming, sensors, **options)  # type: ignore[arg-type]
    episode = job(number).episode
    assert episode is not None
    return episode


def test_the_same_number_gives_the_same_episode_to_the_bit() -> None:
    one, other, third = recorded(3), recorded(3), recorded(4)
    for name, stream in one.streams.items():
        if stream.is_picture:
            assert [stream.pictures.encoded(i) for i in range(len(stream))] == [
                other.streams[name].pictures.encoded(i) for i in range(len(stream))
            ]
        else:
            np.testing.assert_array_equal(stream.table, other.streams[name].table)
    assert not np.array_equal(one.stream("action").table[:10], third.stream("action").table[:10])


def test_a_command_that_fails_leaves_no_half_of_a_step() -> None:
    scene = scene_of("lift")
    world = world_of(scene)
    begun = start(world, scene, width=Width.D0, rng=np.random.default_rng(0), variation=NO_VARIATION, number=0)
    recorder = Recorder(world, begun.setup, task=scene.leaf)

    def failing() -> None:
        raise PolicyFailed("not_finite", "no pose.")

    recorder.step(lambda: None)
    with pytest.raises(PolicyFailed):
        recorder.step(failing)
    attempt = recorder.attempt
    rows = (attempt.steps, attempt.state, attempt.tips, attempt.objects, attempt.physics, attempt.touching)
    assert {len(each) for each in (*rows, attempt.action, attempt.commands)} == {1}


def test_a_stream_may_have_no_rows() -> None:
    made = _table("action", Role.ACTION, _clock([], 20), [], ["a", "b"], Meaning())
    assert made.table.shape == (0, 2)


def test_the_tip_is_where_the_joints_say() -> None:
    episode = recorded()
    robot = episode.embodiment
    assert robot is not None
    solver = ArmKinematics(robot, robot.arms[0])
    state, tips = episode.stream("observation.state").table, episode.stream("observation.tip_pose").table
    for row in range(0, len(state), 7):
        np.testing.assert_allclose(solver.tip(state[row, :7]), pose_from_seven(tips[row]), atol=1e-9)


def test_realistic_sensors_have_their_own_rates_and_times() -> None:
    episode = recorded(sensors=REALISTIC)
    rates = {name: stream.clock.measured_rate_hz() for name, stream in episode.streams.items()}
    assert rates["observation.state"] == pytest.approx(100, rel=0.02)
    assert rates["observation.images.scene"] == pytest.approx(30, rel=0.05)
    assert rates["observation.force"] == pytest.approx(500, rel=0.02)
    late_ns = (
        episode.stream("observation.images.scene").clock.times_ns - episode.stream("simulation.state").clock.times_ns
    )
    assert np.median(late_ns) == pytest.approx(30e6, rel=0.1)
    exact = recorded()
    assert {len(stream) for stream in exact.streams.values()} == {len(exact.stream("action"))}


def test_one_sensor_can_be_set_and_a_wrong_setting_says_what_there_is() -> None:
    sensors = sensors_from(["joints_hz=100", "camera_latency_s=0.05"], Sensors())
    assert (sensors.joints_hz, sensors.camera_latency_s, sensors.camera_hz) == (100, 0.05, None)
    assert sensors_from(["force_hz=none"], REALISTIC).force_hz is None
    with pytest.raises(UnknownName, match="No setting of sensors is called 'camera_fps'"):
        sensors_from(["camera_fps=30"], Sensors())
    for word in ("camera_hz=fast", "camera_hz=0", "camera_latency_s=-1", "jitter_share=nan", "camera_latency_s=none"):
        with pytest.raises(RecipeRefused, match=f"--sensor {word}"):
            sensors_from([word], Sensors())


def test_pictures_show_the_states_that_are_stored() -> None:
    episode = recorded()
    world = world_of(scene_of("lift"))
    renderer = Renderer(world.model, height_px=64, width_px=64)
    renderer.at(episode.stream("simulation.state").table[10])
    shown = episode.stream("observation.images.wrist").values[10].astype(int)
    assert np.abs(shown - renderer.rgb("wrist")).mean() < 2, "JPEG may cost a level or two"
    renderer.close()


def test_depth_and_segmentation_agree_with_the_geometry() -> None:
    episode = recorded(filming=Filming(48, 48, depth=True, segmentation=True))
    geoms = episode.stream("simulation.segmentation.scene")
    depth_mm = episode.stream("observation.depth.scene").values[0]
    names = geoms.extra["geoms"]
    cube = np.isin(geoms.values[0], [names.index("prop/cube/0")])
    assert cube.any()
    camera = episode.extra["simulation"]["cameras"]["scene"]
    from_world = np.linalg.inv(np.array(camera["world_from_camera"]))
    middle = from_world @ pose_from_seven(episode.stream("simulation.objects").table[0])
    assert np.median(depth_mm[cube]) / 1000 == pytest.approx(middle[2, 3], abs=0.03)
    # The cube's middle projects into the pixels that are said to be the cube.
    u = camera["focal_px"] * middle[0, 3] / middle[2, 3] + camera["centre_px"][0]
    v = camera["focal_px"] * middle[1, 3] / middle[2, 3] + camera["centre_px"][1]
    assert cube[int(v), int(u)]


def test_rays_and_opengl_see_the_same_scene(monkeypatch: pytest.MonkeyPatch) -> None:
    if backend().name == "rays":
        pytest.skip("no OpenGL here")
    world = world_of(scene_of("lift"))
    gl = Renderer(world.model, height_px=64, width_px=64)
    rays = Renderer(world.model, height_px=64, width_px=64)
    rays._gl = None
    for renderer in (gl, rays):
        renderer.at(recorded().stream("simulation.state").table[5])
    red = [(r := each.rgb("scene").astype(int))[..., 0] - r[..., 1] > 60 for each in (gl, rays)]
    assert red[0].any()
    assert (red[0] ^ red[1]).mean() < 0.01, "the red cube lies elsewhere"
    gl.close()


def test_subtasks_are_labelled_in_order_and_the_outcome_is_known() -> None:
    episode = recorded(task="stack")
    notes = [note for note in episode.annotations if note.label.startswith("subtask:")]
    assert [note.label for note in notes] == ["subtask:take_red", "subtask:place_on_green"]
    assert notes[0].end_s == notes[1].start_s < notes[1].end_s <= episode.duration_s + 0.05
    assert episode.outcome.success is True
    assert any(note.label == "grasp:arm:red" for note in episode.annotations)
    assert not any(note.label.startswith("drop:") for note in episode.annotations)


def test_clumsy_operators_take_longer_and_still_succeed() -> None:
    steady = [len(recorded(n, filming=None).stream("action")) for n in range(4)]
    clumsy = [len(recorded(n, filming=None, clumsiness_share=1.0).stream("action")) for n in range(4)]
    assert sum(clumsy) > 1.2 * sum(steady)


def test_recorded_episodes_are_sound() -> None:
    report = check_dataset(EpisodeList([recorded(n, task="stack") for n in range(4)]))
    assert [finding.message for finding in report.findings if finding.level == "error"] == []
