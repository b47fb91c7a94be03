# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
import math
import threading
import time

import numpy as np
import pytest

from dynamic_dnn_ros.bundles.manifest import Manifest, SubNetwork
from dynamic_dnn_ros.bundles.reader import Bundle, read_bundle
from dynamic_dnn_ros.bundles.shipped import find_bundle
from dynamic_dnn_ros.bundles.stages import Stage
from dynamic_dnn_ros.engines.contract import Engine, EngineError, Outputs, PreparedSubNetwork
from dynamic_dnn_ros.engines.registry import create_engine
from dynamic_dnn_ros.engines.staged import StagedSubNetwork
from dynamic_dnn_ros.pictures.input import Preprocessing, Resize
from dynamic_dnn_ros.pictures.placement import Size
from dynamic_dnn_ros.pictures.scaling import CompressedPicture, RawPicture, fitted
from dynamic_dnn_ros.scheduling.contract import Decision, Job, Run, Scheduler, Wait
from dynamic_dnn_ros.scheduling.registry import create_scheduler, scheduler_names
from dynamic_dnn_ros.serving.exchange import Lender, SubNetworkExchange
from dynamic_dnn_ros.serving.frames import CameraFrame, ServedFrame, WorkerState
from dynamic_dnn_ros.serving.path import follow
from dynamic_dnn_ros.serving.server import Server
from dynamic_dnn_ros.serving.stage_times import StageTimes
from dynamic_dnn_ros.serving.stream import FrameStream
from dynamic_dnn_ros.tasks.classification import Classification
from dynamic_dnn_ros.tasks.contract import Limits
from support.streams import (
    FAILS,
    CountingLender,
    NotingNetwork,
    answer,
    frame,
    make_stream,
    picture,
    undisturbed,
)
from support.streams import Outcome as Noted

TIMEOUT = 10.0
PICTURE = RawPicture('rgb8', 8, 8, 24, bytes(192))


class Scripted(PreparedSubNetwork):
    def __init__(self, sub_network: SubNetwork, engine: ScriptedEngine) -> None:
        super().__init__(sub_network, 'cpu')
        self.engine = engine

    def run(self, picture: np.ndarray) -> Outputs:
        assert self.engine.go_on.wait(TIMEOUT)
        if self.engine.failures:
            raise self.engine.failures.pop()
        return {'logits': np.zeros((1, 2), np.float32)}


class ScriptedEngine(Engine):
    """Fails with what stands in `failures`, and waits where `go_on` is cleared."""

    name = 'scripted'
    processors = ('cpu',)

    def __init__(self) -> None:
        self.failures: list[Exception] = []
        self.go_on = threading.Event()
        self.go_on.set()

    def prepare(self, sub_network: SubNetwork, processor: str) -> PreparedSubNetwork:
        return Scripted(sub_network, self)


class Outcome:
    def __init__(self) -> None:
        self.served: list[ServedFrame] = []
        self.rejected: list[tuple[object, str]] = []

    def wait(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + TIMEOUT
        while not condition():
            assert time.monotonic() < deadline
            time.sleep(0.001)


def front(lender: Lender, outcome: Outcome, stuck_after: float) -> FrameStream:
    return FrameStream(
        'front',
        lender,
        Preprocessing(Resize.STRETCH, (0.5, 0.5, 0.5), (0.2, 0.2, 0.2)),
        Classification(),
        ('cat', 'dog'),
        Limits,
        stuck_after=stuck_after,
        reduced_decoding=True,
        on_served=outcome.served.append,
        on_rejected=lambda frame, reason: outcome.rejected.append((frame.origin, reason)),
    )


def noting(
    name: str,
    prepared: PreparedSubNetwork,
    manifest: Manifest,
    outcome: Noted,
    times: StageTimes,
) -> FrameStream:
    return FrameStream(
        *(name, CountingLender(prepared), manifest.preprocessing, manifest.make_task()),
        *(manifest.labels, Limits, 5.0, True),
        *(outcome.on_served, outcome.on_rejected, outcome.on_dropped, times),
    )


@pytest.fixture
def engine() -> ScriptedEngine:
    return ScriptedEngine()


@pytest.fixture
def outcome() -> Outcome:
    return Outcome()


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def stream(
    engine: ScriptedEngine, bundle: Bundle, outcome: Outcome, server: Server
) -> Iterator[FrameStream]:
    exchange = SubNetworkExchange(engine, bundle.manifest)
    exchange.start('s0', 'cpu')
    stream = front(exchange, outcome, stuck_after=0.05)
    server.add(stream)
    yield stream
    engine.go_on.set()
    assert server.close(TIMEOUT)
    exchange.close()


def put(stream: FrameStream, origin: object, picture: object = PICTURE) -> None:
    stream.put(CameraFrame(picture, time.monotonic(), origin))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ('outputs', 'problem'),
    [
        ({'logits': np.zeros((1, 3), np.float32)}, '2 labels'),
        ({'logits': np.array([[0.0, np.nan]], np.float32)}, 'not finite'),
        ({}, 'one output'),
    ],
)
def test_outputs_that_cannot_be_decoded_are_no_empty_results(
    engine: ScriptedEngine,
    stream: FrameStream,
    outcome: Outcome,
    monkeypatch: pytest.MonkeyPatch,
    outputs: Outputs,
    problem: str,
) -> None:
    monkeypatch.setattr(Scripted, 'run', lambda self, picture: outputs)
    for count in range(2):
        put(stream, count)
        outcome.wait(lambda: len(outcome.rejected) == count + 1)  # noqa: B023
    assert stream.served == 0 and problem in outcome.rejected[-1][1]


def test_serves_the_newest_and_counts_the_rest(
    engine: ScriptedEngine, stream: FrameStream, outcome: Outcome
) -> None:
    engine.go_on.clear()
    put(stream, 0)
    outcome.wait(lambda: stream.state()[0] is not WorkerState.IDLE)
    for origin in (1, 2, 3):
        put(stream, origin)
    engine.go_on.set()
    outcome.wait(lambda: len(outcome.served) == 2)
    assert [served.frame.origin for served in outcome.served] == [0, 3]
    assert (stream.mailbox.received, stream.served, stream.mailbox.replaced) == (4, 2, 2)
    assert outcome.served[1].waiting > 0 and outcome.served[1].remarks is None
    assert (outcome.served[1].work, outcome.served[1].exit_stage) == (1.0, '')


@pytest.mark.parametrize('error', [EngineError('out of memory'), RuntimeError('any other')])
def test_a_frame_that_fails_costs_that_frame(
    engine: ScriptedEngine, stream: FrameStream, outcome: Outcome, error: Exception
) -> None:
    engine.failures = [error]
    put(stream, 'bad')
    outcome.wait(lambda: len(outcome.rejected) == 1)
    assert outcome.rejected[0][0] == 'bad' and str(error) in outcome.rejected[0][1]
    put(stream, 'good')
    outcome.wait(lambda: len(outcome.served) == 1)
    assert (stream.served, stream.rejected, stream.failures) == (1, 1, 0)


def test_frames_that_the_engine_fails_on_are_counted_in_a_row(
    engine: ScriptedEngine, stream: FrameStream, outcome: Outcome
) -> None:
    engine.failures = [EngineError('the device is gone')] * 2
    for count, found in ((1, PICTURE), (2, object()), (3, PICTURE)):
        put(stream, count, found)
        outcome.wait(lambda: len(outcome.rejected) == count)  # noqa: B023
    assert stream.failures == 2  # a picture that cannot be read is not the engine's


def test_a_picture_that_cannot_be_decoded_is_rejected(
    stream: FrameStream, outcome: Outcome
) -> None:
    put(stream, 'bad', CompressedPicture(b'nothing'))
    outcome.wait(lambda: len(outcome.rejected) == 1)
    assert 'no picture that can be decoded' in outcome.rejected[0][1]


def test_goes_on_where_who_takes_the_results_fails(
    stream: FrameStream, outcome: Outcome, caplog: pytest.LogCaptureFixture
) -> None:
    failing = [True]

    def take(served: ServedFrame) -> None:
        if failing[0]:
            raise RuntimeError('the publisher is gone')
        outcome.served.append(served)

    stream._on_served = take
    for count in (1, 2):
        put(stream, count)
        outcome.wait(lambda expected=count: stream.served == expected)
    outcome.wait(lambda: stream.state()[0] is WorkerState.IDLE)
    failing.clear()
    failing.append(False)
    put(stream, 'heard')
    outcome.wait(lambda: len(outcome.served) == 1)
    assert caplog.text.count('who was told of it failed') == 1, 'once for a series'
    assert 'the publisher is gone' in caplog.text


def test_says_that_it_is_stuck(
    engine: ScriptedEngine, server: Server, stream: FrameStream, outcome: Outcome
) -> None:
    assert stream.state()[0] is WorkerState.IDLE
    engine.go_on.clear()
    put(stream, 0)
    outcome.wait(lambda: stream.state()[0] is WorkerState.STUCK)
    assert not server.remove(stream, 0.01)
    engine.go_on.set()
    outcome.wait(lambda: stream.state()[0] is WorkerState.STOPPED)


class StagedLender:
    """Has a sub-network of two stages, whose first answers as it is told."""

    def __init__(self) -> None:
        self.answers: list[list[float]] = []
        stages = (Stage('first', '', 0.8, 0.3, 0.5), Stage('last', '', None, 1.0, 0.5))
        entry = SubNetwork('c0', {}, Size(8, 8), 0.5, 1, 1, 1, stages=stages)
        self.prepared = StagedSubNetwork(entry, 'cpu', [self.first, self.last], 0, 'nothing')

    def first(self, value: object) -> tuple[Outputs, object]:
        return {'logits': np.array([self.answers.pop(0)], np.float32)}, value

    def last(self, value: object) -> tuple[Outputs, object]:
        return {'logits': np.array([[0.0, 5.0]], np.float32)}, value

    @property
    def serving(self) -> PreparedSubNetwork:
        return self.prepared

    @contextmanager
    def lease(self) -> Iterator[PreparedSubNetwork]:
        yield self.prepared


def test_a_frame_leaves_where_its_answer_is_good_enough(outcome: Outcome) -> None:
    lender = StagedLender()
    server = Server()
    stream = front(lender, outcome, stuck_after=1.0)
    server.add(stream)
    for count, logits in enumerate(([9.0, 0.0], [0.1, 0.0], [math.nan, 0.0]), 1):
        lender.answers.append(logits)
        put(stream, count)
        outcome.wait(lambda expected=count: len(outcome.served) == expected)
    assert server.close(TIMEOUT)
    told = [(one.sub_network, one.exit_stage, one.work) for one in outcome.served]
    assert told == [('c0', 'first', 0.3), ('c0', 'last', 1.0), ('c0', 'last', 1.0)]
    best = [int(np.argmax(one.result.scores)) for one in outcome.served]  # type: ignore[union-attr]
    assert best == [0, 1, 1]
    assert stream.undecided == 1, 'a confidence that is no number is counted'
    assert not outcome.rejected


# Several streams


class Slow(NotingNetwork):
    """Stages that end when they may."""

    def __init__(self, name: str, stages: int) -> None:
        super().__init__(name, stages)
        self.go_on = threading.Event()
        self.runs = threading.Event()
        self.before = self._wait

    def _wait(self, stage: int, values: tuple[int, ...]) -> None:
        self.runs.set()
        assert self.go_on.wait(TIMEOUT)


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + TIMEOUT
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_two_streams_of_one_name() -> None:
    server = Server()
    streams = [make_stream('front', CountingLender(NotingNetwork('s0', 1)), Noted())] * 2
    server.add(streams[0])
    with pytest.raises(ValueError, match="'front' is served already; give each its own name"):
        server.add(make_stream('front', streams[0].lender, Noted()))
    assert server.streams == (streams[0],)
    assert server.close(TIMEOUT)
    assert server.streams == () and streams[0].state()[0] is WorkerState.STOPPED
    assert server.remove(streams[0], 0.0), 'once more does nothing'


def test_a_stage_that_hangs_costs_its_stream_only() -> None:
    slow, network = Slow('s0', 2), NotingNetwork('s1', 2)
    server, noted = Server(lambda: create_scheduler('round_robin')), [Noted(), Noted()]
    lenders = [CountingLender(slow), CountingLender(network)]
    hanging = make_stream('front', lenders[0], noted[0], stuck_after=0.02)
    other = make_stream('rear', lenders[1], noted[1], stuck_after=0.02)
    for stream in (hanging, other):
        server.add(stream)
    hanging.put(frame(1))
    assert slow.runs.wait(TIMEOUT)
    assert other.state()[0] is WorkerState.IDLE
    other.put(frame(2))
    for stream in (hanging, other):
        wait_for(lambda stream=stream: stream.state()[0] is WorkerState.STUCK)
    assert not server.remove(hanging, 0.01)
    wait_for(lambda: other.served == 1)
    assert other.state()[0] is WorkerState.IDLE and lenders[0].lent == 1
    slow.go_on.set()
    assert hanging.gone.wait(TIMEOUT)
    assert lenders[0].lent == 0 and hanging.dropped == 1 and not noted[0].told
    other.put(frame(3))
    wait_for(lambda: other.served == 2)
    assert server.close(TIMEOUT)
    again = make_stream('front', lenders[0], noted[0])
    server.add(again)
    again.put(frame(4))
    wait_for(lambda: again.served == 1)
    assert server.close(TIMEOUT)


def test_tells_whether_work_on_a_frame_begins_now() -> None:
    slow = Slow('s0', 1)
    server = Server()
    streams = [make_stream(name, CountingLender(slow), Noted()) for name in ('front', 'rear')]
    for stream in streams:
        server.add(stream)
    assert streams[0].put(frame(1))
    assert slow.runs.wait(TIMEOUT)
    assert not streams[1].put(frame(2)), "the other's frame is in work"
    slow.go_on.set()
    assert server.close(TIMEOUT)


def test_a_stage_that_fails_after_its_stream_has_gone_is_told_nobody() -> None:
    slow, noted = Slow('s0', 1), Noted()
    server, lender = Server(), CountingLender(slow)
    stream = make_stream('front', lender, noted)
    server.add(stream)
    stream.put(CameraFrame(picture(FAILS), time.monotonic(), 1))
    assert slow.runs.wait(TIMEOUT)
    assert not server.remove(stream, 0.01)
    slow.go_on.set()
    assert stream.gone.wait(TIMEOUT)
    assert (stream.dropped, stream.rejected, lender.lent, noted.told) == (1, 0, 0, [])


def test_a_stream_follows_its_sub_network_to_another_processor() -> None:
    slow, there = Slow('s0', 1), NotingNetwork('s0', 1)
    there.processor = 'gpu'
    server, noted = Server(), [Noted(), Noted()]
    lenders = [CountingLender(slow), CountingLender(there)]
    front, rear = (
        make_stream(name, lender, outcome)
        for name, lender, outcome in zip(('front', 'rear'), lenders, noted)
    )
    for stream in (front, rear):
        server.add(stream)
    front.put(frame(1))
    assert slow.runs.wait(TIMEOUT)
    rear.put(frame(2))
    wait_for(lambda: rear.served == 1)
    lenders[1].serving = slow
    rear.put(frame(3))
    lenders[0].serving = there
    slow.go_on.set()
    front.put(frame(4))
    wait_for(lambda: rear.served == 2 and front.served == 2)
    processors = [[served.processor for served in each.served] for each in noted]
    assert processors == [['cpu', 'gpu'], ['gpu', 'cpu']]
    assert server.close(TIMEOUT)


def test_streams_come_and_go_while_frames_arrive() -> None:
    """Each frame of each is told, or counted, whatever comes in between; in many threads."""
    network = NotingNetwork('s0', 3, largest_batch=2)
    server = Server(lambda: create_scheduler('round_robin'))
    names = [name for name in scheduler_names() if name != 'round_robin']
    found: list[tuple[FrameStream, Noted, CountingLender]] = []

    def serve(number: int) -> None:
        for turn in range(4):
            lender, noted = CountingLender(network), Noted()
            stream = make_stream(f'{number}', lender, noted, times)
            found.append((stream, noted, lender))
            server.add(stream)
            for count in range(25):
                stream.put(frame((number * 60 + count) % 254))
                time.sleep(0.0002 * (turn % 2))
            assert server.remove(stream, TIMEOUT)

    times = StageTimes()
    threads = [threading.Thread(target=serve, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for name in names:
        server.schedule(lambda name=name: create_scheduler(name))
        time.sleep(0.005)
    for thread in threads:
        thread.join(TIMEOUT)
    assert server.close(TIMEOUT) and len(found) == 16
    for stream, noted, lender in found:
        assert stream.served == len(noted.served) and not stream.rejected
        assert stream.served + stream.dropped + stream.mailbox.replaced == 25
        origins = [served.frame.origin for served in noted.served]
        assert len(set(origins)) == len(origins) and lender.lent == 0
        for served in noted.served:
            answers = (served.exit_stage, answer(served.result))
            assert answers == undisturbed(network, served.frame.origin)


@pytest.mark.parametrize('name', ['onnxruntime'])
def test_parked_cascades_of_an_engine_answer_as_undisturbed(name: str) -> None:
    """Of the bundle that ships, on real arithmetic: bit for bit, and what is late leaves late."""
    pytest.importorskip(name)
    bundle = read_bundle(find_bundle('cifar10_ofa_cascade'))
    manifest = bundle.manifest
    (entry, *_) = [each for each in manifest.sub_networks if each.is_cascade]
    prepared = create_engine(name, bundle, threads=1).prepare(entry, 'cpu')
    task = manifest.make_task()
    server, times = Server(lambda: create_scheduler('round_robin')), StageTimes()
    noted = [Noted(), Noted(), Noted()]
    streams = []
    for index, outcome in enumerate(noted):
        stream = noting(f'{index}', prepared, manifest, outcome, times)
        streams.append(stream)
        server.add(stream)
    draw = np.random.default_rng(0)
    pictures = [
        RawPicture('rgb8', 32, 32, 96, draw.integers(0, 256, 3072, np.uint8).tobytes())
        for _ in range(12)
    ]
    for number in range(0, 12, 3):
        for stream, value in zip(streams, range(number, number + 3)):
            stream.put(CameraFrame(pictures[value], time.monotonic(), value))
        wait_for(lambda count=number // 3 + 1: all(each.served == count for each in streams))
    assert server.close(TIMEOUT)
    for served in (each for outcome in noted for each in outcome.served):
        pixels, placement = fitted(
            pictures[served.frame.origin], entry.size, manifest.preprocessing
        )
        path = follow(prepared, pixels, task)
        expected = task.decode(path.outputs, 0, placement, manifest.labels, Limits())
        assert served.exit_stage == path.stage
        assert served.result.scores.tobytes() == expected.scores.tobytes()  # type: ignore[union-attr]
    assert sum(stream.parked for stream in streams) > 0
    prepared.close()


def test_frames_of_two_cameras_run_together_in_an_engine() -> None:
    """Of the bundle that ships: each gets what it would have alone, within rounding."""
    pytest.importorskip('onnxruntime')
    bundle = read_bundle(find_bundle('cifar10_ofa'))
    manifest = bundle.manifest
    entry = manifest.sub_networks[0]
    engine = create_engine('onnxruntime', bundle, threads=1, largest_batch=2)
    prepared = engine.prepare(entry, 'cpu')
    task = manifest.make_task()

    class Both(Scheduler):
        """Waits until there are two."""

        name = 'both'

        def next(self, now: float, jobs: Sequence[Job]) -> Decision:
            return Run(tuple(jobs)) if len(jobs) == 2 else Wait()

    server, times = Server(Both), StageTimes()
    noted = [Noted(), Noted()]
    draw = np.random.default_rng(0)
    pictures = draw.integers(0, 256, (2, *entry.size, 3), np.uint8)
    for index, outcome in enumerate(noted):
        stream = noting(f'{index}', prepared, manifest, outcome, times)
        server.add(stream)
        height, width = entry.size
        raw = RawPicture('rgb8', width, height, 3 * width, pictures[index].tobytes())
        stream.put(CameraFrame(raw, time.monotonic(), index))
    wait_for(lambda: all(outcome.served for outcome in noted))
    assert server.close(TIMEOUT)
    for pixels, outcome in zip(pictures, noted):
        (served,) = outcome.served
        alone = task.decode(prepared.run(pixels), 0, served.placement, manifest.labels, Limits())
        assert served.batch == 2
        np.testing.assert_allclose(served.result.scores, alone.scores, atol=1e-5)  # type: ignore[union-attr]
    prepared.close()
