# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What every scheduler keeps, and what each one is for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
import math
import random

from hypothesis import given, settings, strategies
import pytest

from dynamic_dnn_ros.scheduling.apparent_tardiness import PATIENCE
from dynamic_dnn_ros.scheduling.checks import Frame, check_scheduler, drawn_frames, run_schedule
from dynamic_dnn_ros.scheduling.contract import Decision, Drop, Job, Run, Scheduler, Wait, Work
from dynamic_dnn_ros.scheduling.dysta import Dysta
from dynamic_dnn_ros.scheduling.registry import (
    DEFAULT_SCHEDULER,
    GROUP,
    SCHEDULERS,
    UnknownSchedulerError,
    create_scheduler,
    scheduler_names,
)
from dynamic_dnn_ros.scheduling.round_robin import RoundRobin

SHORT = Work('short', ((1.0,), (1.0,)), (1.0, 1.0))
LONG = Work('long', ((4.0,), (4.0,)), (1.0, 1.0))


def chosen(name: str, now: float, *jobs: Job) -> Job:
    decision = create_scheduler(name).next(now, jobs)
    assert isinstance(decision, Run)
    (job,) = decision.jobs
    return job


@pytest.mark.parametrize('name', SCHEDULERS)
def test_each_keeps_the_contract(name: str) -> None:
    assert create_scheduler(name).name == name
    check_scheduler(lambda: create_scheduler(name))


@pytest.mark.parametrize('name', SCHEDULERS)
@settings(max_examples=60, deadline=None)
@given(seed=strategies.integers(0, 2**32))
def test_random_schedules_lose_no_frame_and_serve_none_twice(name: str, seed: int) -> None:
    frames = drawn_frames(random.Random(seed))
    ends = run_schedule(create_scheduler(name), frames)
    for stream in {frame.stream for frame in frames}:
        served = [
            (frame.job.arrival, end)
            for index, frame in enumerate(frames)
            if frame.stream == stream and (end := ends[index]) is not None
        ]
        assert sorted(served) == sorted(served, key=lambda pair: pair[1])  # first in, first out


def test_a_name_that_does_not_exist_is_answered_by_all_names() -> None:
    with pytest.raises(UnknownSchedulerError) as error:
        create_scheduler('fifo')
    assert all(name in str(error.value) for name in scheduler_names())


def test_schedulers_of_other_packages_are_made_by_name(offer: Callable[..., None]) -> None:
    offer(
        GROUP,
        theirs='dynamic_dnn_ros.scheduling.round_robin:RoundRobin',
        wrong='dynamic_dnn_ros.scheduling.contract:Job',
        dysta='dynamic_dnn_ros.scheduling.round_robin:RoundRobin',
    )
    assert isinstance(create_scheduler('theirs'), RoundRobin)
    assert isinstance(create_scheduler('dysta'), Dysta)  # names of this package stay its own
    assert scheduler_names()[-2:] == ('theirs', 'wrong')
    with pytest.raises(UnknownSchedulerError, match='no subclass'):
        create_scheduler('wrong')


@pytest.mark.parametrize('time', [60.0, 0.5])
@pytest.mark.parametrize('priorities', [(0, 0, 0, 0), (255, 255, 255, 255), (0, 1, 9, 255)])
@pytest.mark.parametrize('name', SCHEDULERS)
def test_priorities_and_deadlines_of_any_kind(
    name: str, priorities: Sequence[int], time: float
) -> None:
    """Frames of 2 s, with deadlines that all keep, and with such as nothing can keep."""
    frames = [
        Frame(f'/{place}', Job(f'/{place}', SHORT, at, at + time, priority), (1.0, 1.0))
        for at in (0.0, 10.0, 20.0)
        for place, priority in enumerate(priorities)
    ]
    ends = run_schedule(create_scheduler(name), frames)
    took = [end - frames[index].job.arrival for index, end in ends.items() if end is not None]
    assert len(took) == len(frames), 'late frames are served where they may not be dropped'
    assert max(took) <= 8.0, 'nobody idles'
    if name == DEFAULT_SCHEDULER and priorities == (0, 1, 9, 255):
        assert [ends[place] for place in range(4)] == [8.0, 6.0, 4.0, 2.0]


class Broken(Scheduler):
    """Keeps the contract but for one decision."""

    name = 'broken'

    def __init__(self, decide: str) -> None:
        self.decide = decide

    def next(self, now: float, jobs: Sequence[Job]) -> Decision:
        """Decide wrongly."""
        if self.decide == 'nothing':
            return Run(())
        if self.decide == 'twice':
            return Run((jobs[0], jobs[0]))
        if self.decide == 'another':
            return Run((Job('/another', SHORT, 0.0),))
        if self.decide == 'mixed' and len(jobs) > 1:
            return Run(tuple(jobs))
        if self.decide == 'drop':
            return Drop((jobs[0],))
        if self.decide == 'early':
            may = tuple(job for job in jobs if job.droppable)
            return Drop(may) if may else Run((jobs[0],))
        if self.decide == 'wait':
            return Wait()
        if self.decide == 'idle':
            return Wait(now + 10.0)
        if self.decide == 'alter':
            jobs[0].priority += 1
        return Run((jobs[0],))


@pytest.mark.parametrize(
    ('wrong', 'said'),
    [
        ('nothing', 'it chose no frame'),
        ('twice', 'it chose a frame twice'),
        ('another', 'not offered'),
        ('mixed', 'same stage of the same work|frames run together'),
        ('drop', 'it dropped a frame of'),
        ('early', 'which can be on time'),
        ('wait', 'idle for ever'),
        ('idle', 'idle for ever'),
        ('alter', 'changes no job'),
    ],
)
def test_the_check_says_what_is_not_kept(wrong: str, said: str) -> None:
    with pytest.raises(AssertionError, match=said):
        check_scheduler(lambda: Broken(wrong))


@pytest.mark.parametrize('name', SCHEDULERS)
def test_a_late_frame_is_dropped_only_where_that_was_asked_for(name: str) -> None:
    scheduler = create_scheduler(name)
    late = Job('/late', LONG, 0.0, deadline=3.0, droppable=True)
    other = Job('/other', SHORT, 0.0, deadline=3.0)
    assert scheduler.next(0.0, (late, other)) == Drop((late,))
    late.droppable = False
    assert isinstance(scheduler.next(0.0, (late, other)), Run)


def test_each_policy_prefers_what_it_is_for() -> None:
    first = Job('/first', LONG, 0.0, deadline=100.0, priority=9)
    newest = Job('/newest', SHORT, 1.0, deadline=50.0)
    assert chosen('first_come', 1.0, first, newest) is first
    assert chosen('newest_frame', 1.0, first, newest) is newest
    assert chosen('shortest_job', 1.0, first, newest) is newest
    assert chosen('earliest_deadline', 1.0, first, newest) is newest
    assert chosen('dysta', 1.0, first, newest) is newest
    assert chosen('planaria', 1.0, first, newest) is first
    assert chosen('prema', 1.0, first, newest) is first
    begun = Job('/begun', LONG, 0.0, deadline=100.0, stage=1, last_run=0.9)
    assert chosen('newest_frame', 1.0, begun, newest) is begun
    assert chosen('round_robin', 1.1, begun, newest) is begun
    begun.last_run = 1.05
    assert chosen('round_robin', 1.1, begun, newest) is newest


def test_the_path_of_a_frame_tells_dysta_what_is_left_of_it() -> None:
    slow = Job('/slow', SHORT, 0.0, deadline=100.0, stage=1, last_run=5.0, pace=10.0)
    fresh = Job('/fresh', LONG, 0.0, deadline=100.0, last_run=5.0)
    assert chosen('dysta', 5.0, slow, fresh) is fresh
    assert chosen('shortest_job', 5.0, slow, fresh) is slow


@pytest.mark.parametrize('name', ['sdrm3', 'planaria'])
def test_overdue_frames_are_not_put_behind_all_others(name: str) -> None:
    overdue = Job('/overdue', SHORT, 0.0, deadline=5.0)
    other = Job('/other', SHORT, 0.0, deadline=20.0)
    assert chosen(name, 6.0, other, overdue) is overdue


def test_tokens_grow_with_waiting_and_not_with_decisions() -> None:
    scheduler = create_scheduler('prema')
    waits = Job('/waits', LONG, 0.0)
    for _ in range(100):
        assert scheduler.next(1.0, (waits, Job('/short', SHORT, 1.0))).jobs[0] is not waits
    # Idle for twice its isolated latency: three tokens against one.
    assert scheduler.next(16.0, (waits, Job('/short', SHORT, 16.0))) == Run((waits,))


@pytest.mark.parametrize('name', ['earliest_deadline', DEFAULT_SCHEDULER])
def test_a_frame_that_cannot_be_on_time_makes_no_other_one_late(name: str) -> None:
    lost = Job('/lost', LONG, 0.0, deadline=5.0)
    urgent = Job('/urgent', SHORT, 0.0, deadline=6.0)
    assert chosen(name, 0.0, lost, urgent) is urgent


def test_the_longest_frame_is_late_where_not_all_can_be_on_time() -> None:
    # By deadlines the long one would run first, and all others would be late.
    long = Job('/long', LONG, 0.0, deadline=8.0)
    short = [Job(f'/short{index}', SHORT, 0.0, deadline=8.5) for index in range(3)]
    ends = _ends(DEFAULT_SCHEDULER, long, *short)
    assert ends[long] > 8.0
    assert all(ends[job] <= 8.5 for job in short)


def test_short_frames_pass_and_urgent_ones_before_them() -> None:
    long = Job('/long', LONG, 0.0, deadline=100.0)
    short = Job('/short', SHORT, 0.0, deadline=100.0)
    assert chosen(DEFAULT_SCHEDULER, 0.0, long, short) is short
    # Of equal length, the one that is about to be late.
    urgent = Job('/urgent', SHORT, 0.0, deadline=4.0)
    assert chosen(DEFAULT_SCHEDULER, 0.0, short, urgent) is urgent
    # One that would be late if it waited even for the rest of another one.
    begun = Job('/begun', SHORT, 0.0, deadline=100.0, stage=1, last_run=1.0)
    waits = Job('/waits', SHORT, 1.0, deadline=3.5)
    assert chosen(DEFAULT_SCHEDULER, 1.0, begun, waits) is waits
    begun.deadline = 3.5  # it cannot wait for that any more
    assert chosen(DEFAULT_SCHEDULER, 1.0, begun, waits) is begun


def test_a_frame_that_is_late_loses_against_one_that_is_not() -> None:
    late = Job('/late', SHORT, 0.0, deadline=1.0)
    urgent = Job('/urgent', SHORT, 0.0, deadline=2.5)
    assert chosen(DEFAULT_SCHEDULER, 0.0, late, urgent) is urgent


def test_a_higher_priority_is_on_time_where_not_all_can_be() -> None:
    critical = Job('/critical', LONG, 0.0, deadline=8.0, priority=9)
    short = [Job(f'/short{index}', SHORT, 0.0, deadline=8.0) for index in range(3)]
    assert _ends(DEFAULT_SCHEDULER, *short, critical)[critical] == 8.0
    # And where all can be, it waits for nobody who can wait.
    critical = Job('/critical', LONG, 0.0, deadline=20.0, priority=9)
    short = [Job(f'/short{index}', SHORT, 0.0, deadline=8.0) for index in range(3)]
    assert chosen(DEFAULT_SCHEDULER, 0.0, *short, critical) is short[0]
    for job in short:
        job.deadline = 30.0
    assert chosen(DEFAULT_SCHEDULER, 0.0, *short, critical) is critical


@pytest.mark.parametrize('deadline', [1e-6, 12.0])
def test_nobody_starves(deadline: float) -> None:
    # Short frames of a higher priority come as fast as they are served, for good.
    scheduler = create_scheduler(DEFAULT_SCHEDULER)
    long = Job('/long', LONG, 0.0, deadline=deadline)
    now, served = 0.0, 0
    while long.stage < LONG.stages:
        job = Job('/short', SHORT, now, now + 2.0, priority=9)
        while job.stage < SHORT.stages and long.stage < LONG.stages:
            (run,) = scheduler.next(now, (long, job)).jobs
            now += run.work.times[run.stage][0]
            run.stage, run.last_run = run.stage + 1, now
        served += 1
        assert now < 3 * PATIENCE * max(deadline, 8.0)
    assert served > 10


def test_a_batch_is_taken_where_it_is_faster_and_harms_nobody() -> None:
    fast = Work('fast', ((1.0, 1.2),), (1.0,))
    slow = Work('slow', ((1.0, 2.5),), (1.0,))
    for work, together in ((fast, 2), (slow, 1)):
        jobs = [Job(f'/{index}', work, 0.0, deadline=50.0) for index in range(3)]
        for name in (DEFAULT_SCHEDULER, 'fluid_batching'):
            decision = create_scheduler(name).next(0.0, jobs)
            assert isinstance(decision, Run) and len(decision.jobs) == together
    # The first one would be late in a batch.
    jobs = [Job('/a', fast, 0.0, deadline=1.1), Job('/b', fast, 0.0, deadline=50.0)]
    for name in (DEFAULT_SCHEDULER, 'fluid_batching'):
        decision = create_scheduler(name).next(0.0, jobs)
        assert decision == Run((jobs[0],))


def test_a_parked_batch_waits_for_those_that_catch_up() -> None:
    work = Work('two', ((1.0, 1.0), (4.0, 4.0)), (1.0, 1.0))
    parked = Job('/parked', work, 0.0, deadline=50.0, stage=1, last_run=1.0)
    joins = Job('/joins', work, 0.5, deadline=50.0)
    scheduler = create_scheduler('fluid_batching')
    assert scheduler.next(1.0, (parked, joins)) == Run((joins,))
    joins.stage = 1
    decision = scheduler.next(2.0, (parked, joins))
    assert isinstance(decision, Run) and set(decision.jobs) == {parked, joins}
    # Not where the parked one would be late, nor where it does not pay.
    joins.stage, parked.deadline = 0, 5.5
    assert scheduler.next(1.0, (parked, joins)) == Run((parked,))
    dear = Work('dear', ((1.0, 2.0), (4.0, 8.0)), (1.0, 1.0))
    parked = Job('/parked', dear, 0.0, deadline=50.0, stage=1, last_run=1.0)
    assert scheduler.next(1.0, (parked, Job('/joins', dear, 0.5, 50.0))) == Run((parked,))


def test_without_deadlines_the_default_runs_the_shortest_first() -> None:
    long, short = Job('/long', LONG, 0.0), Job('/short', SHORT, 1.0)
    assert math.isinf(long.deadline)
    assert chosen(DEFAULT_SCHEDULER, 1.0, long, short) is short


def _ends(name: str, *jobs: Job) -> dict[Job, float]:
    frames = [Frame(job.stream, job, tuple(row[0] for row in job.work.times)) for job in jobs]
    ends = run_schedule(create_scheduler(name), frames)
    return {job: end for index, job in enumerate(jobs) if (end := ends[index]) is not None}
