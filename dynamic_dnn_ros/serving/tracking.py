# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Track ids: which detections of following frames are the same object."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
import importlib
import math
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from dynamic_dnn_ros.extensions import ExtensionError, Extensions
from dynamic_dnn_ros.tasks.contract import Detections

#: s, for which an object that is out of sight keeps its id.
MEMORY = 1.0

#: Hz. The library counts in frames of this rate; it is told the time of each frame.
_REFERENCE_RATE = 30.0

#: Id of a detection that belongs to no track.
UNTRACKED = 0


class TrackingError(ValueError):
    """Objects cannot be tracked. The text says what to do."""


@dataclass(frozen=True, eq=False)
class TrackedDetections(Detections):
    """Detections with the id of each one's track, int64 (boxes,); `UNTRACKED`: none."""

    track_ids: NDArray[np.int64]


class Tracker(Protocol):
    """Gives detections of one camera their ids, frame after frame."""

    def track(self, detections: Detections, time: float) -> TrackedDetections:
        """
        Return the detections, in their order, with ids.

        An id is never given to a second object.

        :param time: of the frame, s; where it jumps back, all tracks end
        """


class ByteTracker:
    """
    ByteTrack (Zhang et al., ECCV 2022), of the package `trackers`.

    Boxes are associated by where they would be now, whatever their class: a track keeps its id
    where a detector takes its object for something else for a while.
    """

    def __init__(self, score: float) -> None:
        """
        Begin without tracks.

        :param score: a track begins with detections of at least this, 0..1; lower ones only go
            on with one
        :raises TrackingError: when the package is not installed
        """
        try:
            trackers = importlib.import_module('trackers')
            self._boxes: Any = importlib.import_module('supervision').Detections
        except ImportError as error:
            raise TrackingError(
                f"tracking 'bytetrack' needs the package 'trackers', which cannot be imported "
                f"({error}). Install it (pip install 'trackers>=2.6'), or set parameter "
                "'tracking' to none."
            ) from error
        self._tracker: Any = trackers.ByteTrackTracker(
            lost_track_buffer=round(MEMORY * _REFERENCE_RATE),
            frame_rate=_REFERENCE_RATE,
            track_activation_threshold=score,
            high_conf_det_threshold=score,
        )
        self._last = -math.inf
        # The library counts from 0 again after a reset.
        self._first = UNTRACKED + 1
        self._next = self._first

    def track(self, detections: Detections, time: float) -> TrackedDetections:
        """Return the detections, in their order, with ids."""
        if time < self._last:
            self._tracker.reset()
            self._first = self._next
        self._last = time
        count = len(detections)
        found = self._tracker.update(
            self._boxes(
                xyxy=detections.boxes.astype(np.float64),
                confidence=detections.scores,
                class_id=detections.classes,
                data={'index': np.arange(count)},
            ),
            timestamp=time,
        )
        track_ids = np.full(count, UNTRACKED, np.int64)
        if len(found):
            numbers = np.asarray(found.tracker_id, np.int64)
            track_ids[found.data['index']] = np.where(
                numbers < 0, UNTRACKED, numbers + self._first
            )
            self._next = max(self._next, int(track_ids.max()) + 1)
        return TrackedDetections(
            detections.boxes, detections.scores, detections.classes, track_ids
        )


#: The group of entry points in which another package offers a tracker: name = module:callable of
#: the score with which a track begins, 0..1.
ENTRY_POINTS = 'dynamic_dnn_ros.trackers'

#: The trackers of this package.
TRACKERS: dict[str, Callable[[float], Tracker]] = {'bytetrack': ByteTracker}

_OTHERS = Extensions(ENTRY_POINTS, 'tracker', TRACKERS)


def tracker_names() -> tuple[str, ...]:
    """Return what parameter `tracking` may name, what other packages offer last."""
    return (*TRACKERS, *_OTHERS.names())


def create_tracker(name: str, score: float) -> Tracker:
    """
    Create a tracker without tracks.

    :param score: a track begins with detections of at least this, 0..1
    :raises TrackingError: when it is unknown, or cannot be loaded
    """
    make = TRACKERS.get(name)
    if make is None:
        try:
            make = _OTHERS.find(name)
        except ExtensionError as error:
            raise TrackingError(str(error)) from error
    if make is None:
        raise TrackingError(
            f'tracker {name!r} is unknown. Known are: {", ".join(tracker_names())}.'
        )
    return make(score)
