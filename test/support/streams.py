# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Streams whose frames carry their number in their pixels, through networks that note each run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
import time
from typing import Any

import numpy as np

from dynamic_dnn_ros.bundles.manifest import SubNetwork
from dynamic_dnn_ros.bundles.stages import Stage
from dynamic_dnn_ros.engines.contract import Outputs, PreparedSubNetwork
from dynamic_dnn_ros.engines.staged import StagedSubNetwork
from dynamic_dnn_ros.pictures.input import Preprocessing, Resize
from dynamic_dnn_ros.pictures.placement import Size
from dynamic_dnn_ros.pictures.scaling import CompressedPicture, RawPicture
from dynamic_dnn_ros.serving.frames import CameraFrame, ServedFrame
from dynamic_dnn_ros.serving.path import follow
from dynamic_dnn_ros.serving.stage_times import StageTimes
from dynamic_dnn_ros.serving.stream import FrameStream
from dynamic_dnn_ros.tasks.classification import Classification
from dynamic_dnn_ros.tasks.contract import Limits

SIDE = 8
PREPROCESSING = Preprocessing(Resize.STRETCH, (0.5, 0.5, 0.5), (0.2, 0.2, 0.2))
TASK, LABELS = Classification(), ('cat', 'dog')

#: Of a frame that fails.
FAILS = 255


def picture(value: int) -> RawPicture:
    """Return a picture whose pixels are all of one value."""
    return RawPicture('rgb8', SIDE, SIDE, 3 * SIDE, bytes([value]) * (3 * SIDE * SIDE))


class NotingNetwork(StagedSubNetwork):
    """
    A sub-network of some stages, that notes which value ran through which stage.

    Each stage answers by the values alone, so that what others did meanwhile shows. The second
    half of the values leaves early, one stage sooner each.
    """

    def __init__(self, name: str, stages: int, largest_batch: int = 1) -> None:
        entries = [
            Stage(f'stage{index}', '', 0.9, (index + 1) / stages, 0.0)
            for index in range(stages - 1)
        ]
        last = Stage(f'stage{stages - 1}', '', None, 1.0, 1.0)
        entry = SubNetwork(
            name, {}, Size(SIDE, SIDE), 0.5, 1_000_000, 1, 1, stages=(*entries, last)
        )
        steps = [self._step(index) for index in range(stages)]
        super().__init__(entry, 'cpu', steps, 0, 'nothing', concatenate=np.concatenate)
        self.largest_batch = largest_batch
        self.ran: Counter[tuple[int, int]] = Counter()
        self.batches: list[tuple[int, ...]] = []
        #: Called before each stage with the values that run.
        self.before: Callable[[int, tuple[int, ...]], None] = lambda stage, values: None

    def _step(self, index: int) -> Any:
        def run(values: Any) -> tuple[Outputs, Any]:
            pictures = values[0]
            found = tuple(int(each.flat[0]) for each in pictures)
            assert all(np.all(each == value) for each, value in zip(pictures, found)), (
                'overwritten'
            )
            self.before(index, found)
            if FAILS in found:
                raise RuntimeError('this frame fails')
            self.ran.update((value, index) for value in found)
            self.batches.append(found)
            sure = [9.0 if value > 127 and value % 4 <= index else 0.1 for value in found]
            logits = np.array([[each, value / 1000] for each, value in zip(sure, found)])
            return {'logits': logits.astype(np.float32)}, (pictures,)

        return run


class CountingLender:
    """Lends what serves, which may be exchanged, and counts what is lent."""

    def __init__(self, prepared: PreparedSubNetwork) -> None:
        self.serving = prepared
        self.lent = 0

    def lease(self) -> _Lease:
        return _Lease(self)


class _Lease:
    """Given back by its exit alone: a generator's would be by being forgotten."""

    def __init__(self, lender: CountingLender) -> None:
        self.lender = lender

    def __enter__(self) -> PreparedSubNetwork:
        self.lender.lent += 1
        return self.lender.serving

    def __exit__(self, *_: object) -> None:
        self.lender.lent -= 1


class Outcome:
    """What came of the frames of one stream, in order; `origin` of each is its value."""

    def __init__(self) -> None:
        self.served: list[ServedFrame] = []
        self.told: list[tuple[str, int]] = []

    def on_served(self, served: ServedFrame) -> None:
        self.served.append(served)
        self.told.append(('served', served.frame.origin))

    def on_rejected(self, frame: CameraFrame, reason: str) -> None:
        self.told.append(('rejected', frame.origin))

    def on_dropped(self, frame: CameraFrame) -> None:
        self.told.append(('dropped', frame.origin))


def make_stream(
    name: str,
    lender: Any,
    outcome: Outcome,
    times: StageTimes | None = None,
    stuck_after: float = 5.0,
) -> FrameStream:
    """Return a stream whose results are noted."""
    return FrameStream(
        *(name, lender, PREPROCESSING, TASK, LABELS, Limits, stuck_after, True),
        *(outcome.on_served, outcome.on_rejected, outcome.on_dropped, times),
    )


def frame(value: int, broken: bool = False) -> CameraFrame:
    """Return a frame that arrives now; a broken one cannot be read."""
    found = CompressedPicture(b'nothing') if broken else picture(value)
    return CameraFrame(found, time.monotonic(), value)


def undisturbed(prepared: PreparedSubNetwork, value: int) -> tuple[str, bytes]:
    """Return what a frame gives that runs without a pause: its last stage, and its scores."""
    pixels = np.full((SIDE, SIDE, 3), value, np.uint8)
    path = follow(prepared, pixels, TASK)
    return path.stage, answer(TASK.decode(path.outputs, 0, None, LABELS, Limits()))  # type: ignore


def answer(result: Any) -> bytes:
    """Return the scores of a result, bit for bit."""
    return bytes(result.scores.tobytes())
