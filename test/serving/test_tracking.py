# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Track ids stay with their objects, whatever comes between."""

from __future__ import annotations

import importlib
from types import ModuleType

import numpy as np
import pytest

from dynamic_dnn_ros.serving.tracking import (
    MEMORY,
    TRACKERS,
    UNTRACKED,
    ByteTracker,
    TrackedDetections,
    TrackingError,
)
from dynamic_dnn_ros.tasks.contract import Detections

PERIOD = 1 / 30


def found(*boxes: tuple[float, float, float], score: float = 0.9) -> Detections:
    """Return boxes of 40 x 80 pixels by their left, upper edge and class."""
    table = np.array(boxes, np.float32).reshape(-1, 3)
    corners = np.concatenate([table[:, :2], table[:, :2] + [40, 80]], axis=1)
    scores = np.full(len(table), score, np.float32)
    return Detections(corners.astype(np.float32), scores, table[:, 2].astype(np.int64))


@pytest.fixture
def tracker() -> ByteTracker:
    pytest.importorskip('trackers', reason="package 'trackers' is not installed")
    return ByteTracker(0.5)


def walk(tracker: ByteTracker, first: int, frames: int, speed: float = 3.0) -> TrackedDetections:
    """Have two objects walk in opposite directions."""
    for frame in range(first, first + frames):
        way = speed * frame
        result = tracker.track(found((10 + way, 50, 0), (560 - way, 300, 1)), frame * PERIOD)
    return result


def test_two_objects_keep_their_ids_in_the_order_of_the_detections(tracker: ByteTracker) -> None:
    begin = walk(tracker, 0, 5)
    assert len(set(begin.track_ids.tolist())) == 2
    assert (begin.track_ids != UNTRACKED).all()
    end = walk(tracker, 5, 60)
    assert (end.track_ids == begin.track_ids).all()
    turned = tracker.track(found((365, 300, 1), (205, 50, 0)), 65 * PERIOD)
    assert turned.track_ids.tolist() == begin.track_ids[::-1].tolist()
    assert turned.classes.tolist() == [1, 0], 'the detections stay in their order'


def test_a_weak_detection_goes_on_with_a_track_and_begins_none(tracker: ByteTracker) -> None:
    first = walk(tracker, 0, 5).track_ids
    way = 3.0 * 5
    weak = tracker.track(found((10 + way, 50, 0), (300, 400, 0), score=0.3), 5 * PERIOD)
    assert weak.track_ids.tolist() == [first[0], UNTRACKED]


def test_an_object_that_is_hidden_for_a_while_keeps_its_id(tracker: ByteTracker) -> None:
    before = walk(tracker, 0, 10)
    for frame in range(10, 20):
        assert len(tracker.track(found(), frame * PERIOD)) == 0
    assert (walk(tracker, 20, 3).track_ids == before.track_ids).all()


def test_the_memory_is_counted_in_seconds_not_in_frames(tracker: ByteTracker) -> None:
    for frame in range(6):
        before = tracker.track(found((100, 100, 0)), frame * 1.0 / 5)
    after = tracker.track(found((100, 100, 0)), 1.0 + 2 * MEMORY)
    assert after.track_ids.tolist() != before.track_ids.tolist()


def test_a_jump_back_ends_all_tracks_and_repeats_no_id(tracker: ByteTracker) -> None:
    before = walk(tracker, 100, 10).track_ids
    again = walk(tracker, 0, 1)
    assert (again.track_ids == UNTRACKED).all(), 'nothing is known of the second run yet'
    after = walk(tracker, 1, 10).track_ids
    assert (after != UNTRACKED).all()
    assert not set(after) & set(before)


def test_frames_without_progress_of_time_are_tracked(tracker: ByteTracker) -> None:
    for _ in range(5):
        result = tracker.track(found((100, 100, 0)), 7.0)
    assert result.track_ids[0] != UNTRACKED


@pytest.mark.parametrize('count', [0, 1, 300])
def test_any_number_of_detections_is_taken(tracker: ByteTracker, count: int) -> None:
    generator = np.random.default_rng(count)
    boxes = [(*generator.uniform(0, 600, 2), 0) for _ in range(count)]
    for frame in range(3):
        result = tracker.track(found(*boxes), frame * PERIOD)
    assert len(result) == count == len(result.track_ids)
    tracked = result.track_ids[result.track_ids != UNTRACKED]
    assert len(set(tracked.tolist())) == len(tracked)


def test_where_it_is_not_installed_the_error_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    load = importlib.import_module

    def missing(name: str) -> ModuleType:
        if name == 'trackers':
            raise ImportError("No module named 'trackers'")
        return load(name)

    monkeypatch.setattr(importlib, 'import_module', missing)
    with pytest.raises(TrackingError, match="pip install 'trackers.*set parameter 'tracking'"):
        TRACKERS['bytetrack'](0.5)
