# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The parameters of board files, one by one, and files with some of them scaled."""

import pytest

from dynamic_dnn_ros.platforms.board_model import load_board
from dynamic_dnn_ros.platforms.board_parameters import parameters, scaled
from dynamic_dnn_ros.platforms.contract import PlatformError

FILE = {
    'name': 'toy',
    'domains': {
        'gpu': {
            'capacitance': {'value': 2.0, 'source': 'assumed: plausible'},
            'voltage': {'value': [[1e8, 0.6], [1e9, 0.9]], 'source': 'a paper'},
            'governor': {'value': 'performance', 'source': 'a manual'},
        }
    },
    'power': {'static': {'value': {'A': 1.0, 'B': 2}, 'source': 'assumed'}},
}


def test_lists_numbers_and_curves_with_their_sources() -> None:
    found = {p.name: p for p in parameters(FILE)}
    assert set(found) == {
        'domains.gpu.capacitance',
        'domains.gpu.voltage',
        'power.static.A',
        'power.static.B',
    }
    assert found['domains.gpu.voltage'].value == ((1e8, 0.6), (1e9, 0.9))
    assert not found['domains.gpu.voltage'].assumed
    assert found['domains.gpu.capacitance'].assumed
    assert found['power.static.B'].value == 2.0


def test_scales_a_copy() -> None:
    result = scaled(FILE, {'domains.gpu.voltage': 2.0, 'power.static.B': 0.7}, 'toy.yaml')
    values = {p.name: p.value for p in parameters(result)}
    assert values['domains.gpu.voltage'] == ((1e8, 1.2), (1e9, 1.8))
    assert values['power.static.B'] == pytest.approx(1.4)
    assert values['power.static.A'] == 1.0
    assert {p.name: p.value for p in parameters(FILE)}['power.static.B'] == 2.0


@pytest.mark.parametrize(
    ('scale', 'words'),
    [
        ({'domains.gpu.governor': 1.3}, 'domains.gpu.capacitance'),
        ({'gpu': 1.3}, "parameter 'gpu'"),
        ({'power.static.A': 0.0}, 'not positive'),
        ({'power.static.A': float('nan')}, 'not positive'),
    ],
)
def test_refuses_what_cannot_be_scaled(scale: dict[str, float], words: str) -> None:
    with pytest.raises(PlatformError, match=words):
        scaled(FILE, scale, 'toy.yaml')


def test_every_assumed_parameter_of_a_board_makes_another_board() -> None:
    board = load_board('xavier_nx_simulated')
    assumed = [p for p in board.parameters if p.assumed]
    assert assumed
    for parameter in assumed:
        for factor in (0.7, 1.3):
            other = load_board(board.platform, scale={parameter.name: factor})
            found = next(p for p in other.parameters if p.name == parameter.name)
            assert found.value != parameter.value
            assert other.limits() == board.limits()
