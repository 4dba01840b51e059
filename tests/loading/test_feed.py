"""Tests of the feed: what a sample holds is what lies in the data at that moment."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from loading.reaching import CAMERA, reaching_episode, reaching_source
from robokata.core.episode import Episode
from robokata.core.errors import DamagedData, TrainingRefused, Unsupported
from robokata.core.stream import Stream
from robokata.core.values import ArrayValues
from robokata.loading.actions import Frame
from robokata.loading.codec import CodecSpec, codec_from, fitted
from robokata.loading.features import Noise
from robokata.loading.feed import Feed
from robokata.loading.gather import gather
from robokata.loading.layout import BodyLayout, arranged, joined
from robokata.loading.pictures import resized
from robokata.loading.prefetch import prefetched
from robokata.loading.window_spec import WindowSpec, window_spec_from
from robokata.media.images import RawImages
from robokata.testing import tiny_episode

INPUTS = ("observation.state", "observation.tip_pose", "simulation.objects")
SPEC = WindowSpec("action.tip_pose", INPUTS, (CAMERA,), chunk_steps=8, history_s=(-0.1, 0.0), picture_px=32)


def feed_of(*episodes: Episode, spec: WindowSpec = SPEC) -> Feed:
    return Feed([gather(episode, spec=spec) for episode in episodes], spec)


def test_every_sample_is_what_lies_in_the_data_at_its_moment() -> None:
    episodes = [reaching_episode(n, px=32) for n in range(3)]
    feed = feed_of(*episodes)
    batch = feed.batch(np.arange(len(feed)))
    (part,) = batch.parts
    for sample in range(len(feed)):
        episode, step = episodes[feed.episode_of[sample]], int(feed.at[sample])
        tip = episode.streams["observation.tip_pose"].table
        np.testing.assert_array_equal(part.numbers["observation.tip_pose"][sample, 1], tip[step])
        if step >= 2:
            np.testing.assert_array_equal(part.numbers["observation.tip_pose"][sample, 0], tip[step - 2])
        else:
            assert np.isnan(part.numbers["observation.tip_pose"][sample, 0]).all()
        told = episode.streams["action.tip_pose"].table
        rows = np.minimum(step + np.arange(8), len(told) - 1)
        np.testing.assert_array_equal(part.actions[sample], told[rows])
        assert part.is_action[sample].tolist() == (step + np.arange(8) < len(told)).tolist()
        np.testing.assert_array_equal(batch.pictures[CAMERA][sample], episode.streams[CAMERA].values[step])


def test_streams_keep_their_own_clocks() -> None:
    episode = tiny_episode(duration_s=3.0)  # joints at 50 Hz, pictures at 30 Hz, both jittered
    spec = WindowSpec("action", ("observation.state",), ("observation.images.front",), every_s=0.05, picture_px=32)
    made = gather(episode, spec=spec)
    pictures, joints = episode.streams["observation.images.front"].clock, episode.streams["observation.state"].clock
    assert np.isin(made.at, pictures.times_ns).all()
    age_ns = made.at - joints.times_ns[made.inputs["observation.state"].rows[:, 0]]
    assert age_ns.min() >= 0
    assert age_ns.max() < 25_000_000


def test_a_missing_stream_is_a_mask_and_never_a_zero() -> None:
    whole, lacking = reaching_episode(0, px=32), reaching_episode(1)
    lacking = lacking.without_stream("simulation.objects")
    feed = feed_of(whole, lacking)
    batch = feed.batch(np.asarray([0, len(feed) - 1]))
    assert batch.has_picture[CAMERA].tolist() == [True, False]
    objects = batch.parts[0].numbers["simulation.objects"]
    assert not np.isnan(objects[0, -1]).any()
    assert np.isnan(objects[1]).all()
    encoded = fitted(feed, CodecSpec(SPEC)).encode(batch)
    assert encoded.is_feature[0, -1].all()
    assert not encoded.is_feature[1, -1].all()
    assert (encoded.features[~encoded.is_feature] == 0).all()


def test_what_is_absent_is_counted_as_the_batches_show_it() -> None:
    whole, lacking = reaching_episode(0, px=32), reaching_episode(1)
    assert feed_of(whole).absent_shares() == {}
    table = np.array(lacking.streams["observation.tip_pose"].table)
    table[3:5, :2] = np.nan
    holed = lacking.without_stream("simulation.objects").with_stream(
        replace(lacking.streams["observation.tip_pose"], values=ArrayValues(table))
    )
    feed = feed_of(whole, holed)
    batch = feed.batch(np.arange(len(feed)))
    (part,) = batch.parts
    wanted = {name: np.isnan(values[:, -1]).mean() for name, values in part.numbers.items()}
    wanted |= {CAMERA: (~batch.has_picture[CAMERA]).mean(), "action.tip_pose": np.isnan(part.actions).mean()}
    assert feed.absent_shares() == pytest.approx({name: share for name, share in wanted.items() if share > 0})
    assert set(feed.absent_shares()) == {"observation.tip_pose", "simulation.objects", CAMERA}


def test_a_robots_statistics_are_of_its_own_samples_and_of_the_difference() -> None:
    episodes = [reaching_episode(n) for n in range(4)]
    spec = WindowSpec("action.tip_pose", INPUTS, chunk_steps=8)
    subset = fitted(feed_of(*episodes[:2], spec=spec), CodecSpec(spec, Frame.WORLD)).bodies[0]
    tables = [(e.streams["action.tip_pose"].table, e.streams["observation.tip_pose"].table) for e in episodes[:2]]
    for ahead in range(8):
        # The oracle: command `ahead` steps later minus where the hand is now, held past the end.
        difference = np.concatenate(
            [told[np.minimum(np.arange(len(told)) + ahead, len(told) - 1), :3] - now[:, :3] for told, now in tables]
        )
        np.testing.assert_allclose(subset.learnt.mean[ahead, :3], difference.mean(0), atol=1e-6)
        np.testing.assert_allclose(subset.learnt.std[ahead, :3], difference.std(0), atol=1e-6)
    absolute = np.concatenate([told[:, :3] for told, _ in tables])
    assert (subset.learnt.std[0, :3] < 0.5 * absolute.std(0)).all()


def test_targets_come_back_as_the_actions_they_were_made_from() -> None:
    spec = WindowSpec("action.tip_pose", INPUTS, chunk_steps=8)
    feed = feed_of(*[reaching_episode(n) for n in range(3)], spec=spec)
    body = fitted(feed, CodecSpec(spec, Frame.TIP, ("simulation.objects",))).bodies[0]
    part = feed.numbers(0, np.arange(20))
    again = body.actions(body.targets(part.actions, part.numbers), part.numbers)
    np.testing.assert_allclose(again, part.actions, atol=1e-6)


def test_noise_moves_what_is_seen_and_leaves_where_to_go() -> None:
    spec = WindowSpec("action.tip_pose", INPUTS, chunk_steps=8)
    feed = feed_of(reaching_episode(0), spec=spec)
    body = fitted(feed, CodecSpec(spec)).bodies[0]
    part = feed.numbers(0, np.arange(10))
    moved = body.noisy(part.numbers, np.random.default_rng(0), Noise(position_m=0.01, rotation_rad=0.02))
    offset = moved["observation.tip_pose"][..., :3] - part.numbers["observation.tip_pose"][..., :3]
    assert 0.005 < offset.std() < 0.02
    # The target is told from the noisy hand, and decoding from there gives the command that was recorded.
    again = body.actions(body.targets(part.actions, moved), moved)
    np.testing.assert_allclose(again, part.actions, atol=1e-6)


def test_two_robots_share_a_batch_and_keep_their_own_numbers() -> None:
    spec = WindowSpec("action.tip_pose", INPUTS, chunk_steps=8)
    feed = feed_of(
        reaching_episode(0, robot="small", joints=3), reaching_episode(0, robot="large", joints=7), spec=spec
    )
    codec = fitted(feed, CodecSpec(spec))
    assert codec.feature_widths == (3 + 9 + 9, 7 + 9 + 9)
    encoded = codec.encode(feed.batch(np.asarray([0, len(feed) - 1])))
    assert encoded.body.tolist() == [0, 1]
    assert encoded.is_feature[0].sum() == 21
    assert encoded.is_feature[1].sum() == 25


def test_channels_in_another_order_and_with_gaps_are_arranged_by_name() -> None:
    layouts = joined([BodyLayout("r", {"s": ("a", "b")}), BodyLayout("r", {"s": ("c", "a")})])
    assert layouts[0].channels["s"] == ("a", "b", "c")
    table = arranged(np.asarray([[1.0, 2.0]]), ("c", "a"), ("a", "b", "c"))
    np.testing.assert_array_equal(table, [[2.0, np.nan, 1.0]])


def test_a_codec_comes_back_from_json() -> None:
    feed = feed_of(*[reaching_episode(n, px=32) for n in range(2)])
    codec = fitted(feed, CodecSpec(SPEC))
    again = codec_from(codec.to_json(), CodecSpec(window_spec_from(SPEC.to_json(), where="x")), where="card.json")
    batch = feed.batch(np.arange(10))
    np.testing.assert_array_equal(again.encode(batch).targets, codec.encode(batch).targets)
    older = {**codec.to_json(), "version": 0}
    with pytest.raises(DamagedData, match="was trained with version 0 of the features, and this is version 1"):
        codec_from(older, CodecSpec(window_spec_from(SPEC.to_json(), where="x")), where="card.json")


def test_paraphrases_are_drawn_and_the_first_is_said_without_a_draw() -> None:
    feed = feed_of(reaching_episode(0, px=32))
    assert set(feed.batch(np.arange(20)).instructions) == {"reach the red ball"}
    drawn = set(feed.batch(np.arange(20), rng=np.random.default_rng(0)).instructions)
    assert drawn == {"reach the red ball", "go to the red dot"}


def test_an_episode_without_the_action_says_what_it_has() -> None:
    with pytest.raises(
        TrainingRefused, match=r"has no numbers in 'action.tip_pose'. It has numbers: observation.state"
    ):
        gather(tiny_episode(), spec=SPEC)


def test_the_digest_changes_with_a_number_and_with_a_picture() -> None:
    episode = reaching_episode(0, px=32)
    same = gather(episode, spec=SPEC).digest
    assert gather(reaching_episode(0, px=32), spec=SPEC).digest == same
    stream = episode.streams["observation.state"]
    table = stream.table.copy()
    table[3, 1] += 1e-6
    assert gather(episode.with_stream(stream.with_values(ArrayValues(table))), spec=SPEC).digest != same
    pictures = np.array(episode.streams[CAMERA].values[:])
    pictures[0] += 1
    changed = episode.streams[CAMERA].with_values(RawImages(ArrayValues(pictures), where="changed"))
    assert gather(episode.with_stream(changed), spec=SPEC).digest != same


def test_pictures_are_decoded_once_and_read_from_their_file_ever_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    episode = reaching_episode(0, px=32)
    first = gather(episode, spec=SPEC, folder=tmp_path)
    monkeypatch.setattr("robokata.loading.pictures.resized", lambda *_, **__: pytest.fail("decoded again"))
    assert gather(episode, spec=SPEC, folder=tmp_path).frames[CAMERA].file == first.frames[CAMERA].file
    assert [path.suffix for path in tmp_path.iterdir()] == [".npy"]


def test_depth_is_refused_as_a_picture(tmp_path: Path) -> None:
    episode = reaching_episode(0, px=32)
    depth = RawImages(ArrayValues(np.zeros((40, 32, 32, 1), np.uint16)), where="depth")
    stream: Stream = episode.streams[CAMERA].with_values(depth)
    with pytest.raises(Unsupported, match="holds uint16, not 8 bits"):
        gather(episode.with_stream(stream), spec=SPEC, folder=tmp_path)


@pytest.mark.parametrize("size", [(32, 32), (64, 96), (50, 30), (16, 16)])
def test_a_resized_picture_keeps_its_brightness_and_its_sides(size: tuple[int, int]) -> None:
    picture = np.zeros((1, *size, 3), np.uint8)
    picture[:, : size[0] // 2, :, 0] = 200  # the upper half is red
    small = resized(picture, picture_px=32)
    assert small.shape == (1, 32, 32, 3)
    assert abs(float(small.mean()) - float(picture.mean())) < 1
    assert small[0, 2, 16].tolist() == [200, 0, 0]
    assert small[0, 29, 16].tolist() == [0, 0, 0]


def test_an_error_in_the_feeding_thread_reaches_whoever_waits() -> None:
    def make() -> int:
        raise TrainingRefused("the disk is gone")

    with prefetched(make) as batches, pytest.raises(TrainingRefused, match="the disk is gone"):
        next(batches)


def test_a_source_of_many_episodes_is_one_feed() -> None:
    source = reaching_source(5)
    spec = WindowSpec("action.tip_pose", INPUTS)
    feed = Feed([gather(source.episode(key), spec=spec) for key in source.keys()], spec)
    assert len(feed) == 5 * 40
