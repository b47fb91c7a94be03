# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Applications that take turns in simulated time: nothing is lost, and nobody is slowed down."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from dynamic_dnn_ros.cli.simulate import find_scenario
from dynamic_dnn_ros.scheduling.registry import SCHEDULERS
from dynamic_dnn_ros.simulation.figures import figures, table
from dynamic_dnn_ros.simulation.runs import Run
from dynamic_dnn_ros.simulation.scenario import Scenario, ScenarioError
from support.scenarios import FRONT, REAR, application, mapping, simulated

THIRD = '/third/inference_node'

FIXED = {'cpu': 'performance', 'gpu': 'performance'}

STAGED = {
    'sub_networks': [
        {
            'id': 'cascade',
            'accuracy': 0.8,
            'multiply_adds': 480_000_000,
            'layers': 60,
            'parameters': 6_000_000,
            'stages': [
                {'name': 'first', 'work': 0.4, 'taken': 0.7},
                {'name': 'last', 'work': 1.0, 'taken': 0.3},
            ],
        }
    ]
}


def two(rate: float = 8.0, **fields: Any) -> dict[str, Any]:
    """Return two applications of one rate, whose frames come at once."""
    each = [application(name, rate, jitter=0.0) for name in (FRONT, REAR)]
    for one in each:
        one['camera'] = {'rate': rate}
        one['targets'][0].update(latency=0.12, accuracy=0.7)
    return mapping(*each, **fields)


def intervals(run: Run, name: str) -> np.ndarray:
    return np.array([(f.time - f.inference, f.time) for f in run.applications[name].frames])


def test_frames_take_turns_and_slow_nobody_down() -> None:
    shared = simulated(two(), 'smallest', governors=FIXED)
    turns = simulated(two(scheduler='first_come'), 'smallest', governors=FIXED)
    (alone,) = simulated(
        mapping(two()['applications'][0]), 'smallest', governors=FIXED
    ).applications.values()
    own = alone.frames[-1].inference
    assert all(f.inference > 1.3 * own for f in shared.applications[FRONT].frames[10:])
    assert all(f.inference == pytest.approx(own) for f in turns.applications[FRONT].frames[10:])
    both = np.concatenate([intervals(turns, FRONT), intervals(turns, REAR)])
    both = both[both[:, 0].argsort()]
    assert all(begin >= end - 1e-9 for (_, end), (begin, _) in pairwise(both.tolist()))


def test_one_application_is_served_as_without_a_scheduler() -> None:
    plain, alone = simulated(mapping()), simulated(mapping(scheduler='apparent_tardiness'))
    assert plain.applications[FRONT].frames == alone.applications[FRONT].frames
    assert plain.energy == alone.energy


@pytest.mark.parametrize('name', SCHEDULERS)
def test_no_frame_is_lost_nor_served_twice(name: str) -> None:
    data = two(rate=25.0, scheduler=name, duration=8.0)  # more than the board can serve
    data['applications'][1]['network'] = STAGED
    run = simulated(data, 'smallest', governors=FIXED)
    for each in run.applications.values():
        served = [frame.arrival for frame in each.frames]
        assert served == sorted(set(served))  # first in, first out, none twice
        gone = sorted([*served, *each.replaced, *each.dropped])
        assert gone == each.arrivals[: len(gone)]
        assert len(each.arrivals) - len(gone) <= 2  # in work, and in the mailbox


def test_an_urgent_frame_passes_at_a_stage_and_the_other_is_resumed() -> None:
    data = two(scheduler='apparent_tardiness', duration=10.0)
    slow, urgent = data['applications']
    slow.update(network=STAGED, difficulty=[{'at': 0, 'value': 100}])  # all take both stages
    slow['targets'][0].update(latency=0.2, priority=0)
    urgent['camera']['phase'] = 0.005  # while the first stage runs
    urgent['targets'][0].update(latency=0.08, priority=1)
    run = simulated(data, 'smallest', governors=FIXED)
    parked = [f for f in run.applications[FRONT].frames if f.time - f.arrival > f.inference + 0.01]
    assert len(parked) > 50
    alone = simulated(mapping(slow, duration=10.0), 'smallest', governors=FIXED)
    of_one = np.mean([f.inference for f in alone.applications[FRONT].frames])
    assert np.mean([f.inference for f in parked]) == pytest.approx(of_one, rel=0.01)
    # It waited for the rest of one stage, and not for the whole frame.
    assert all(f.latency < f.inference + 0.4 * of_one for f in run.applications[REAR].frames[5:])


@pytest.mark.parametrize('late_frames', ['serve', 'drop'])
def test_late_frames_are_dropped_only_where_that_was_asked_for(late_frames: str) -> None:
    data = two(rate=25.0, scheduler='earliest_deadline', duration=8.0)
    data['applications'][0]['targets'][0].update(latency=0.03, late_frames=late_frames)
    run = simulated(data, 'smallest', governors=FIXED)
    front = run.applications[FRONT]
    assert bool(front.dropped) == (late_frames == 'drop')
    assert not run.applications[REAR].dropped
    of_front = figures(run)[0]
    left_out = [at for at in (*front.dropped, *front.replaced) if at >= run.measured_from]
    arrived = [at for at in front.arrivals if at >= run.measured_from]
    assert of_front.served == pytest.approx(1 - len(left_out) / len(arrived))


def test_an_application_leaves_with_a_frame_in_work() -> None:
    data = two(rate=25.0, scheduler='round_robin', duration=8.0)
    data['applications'][0]['ends'] = 4.01
    run = simulated(data, 'smallest', governors=FIXED)
    assert run.applications[FRONT].frames[-1].time < 4.02
    assert [f for f in run.applications[REAR].frames if f.time > 7.9]


def three(**fields: Any) -> dict[str, Any]:
    """Return three applications of one network whose frames come at once."""
    data = two(**fields)
    data['applications'].append({**data['applications'][1], 'id': THIRD})
    for each in data['applications']:
        each['network'] = {**each['network'], 'batches': [1, 1.4, 1.8]}
    return data


@pytest.mark.parametrize('name', ['apparent_tardiness', 'fluid_batching'])
def test_frames_that_wait_run_together_and_take_what_was_said(name: str) -> None:
    data = three(scheduler=name, duration=8.0)
    run = simulated(data, 'smallest', governors=FIXED)
    alone = {
        each['id']: simulated(mapping({**each}, duration=6.0), 'smallest', governors=FIXED)
        for each in data['applications']
    }
    own = {n: each.applications[n].frames[-1].inference for n, each in alone.items()}
    first, *others = (run.applications[n].frames for n in (FRONT, REAR, THIRD))
    assert all(f.inference == pytest.approx(own[FRONT]) for f in first[5:])
    together = 1.4 * max(own[REAR], own[THIRD])
    for one, other in zip(*(frames[5:] for frames in others)):
        assert one.time == other.time
        assert one.inference == other.inference == pytest.approx(together)


def test_batches_lose_no_frame() -> None:
    data = three(rate=25.0, scheduler='fluid_batching', duration=8.0)  # more than can be served
    for each in data['applications']:
        each['network'] = {**STAGED, 'batches': [1, 1.4, 1.8]}
    run = simulated(data, 'smallest', governors=FIXED)
    for found in run.applications.values():
        served = [frame.arrival for frame in found.frames]
        assert served == sorted(set(served))
        gone = sorted([*served, *found.replaced])
        assert gone == found.arrivals[: len(gone)]
        assert len(found.arrivals) - len(gone) <= 2


@pytest.mark.parametrize('leaver', [REAR, THIRD])
def test_a_batch_goes_on_without_the_one_that_leaves(leaver: str) -> None:
    data = three(scheduler='apparent_tardiness', duration=8.0)
    stays = THIRD if leaver == REAR else REAR
    whole = simulated(data, 'smallest', governors=FIXED)
    in_batch = next(f for f in whole.applications[leaver].frames if f.arrival > 4.0)
    next(a for a in data['applications'] if a['id'] == leaver)['ends'] = in_batch.time - 0.005
    run = simulated(data, 'smallest', governors=FIXED)
    assert run.applications[leaver].frames[-1].time < in_batch.time
    assert in_batch.time in [f.time for f in run.applications[stays].frames]
    assert [f for f in run.applications[stays].frames if f.time > 7.8]


@pytest.mark.parametrize('batches', [[0.9, 1.2], [1, 0], [1], ['a', 'b'], [1] * 65])
def test_what_is_wrong_with_batches_is_said(batches: list[Any]) -> None:
    data = two(scheduler='apparent_tardiness')
    data['applications'][0]['network'] = {**STAGED, 'batches': batches}
    with pytest.raises(ScenarioError, match='batches'):
        simulated(data, 'smallest')


def test_the_table_names_the_scheduler() -> None:
    run = simulated(two(scheduler='dysta', duration=6.0), 'smallest')
    assert '| smallest, dysta | 3 |' in table([run])


def test_a_scheduler_of_the_command_stands_in_for_that_of_the_file() -> None:
    scenario = Scenario.from_mapping(two())
    assert scenario.servers == ()
    (server,) = scenario.scheduled('dysta').servers
    assert (server.scheduler, server.applications) == ('dysta', (FRONT, REAR))
    data = two(servers=[{'name': 'a', 'applications': [REAR], 'scheduler': 'prema'}])
    (server,) = Scenario.from_mapping(data).scheduled('dysta').servers
    assert (server.scheduler, server.applications) == ('dysta', (REAR,))


@pytest.mark.parametrize(
    ('fields', 'said'),
    [
        ({'scheduler': 'fifo'}, 'first_come'),
        ({'scheduler': 'dysta', 'servers': []}, None),
        ({'scheduler': 'dysta', 'servers': [{'name': 'a', 'applications': [REAR]}]}, 'Leave out'),
        ({'servers': [{'name': 'a', 'applications': ['/x']}]}, "'/x': is no application"),
        ({'servers': [{'name': 'a', 'applications': [REAR, REAR]}]}, 'named twice'),
        ({'servers': [{'name': 'a', 'applications': [n]} for n in (FRONT, REAR)]}, 'there twice'),
        ({'servers': [{'name': 'a'}]}, 'applications'),
    ],
)
def test_what_is_wrong_with_servers_is_said(fields: Mapping[str, Any], said: str | None) -> None:
    if said is None:
        Scenario.from_mapping(two(**fields))
        return
    with pytest.raises(ScenarioError, match=said):
        Scenario.from_mapping(two(**fields))


@pytest.mark.parametrize(('name', 'count'), [('two', 2), ('four', 4), ('eight', 8)])
def test_scenarios_of_streams_ship(name: str, count: int) -> None:
    scenario = Scenario.from_file(find_scenario(f'{name}_streams'))
    assert len(scenario.applications) == count
    (server,) = scenario.servers
    assert len(server.applications) == count
