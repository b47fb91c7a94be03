#!/usr/bin/env python3
# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Streams of cameras in one process, served on one processor core, for the suite `cameras`.

A line of JSON on its standard input asks for a segment: which streams, by which scheduler, from
when on; see `Segment`. It answers with what became of each frame. The end of its input ends it.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
import gc
import heapq
import json
import os
import sys
import time
from typing import Any

import numpy as np
import psutil
from waiting_batches import BatchAndWait

from dynamic_dnn_ros.bundles.manifest import SubNetwork
from dynamic_dnn_ros.bundles.reader import Bundle, read_bundle
from dynamic_dnn_ros.bundles.shipped import find_bundle
from dynamic_dnn_ros.bundles.stages import Stage
from dynamic_dnn_ros.engines.registry import create_engine
from dynamic_dnn_ros.pictures.scaling import RawPicture
from dynamic_dnn_ros.scheduling.contract import Scheduler
from dynamic_dnn_ros.scheduling.registry import create_scheduler
from dynamic_dnn_ros.serving.exchange import SubNetworkExchange
from dynamic_dnn_ros.serving.frames import CameraFrame, ServedFrame
from dynamic_dnn_ros.serving.server import Server
from dynamic_dnn_ros.serving.stage_times import StageTimes
from dynamic_dnn_ros.serving.stream import FrameStream, Terms
from dynamic_dnn_ros.tasks.contract import Limits

ENGINE = 'onnxruntime'
FRAME = (256, 192)
"""Width and height of what the cameras see."""
JITTER = 0.05
"""By which share of its period a camera is early or late at most."""
TIMEOUT = 5.0


@dataclass(frozen=True)
class Camera:
    """A stream: its sub-network, its rate in Hz, and what its target says; latency in s."""

    name: str
    sub_network: str
    rate: float
    latency: float
    priority: int = 0
    droppable: bool = False


@dataclass(frozen=True)
class Segment:
    """
    What is to be served.

    `scheduler` by name, empty: whole frames in the order of arrival, `BatchAndWait.name`: that.
    `begin` in s of the monotonic clock, which all processes share, 0: now. `seconds` that cameras
    send. `estimates` are the latencies of sub-networks, s.
    """

    cameras: tuple[Camera, ...]
    scheduler: str
    seconds: float
    begin: float = 0.0
    seed: int = 0
    estimates: dict[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, text: str) -> Segment:
        """Return a segment from JSON."""
        values = json.loads(text)
        cameras = tuple(Camera(**camera) for camera in values.pop('cameras'))
        return cls(cameras=cameras, **values)

    def text(self) -> str:
        """Return it as a line of JSON."""
        return json.dumps(asdict(self))


@dataclass
class Outcome:
    """
    What became of the frames of one stream.

    `responses` from arrival to result and `services` without waiting, s; `preemptions` the time
    that a frame was parked and that of its inference, s; `ends` when its result was there, s;
    `batches` the frames it ran with.
    """

    offered: int = 0
    responses: list[float] = field(default_factory=list)
    services: list[float] = field(default_factory=list)
    preemptions: list[tuple[float, float]] = field(default_factory=list)
    ends: list[float] = field(default_factory=list)
    batches: list[int] = field(default_factory=list)
    replaced: int = 0
    dropped: int = 0
    rejected: int = 0
    parked: int = 0

    def take(self, served: ServedFrame) -> None:
        """Note a result, which is there now."""
        self.ends.append(time.monotonic())
        self.responses.append(self.ends[-1] - served.frame.arrival)
        self.services.append(served.preprocessing + served.inference + served.decoding)
        self.batches.append(served.batch)
        self.preemptions.append((served.parked, served.inference))


class Host:
    """One bundle and one engine, and the streams of a segment after the other."""

    def __init__(self, bundle: Bundle, core: int, cameras_core: int, largest_batch: int) -> None:
        """Prepare all sub-networks on a core."""
        os.sched_setaffinity(0, {core})
        self._core, self._cameras_core = core, cameras_core
        self._bundle = bundle
        self._largest_batch = largest_batch
        engine = create_engine(ENGINE, bundle, 1, largest_batch=largest_batch)
        self._exchange = SubNetworkExchange(engine, bundle.manifest)
        self._exchange.start(bundle.manifest.sub_networks[0].id, 'cpu')
        if not self._exchange.wait_until_idle(60.0):
            raise SystemExit('the sub-networks are not ready after 60 s')
        gc.collect()
        gc.freeze()

    def close(self) -> None:
        """Let all sub-networks go."""
        self._exchange.close()

    def run(self, segment: Segment) -> dict[str, Any]:
        """Serve a segment; return what became of its frames."""
        # The thread that serves has the core of whoever starts it.
        os.sched_setaffinity(0, {self._core})
        outcomes = {camera.name: Outcome() for camera in segment.cameras}
        times = StageTimes(estimate=lambda entry, processor: segment.estimates.get(entry.id))
        server = Server(self._scheduler(segment))
        exchanges = []
        streams = {}
        for camera in segment.cameras:
            exchange = self._exchange.for_another_stream()
            exchange.start(camera.sub_network, 'cpu')
            exchanges.append(exchange)
            streams[camera.name] = self._stream(camera, exchange, times, outcomes[camera.name])
            server.add(streams[camera.name])
        os.sched_setaffinity(0, {self._cameras_core})
        self._send(segment, streams, outcomes)
        time.sleep(0.3)
        if not server.close(TIMEOUT):
            raise SystemExit(f'a frame was not served within {TIMEOUT:g} s')
        memory = psutil.Process().memory_full_info()
        for exchange in exchanges:
            exchange.close()
        for name, stream in streams.items():
            outcome = outcomes[name]
            outcome.replaced = stream.mailbox.replaced
            outcome.dropped, outcome.rejected = stream.dropped, stream.rejected
            outcome.parked = stream.parked
        return {
            'streams': {name: asdict(outcome) for name, outcome in outcomes.items()},
            'memory': memory.pss,
        }

    def _scheduler(self, segment: Segment) -> Callable[[], Scheduler] | None:
        if segment.scheduler == BatchAndWait.name:
            return lambda: BatchAndWait(len(segment.cameras), self._largest_batch)
        if not segment.scheduler:
            return None
        return lambda: create_scheduler(segment.scheduler)

    def _stream(
        self, camera: Camera, exchange: SubNetworkExchange, times: StageTimes, outcome: Outcome
    ) -> FrameStream:
        manifest = self._bundle.manifest
        stream = FrameStream(
            name=camera.name,
            lender=exchange,
            preprocessing=manifest.preprocessing,
            task=manifest.make_task(),
            labels=manifest.labels,
            limits=Limits,
            stuck_after=TIMEOUT,
            reduced_decoding=False,
            on_served=outcome.take,
            on_rejected=lambda frame, reason: print(reason, file=sys.stderr),
            times=times,
        )
        stream.terms = Terms(camera.latency, camera.priority, camera.droppable)
        return stream

    def _send(
        self, segment: Segment, streams: dict[str, FrameStream], outcomes: dict[str, Outcome]
    ) -> None:
        """Send the frames of all cameras, each when it is due."""
        pictures = {camera.name: _picture(index) for index, camera in enumerate(segment.cameras)}
        begin = segment.begin or time.monotonic()
        for due, name in arrivals(segment.cameras, segment.seconds, segment.seed):
            time.sleep(max(0.0, begin + due - time.monotonic()))
            outcomes[name].offered += 1
            streams[name].put(CameraFrame(pictures[name], time.monotonic(), None))


def arrivals(cameras: Sequence[Camera], seconds: float, seed: int) -> Iterator[tuple[float, str]]:
    """
    Yield when a frame of which camera is due, s from the begin, in order.

    A camera is the same in every segment of that seed, whatever others there are.
    """
    due = []
    for camera in cameras:
        generator = np.random.default_rng([seed, *camera.name.encode()])
        period = 1.0 / camera.rate
        first = generator.uniform(0.0, period)
        count = int((seconds - first) / period)
        jitter = generator.uniform(-JITTER, JITTER, count) * period
        times = first + period * np.arange(count) + jitter
        due.append([(float(max(0.0, each)), camera.name) for each in np.sort(times)])
    yield from heapq.merge(*due)


def with_long_cascade(bundle: Bundle) -> Bundle:
    """Return a bundle with a cascade `long` of its two largest sub-networks, which all pass."""
    *_, first, last = sorted(
        bundle.manifest.own_sub_networks, key=lambda entry: entry.multiply_adds
    )
    whole = first.multiply_adds + last.multiply_adds
    stages = (
        Stage('first', first.id, 2.0, first.multiply_adds / whole, 0.0),
        Stage('last', last.id, None, 1.0, 1.0),
    )
    cascade = SubNetwork(
        'long', {}, last.size, last.accuracy, whole, last.parameters, last.layers, stages=stages
    )
    manifest = bundle.manifest
    added = replace(manifest, sub_networks=(*manifest.sub_networks, cascade))
    return replace(bundle, manifest=added)


def _picture(seed: int) -> RawPicture:
    width, height = FRAME
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    return RawPicture('rgb8', width, height, 3 * width, pixels.tobytes())


def main() -> int:
    """Serve segments."""
    parser = argparse.ArgumentParser()
    parser.add_argument('bundle')
    parser.add_argument('--core', type=int, required=True, help='that serves')
    parser.add_argument('--cameras-core', type=int, required=True, help='that sends the frames')
    parser.add_argument('--largest-batch', type=int, default=1)
    arguments = parser.parse_args()
    bundle = with_long_cascade(read_bundle(find_bundle(arguments.bundle)))
    host = Host(bundle, arguments.core, arguments.cameras_core, arguments.largest_batch)
    print('ready', flush=True)
    for line in sys.stdin:
        print(json.dumps(host.run(Segment.of(line))), flush=True)
    host.close()
    return 0


if __name__ == '__main__':
    sys.exit(main())
