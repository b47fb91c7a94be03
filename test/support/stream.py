# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A stream of camera frames into an application while it is switched, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
import itertools
import math
from pathlib import Path
import time

import numpy as np

from dynamic_dnn_ros.msg import Classification, InferenceStatus
from support.application import Application
from support.camera import CameraProcess
from support.deployment import deployment

SETTLE = 1.0
"""Seconds at the end of the stream that are free of switches."""


@dataclass(frozen=True)
class Stream:
    """
    What came of a stream.

    `sent` are the switches, `answers` the statuses that acknowledge them; `statuses` are those of
    the application, the last one a heartbeat from after the last frame.
    """

    frames: int
    results: list[Classification]
    statuses: list[InferenceStatus]
    sent: list[tuple[int, str]]
    answers: list[InferenceStatus]
    camera_log: str
    exit_code: int

    @property
    def lost_in_transport(self) -> int:
        """Return how many frames the camera published and the node did not receive."""
        return self.frames - int(self.statuses[-1].received)

    def intervals(self) -> list[tuple[int, bool]]:
        """
        Return the frames replaced between two served ones, and whether a switch lay there.

        The time before the first frame and after the last one counts too.
        """
        found = []
        before, replaced, switched = 0, 0, False
        for status in self.statuses:
            replaced = int(status.replaced)
            switched = switched or status.event == InferenceStatus.EVENT_SWITCH
            if status.event == InferenceStatus.EVENT_SERVED:
                found.append((replaced - before, switched))
                before, switched = replaced, False
        return [*found, (replaced - before, switched)]

    def chance_of_replacements_at_switches(self) -> float:
        """
        Return how likely it is that so many replacements meet a switch by chance alone.

        The tail of the hypergeometric distribution: of all intervals, those with a switch are
        drawn, and those with replaced frames are the hits. 1 where no frame was replaced. A busy
        machine makes some anywhere; only if switches cause them do they gather there.
        """
        intervals = self.intervals()
        lossy = sum(replaced > 0 for replaced, _ in intervals)
        switched = sum(switch for _, switch in intervals)
        both = sum(replaced > 0 and switch for replaced, switch in intervals)
        draws = math.comb(len(intervals), switched)
        return sum(
            math.comb(lossy, hits) * math.comb(len(intervals) - lossy, switched - hits) / draws
            for hits in range(both, min(lossy, switched) + 1)
        )

    def gaps(self, after: float = 0.0) -> list[float]:
        """
        Return the seconds between each result and the next one, as the node counts time.

        :param after: seconds at the beginning that are left out.
        """
        stamps = [
            status.header.stamp.sec + status.header.stamp.nanosec * 1e-9
            for status in self.statuses
            if status.event == InferenceStatus.EVENT_SERVED
        ]
        pairs = itertools.pairwise(stamps)
        return [later - one for one, later in pairs if one - stamps[0] >= after]

    def stage(self, name: str) -> list[float]:
        """Return what each served frame spent in a stage, seconds."""
        return [
            row.value
            for status in self.statuses
            if status.event == InferenceStatus.EVENT_SERVED
            for row in status.stages
            if row.name == name
        ]


def run_stream(
    bundle: Path,
    sub_networks: list[str],
    frames: int,
    rate: float,
    switches: int = 0,
    environment: Mapping[str, str | None] | None = None,
    parameters: Mapping[str, object] | None = None,
) -> Stream:
    """
    Stream 640x480 frames from one process to an inference node in another one.

    :param sub_networks: the node begins with the first one; switches choose among all.
    :param switches: spread over the stream at random intervals.
    :param environment: variables of camera and node over those of this process.
    :param parameters: of the node, beside the bundle.
    """
    variables = dict(environment or {})
    with deployment() as (graph, start):
        application = Application(
            graph,
            start,
            bundle,
            environment=variables,
            **{'sub_network': sub_networks[0], **(parameters or {})},
        )
        # The only publisher of the topic is the camera.
        graph.node.destroy_publisher(application.images)
        camera = CameraProcess(application.image_topic, frames, rate, variables)
        try:
            graph.spin_until(lambda: 'begins' in camera.log, 40.0, 'the camera to begin')
            sent: list[tuple[int, str]] = []
            answers: list[InferenceStatus] = []
            generator = np.random.default_rng(0)
            end = time.monotonic() + frames / rate - SETTLE
            for number in range(1, switches + 1):
                remaining = (end - time.monotonic()) / (switches + 1 - number)
                graph.spin_for(max(0.0, remaining) * float(generator.uniform(0.5, 1.5)))
                identifier = str(generator.choice(sub_networks))
                sent.append((number, identifier))
                answers.append(application.switch(identifier))
            graph.spin_until(lambda: not camera.running, 60.0 + frames / rate, 'the camera')
            if camera.process.returncode != 0:
                raise RuntimeError(f'the camera failed: {camera.log}')
            last = application.wait_for_event(
                InferenceStatus.EVENT_HEARTBEAT, len(application.all_statuses)
            )
            graph.spin_until(
                lambda: len(application.results) >= last.served, 10.0, 'the last results'
            )
            # The heartbeat that comes last speaks of every frame.
            application.wait_for_event(
                InferenceStatus.EVENT_HEARTBEAT, len(application.all_statuses)
            )
            return Stream(
                frames,
                list(application.results),
                application.statuses,
                sent,
                answers,
                camera.log,
                application.process.stop(),
            )
        finally:
            camera.close()
