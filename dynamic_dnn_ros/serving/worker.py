# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The one worker that serves an application's frames, whatever brings and takes them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum
import logging
import threading
import time
from typing import Any

import numpy as np

from dynamic_dnn_ros.bundles.manifest import SubNetwork
from dynamic_dnn_ros.engines.contract import EngineError, Outputs, Picture, PreparedSubNetwork
from dynamic_dnn_ros.pictures.input import Preprocessing
from dynamic_dnn_ros.pictures.placement import Placement, Size
from dynamic_dnn_ros.pictures.scaling import CameraPicture, PictureError, fitted
from dynamic_dnn_ros.serving.exchange import Lender
from dynamic_dnn_ros.serving.mailbox import Mailbox
from dynamic_dnn_ros.serving.path import follow
from dynamic_dnn_ros.tasks.contract import (
    ClassScores,
    Detections,
    LabelMap,
    Limits,
    Task,
    TaskError,
)
from dynamic_dnn_ros.tasks.tensors import specs_of

_LOGGER = logging.getLogger(__name__)


class WorkerState(IntEnum):
    """What the worker does; the values are those of `InferenceStatus.msg`."""

    IDLE = 0
    BUSY = 1
    STUCK = 2
    STOPPED = 3


@dataclass(frozen=True)
class CameraFrame:
    """
    A picture on its way through an application.

    `arrival` in seconds of `time.monotonic`; `origin` is whatever its source wants back with
    the result.
    """

    picture: CameraPicture
    arrival: float
    origin: Any


@dataclass(frozen=True)
class ServedFrame:
    """
    The result of a frame, and the seconds it spent in each stage.

    `processor` is the one that a profile speaks of: on a simulated platform the board's.
    `remarks` are those of the sub-network, of its run; `decoding` is what the task took. `work` is
    the share of the largest path's cost that the frame took, 0..1, and `exit_stage` the stage of
    the sub-network after which it left, empty where that is one piece.
    """

    frame: CameraFrame
    sub_network: str
    processor: str
    result: ClassScores | Detections | LabelMap
    placement: Placement
    waiting: float
    preprocessing: float
    inference: float
    decoding: float
    remarks: object
    work: float = 1.0
    exit_stage: str = ''


class FrameWorker:
    """
    Serves the newest frame, one after the other, in a thread of its own.

    A frame that fails costs that frame: it is counted, reported, and the worker goes on. So does a
    listener that fails, which is logged once for a series.
    """

    def __init__(
        self,
        exchange: Lender,
        preprocessing: Preprocessing,
        task: Task[Any, Any],
        labels: Sequence[str],
        limits: Callable[[], Limits],
        stuck_after: float,
        reduced_decoding: bool,
        on_served: Callable[[ServedFrame], None],
        on_rejected: Callable[[CameraFrame, str], None],
    ) -> None:
        """
        Create the worker; `start` sets it to work.

        :param preprocessing: of the bundle, as `task` and `labels` are
        :param limits: returns what a result may hold at most; asked with each frame
        :param stuck_after: s, with one frame for longer than this the worker counts as stuck
        :param reduced_decoding: as for `pictures.scaling.fitted`
        :param on_served: called by the worker with each result
        :param on_rejected: called by the worker with each frame that failed, and the reason
        """
        self.mailbox: Mailbox[CameraFrame] = Mailbox()
        self.served = 0
        self.rejected = 0
        #: Exits passed because the confidence of an answer was not a number.
        self.undecided = 0
        self._exchange = exchange
        self._preprocessing = preprocessing
        self._task = task
        self._labels = labels
        self._limits = limits
        self._stuck_after = stuck_after
        self._reduced_decoding = reduced_decoding
        # Engines read a picture where it lies, so these are their input buffers, by size.
        self._inputs: dict[Size, Picture] = {}
        self._checked: set[str] = set()
        self._on_served = on_served
        self._on_rejected = on_rejected
        self._state = (WorkerState.STOPPED, time.monotonic())
        self._unheard = False
        self._thread = threading.Thread(target=self._work, name='worker', daemon=True)

    def start(self) -> None:
        """Begin to serve."""
        self._enter(WorkerState.IDLE)
        self._thread.start()

    def stop(self, timeout: float) -> bool:
        """
        Finish the frame in work, and end.

        :param timeout: s, to wait for that frame
        :return: whether the worker has ended
        """
        self.mailbox.close()
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def state(self) -> tuple[WorkerState, float]:
        """Return what the worker does, and for how many seconds it has done so."""
        state, since = self._state
        duration = time.monotonic() - since
        if state is WorkerState.BUSY and duration > self._stuck_after:
            state = WorkerState.STUCK
        return state, duration

    def _enter(self, state: WorkerState) -> None:
        self._state = (state, time.monotonic())

    def _work(self) -> None:
        while True:
            frame = self.mailbox.take()
            if frame is None:
                break
            self._enter(WorkerState.BUSY)
            try:
                served = self._serve(frame)
            except (PictureError, EngineError) as error:
                self._reject(frame, str(error))
            except Exception as error:  # an engine's own errors are of any type
                self._reject(frame, f'{type(error).__name__}: {error}')
            else:
                self.served += 1
                self._tell(self._on_served, served)
            self._enter(WorkerState.IDLE)
        self._enter(WorkerState.STOPPED)

    def _reject(self, frame: CameraFrame, reason: str) -> None:
        self.rejected += 1
        self._tell(self._on_rejected, frame, reason)

    def _tell(self, listener: Callable[..., None], *said: object) -> None:
        try:
            listener(*said)
        except Exception:
            if not self._unheard:
                _LOGGER.exception('A frame is lost: who was told of it failed')
            self._unheard = True
        else:
            self._unheard = False

    def _check(self, outputs: Outputs, sub_network: SubNetwork) -> None:
        """
        Check the first outputs of a sub-network: what cannot be decoded is no empty result.

        :raises TaskError: naming the outputs, those that are needed, and the remedy
        """
        for name, output in outputs.items():
            if not np.all(np.isfinite(output)):
                raise TaskError(
                    f'Sub-network {sub_network.id!r} gives values that are not finite in its '
                    f"output {name!r}. Look at the bundle with 'dynamic-dnn bundle check'."
                )
        self._task.check(specs_of(outputs), self._labels, sub_network.size)
        self._checked.add(sub_network.id)

    def _serve(self, frame: CameraFrame) -> ServedFrame:
        with self._exchange.lease() as prepared:
            return self._run(frame, prepared)

    def _run(self, frame: CameraFrame, prepared: PreparedSubNetwork) -> ServedFrame:
        started = time.monotonic()
        size = prepared.sub_network.size
        if size not in self._inputs:
            self._inputs[size] = np.empty((*size, 3), np.uint8)
        picture, placement = fitted(
            frame.picture,
            size,
            self._preprocessing,
            self._inputs[size],
            self._reduced_decoding,
        )
        preprocessed = time.monotonic()
        outputs, stage, work, undecided = follow(prepared, picture, self._task)
        self.undecided += undecided
        computed = time.monotonic()
        if prepared.sub_network.id not in self._checked:
            self._check(outputs, prepared.sub_network)
        result = self._task.decode(outputs, 0, placement, self._labels, self._limits())
        decoded = time.monotonic()
        return ServedFrame(
            frame=frame,
            sub_network=prepared.sub_network.id,
            processor=prepared.processor,
            result=result,
            placement=placement,
            waiting=started - frame.arrival,
            preprocessing=preprocessed - started,
            inference=computed - preprocessed,
            decoding=decoded - computed,
            remarks=prepared.remarks,
            work=work,
            exit_stage=stage,
        )
