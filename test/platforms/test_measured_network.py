# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Networks that are added to a board from measurements."""

from collections.abc import Mapping
from dataclasses import replace
import math

import pytest

from dynamic_dnn_ros.platforms.board_model import MeasuredNetwork, MeasuredTimes, load_board
from dynamic_dnn_ros.platforms.contract import PlatformError
from dynamic_dnn_ros.platforms.measured_network import Measurement, measured_network, rates

BOARD = load_board('orin_nx_simulated')
NETWORK = MeasuredNetwork(
    'made_up',
    (
        MeasuredTimes('gpu', 0.004, 0.003, gpu_intensity=1.3, memory_intensity=0.6),
        MeasuredTimes('dla0', 0.001, 0.003, 0.006, 1.0, 2.0, 1.5),
    ),
)


def at(gpu: float) -> dict[str, float]:
    return {**BOARD.reference_frequencies, 'gpu': gpu}


def measure(processor: str, frequencies: Mapping[str, float]) -> Measurement:
    parts = BOARD.parts(NETWORK, processor, frequencies)
    watts = BOARD.power(frequencies, rates(BOARD, parts))
    return Measurement(processor, frequencies, parts.total, watts)


def test_two_frequencies_give_the_network_back() -> None:
    found = measured_network(
        BOARD, 'made_up', [measure(p, at(f)) for p in ('dla0', 'gpu') for f in (306e6, 918e6)]
    )
    for own, expected in zip(found.times, NETWORK.times):
        assert own.processor == expected.processor
        for name, value in vars(expected).items():
            if name != 'processor':
                assert getattr(own, name) == pytest.approx(value, rel=1e-6), name


def test_other_clocks_may_differ_too() -> None:
    rows = [
        measure('gpu', {'cpu': 1190.4e6, 'gpu': 306e6, 'memory': 2133e6}),
        measure('gpu', {'cpu': 1984e6, 'gpu': 816e6, 'memory': 3199e6}),
    ]
    (times,) = measured_network(BOARD, 'made_up', rows).times
    assert times.gpu == pytest.approx(0.004)
    assert times.rest == pytest.approx(0.003)


def test_without_power_a_network_is_average() -> None:
    rows = [replace(measure('gpu', at(f)), power={}) for f in (306e6, 918e6)]
    (times,) = measured_network(BOARD, 'made_up', rows).times
    assert (times.gpu_intensity, times.memory_intensity) == (1.0, 1.0)


def test_an_accelerator_alone_gets_the_preprocessing_of_the_board() -> None:
    rows = [measure('dla0', at(f)) for f in (306e6, 918e6)]
    (times,) = measured_network(BOARD, 'made_up', rows).times
    assert times.rest + times.accelerator == pytest.approx(0.009)
    assert 0.0 < times.rest < 0.009


def test_a_part_is_never_negative() -> None:
    rows = [Measurement('gpu', at(306e6), 0.010), Measurement('gpu', at(918e6), 0.003)]
    (times,) = measured_network(BOARD, 'steep', rows).times
    assert times.rest == 0.0
    assert times.gpu > 0.0


def test_a_measured_network_runs_on_what_it_was_measured_on() -> None:
    frequencies = BOARD.reference_frequencies
    parts = BOARD.parts(NETWORK, 'dla0', frequencies)
    assert parts.busy()['dla0'] == pytest.approx(0.006 + parts.memory)
    assert parts.activity()['gpu'] == pytest.approx(0.001)
    more = BOARD.power(frequencies, rates(BOARD, parts))
    assert more['VDD_CPU_GPU_CV'] > BOARD.power(frequencies, {})['VDD_CPU_GPU_CV']
    assert not BOARD.extrapolated(NETWORK, 'dla0')
    with pytest.raises(PlatformError, match='was not measured on it'):
        BOARD.parts(replace(NETWORK, times=NETWORK.times[:1]), 'dla0', frequencies)


@pytest.mark.parametrize(
    ('rows', 'words'),
    [
        ([], 'no measurements'),
        ([Measurement('gpu', at(306e6), 0.01)], 'one GPU frequency'),
        ([Measurement('gpu', at(306e6), 0.01)] * 2, 'one GPU frequency'),
        ([Measurement('tpu', at(306e6), 0.01)], 'Choose of: gpu, dla0'),
        ([Measurement('gpu', at(306e6), math.nan)], 'not positive'),
        ([Measurement('gpu', {'gpu': 306e6, 'cpu': 1e9}, 0.01)], "domain 'memory'"),
    ],
)
def test_refuses(rows: list[Measurement], words: str) -> None:
    with pytest.raises(PlatformError, match=words):
        measured_network(BOARD, 'made_up', rows)
