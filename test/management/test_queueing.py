# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""How long frames wait for their turns: predicted, simulated, and learnt."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
import functools
import math
from pathlib import Path
import random

import numpy as np
import pytest

from dynamic_dnn_ros.cli.simulate import find_scenario, levels
from dynamic_dnn_ros.management.assessment import together
from dynamic_dnn_ros.management.learning import QUEUEING_BOUNDS, Learning
from dynamic_dnn_ros.management.manager import Manager
from dynamic_dnn_ros.management.observations import Status, StatusEvent
from dynamic_dnn_ros.management.queueing import AS_PREDICTED, Neighbour, Queue, queue, stacked
from dynamic_dnn_ros.scheduling.checks import Frame, run_schedule
from dynamic_dnn_ros.scheduling.contract import Job, Work
from dynamic_dnn_ros.scheduling.registry import DEFAULT_SCHEDULER, create_scheduler
from dynamic_dnn_ros.simulation.figures import figures
from dynamic_dnn_ros.simulation.runner import ORACLE, boards_of
from dynamic_dnn_ros.simulation.runner import Job as RunJob
from dynamic_dnn_ros.simulation.runner import run as simulate
from dynamic_dnn_ros.simulation.scenario import Scenario
from dynamic_dnn_ros.simulation.workloads import workloads
from dynamic_dnn_ros.simulation.world import World


def one(busy: float, rate: float, ahead: int = 0, stage: float = 1.0) -> Neighbour:
    return Neighbour(np.array([busy]), rate, ahead, stage)


def test_who_meets_one_other_waits_for_half_of_its_frame() -> None:
    found = queue([one(0.2, 10.0, ahead=-1)], 1.0)
    assert found.mean[0] == pytest.approx(0.2 * 0.02 / 2)
    assert found.at(0.5)[0] == 0.0  # four of five frames find the processor idle
    assert 0.0 < found.at(0.95)[0] <= found.longest[0] == pytest.approx(0.02)
    assert found.at(0.9999)[0] == found.longest[0]
    # Where it may pass at a stage, it waits for the rest of that alone.
    assert queue([one(0.2, 10.0, -1, stage=0.5)], 1.0).mean[0] == pytest.approx(0.001)


def test_waiting_grows_with_what_is_before_a_frame() -> None:
    means = [queue([one(0.3, 10.0, ahead)], 1.0).mean[0] for ahead in (-1, 0, 1)]
    assert means == sorted(means) and means[0] < means[2]
    crowded = queue([one(0.3, 10.0, ahead=1)] * 4, 1.0)
    assert math.isfinite(crowded.mean[0]) and crowded.mean[0] <= crowded.longest[0]
    assert crowded.turn[0] > 100  # nothing is left of the processor


def test_a_lower_priority_takes_nothing_of_the_processor() -> None:
    lower = queue([one(0.7, 30.0, -1)] * 3, 1.0)
    assert lower.left[0] == 1.0 and lower.turn[0] == 1.0
    # Only the rest of what runs is waited for: of one frame, of three.
    assert lower.longest[0] == pytest.approx(0.7 / 30)
    assert lower.mean[0] == pytest.approx(0.7 / 30 / 2)
    assert queue([one(0.7, 30.0, 1), one(0.7, 30.0, -1)], 1.0).left[0] == pytest.approx(0.3)
    # An equal one that would take more gets as much.
    assert queue([one(0.7, 30.0, 0)], 1.0).left[0] == 0.5
    assert queue([one(0.2, 30.0, 0)], 1.0).left[0] == 0.8
    assert queue([one(0.4, 30.0, 1), one(0.7, 30.0, 0)], 1.0).left[0] == pytest.approx(0.3)


def test_a_factor_is_a_queue_in_which_nobody_waits() -> None:
    rows = stacked([queue([one(0.2, 10.0)], 1.0), 1.5], np.zeros(1))
    assert rows.mean[1, 0] == 0.0 and rows.turn[1, 0] == 1.5
    picked = rows.at_places(np.array([0]), np.array([0]))
    assert picked.mean[0] == rows.mean[0, 0] > 0.0


@pytest.mark.parametrize('count', [2, 4, 8])
@pytest.mark.parametrize('load', [0.4, 0.7])
def test_waiting_is_predicted_as_simulated(count: int, load: float) -> None:
    """Cameras of any rates and phases under the default scheduler; means of many streams."""
    predicted, measured = [], []
    for seed in range(12):
        draw = random.Random(seed)
        rates = [draw.uniform(8.0, 30.0) for _ in range(count)]
        works = [
            Work(index, ((load / count / rate,),), (1.0,)) for index, rate in enumerate(rates)
        ]
        frames = [
            Frame(f'/{index}', Job(f'/{index}', work, at, at + 1 / rate), (work.times[0][0],))
            for index, (rate, work) in enumerate(zip(rates, works))
            for at in np.arange(draw.random() / rate, 10.0, 1 / rate)
        ]
        ends = run_schedule(create_scheduler(DEFAULT_SCHEDULER), frames)
        for index, rate in enumerate(rates):
            others = [one(load / count, r) for b, r in enumerate(rates) if b != index]
            predicted.append(queue(others, 1.0).mean[0] + load / count / rate)
            own = [i for i, frame in enumerate(frames) if frame.stream == f'/{index}']
            measured.append(np.mean([(ends[i] or 0.0) - frames[i].job.arrival for i in own]))
    assert np.mean(predicted) == pytest.approx(np.mean(measured), rel=0.1)


@pytest.mark.parametrize(
    'priorities', [(1, 0), (0, 0), (3, 2, 1, 0), (1, 0, 0), (1, 1, 0), (0, 0, 0, 0)]
)
@pytest.mark.parametrize('seconds', [0.012, 0.024])
def test_rates_are_predicted_as_simulated_where_frames_are_given_up(
    priorities: tuple[int, ...], seconds: float
) -> None:
    """Cameras of about 30 Hz, which ask for more than the processor can do in most cases."""
    rate, duration = 30.0, 20.0
    for index, priority in enumerate(priorities):
        others = [
            one(seconds * rate, rate, (other > priority) - (other < priority))
            for b, other in enumerate(priorities)
            if b != index
        ]
        predicted = min(rate, float(queue(others, 1.0).left[0]) / seconds)
        measured = [_rates(priorities, seconds, duration, seed)[index] for seed in range(3)]
        assert predicted == pytest.approx(np.mean(measured), abs=0.15 * rate)


@functools.lru_cache
def _rates(
    priorities: tuple[int, ...], seconds: float, duration: float, seed: int
) -> tuple[float, ...]:
    """Return the rate at which each stream is served by the default scheduler, Hz."""
    draw = random.Random(seed)
    frames = []
    for index, priority in enumerate(priorities):
        work, period = Work(index, ((seconds,),), (1.0,)), 1 / (30.0 * draw.uniform(0.95, 1.05))
        for at in np.arange(draw.random() * period, duration, period):
            job = Job(f'/{index}', work, at, at + 0.05, priority, droppable=True)
            frames.append(Frame(f'/{index}', job, (seconds,)))
    ends = run_schedule(create_scheduler(DEFAULT_SCHEDULER), frames)
    done = Counter(frame.stream for i, frame in enumerate(frames) if ends[i] is not None)
    return tuple(done[f'/{index}'] / duration for index in range(len(priorities)))


def served(total: float, count: int) -> Status:
    return Status(
        '/a/node', 'one', StatusEvent.SERVED, 's0', 'gpu', 0.0, 0.01, total, served=count
    )


def test_what_frames_waited_is_learnt_in_steps() -> None:
    learnt = Learning(2.0)
    learnt.queue((0.004, 0.01), 0.95)
    assert learnt.queueing == AS_PREDICTED  # nothing was measured yet
    for index in range(40):
        # Half of them find the processor idle, but 1 ms goes to all.
        status = served(0.01 + 0.001 + 0.004 * (index % 2), index)
        learnt.measure(status, settling=False, now=0.05 * index)
    assert learnt.measurements.least_overhead == pytest.approx(0.001)
    learnt.queue((0.0, 0.0), 0.95)
    assert learnt.queueing == AS_PREDICTED  # it takes turns with nobody
    learnt.queue((0.004, 0.01), 0.95)
    assert learnt.queueing == pytest.approx((0.5, 0.4))
    # What is in use went into the next prediction, which is right.
    before = learnt.queueing
    learnt.queue((0.5 * 0.004, 0.4 * 0.01), 0.95)
    assert learnt.queueing == before
    learnt.queue((100.0, 1e-9), 0.95)
    assert learnt.queueing == pytest.approx(QUEUEING_BOUNDS)
    learnt.queue((math.nan, math.nan), 0.95)
    before = learnt.queueing
    assert learnt.queueing == before


def shipped(name: str) -> Scenario:
    """Return a scenario that ships, cut to what a test has time for."""
    scenario = Scenario.from_file(find_scenario(name))
    return replace(scenario, duration=16.0, measured_from=8.0)


@pytest.mark.parametrize('name', ['two_streams', 'four_streams', 'eight_streams', 'eight_at_once'])
def test_response_is_predicted_as_simulated(name: str) -> None:
    scenario = shipped(name)
    boards = boards_of(scenario)
    networks = workloads(scenario, boards(''), Path('.'), levels)
    manager = Manager('test')
    run = World(scenario, boards, networks, manager).run()
    plan = manager._planner.plan
    assert plan is not None
    found = plan.evaluation
    row = slice(plan.row, plan.row + 1)
    errors = []
    since = max(at for at, _ in [*run.settings, *run.switches]) + 1.0
    for a, (_, _, held) in enumerate(
        together(plan.problem, found.settings[row], found.options[row])
    ):
        assert isinstance(held, Queue)
        assessment = found.applications[a]
        alone = float(assessment.expected.service[plan.row] * held.left[0])
        predicted = alone + float(held.mean[0])
        predicted += plan.problem.demands[a].overhead
        latencies = run.applications[manager._planner.planned[a]].latencies(since)
        errors.append(predicted / latencies.mean() - 1.0)
    assert np.abs(errors).mean() < 0.1
    assert all(each.met for each in figures(run))


def test_streams_take_no_more_energy_than_under_the_oracle() -> None:
    scenario = shipped('two_streams')
    networks = workloads(scenario, boards_of(scenario)(''), Path('.'), levels)
    ours, best = (
        simulate(RunJob(scenario, networks, manager)) for manager in ('dynamic_dnn', ORACLE)
    )
    assert ours.energy[ours.total_rail] <= 1.03 * best.energy[best.total_rail]
