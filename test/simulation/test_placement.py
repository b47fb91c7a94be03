# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Networks measured on a GPU and a DLA: where each of them runs is part of the choice."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from dynamic_dnn_ros.platforms.board_model import BoardModel, load_board
from dynamic_dnn_ros.simulation.board import BoardInTime, FrameInWork
from dynamic_dnn_ros.simulation.figures import energy, figures
from dynamic_dnn_ros.simulation.runner import Job, boards_of, run
from dynamic_dnn_ros.simulation.runs import Run
from dynamic_dnn_ros.simulation.scenario import Scenario, ScenarioError
from dynamic_dnn_ros.simulation.workload import Workload
from dynamic_dnn_ros.simulation.workloads import workloads

EVERYWHERE = ('gpu', 'dla0', 'dla1')
RATES = {'yolov3_tiny_416': 30, 'resnet50': 60}


@pytest.fixture(scope='module')
def board() -> BoardModel:
    return load_board('orin_nx_simulated', '25W')


def scenario(
    processors: Sequence[str] | None = EVERYWHERE, others: float = 0.0, polling: bool = False
) -> Scenario:
    """Return two networks at rates that GPU and DLAs both manage, in a mode with few clocks."""
    applications = [
        {
            'id': f'/{name}/inference_node',
            'network': {'measured': name}
            | ({'processors': list(processors)} if processors else {}),
            'camera': {'rate': rate, 'jitter': 0.03},
            'targets': [{'at': 0.5, 'latency': 1 / rate, 'rate': rate}],
        }
        for name, rate in RATES.items()
    ]
    mapping = {
        'name': 'placement',
        'platform': {'board': 'orin_nx_simulated', 'power_mode': '25W'},
        'duration': 10 if others else 8,
        'measured_from': 6 if others else 3,
        'seed': 1,
        'applications': applications,
        'other_load': [{'at': 0, 'cpu': others, 'polling': polling}] if others else [],
    }
    return Scenario.from_mapping(mapping)


def found(of: Scenario) -> dict[str, Workload]:
    def levels(_: str) -> list[object]:
        raise AssertionError('no published levels are named')

    return workloads(of, boards_of(of)(''), Path(), levels)  # type: ignore[arg-type]


def run_of(of: Scenario, manager: str, governors: dict[str, str] | None = None) -> Run:
    return run(Job(of, found(of), manager, governors))


def places(run: Run) -> set[str]:
    return {switch.processor for _, switch in run.switches}


def test_the_second_dla_is_as_the_first(board: BoardModel) -> None:
    clocks = board.reference_frequencies
    for network in board.networks.values():
        assert network.processors == ('gpu', 'dla0', 'dla1')
        one, other = (board.parts(network, each, clocks) for each in ('dla0', 'dla1'))
        assert one.total == other.total
        powers = [board.power(clocks, parts.activity())['VDD_IN'] for parts in (one, other)]
        assert powers[0] == pytest.approx(powers[1])


def test_an_accelerator_runs_one_network_after_the_other(board: BoardModel) -> None:
    """Two on one DLA take longer than two on two; two on two hold nobody up."""
    network = board.networks['yolov3_tiny_416']

    def slow_downs(*processors: str) -> list[float]:
        state = BoardInTime(board)
        frames = [FrameInWork(network, processor, 1.0) for processor in processors]
        for frame in frames:
            state.begin(frame)
        return [frame.slow_down for frame in frames]

    assert slow_downs('dla0', 'dla1') == [1.0, 1.0]
    assert slow_downs('gpu', 'dla0') == [1.0, 1.0]
    share = board.parts(network, 'dla0', board.reference_frequencies).processor_share
    assert 0.1 < share < 1.0
    both = slow_downs('dla0', 'dla0')
    assert both[0] == both[1] > 1.05


def test_networks_stay_on_the_gpu_unless_the_scenario_says_otherwise() -> None:
    assert {w.points.processors for w in found(scenario(None)).values()} == {('gpu',)}
    assert {w.points.processors for w in found(scenario()).values()} == {EVERYWHERE}


@pytest.mark.parametrize('processors', [['cpu'], ['gpu', 'dla7']])
def test_a_processor_on_which_it_was_not_measured(processors: list[str]) -> None:
    with pytest.raises(ScenarioError, match='Choose of: gpu, dla0, dla1'):
        found(scenario(processors))


def test_placing_takes_less_than_any_one_place_and_nearly_the_least() -> None:
    """Against an oracle that places too, and against one place under the governors of L4T."""
    ours = run_of(scenario(), 'dynamic_dnn')
    assert all(each.met for each in figures(ours))
    assert places(ours) & {'dla0', 'dla1'}
    taken = energy(ours, 'VDD_IN')
    best = run_of(scenario(), 'oracle')
    assert places(best) & {'dla0', 'dla1'}
    assert taken <= 1.03 * energy(best, 'VDD_IN')
    governors = {'cpu': 'schedutil', 'gpu': 'nvhost_podgov'}
    for place in ('gpu', 'dla0'):
        fixed = run_of(scenario([place]), 'largest', governors)
        assert places(fixed) <= {place}
        assert taken < 0.97 * energy(fixed, 'VDD_IN') or not all(f.met for f in figures(fixed))


@pytest.mark.parametrize('polling', [False, True])
def test_beside_other_load_one_busy_core_is_not_the_whole_cpu(polling: bool) -> None:
    """A CPU that others keep busy by a third of eight cores has room for ours at a low clock."""
    crowded = scenario(others=0.35, polling=polling)
    ours = run_of(crowded, 'dynamic_dnn')
    assert all(each.met for each in figures(ours))
    best = run_of(crowded, 'oracle')
    assert energy(ours, 'VDD_IN') <= 1.03 * energy(best, 'VDD_IN')
