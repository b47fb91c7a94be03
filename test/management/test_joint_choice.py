# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The search looks at few settings and finds what looking at all of them finds."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
import numpy as np

from dynamic_dnn_ros.management.assessment import Demand, Problem, ResourceSettings
from dynamic_dnn_ros.management.estimator import SlowDownFilter
from dynamic_dnn_ros.management.joint_choice import choose_jointly
from dynamic_dnn_ros.management.paths import Paths
from dynamic_dnn_ros.management.queueing import Waited
from dynamic_dnn_ros.management.tables import along_paths, join
from dynamic_dnn_ros.management.targets import Objective, Target
from support.applications import STAGES
from support.exhaustive_search import exhaustive_search, lexicographic_keys, tolerances
from support.problems import JOINTS, problem

SETTINGS = ResourceSettings()
UNLIMITED = 1_000_000
"""Joint candidates, more than there are."""


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 2, 3, 6]))
def test_finds_what_looking_at_every_setting_finds(seed: int, first_batch: int) -> None:
    task = problem(seed, most=3)
    setting, options = choose_jointly(task, SETTINGS, first_batch, effort=UNLIMITED)
    assert (setting, tuple(options)) == exhaustive_search(task, SETTINGS)


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 2**32 - 1), st.floats(0.05, 8.0))
def test_finds_the_same_where_pictures_leave_early(seed: int, difficulty: float) -> None:
    task = problem(seed, most=2)
    paths = {'s2': Paths(STAGES), 's3': Paths(STAGES)}
    tables = [
        along_paths(table, paths, demand.target.quantile, difficulty)
        for table, demand in zip(task.joint.tables, task.demands)
    ]
    seen = replace(task, joint=join(tables))
    setting, options = choose_jointly(seen, SETTINGS, 3, effort=UNLIMITED)
    assert (setting, tuple(options)) == exhaustive_search(seen, SETTINGS)


# Those of a higher priority leave the last one less than a third of the processor.
@example(4352, ['', 'a', 'a'], 3.0)
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.integers(0, 2**32 - 1),
    st.lists(st.sampled_from(['', 'a', 'b']), min_size=3, max_size=3),
    st.floats(0.25, 4.0),
)
def test_finds_the_same_where_applications_take_turns(
    seed: int, servers: list[str], waited: float
) -> None:
    task = problem(seed, most=3)
    demands = tuple(
        replace(
            demand,
            server=server,
            stage=0.4,
            queueing=Waited(waited, 1 / waited),
            occupancy=min(1.0, 0.25 * waited + 0.2),
        )
        for demand, server in zip(task.demands, servers)
    )
    turns = replace(task, demands=demands)
    setting, options = choose_jointly(turns, SETTINGS, 3, effort=UNLIMITED)
    assert (setting, tuple(options)) == exhaustive_search(turns, SETTINGS)


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 2**32 - 1))
def test_the_size_of_the_first_batch_does_not_matter(seed: int) -> None:
    task = problem(seed, most=3)
    found = [choose_jointly(task, SETTINGS, size, effort=UNLIMITED) for size in (1, 4, 100)]
    assert len({(setting, *options.tolist()) for setting, options in found}) == 1


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 2**32 - 1))
def test_yielding_at_single_settings_is_never_worse_than_nowhere(seed: int) -> None:
    task = problem(seed, most=2)
    setting, options = choose_jointly(task, SETTINGS)
    before = exhaustive_search(task, SETTINGS, at_once=True)
    keys = lexicographic_keys(task, [(setting, tuple(options)), before], SETTINGS)
    for (found, reference), highest in zip(keys, tolerances(task)):
        if found < reference:
            return
        assert found <= highest(float(reference))
    assert keys[-1][0] <= keys[-1][1] * (1 + 1e-9)


def test_the_same_problem_gives_the_same_answer() -> None:
    task = _task()
    first = choose_jointly(task, SETTINGS)
    again = choose_jointly(replace(task), SETTINGS)
    assert first[0] == again[0]
    assert first[1].tolist() == again[1].tolist()


def _task() -> Problem:
    joint = JOINTS[1, 1, False, True]
    demand = Demand(
        Target('/camera_0/node', latency=0.02, objective=Objective.MAXIMUM_ACCURACY),
        0,
        SlowDownFilter(),
        30.0,
        0.0,
        0.0,
        np.ones(4, dtype=bool),
        np.ones((4, 3)),
    )
    return Problem(joint, np.arange(len(joint.settings)), (demand,), {})
