# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Streams that take turns, without a thread: each turn is taken by the test."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
import math
import time

import pytest

from dynamic_dnn_ros.engines.contract import Execution, OutOfMemoryError, Outputs
from dynamic_dnn_ros.scheduling.contract import Decision, Drop, Job, Run, Scheduler, Wait
from dynamic_dnn_ros.scheduling.registry import create_scheduler, scheduler_names
from dynamic_dnn_ros.serving.overruling import LONGEST_WAIT
from dynamic_dnn_ros.serving.processor_loop import ProcessorLoop
from dynamic_dnn_ros.serving.stage_times import StageTimes
from dynamic_dnn_ros.serving.stream import Terms
from support.streams import (
    FAILS,
    CountingLender,
    NotingNetwork,
    Outcome,
    answer,
    frame,
    make_stream,
    undisturbed,
)


class Told(Scheduler):
    """Decides as it is told, each time by what is offered; it keeps the jobs that it saw."""

    name = 'told'

    def __init__(self) -> None:
        self.decide: Callable[[Sequence[Job]], Decision] = lambda jobs: Run(tuple(jobs[:1]))
        self.seen: list[list[Job]] = []

    def next(self, now: float, jobs: Sequence[Job]) -> Decision:
        self.seen.append(list(jobs))
        return self.decide(jobs)

    def run(self, *names: str) -> None:
        self.decide = lambda jobs: Run(tuple(job for job in jobs if job.stream in names))


class Bench:
    """Two streams, `front` and `rear`, on one processor."""

    def __init__(self, network: NotingNetwork, scheduler: Scheduler | None) -> None:
        self.network = network
        self.loop = ProcessorLoop('cpu', scheduler, lambda stream, processor: None)
        self.times = StageTimes('bundle')
        self.lenders = [CountingLender(network) for _ in range(2)]
        self.outcomes = [Outcome(), Outcome()]
        self.front, self.rear = (
            make_stream(name, lender, outcome, self.times)
            for name, lender, outcome in zip(('front', 'rear'), self.lenders, self.outcomes)
        )
        for stream in (self.front, self.rear):
            self.loop.add(stream)

    def turn(self, ahead: float = 0.0) -> float | None:
        return self.loop.turn(time.monotonic() + ahead)

    @property
    def told(self) -> list[list[tuple[str, int]]]:
        return [outcome.told for outcome in self.outcomes]


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def bench(told: Told) -> Bench:
    return Bench(NotingNetwork('s0', 3), told)


def test_an_urgent_frame_passes_between_two_stages(bench: Bench, told: Told) -> None:
    bench.front.put(frame(1))
    assert bench.turn() is None
    bench.rear.terms = Terms(latency=0.5, priority=7)
    bench.rear.put(frame(2))
    told.run('rear')
    for _ in range(3):
        assert bench.turn() is None
    assert bench.told == [[], [('served', 2)]]
    assert (bench.front.parked, bench.rear.parked) == (1, 0)
    assert [lender.lent for lender in bench.lenders] == [1, 0], 'a parked frame keeps its lease'
    told.run('front')
    while bench.turn() is None:
        pass
    assert bench.told == [[('served', 1)], [('served', 2)]]
    parked, passed = bench.outcomes[0].served[0], bench.outcomes[1].served[0]
    assert (parked.exit_stage, answer(parked.result)) == undisturbed(bench.network, 1)
    assert parked.parked > passed.inference > 0 == passed.parked
    assert parked.inference < parked.parked + parked.inference <= time.monotonic()
    assert bench.lenders[0].lent == 0


def test_a_scheduler_is_told_how_far_a_frame_is(bench: Bench, told: Told) -> None:
    bench.front.put(frame(1))
    bench.turn()
    bench.front.put(frame(2))
    bench.rear.terms = Terms(0.5, 7, droppable=True)
    bench.rear.put(frame(3))
    bench.turn()
    one, other = told.seen[-1]
    assert (one.stream, one.stage, other.stream, other.stage) == ('front', 2, 'rear', 0)
    assert one.spent > 0 and one.last_run > one.arrival and one.pace > 0
    assert (other.priority, other.droppable) == (7, True)
    assert other.deadline == other.arrival + 0.5
    assert one.work is other.work and one.work.stages == 3
    assert told.seen[0][0] is one, 'a frame is one job from its first stage to its last'


def test_without_a_latency_a_frame_has_a_period_of_its_camera(bench: Bench, told: Told) -> None:
    first = frame(1)
    bench.front.put(first)
    bench.turn()
    assert told.seen[-1][0].deadline == math.inf
    bench.turn(), bench.turn()
    bench.front.terms = Terms(None, droppable=True)
    bench.front.put(replace(first, arrival=first.arrival + 0.1))
    bench.rear.put(frame(3))
    bench.turn()
    job = next(job for job in told.seen[-1] if job.stream == 'front')
    assert job.deadline == pytest.approx(job.arrival + 0.1)
    assert not job.droppable, 'late only by a latency that somebody asked for'


def test_late_frames_are_dropped_where_they_may_be(bench: Bench, told: Told) -> None:
    bench.front.terms = bench.rear.terms = Terms(0.001, droppable=True)
    bench.front.put(frame(1))
    bench.turn()
    bench.rear.put(frame(2))
    told.decide = lambda jobs: Drop(tuple(jobs))
    assert bench.turn(ahead=0.8) is None
    assert bench.told == [[('dropped', 1)], [('dropped', 2)]]
    assert [lender.lent for lender in bench.lenders] == [0, 0]
    assert bench.turn() == math.inf
    assert (bench.front.dropped, bench.front.served, bench.rear.dropped) == (1, 0, 1)


def test_a_stream_alone_drops_its_late_frames(told: Told) -> None:
    bench = Bench(NotingNetwork('s0', 2), create_scheduler('earliest_deadline'))
    bench.rear.leaving = True
    bench.front.terms = Terms(0.5, droppable=True)
    bench.turn()
    bench.front.put(frame(1))
    assert bench.turn(ahead=0.8) is None
    bench.front.put(frame(2))
    while bench.turn() is None:
        pass
    assert bench.told[0] == [('dropped', 1), ('served', 2)]


def test_a_stream_that_drops_all_its_frames_has_one_served_now_and_then(told: Told) -> None:
    """By an estimate that is too high nothing would be served, and so nothing learnt."""
    bench = Bench(NotingNetwork('s0', 2), create_scheduler('earliest_deadline'))
    bench.rear.leaving = True
    bench.front.terms = Terms(0.001, droppable=True)
    bench.turn()
    before = bench.times.work(bench.network).times
    for number in range(1, 4):
        bench.front.put(frame(number))
        assert bench.turn(ahead=0.8) is None
    bench.front.put(frame(4))
    while bench.turn(ahead=1.5) is None:
        pass
    assert bench.times.work(bench.network).times != before, 'what it took is learnt'
    bench.front.put(frame(5))
    assert bench.turn(ahead=0.8) is None
    told_of_front = bench.told[0]
    assert told_of_front == [*(('dropped', n) for n in (1, 2, 3)), ('served', 4), ('dropped', 5)]


def test_a_frame_that_is_late_while_parked_is_counted(bench: Bench, told: Told) -> None:
    bench.front.terms = Terms(latency=0.01)
    bench.front.put(frame(1))
    bench.turn()
    bench.rear.put(frame(2))
    told.run('rear')
    for _ in range(3):
        bench.turn(ahead=1.0)
    told.run('front')
    while bench.turn(ahead=1.0) is None:
        pass
    assert (bench.front.overdue, bench.rear.overdue) == (1, 0)
    assert bench.told == [[('served', 1)], [('served', 2)]]


def test_a_switch_leaves_a_parked_frame_alone(bench: Bench, told: Told) -> None:
    other = NotingNetwork('s1', 2)
    bench.front.put(frame(1))
    bench.turn()
    bench.lenders[0].serving = other
    bench.rear.put(frame(2))
    told.run('rear')
    bench.turn()
    told.run('front')
    bench.turn(), bench.turn()
    bench.front.put(frame(3))
    while bench.turn() is None:
        pass
    served = [(one.sub_network, one.frame.origin) for one in bench.outcomes[0].served]
    assert served == [('s0', 1), ('s1', 3)]


def test_a_newer_frame_takes_the_place_of_one_that_was_offered(told: Told) -> None:
    bench = Bench(NotingNetwork('s0', 1), told)
    bench.front.put(frame(1))
    newer = frame(2)

    def put_newer(jobs: Sequence[Job]) -> Decision:
        bench.front.put(newer)
        return Run((jobs[0],))

    told.decide = put_newer
    bench.turn()
    assert bench.told[0] == [('served', 2)]
    assert (bench.front.mailbox.received, bench.front.mailbox.replaced) == (2, 1)
    told.decide = lambda jobs: (bench.rear.put(frame(4)), Drop(tuple(jobs)))[1]
    bench.rear.terms = Terms(1.0, droppable=True)
    bench.rear.put(frame(3))
    bench.turn()
    assert bench.rear.dropped == 0 and bench.rear.mailbox.replaced == 1, 'the newer one is kept'


def test_the_period_of_a_camera_is_a_mean_that_outlives_a_pause() -> None:
    stream = make_stream('front', CountingLender(NotingNetwork('s0', 1)), Outcome())
    assert stream.period == 0.0
    arrival, sent = 0.0, frame(1)
    for _ in range(20):
        assert not stream.put(replace(sent, arrival=arrival)), 'nobody serves it'
        arrival += 0.05
    assert stream.period == pytest.approx(0.05)
    stream.put(replace(sent, arrival=arrival + 3600.0))
    assert stream.period == pytest.approx(0.055)


# Batches


@pytest.fixture
def batching(told: Told) -> Bench:
    return Bench(NotingNetwork('s0', 3, largest_batch=4), told)


def test_frames_that_are_equally_far_run_together(batching: Bench, told: Told) -> None:
    told.run('front', 'rear')
    batching.front.put(frame(129))  # leaves after its second stage
    batching.rear.put(frame(2))
    while batching.turn() is None:
        pass
    assert batching.network.batches == [(129, 2), (129, 2), (2,)]
    for outcome, value in zip(batching.outcomes, (129, 2)):
        (served,) = outcome.served
        assert (served.exit_stage, answer(served.result)) == undisturbed(batching.network, value)
    assert [outcome.served[0].batch for outcome in batching.outcomes] == [2, 1]


def test_frames_of_different_sub_networks_run_one_by_one(batching: Bench, told: Told) -> None:
    batching.front.put(frame(1))
    batching.rear.put(frame(2))
    other = NotingNetwork('s1', 3, largest_batch=4)

    def switch(jobs: Sequence[Job]) -> Decision:
        batching.lenders[1].serving = other
        return Run(tuple(jobs))

    told.decide = switch
    batching.turn()
    assert (batching.network.batches, other.batches) == ([(1,)], [(2,)])


def test_a_batch_that_does_not_fit_is_halved_and_said_once(
    told: Told, caplog: pytest.LogCaptureFixture
) -> None:
    class Small(NotingNetwork):
        def advance_together(self, executions: Sequence[Execution]) -> list[Outputs | None]:
            raise OutOfMemoryError('there is no memory left for it.')

    bench = Bench(Small('s0', 1, largest_batch=3), told)
    told.run('front', 'rear')
    for value in (1, 3):
        bench.front.put(frame(value))
        bench.rear.put(frame(value + 1))
        while bench.turn() is None:
            told.decide = lambda jobs: Run(tuple(jobs[: jobs[0].work.largest_batch]))
    assert bench.told == [[('served', 1), ('served', 3)], [('served', 2), ('served', 4)]]
    assert bench.network.batches == [(1,), (2,), (3,), (4,)]
    assert told.seen[-1][0].work.largest_batch == 1
    said = [record.message for record in caplog.records if 'run 2 frames' in record.message]
    assert said == [
        "Sub-network 's0' cannot run 2 frames together on 'cpu': there is no memory left for it. "
        'At most 1 run together from now on.'
    ]


def test_a_frame_that_fails_is_no_fault_of_its_batch(batching: Bench, told: Told) -> None:
    told.run('front', 'rear')
    batching.front.put(frame(FAILS))
    batching.rear.put(frame(2))
    while batching.turn() is None:
        pass
    assert batching.told == [[('rejected', FAILS)], [('served', 2)]]
    assert batching.times.work(batching.network).largest_batch == 4


# Schedulers


def test_no_decision_stops_the_processor(
    bench: Bench, told: Told, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(jobs: Sequence[Job]) -> Decision:
        raise ValueError('no idea')

    told.decide = fail
    bench.rear.put(frame(2))
    bench.front.put(frame(1))
    while bench.turn() is None:
        pass
    assert bench.told == [[('served', 1)], [('served', 2)]]
    (said,) = [record.message for record in caplog.records]
    assert said.startswith("Scheduler 'told' is overruled: it failed with ValueError: no idea. ")
    assert bench.rear.parked == 0, 'what arrived first runs to its end'


@pytest.mark.parametrize(
    ('decision', 'problem'),
    [
        (lambda jobs: None, 'it decided None, which is no decision.'),
        (lambda jobs: Run(()), 'it chose no frame.'),
        (lambda jobs: Run((jobs[0], jobs[0])), 'it chose a frame twice.'),
        (lambda jobs: Run((Job('x', jobs[0].work, 0.0),)), 'it chose a frame that was not off'),
        (lambda jobs: Run(tuple(jobs)), 'it had 2 frames run together, where 1 may.'),
        (lambda jobs: Drop((jobs[1],)), "it dropped a frame of 'rear', which is to be served."),
        (lambda jobs: Wait(0.0), 'it waits for a time that is over.'),
        (lambda jobs: Wait(math.nan), 'it waits for a time that is over.'),
    ],
)
def test_an_invalid_decision_is_overruled(
    bench: Bench,
    told: Told,
    caplog: pytest.LogCaptureFixture,
    decision: Callable[[Sequence[Job]], Decision],
    problem: str,
) -> None:
    told.decide = decision
    bench.front.put(frame(1))
    bench.rear.put(frame(2))
    bench.turn()
    assert [stage for _, stage in bench.network.ran] == [0]
    assert problem in caplog.text
    bench.turn()
    assert len(caplog.records) == 1


def test_frames_at_different_stages_do_not_run_together(
    batching: Bench, told: Told, caplog: pytest.LogCaptureFixture
) -> None:
    batching.front.put(frame(1))
    batching.turn()
    batching.rear.put(frame(2))
    told.run('front', 'rear')
    batching.turn()
    assert 'not at the same stage' in caplog.text
    assert batching.network.batches == [(1,), (1,)]


def test_a_scheduler_may_wait_but_not_for_ever(bench: Bench, told: Told) -> None:
    told.decide = lambda jobs: Wait()
    bench.front.put(frame(1))
    bench.rear.put(frame(2))
    now = time.monotonic()
    until = bench.loop.turn(now)
    assert until == now + LONGEST_WAIT
    assert bench.loop.turn(now + 0.5) == until
    assert bench.loop.turn(until) is None
    assert bench.network.ran == {(1, 0): 1}
    assert bench.loop.turn(until) == until + LONGEST_WAIT, 'it may wait anew'


def test_a_scheduler_is_exchanged_while_it_runs(bench: Bench, told: Told) -> None:
    bench.front.put(frame(1))
    bench.turn()
    bench.rear.put(frame(2))
    other = Told()
    other.run('rear')
    bench.loop.schedule(other)
    bench.turn()
    assert len(other.seen) == 1 and bench.network.ran[2, 0] == 1
    bench.loop.schedule(None)
    while bench.turn() is None:
        pass
    assert bench.told == [[('served', 1)], [('served', 2)]]


@pytest.mark.parametrize('name', scheduler_names())
def test_no_stream_starves(name: str) -> None:
    bench = Bench(NotingNetwork('s0', 2), create_scheduler(name))
    for value in range(120):
        for stream in (bench.front, bench.rear):
            stream.put(frame(value))
        bench.turn(ahead=0.1 * value)
    assert min(bench.front.served, bench.rear.served) >= 4


def test_a_fast_camera_beside_a_slow_one(told: Told) -> None:
    bench = Bench(NotingNetwork('s0', 1), create_scheduler('earliest_deadline'))
    bench.rear.put(frame(200))
    for value in range(100):
        bench.front.put(frame(value))
        bench.turn(ahead=value * 1e-3)
    assert bench.told[1] == [('served', 200)]
    assert bench.front.served >= 98


# Streams come and go


@pytest.mark.parametrize('abandoned', [False, True])
def test_a_stream_goes_with_a_parked_frame(bench: Bench, told: Told, abandoned: bool) -> None:
    bench.front.put(frame(1))
    bench.turn()
    bench.rear.put(frame(2))
    bench.front.put(frame(3))
    told.run('rear')
    bench.turn()
    bench.front.mailbox.close()
    bench.front.leaving = True
    bench.front.abandoned = abandoned
    told.run('front', 'rear')
    told.decide = lambda jobs: Run((jobs[0],))
    while bench.turn() is None:
        pass
    assert bench.front.gone.is_set() and not bench.rear.gone.is_set()
    assert bench.told == [[] if abandoned else [('served', 1)], [('served', 2)]]
    assert bench.front.dropped == abandoned and bench.front.mailbox.replaced == 1
    assert [lender.lent for lender in bench.lenders] == [0, 0]
    assert bench.front.mailbox.received == 2


def test_one_stream_alone_asks_nobody(bench: Bench, told: Told) -> None:
    bench.rear.leaving = True
    bench.front.put(frame(1))
    assert bench.turn() is None and bench.turn() == math.inf
    assert bench.told[0] == [('served', 1)] and not told.seen
    assert bench.network.ran == {(1, 0): 1, (1, 1): 1, (1, 2): 1}


def test_a_stream_that_comes_meets_a_frame_in_work_of_another(bench: Bench, told: Told) -> None:
    bench.front.put(frame(1))
    bench.turn()
    bench.rear.leaving = True
    bench.turn()
    assert bench.rear.gone.is_set() and bench.front.in_work is not None
    lender, outcome = CountingLender(bench.network), Outcome()
    side = make_stream('side', lender, outcome, bench.times)
    bench.loop.add(side)
    side.put(frame(5))
    told.run('side')
    for _ in range(3):
        bench.turn()
    assert outcome.told == [('served', 5)]
    told.run('front')
    while bench.turn() is None:
        pass
    assert bench.told[0] == [('served', 1)]


def test_what_stages_take_is_learnt(bench: Bench, told: Told) -> None:
    work = bench.times.work(bench.network)
    assert work.key == ('bundle', 's0', 'cpu')
    bench.network.before = lambda stage, values: time.sleep(0.004 * (stage == 1))
    for value in range(3):
        bench.front.put(frame(value))
        while bench.turn() is None:
            pass
    assert bench.times.work(bench.network).times[1][0] >= 0.004
