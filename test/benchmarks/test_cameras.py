# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What the suite of cameras counts, and the rival that waits for batches."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from dynamic_dnn_ros.scheduling.contract import Job, Run, Wait, Work

Import = Callable[[str], ModuleType]


def outcome(offered: int, responses: list[float], **counts: int) -> dict[str, Any]:
    counted = {'replaced': 0, 'dropped': 0, 'rejected': 0, **counts}
    return {'offered': offered, 'responses': responses, **counted}


def test_frames_that_are_replaced_or_given_up_are_not_on_time(benchmark: Import) -> None:
    cameras = benchmark('suites.cameras')
    terms = (('s0', 0.02, 0, False), ('s1', 0.05, 0, True))
    streams = {
        'front': outcome(4, [0.01, 0.02, 0.03], replaced=1),
        'rear': outcome(10, [0.01] * 8, dropped=2),
    }
    assert cameras.on_time(streams, terms) == [0.5, 0.8]
    assert cameras.late(streams, terms) == 4
    assert cameras.unaccounted(streams) == 0
    streams['rear'] = outcome(10, [0.01] * 8, dropped=1)
    assert cameras.unaccounted(streams) == 1


def test_a_preemption_costs_what_goes_beyond_the_short_frame(benchmark: Import) -> None:
    cameras = benchmark('suites.cameras')
    long = {
        'preemptions': [(0.0, 0.030)] * 5 + [(0.0031, 0.0302)] * 5 + [(0.0061, 0.0309)],
        'services': [0.031] * 11,
        'ends': [float(second) for second in range(11)],
    }
    # One short frame in each that is parked, none in the others, two in the last one.
    ends = [0.1, 1.1, *(second - 0.02 for second in range(5, 11)), 9.99]
    short = {'ends': ends, 'services': [0.005, 0.005, *[0.003] * 7]}
    assert cameras.preemption_cost(long, short) == pytest.approx((0.0001, 0.0002))
    with pytest.raises(SystemExit, match='only 0 frames were parked, and 5 were not'):
        cameras.preemption_cost({**long, 'preemptions': long['preemptions'][:5]}, short)


def test_a_camera_sends_the_same_whoever_else_does(benchmark: Import) -> None:
    streams = benchmark('camera_streams')
    front, rear = (streams.Camera(name, 's0', 30.0, 0.05) for name in ('front', 'rear'))
    together = list(streams.arrivals((front, rear), 2.0, seed=3))
    alone = list(streams.arrivals((front,), 2.0, seed=3))
    assert [each for each in together if each[1] == 'front'] == alone
    assert together == sorted(together) and 57 <= len(alone) <= 60
    assert [time for time, _ in together if time < 0.0 or time > 2.05] == []
    assert alone != list(streams.arrivals((front,), 2.0, seed=4))


def test_a_segment_comes_back_from_its_line(benchmark: Import) -> None:
    streams = benchmark('camera_streams')
    segment = streams.Segment((streams.Camera('a', 's0', 30.0, 0.05, 2, True),), 'dysta', 1.5)
    assert streams.Segment.of(segment.text()) == segment


def test_a_batch_is_waited_for_until_it_is_full_or_the_window_ends(benchmark: Import) -> None:
    rival = benchmark('waiting_batches').BatchAndWait(4, 3, window=0.02)
    work = Work('s0', ((0.01, 0.02, 0.03),), (1.0,))
    jobs = [Job(name, work, arrival) for name, arrival in (('a', 1.0), ('b', 1.005))]
    assert rival.next(1.006, jobs) == Wait(1.02)
    assert rival.next(1.02, jobs) == Run(tuple(jobs))
    jobs.append(Job('c', work, 1.007))
    assert rival.next(1.008, jobs) == Run(tuple(jobs))
    other = Work('s1', ((0.01, 0.02, 0.03),), (1.0,))
    jobs[1] = Job('b', other, 1.005)
    assert rival.next(1.03, jobs) == Run((jobs[0], jobs[2]))


def test_a_response_is_predicted_of_what_the_others_took(benchmark: Import) -> None:
    suite = benchmark('suites.cameras')
    who = suite.cameras((('s0', 0.1, 0, False), ('s0', 0.1, 1, False)), 20.0)
    streams = {each.name: {'services': [0.01] * 40} for each in who}
    # The rest of the other's frame; of the lower priority also those that come meanwhile.
    rest = 0.2 * 0.01 / 2
    low, high = suite.predicted(streams, who, 2.0)
    assert high == pytest.approx(0.01 + rest)
    assert low == pytest.approx(0.01 + rest / (0.8 * (1 - 0.5 * 0.2)))
