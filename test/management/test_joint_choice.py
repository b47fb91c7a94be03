# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The search looks at few settings and finds what looking at all of them finds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
import re

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

from dynamic_dnn_ros.management import (
    assessment,
    estimator,
    joint_choice,
    narrowing,
    queueing,
    tables,
)
from dynamic_dnn_ros.management.assessment import Demand, Problem, ResourceSettings, evaluate
from dynamic_dnn_ros.management.estimator import SlowDownFilter
from dynamic_dnn_ros.management.joint_choice import JointChoice, choose_jointly
from dynamic_dnn_ros.management.paths import Paths
from dynamic_dnn_ros.management.queueing import Waited
from dynamic_dnn_ros.management.resource_level import ResourceLevel
from dynamic_dnn_ros.management.tables import along_paths, join
from dynamic_dnn_ros.management.targets import Objective, Target
from support.applications import STAGES
from support.exhaustive_search import exhaustive_search, lexicographic_keys, tolerances
from support.problems import JOINTS, problem

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = ResourceSettings()
UNLIMITED = 1_000_000
"""Joint candidates, more than there are."""


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 2, 3, 6]))
def test_finds_what_looking_at_every_setting_finds(seed: int, first_batch: int) -> None:
    task = problem(seed, most=3)
    assert _answer(
        choose_jointly(task, SETTINGS, first_batch, effort=UNLIMITED)
    ) == exhaustive_search(task, SETTINGS)


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
    assert _answer(choose_jointly(seen, SETTINGS, 3, effort=UNLIMITED)) == exhaustive_search(
        seen, SETTINGS
    )


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
    assert _answer(choose_jointly(turns, SETTINGS, 3, effort=UNLIMITED)) == exhaustive_search(
        turns, SETTINGS
    )


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 2**32 - 1))
def test_the_size_of_the_first_batch_does_not_matter(seed: int) -> None:
    task = problem(seed, most=3)
    found = [choose_jointly(task, SETTINGS, size, effort=UNLIMITED) for size in (1, 4, 100)]
    assert len({_answer(choice) for choice in found}) == 1


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 2**32 - 1))
def test_yielding_at_single_settings_is_never_worse_than_nowhere(seed: int) -> None:
    task = problem(seed, most=2)
    found = _answer(choose_jointly(task, SETTINGS))
    before = exhaustive_search(task, SETTINGS, at_once=True)
    keys = lexicographic_keys(task, [found, before], SETTINGS)
    for (value, reference), highest in zip(keys, tolerances(task)):
        if value < reference:
            return
        assert value <= highest(float(reference))
    assert keys[-1][0] <= keys[-1][1] * (1 + 1e-9)


def test_the_same_problem_gives_the_same_answer() -> None:
    task = _task()
    first = choose_jointly(task, SETTINGS)
    again = choose_jointly(replace(task), SETTINGS)
    assert _answer(first) == _answer(again)


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.integers(0, 2**32 - 1),
    st.lists(st.sampled_from(['', 'a', 'b']), min_size=3, max_size=3),
    st.sampled_from([0.3, 0.5, 0.9, 0.95, 0.99, 0.999]),
    st.sampled_from([0.02, 0.08]),
    st.booleans(),
    st.sampled_from([0.0, 0.3]),
    st.integers(0, 2**32 - 1),
)
def test_predicts_what_the_assessment_does(
    seed: int,
    servers: list[str],
    quantile: float,
    camera: float,
    disturbed: bool,
    paths: float,
    picked: int,
) -> None:
    """The compiled prediction is the one of `assessment.py`, at any joint candidate."""
    task = problem(seed, most=3)
    generator = np.random.default_rng(picked)
    # Nothing is left to choose, so that bad candidates are seen too.
    setting = int(generator.choice(task.settings))
    options = [int(generator.integers(len(table.options))) for table in task.joint.tables]
    demands = tuple(
        replace(
            demand,
            target=replace(
                demand.target,
                latency=1e-3,  # missed by all, so that each latency shows in what is missed
                latency_quantile=quantile,
                energy=0.05,
            ),
            server=server,
            stage=0.4,
            queueing=Waited(0.7, 1.4),
            occupancy=0.7,
            path_variation=paths,
            camera_variation=camera,
            disturbed=disturbed,
            usable=np.arange(len(demand.usable)) == option,
        )
        for demand, server, option in zip(task.demands, servers, options)
    )
    one = replace(task, settings=np.array([setting]), demands=demands)
    found = choose_jointly(one, SETTINGS)
    expected = evaluate(one, np.array([setting]), np.array([options]), SETTINGS)
    assert _answer(found) == (setting, tuple(options))
    assert found.power == pytest.approx(expected.power[0], rel=1e-12)
    assert found.excess == pytest.approx(expected.excess[0], rel=1e-9, abs=1e-12)
    for margined, application in zip(found.margined, expected.applications):
        assert margined == pytest.approx(application.margined[0], rel=1e-9, abs=1e-12)


def test_counts_alike_with_python_what_is_equal() -> None:
    """C++ has the constants of the Python modules once more."""
    text = ''.join(path.read_text() for path in (ROOT / 'src/joint_choice').glob('*.hpp'))
    found = dict(re.findall(r'^constexpr double (\w+) = ([\d.e+-]+);', text, re.MULTILINE))
    shared = [assessment, estimator, narrowing, queueing, tables]
    names = {name: value for module in shared for name, value in vars(module).items()}
    known = {name: float(value) for name, value in found.items() if name in names}
    known['NO_TIME'] = float(found['NO_TIME'])
    assert known == {
        'MET': assessment.MET,
        'WORST': assessment.WORST,
        'NO_TIME': estimator._NO_TIME,
        'LEAST_LEFT': queueing.LEAST_LEFT,
        'UNKNOWN': tables.UNKNOWN,
        'WITHIN': narrowing.WITHIN,
        'WITHIN_ACCURACY': narrowing.WITHIN_ACCURACY,
    }


def test_nothing_to_choose_from_is_an_error() -> None:
    task = _task()
    (demand,) = task.demands
    none = replace(demand, usable=np.zeros_like(demand.usable))
    for empty in (
        replace(task, settings=task.settings[:0]),
        replace(task, demands=()),
        replace(task, demands=(none,)),
    ):
        with pytest.raises(ValueError, match='needs settings, applications, and an option'):
            choose_jointly(empty, SETTINGS)


def test_figures_that_are_no_numbers_end_no_process() -> None:
    for seed in range(20):
        task = problem(seed, most=3)
        for demand in task.demands:
            demand.slow_down.mean = float('nan')
        found = choose_jointly(task, SETTINGS)
        assert found.setting in task.settings
        for demand, option in zip(task.demands, found.options):
            assert demand.usable[option]


def test_refuses_a_library_of_another_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(joint_choice, 'sizeof', lambda _: 1)
    joint_choice.library.cache_clear()
    with pytest.raises(OSError, match='of another version of this package; build it again'):
        ResourceLevel(SETTINGS)


def test_says_how_to_build_a_library_that_is_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(joint_choice, 'LIBRARY', tmp_path / 'none.so')
    joint_choice.library.cache_clear()
    with pytest.raises(OSError, match=r'none\.so.*colcon build'):
        ResourceLevel(SETTINGS)


def _answer(choice: JointChoice) -> tuple[int, tuple[int, ...]]:
    return choice.setting, tuple(choice.options.tolist())


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
