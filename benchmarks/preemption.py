# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
What it costs to park a frame between two stages, and to go on with it.

`python benchmarks/preemption.py BUNDLE ENGINE` serves one frame of each of two streams, the first
through the cascade of `stage_overhead.py`, the second through the largest sub-network: one after
the other, and in turns with that the second passes the first between its two stages. It prints
both and the difference, in ms, as JSON; and what a frame of the cascade takes where its stream is
alone, and where a scheduler is asked before each stage.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
import json
from pathlib import Path
import statistics
import sys
import time

from stage_overhead import cascading

from dynamic_dnn_ros.bundles.reader import read_bundle
from dynamic_dnn_ros.bundles.responses import probe_picture
from dynamic_dnn_ros.engines.contract import PreparedSubNetwork
from dynamic_dnn_ros.engines.registry import create_engine
from dynamic_dnn_ros.pictures.scaling import RawPicture
from dynamic_dnn_ros.scheduling.contract import Decision, Job, Run, Scheduler
from dynamic_dnn_ros.scheduling.registry import DEFAULT_SCHEDULER, create_scheduler
from dynamic_dnn_ros.serving.frames import CameraFrame, ServedFrame
from dynamic_dnn_ros.serving.processor_loop import ProcessorLoop
from dynamic_dnn_ros.serving.stage_times import StageTimes
from dynamic_dnn_ros.serving.stream import FrameStream
from dynamic_dnn_ros.tasks.contract import Limits

ROUNDS = 1000


class Newest(Scheduler):
    """The frame that came last passes the others."""

    name = 'newest'

    def next(self, now: float, jobs: Sequence[Job]) -> Decision:
        """Run the last one."""
        return Run((jobs[-1],))


class Lender:
    """Lends one sub-network."""

    def __init__(self, prepared: PreparedSubNetwork) -> None:
        self.serving = prepared

    @contextmanager
    def lease(self) -> Iterator[PreparedSubNetwork]:
        """Lend it."""
        yield self.serving


def main() -> None:
    """Measure and print."""
    bundle, entry = cascading(read_bundle(Path(sys.argv[1])))
    engine = create_engine(sys.argv[2], bundle, 1)
    manifest, times = bundle.manifest, StageTimes()
    cascade = engine.prepare(entry, engine.processors[0])
    largest = max(manifest.own_sub_networks, key=lambda each: each.multiply_adds)
    whole = engine.prepare(largest, engine.processors[0])
    pixels = probe_picture(0, entry.size)
    height, width, _ = pixels.shape
    picture = RawPicture('rgb8', width, height, 3 * width, pixels.tobytes())
    served: list[ServedFrame] = []

    def stream(name: str, prepared: PreparedSubNetwork = cascade) -> FrameStream:
        return FrameStream(
            *(name, Lender(prepared), manifest.preprocessing, manifest.make_task()),
            *(manifest.labels, Limits, 5.0, False, served.append, print, print, times),
        )

    loop = ProcessorLoop(cascade.processor, Newest(), lambda stream, processor: None)
    one, other = stream('one'), stream('other', whole)
    for each in (one, other):
        loop.add(each)

    def put(each: FrameStream) -> None:
        each.put(CameraFrame(picture, time.monotonic(), None))

    def finish() -> None:
        while loop.turn(time.monotonic()) is None:
            pass

    def in_order() -> None:
        for each in (one, other):
            put(each)
            finish()

    def parked() -> None:
        put(one)
        loop.turn(time.monotonic())
        put(other)
        finish()

    def timed(what: Callable[[], None]) -> float:
        begun = time.perf_counter()
        what()
        return time.perf_counter() - begun

    pairs = [(timed(in_order), timed(parked)) for _ in range(ROUNDS)]
    assert one.parked == ROUNDS and len(served) == 4 * ROUNDS
    served.clear()

    alone = ProcessorLoop(cascade.processor, None, lambda stream, processor: None)
    single, asked = stream('single'), stream('asked')
    alone.add(single)
    loop = ProcessorLoop(
        cascade.processor,
        create_scheduler(DEFAULT_SCHEDULER),
        lambda stream, processor: None,
    )
    for each in (asked, stream('idle')):
        loop.add(each)

    def by_itself() -> None:
        put(single)
        alone.turn(time.monotonic())

    def by_scheduler() -> None:
        put(asked)
        finish()

    turns = [(timed(by_itself), timed(by_scheduler)) for _ in range(ROUNDS)]
    print(
        json.dumps(
            {
                'engine': engine.name,
                'two_in_order_ms': min(one for one, _ in pairs) * 1e3,
                'one_parked_ms': min(other for _, other in pairs) * 1e3,
                'preemption_ms': statistics.median(b - a for a, b in pairs) * 1e3,
                'alone_ms': min(one for one, _ in turns) * 1e3,
                'asked_ms': min(other for _, other in turns) * 1e3,
                'asking_ms': statistics.median(b - a for a, b in turns) * 1e3,
            },
            indent=1,
        )
    )


if __name__ == '__main__':
    main()
