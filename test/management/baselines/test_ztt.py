# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace
import itertools
import math
from pathlib import Path

import numpy as np
import pytest

from dynamic_dnn_ros.management.baselines.weights_file import write_decider
from dynamic_dnn_ros.management.baselines.ztt import LIMIT, NAME, Ztt, learner, reward
from dynamic_dnn_ros.management.manager import ManagerSettings
from dynamic_dnn_ros.management.observations import DomainLoad, Load
from dynamic_dnn_ros.management.registry import UnknownDeciderError, create_decider
from dynamic_dnn_ros.management.targets import Target
from support.applications import GPU, application, empty_points, served_frame
from support.loads import gpu_load
from support.scenarios import FRONT, mapping, simulated

CPU = (1e9, 1.2e9, 1.4e9, 1.6e9, 1.8e9, 2e9)


def load(temperature: float = 40.0, power: float = 5.0) -> Load:
    """Return that of a board with two domains that it sets, and one that it leaves alone."""
    found = gpu_load(temperature=temperature, power=power)
    others = tuple(DomainLoad(n, CPU, CPU[0], CPU[-1], CPU[0]) for n in ('cpu', 'memory'))
    return replace(found, domains=(*others, *found.domains))


def made(**fields: object) -> Ztt:
    decider = Ztt(settings=ManagerSettings(**fields))  # type: ignore[arg-type]
    decider.add_application(application(FRONT), 0.0)
    decider.set_target(Target(FRONT, latency=0.03, accuracy=0.85), 1)
    return decider


def test_the_reward_is_of_rate_temperature_and_power() -> None:
    assert reward(1.0, math.nan, math.nan, LIMIT) == 1.0
    assert reward(1.7, math.nan, math.nan, LIMIT) == 1.0
    assert reward(0.5, math.nan, 4.0, LIMIT) == 1.0
    assert reward(1.0, 20.0, math.nan, LIMIT) == pytest.approx(1.2)
    assert reward(1.0, 50.0, math.nan, LIMIT) == pytest.approx(1.0)
    assert reward(1.0, LIMIT, math.nan, LIMIT) == -1.0


def test_it_sets_one_of_three_clocks_of_cpu_and_gpu_each_second() -> None:
    decider = made()
    seen: dict[str, set[float]] = {'cpu': set(), 'gpu': set()}
    changed = []
    before = None
    for index in range(400):
        now = 0.5 * index
        decider.observe_load(load(), now)
        decider.observe(served_frame(FRONT, 'x', 's1', 0.02), now)
        options, clocks = decider.pick(now)
        assert options == {FRONT: ('s1', 'gpu')}  # the least accurate one that may serve
        assert clocks is not None and clocks.keys() == {'cpu', 'gpu'}
        for name, hertz in clocks.items():
            seen[name].add(hertz)
        if clocks != before:
            changed.append(now)
        before = clocks
    assert seen == {'cpu': {CPU[1], CPU[3], CPU[5]}, 'gpu': {GPU[1], GPU[3], GPU[4]}}
    assert all(now % 1.0 == 0.0 for now in changed)


def test_above_the_limit_it_only_goes_down() -> None:
    decider = made(temperature_limit=60.0)
    sums = []
    for index in range(12):
        decider.observe_load(load(temperature=61.0), float(index))
        clocks = decider.pick(float(index))[1]
        assert clocks is not None
        sums.append((clocks['cpu'], clocks['gpu']))
    for before, after in itertools.pairwise(sums):
        assert after != before or before == (CPU[1], GPU[1])
        assert after[0] <= before[0] and after[1] <= before[1]
    assert sums[-1] == (CPU[1], GPU[1])


def test_it_learns_the_clocks_that_are_just_enough() -> None:
    decider = made()
    latency, power = 0.02, 5.0
    chosen = []
    for index in range(1500):
        now = 1.0 * index
        decider.observe_load(load(power=power), now - 0.1)
        for _ in range(3):
            decider.observe(served_frame(FRONT, 'x', 's1', latency), now - 0.1)
        clocks = decider.pick(now)[1]
        assert clocks is not None
        # The middle clock of the GPU is just enough; the CPU's only costs power.
        latency = {GPU[1]: 0.06, GPU[3]: 0.025, GPU[4]: 0.02}[clocks['gpu']]
        power = 2.0 + 2.0 * clocks['cpu'] / CPU[-1] + 4.0 * (clocks['gpu'] / GPU[-1]) ** 2
        chosen.append((clocks['cpu'], clocks['gpu']))
    last = chosen[-300:]
    assert max(set(last), key=last.count)[1] == GPU[3]
    assert sum(gpu == GPU[3] for _, gpu in last) > 0.8 * len(last)


def test_a_trained_one_does_what_it_learnt_and_learns_no_more(tmp_path: Path) -> None:
    trained = learner(seed=5)
    arrays = trained.arrays()
    arrays['weight4'][:] = 0.0
    arrays['weight5'][:] = np.arange(9) == 4  # the middle clocks, always
    path = tmp_path / 'ztt.npz'
    write_decider(path, NAME, {}, arrays)
    decider = made(decider_file=str(path))
    for index in range(50):
        decider.observe_load(load(), float(index))
        decider.observe(served_frame(FRONT, 'x', 's1', 0.02), index + 0.5)
        assert decider.pick(float(index))[1] == {'cpu': CPU[3], 'gpu': GPU[3]}
    assert decider._learner.steps == 0


def test_a_file_that_is_none_is_said(tmp_path: Path) -> None:
    path = tmp_path / 'none.npz'
    with pytest.raises(UnknownDeciderError, match=r'none\.npz cannot be read .*train-decider'):
        create_decider(NAME, 'me', ManagerSettings(decider_file=str(path)))
    write_decider(path, NAME, {}, {**learner().arrays(), 'steps': np.array([0.5])})
    with pytest.raises(UnknownDeciderError, match='is no count'):
        create_decider(NAME, 'me', ManagerSettings(decider_file=str(path)))


@pytest.mark.filterwarnings('error')
def test_without_a_profile_without_frames_without_a_platform_it_still_answers() -> None:
    assert Ztt().pick(0.0) == ({}, None)
    decider = Ztt()
    decider.add_application(application(FRONT, operating_points=empty_points()), 0.0)
    assert decider.pick(0.0) == ({FRONT: ('s3', 'gpu')}, None)
    for index in range(100):
        decider.observe_load(load(temperature=math.nan, power=math.nan), float(index))
        assert decider.pick(float(index))[1] is not None
    assert decider._learner.steps == 0  # nothing was served: nothing can be learnt


def test_in_simulation_the_same_seed_gives_the_same() -> None:
    one, two = (simulated(mapping(), NAME) for _ in range(2))
    assert one.energy == two.energy
    assert len(one.applications[FRONT].frames) > 200
