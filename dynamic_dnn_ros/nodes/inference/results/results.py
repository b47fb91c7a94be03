# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The way of results out of the node: track ids, messages, pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
import logging
import time
from typing import Any, NamedTuple

from dynamic_dnn_ros.nodes.common.diagnostics import Diagnostic, Level
from dynamic_dnn_ros.nodes.common.message_values import nanoseconds
from dynamic_dnn_ros.nodes.inference.parameters import NO_TRACKING
from dynamic_dnn_ros.nodes.inference.results.annotated import AnnotatedPublisher
from dynamic_dnn_ros.nodes.inference.results.registry import create_publisher
from dynamic_dnn_ros.nodes.inference.stream_node import StreamNode
from dynamic_dnn_ros.serving.follow_up import FollowUp
from dynamic_dnn_ros.serving.frames import ServedFrame
from dynamic_dnn_ros.serving.tracking import Tracker, create_tracker
from dynamic_dnn_ros.tasks.contract import Detections, Limits

_LOGGER = logging.getLogger(__name__)

#: Frames in which a detector should have found something.
UNLIKELY = 300


class Published(NamedTuple):
    """
    A frame whose result is published, and the seconds that its tracking took.

    Waiting for the frames before it is included; None where nothing is tracked.
    """

    served: ServedFrame
    tracking: float | None


class Results:
    """
    Takes served frames from the worker, and publishes their results.

    Where objects are tracked, a thread of its own does both, in the order of frames; otherwise
    the worker publishes. What is drawn is drawn by another thread, while somebody looks.
    """

    def __init__(
        self,
        node: StreamNode,
        task: str,
        bundle: str,
        labels: Sequence[str],
        on_published: Callable[[Published], None],
    ) -> None:
        """
        Create the publishers; the stream owns them. `begin` begins.

        :param task: name of the task
        :param bundle: name of what is served
        :param labels: names of the classes
        :param on_published: called after each publication, by the thread that published
        :raises NodeError: when nothing publishes results of that task
        :raises TrackingError: when what parameter `tracking` names is not installed
        """
        self._node = node
        self._task = task
        self._on_published = on_published
        self._publisher = create_publisher(task, node, bundle, labels)
        self._annotated = AnnotatedPublisher(node, self._publisher)
        self._tracking = self._chosen_tracking()
        self._make_tracker()  # What is missing is said when the node is configured.
        self._tracker: Tracker | None = None
        self._follow_up: FollowUp[tuple[ServedFrame, float]] | None = None
        self._failing = False
        self._forget()

    def _forget(self) -> None:
        self._found = False
        self._empty = 0

    def _chosen_tracking(self) -> str:
        name: str = self._node.parameters['tracking']
        if name != NO_TRACKING and self._task != 'detection':
            self._node.get_logger().warning(
                f"Parameter 'tracking' is {name!r}, but results of task {self._task!r} have no "
                'boxes to track. It is ignored; set it to none.'
            )
            return NO_TRACKING
        return name

    def _make_tracker(self) -> Tracker | None:
        if self._tracking == NO_TRACKING:
            return None
        return create_tracker(self._tracking, self._node.parameters['tracking_score'])

    @property
    def wanted(self) -> bool:
        """Tell whether anybody listens to results, or looks at them."""
        return self._publisher.wanted or self._annotated.wanted

    def limits(self) -> Limits:
        """Return what a result may hold now."""
        parameters = self._node.parameters
        return Limits(
            score=parameters['score_limit'],
            number=parameters['number_limit'],
            overlap=parameters['overlap_limit'],
        )

    def begin(self) -> None:
        """Begin to publish; called when the node is activated."""
        self._forget()
        self._publisher.begin()
        self._tracker = self._make_tracker()
        if self._tracker is not None:
            self._follow_up = FollowUp(self._track, 'tracking')

    def end(self, timeout: float) -> None:
        """Publish what has been served, and no more; `timeout` in seconds."""
        follow_up, self._follow_up = self._follow_up, None
        if follow_up is not None and not follow_up.stop(timeout):
            self._node.get_logger().error('Tracking hangs: its last results are abandoned.')
        self._annotated.end(timeout)

    def publish(self, served: ServedFrame) -> None:
        """Publish the result of a frame, tracked if asked for; called by the worker."""
        if self._follow_up is not None:
            self._follow_up.put((served, time.monotonic()))
        else:
            self._publish(served, served.result, None)

    def _track(self, handed_over: tuple[ServedFrame, float]) -> None:
        served, since = handed_over
        result = served.result
        assert self._tracker is not None and isinstance(result, Detections)
        header, _ = served.frame.origin
        # A camera that has no stamps is told by when its frames arrive.
        stamp = nanoseconds(header.stamp) * 1e-9 or served.frame.arrival
        try:
            result = self._tracker.track(result, stamp)
        except Exception:
            if not self._failing:
                _LOGGER.exception('Tracking failed; detections are published without track ids')
            self._failing = True
        else:
            self._failing = False
        self._publish(served, result, time.monotonic() - since)

    def _publish(self, served: ServedFrame, result: Any, tracking: float | None) -> None:
        self._publisher.publish(served, result)
        self._on_published(Published(served, tracking))
        self._annotated.offer(served, result)
        if isinstance(result, Detections):
            self._found = self._found or len(result) > 0
            self._empty = 0 if len(result) else self._empty + 1

    def diagnose(self) -> Diagnostic:
        """Say whether results come, and notice a detector that never finds anything."""
        values: dict[str, object] = {
            'task': self._task,
            'pictures drawn': self._annotated.rendered,
            'pictures left out': self._annotated.left_out,
        }
        if self._task == 'detection':
            values['frames since the last detection'] = self._empty
        if not self._found and self._empty >= UNLIKELY:
            return Diagnostic(
                'results',
                Level.WARNING,
                f'no detection in all {self._empty} frames so far. If there was something to '
                "see: lower 'score_limit' "
                f'({self._node.parameters["score_limit"]:g}), and check the labels and the '
                "preprocessing of the bundle ('dynamic-dnn bundle check --data').",
                values,
            )
        return Diagnostic('results', Level.OK, 'published', values)
