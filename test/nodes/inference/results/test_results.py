# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The way of results out of the node: in order, with track ids where they are asked for."""

from __future__ import annotations

from dataclasses import replace
import importlib
import threading
import time
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from rclpy.parameter import Parameter
from std_msgs.msg import Header

from dynamic_dnn_ros.msg import Detections as DetectionsMessage
from dynamic_dnn_ros.nodes.common.diagnostics import Level
from dynamic_dnn_ros.nodes.inference.results.results import UNLIKELY, Published, Results
from dynamic_dnn_ros.nodes.inference.stream_node import StreamNode
from dynamic_dnn_ros.serving import tracking as tracking_module
from dynamic_dnn_ros.serving.frames import ServedFrame
from dynamic_dnn_ros.serving.tracking import UNTRACKED, TrackedDetections, TrackingError
from dynamic_dnn_ros.tasks.contract import ClassScores, Detections, Limits
from support.graph import Collector, Graph
from support.serving import served_frame, serving_node

LABELS = ('cat', 'dog')


def found(step: int, count: int = 1) -> Detections:
    left = 3.0 * step + 100 * np.arange(count)
    boxes = np.stack([left, left * 0 + 50, left + 60, left * 0 + 150], axis=1)
    return Detections(
        boxes.astype(np.float32), np.full(count, 0.9, np.float32), np.zeros(count, np.int64)
    )


def frame(step: int, count: int = 1, seconds: float | None = None) -> ServedFrame:
    header = Header(frame_id='front')
    at = 1.0 + step / 30 if seconds is None else seconds
    header.stamp.sec, header.stamp.nanosec = int(at), int(at % 1 * 1e9)
    served = served_frame(time.monotonic(), result=found(step, count))
    return replace(served, frame=replace(served.frame, origin=(header, 0.0)))


class Begun:
    """Results of an active node, and what is said of each publication."""

    def __init__(self, graph: Graph, task: str = 'detection', **parameters: Any) -> None:
        self.published: list[Published] = []
        self.threads: set[str] = set()
        self.node = serving_node(graph, **parameters)
        self.results = Results(StreamNode(self.node), task, 'a_bundle', LABELS, self._take)
        self.node.trigger_configure()
        self.node.trigger_activate()
        self.results.begin()
        self.messages: Collector[Any] = graph.collect(
            DetectionsMessage, '/inference_node/detections'
        )
        if task == 'detection':
            graph.spin_until(lambda: self.results.wanted)

    def _take(self, published: Published) -> None:
        self.published.append(published)
        self.threads.add(threading.current_thread().name)


def needs_trackers() -> None:
    pytest.importorskip('trackers', reason="package 'trackers' is not installed")


def track_ids(messages: list[Any]) -> list[int]:
    return [row.track_id for message in messages for row in message.detections]


def test_the_worker_publishes_where_nothing_is_tracked(graph: Graph) -> None:
    begun = Begun(graph)
    begun.results.publish(frame(0))
    assert begun.threads == {threading.current_thread().name}
    assert begun.published[0].tracking is None
    assert track_ids(begun.messages.wait(1)) == [0]


def test_tracked_results_come_in_order_from_a_thread_of_their_own(graph: Graph) -> None:
    needs_trackers()
    begun = Begun(graph, tracking='bytetrack')
    frames = [frame(step) for step in range(40)]
    for each in frames:
        begun.results.publish(each)
    begun.results.end(10.0)
    assert [published.served for published in begun.published] == frames
    assert begun.threads == {'tracking'}
    assert all(0.0 < published.tracking < 5.0 for published in begun.published)  # type: ignore[operator]
    messages = begun.messages.wait(40)
    stamps = [(m.header.stamp.sec, m.header.stamp.nanosec) for m in messages]
    assert stamps == sorted(stamps)
    ids = track_ids(messages)
    assert ids[0] == UNTRACKED and len(set(ids[2:])) == 1 and ids[-1] != UNTRACKED


def test_a_stream_that_jumps_back_begins_new_tracks(graph: Graph) -> None:
    needs_trackers()
    begun = Begun(graph, tracking='bytetrack')
    for step in [*range(10, 20), *range(10)]:
        begun.results.publish(frame(step))
    begun.results.end(10.0)
    ids = track_ids(begun.messages.wait(20))
    assert UNTRACKED not in (ids[9], ids[19])
    assert ids[9] != ids[19] and ids[10] == UNTRACKED


def test_a_camera_without_stamps_is_tracked_by_arrival(graph: Graph) -> None:
    needs_trackers()
    begun = Begun(graph, tracking='bytetrack')
    for step in range(5):
        begun.results.publish(frame(step, seconds=0.0))
    begun.results.end(10.0)
    assert track_ids(begun.messages.wait(5))[-1] != UNTRACKED


def test_tracking_that_fails_costs_the_ids_and_no_result(
    graph: Graph, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Failing:
        def __init__(self, score: float) -> None:
            pass

        def track(self, detections: Detections, time: float) -> TrackedDetections:
            raise FloatingPointError('singular')

    monkeypatch.setitem(tracking_module.TRACKERS, 'bytetrack', Failing)
    begun = Begun(graph, tracking='bytetrack')
    for step in range(3):
        begun.results.publish(frame(step))
    begun.results.end(10.0)
    assert track_ids(begun.messages.wait(3)) == [UNTRACKED] * 3
    assert sum('Tracking failed' in record.message for record in caplog.records) == 1


def test_a_missing_library_is_said_when_the_node_is_configured(
    graph: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    load = importlib.import_module

    def missing(name: str, package: str | None = None) -> ModuleType:
        if name == 'trackers':
            raise ImportError("No module named 'trackers'")
        return load(name, package)

    monkeypatch.setattr(importlib, 'import_module', missing)
    node = serving_node(graph, tracking='bytetrack')
    with pytest.raises(TrackingError, match='pip install'):
        Results(StreamNode(node), 'detection', 'a_bundle', LABELS, lambda _: None)


def test_what_has_no_boxes_is_not_tracked(graph: Graph) -> None:
    begun = Begun(graph, 'classification', tracking='bytetrack')
    served = served_frame(0.0, result=ClassScores(np.array([0.2, 0.8])))
    begun.results.publish(served)
    assert begun.published == [Published(served, None)]
    begun.results.end(1.0)


def test_limits_are_those_of_the_moment(graph: Graph) -> None:
    begun = Begun(graph)
    assert begun.results.limits() == Limits(0.25, 100, 0.5)
    begun.node.set_parameters(
        [
            Parameter('score_limit', value=0.6),
            Parameter('number_limit', value=7),
            Parameter('overlap_limit', value=0.9),
        ]
    )
    assert begun.results.limits() == Limits(0.6, 7, 0.9)


@pytest.mark.parametrize(
    ('name', 'value'),
    [
        ('score_limit', -0.1),
        ('score_limit', 1.5),
        ('score_limit', float('nan')),
        ('number_limit', 0),
        ('number_limit', 70000),
        ('overlap_limit', 2.0),
    ],
)
def test_limits_out_of_range_are_refused(graph: Graph, name: str, value: Any) -> None:
    begun = Begun(graph)
    (answer,) = begun.node.set_parameters([Parameter(name, value=value)])
    assert not answer.successful and name in answer.reason
    assert begun.results.limits() == Limits(0.25, 100, 0.5)


def test_a_detector_that_never_finds_anything_is_noticed(graph: Graph) -> None:
    begun = Begun(graph)
    for step in range(UNLIKELY - 1):
        begun.results.publish(frame(step, count=0))
    assert begun.results.diagnose().level is Level.OK
    begun.results.publish(frame(UNLIKELY, count=0))
    warning = begun.results.diagnose()
    assert warning.level is Level.WARNING and 'score_limit' in warning.message
    begun.results.publish(frame(UNLIKELY + 1))
    assert begun.results.diagnose().level is Level.OK
    for step in range(UNLIKELY):
        begun.results.publish(frame(step, count=0))
    assert begun.results.diagnose().level is Level.OK, 'an empty scene is no fault'
