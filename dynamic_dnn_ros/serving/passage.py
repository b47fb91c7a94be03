# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A frame in work, from its preprocessing through the stages of a sub-network to its result."""

from __future__ import annotations

import time

from dynamic_dnn_ros.engines.contract import Outputs
from dynamic_dnn_ros.serving.exchange import Lender
from dynamic_dnn_ros.serving.frames import CameraFrame, ServedFrame
from dynamic_dnn_ros.serving.path import Path, Walk, follow, whole_path
from dynamic_dnn_ros.serving.pipeline import Pipeline


class Passage:
    """
    One frame in work.

    It has a lease of its sub-network until it is finished or given up, also while it is parked
    between two stages.
    """

    def __init__(self, pipeline: Pipeline, lender: Lender, frame: CameraFrame) -> None:
        """Begin: take a lease, and preprocess the picture right before its first stage."""
        self.frame = frame
        self.parked = 0.0
        self.batch = 1
        self._pipeline = pipeline
        self._begun = time.monotonic()
        self._lease = lender.lease()
        self.prepared = self._lease.__enter__()
        self._walk: Walk | None = None
        self._path: Path | None = None
        self._index = 0
        self._inference = 0.0
        self._parked_since: float | None = None
        try:
            self.picture, self._placement = pipeline.preprocess(
                frame.picture, self.prepared.sub_network.size
            )
        except BaseException:
            self.release()
            raise
        self._ended = self._preprocessed = time.monotonic()

    @property
    def done(self) -> bool:
        """Tell whether its path is at its end."""
        return self._path is not None

    @property
    def is_parked(self) -> bool:
        """Tell whether something else ran since its last stage."""
        return self._parked_since is not None

    def park(self) -> None:
        """Note that something else runs before its next stage."""
        self._parked_since = self._ended

    def run(self) -> None:
        """
        Run all stages of its path at once.

        :raises EngineError: when the engine fails
        """
        self._arrive(follow(self.prepared, self.picture, self._pipeline.task))

    def advance(self) -> None:
        """
        Run its next stage.

        :raises EngineError: when the engine fails
        """
        self._resume()
        if len(self.prepared.stages) == 1:
            self._arrive(whole_path(self.prepared.run(self.picture)))
            return
        if self._walk is None:
            self._walk = Walk(self.prepared, self.picture, self._pipeline.task)
        self._arrive(self._walk.advance())

    def answer(self, outputs: Outputs, index: int, batch: int) -> None:
        """Take the answer of a run together with others: its index in a batch of so many."""
        self._index, self.batch = index, batch
        self._arrive(whole_path(outputs))

    def finish(self) -> tuple[ServedFrame, int]:
        """
        Decode the answer and give the lease back.

        :return: the result, and the exits passed because a confidence was not a number
        :raises TaskError: when the answer cannot be decoded
        """
        path, entry = self._path, self.prepared.sub_network
        assert path is not None, 'its path is at its end'
        try:
            result = self._pipeline.decode(path.outputs, self._index, self._placement, entry)
            decoded = time.monotonic()
            served = ServedFrame(
                frame=self.frame,
                sub_network=entry.id,
                processor=self.prepared.processor,
                result=result,
                placement=self._placement,
                waiting=self._begun - self.frame.arrival,
                preprocessing=self._preprocessed - self._begun,
                inference=self._inference,
                decoding=decoded - self._ended,
                remarks=self.prepared.remarks,
                work=path.work,
                exit_stage=path.stage,
                parked=self.parked,
                batch=self.batch,
            )
        finally:
            self.release()
        return served, path.undecided

    def release(self) -> None:
        """Give the lease back."""
        self._lease.__exit__(None, None, None)

    def _resume(self) -> None:
        if self._parked_since is None:
            return
        self._ended = time.monotonic()
        parked = self._ended - self._parked_since
        self.parked += parked
        self._parked_since = None
        if self._walk is not None:
            self._walk.resume(parked)

    def _arrive(self, path: Path | None) -> None:
        """Count the time since its last stage, or its preprocessing, as inference."""
        self._path = path
        now = time.monotonic()
        self._inference += now - self._ended
        self._ended = now
