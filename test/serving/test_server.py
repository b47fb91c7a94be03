# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
import math
import threading
import time

import numpy as np
import pytest

from dynamic_dnn_ros.bundles.manifest import SubNetwork
from dynamic_dnn_ros.bundles.reader import Bundle
from dynamic_dnn_ros.bundles.stages import Stage
from dynamic_dnn_ros.engines.contract import Engine, EngineError, Outputs, PreparedSubNetwork
from dynamic_dnn_ros.engines.staged import StagedSubNetwork
from dynamic_dnn_ros.pictures.input import Preprocessing, Resize
from dynamic_dnn_ros.pictures.placement import Size
from dynamic_dnn_ros.pictures.scaling import CompressedPicture, RawPicture
from dynamic_dnn_ros.serving.exchange import SubNetworkExchange
from dynamic_dnn_ros.serving.frames import CameraFrame, ServedFrame, WorkerState
from dynamic_dnn_ros.serving.server import Server
from dynamic_dnn_ros.serving.stream import FrameStream
from dynamic_dnn_ros.tasks.classification import Classification
from dynamic_dnn_ros.tasks.contract import Limits

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
    stream = FrameStream(
        'front',
        exchange,
        Preprocessing(Resize.STRETCH, (0.5, 0.5, 0.5), (0.2, 0.2, 0.2)),
        Classification(),
        ('cat', 'dog'),
        Limits,
        stuck_after=0.05,
        reduced_decoding=True,
        on_served=outcome.served.append,
        on_rejected=lambda frame, reason: outcome.rejected.append((frame.origin, reason)),
    )
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
    for frame in range(2):
        put(stream, frame)
        outcome.wait(lambda: len(outcome.rejected) == frame + 1)  # noqa: B023
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
    assert (stream.served, stream.rejected) == (1, 1)


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
    stream = FrameStream(
        'front',
        lender,
        Preprocessing(Resize.STRETCH, (0.5, 0.5, 0.5), (0.2, 0.2, 0.2)),
        Classification(),
        ('cat', 'dog'),
        Limits,
        stuck_after=1.0,
        reduced_decoding=True,
        on_served=outcome.served.append,
        on_rejected=lambda frame, reason: outcome.rejected.append((frame.origin, reason)),
    )
    server.add(stream)
    for count, answer in enumerate(([9.0, 0.0], [0.1, 0.0], [math.nan, 0.0]), 1):
        lender.answers.append(answer)
        put(stream, count)
        outcome.wait(lambda expected=count: len(outcome.served) == expected)
    assert server.close(TIMEOUT)
    told = [(one.sub_network, one.exit_stage, one.work) for one in outcome.served]
    assert told == [('c0', 'first', 0.3), ('c0', 'last', 1.0), ('c0', 'last', 1.0)]
    best = [int(np.argmax(one.result.scores)) for one in outcome.served]  # type: ignore[union-attr]
    assert best == [0, 1, 1]
    assert stream.undecided == 1, 'a confidence that is no number is counted'
    assert not outcome.rejected
