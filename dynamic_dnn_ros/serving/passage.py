# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A frame in work, from its preprocessing through the stages of a sub-network to its result."""

from __future__ import annotations

from collections.abc import Sequence
import time

from dynamic_dnn_ros.engines.contract import Execution, Outputs
from dynamic_dnn_ros.serving.exchange import Lender
from dynamic_dnn_ros.serving.frames import CameraFrame, ServedFrame
from dynamic_dnn_ros.serving.path import Path, Walk, follow
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
    def stage(self) -> int:
        """Return the number of the stage that runs next."""
        return 0 if self._walk is None else self._walk.execution.stage

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
        self.take(self.go_on().advance(), 1)

    def go_on(self) -> Execution:
        """Return its execution, whose next stage is to be run now."""
        if self._walk is None:
            self._walk = Walk(self.prepared, self.picture, self._pipeline.task)
        execution = self._walk.execution
        if self._parked_since is not None:
            self._ended = time.monotonic()
            parked = self._ended - self._parked_since
            self._parked_since = None
            self.parked += parked
            execution.resume(parked)
        return execution

    def take(self, outputs: Outputs | None, batch: int) -> None:
        """Take what its next stage has come to, run together with others in a batch of so many."""
        assert self._walk is not None
        self.batch = batch
        self._arrive(self._walk.take(outputs))

    def finish(self) -> tuple[ServedFrame, int]:
        """
        Decode the answer and give the lease back.

        :return: the result, and the exits passed because a confidence was not a number
        :raises TaskError: when the answer cannot be decoded
        """
        path, entry = self._path, self.prepared.sub_network
        assert path is not None, 'its path is at its end'
        try:
            result = self._pipeline.decode(path.outputs, self._placement, entry)
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

    def _arrive(self, path: Path | None) -> None:
        """Count the time since its last stage, or its preprocessing, as inference."""
        self._path = path
        now = time.monotonic()
        self._inference += now - self._ended
        self._ended = now


def advance_together(passages: Sequence[Passage]) -> None:
    """
    Run the next stage of frames that have come equally far through the same sub-network.

    :raises EngineError: when the engine fails; all are where they were
    """
    executions = [passage.go_on() for passage in passages]
    found = passages[0].prepared.advance_together(executions)
    for passage, outputs in zip(passages, found):
        passage.take(outputs, len(passages))
