# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The law of a block's latency: what is fitted is found again, and the fastest way is chosen."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from dynamic_dnn_ros.cli.main import main
from dynamic_dnn_ros.networks.adaptive_layouts import LAYOUTS
from dynamic_dnn_ros.platforms.board_model import load_board
from dynamic_dnn_ros.search.block_latency import (
    BlockCase,
    BlockLatencies,
    fitted,
    mean_error,
    on_board,
)
from dynamic_dnn_ros.search.block_times import cases, measured
from dynamic_dnn_ros.search.granularity import chosen, ways

_UNITS = BlockLatencies(
    {
        'undivided': (1e-5, 2e-11, 1.5e-11, 5e-10, 3e-10, 1e-10),
        'patches': (2e-5, 1e-6, 6e-12, 1.8e-11, 4e-12, 1e-9, 5e-10, 1.5e-9, 1.5e-9),
        'channels': (3e-5, 3e-11, 1.4e-11, 3e-9, 4e-10, 4e-10, 2e-10),
    }
)


def test_a_fit_finds_what_made_up_blocks_take_on_blocks_that_it_has_not_seen() -> None:
    generator = np.random.default_rng(0)
    blocks = cases(30)
    seconds = [
        _UNITS.latency(case) * float(np.exp(0.03 * generator.standard_normal())) for case in blocks
    ]
    found = fitted(blocks[::2], seconds[::2])
    assert all(unit >= 0 for units in found.units.values() for unit in units)
    assert mean_error(found, blocks[1::2], seconds[1::2]) < 0.08


def test_latency_follows_rates_granularity_and_clocks() -> None:
    case = BlockCase(32, 32, 24, 'patches', 6, 0.5)
    more = dataclasses.replace(case, rate=0.75)
    coarser = dataclasses.replace(case, granularity=12)
    assert _UNITS.latency(case) < _UNITS.latency(more)
    assert coarser.multiply_adds < case.multiply_adds, 'larger patches have less halo'
    assert _UNITS.latency(dataclasses.replace(case, rate=0.0)) == 0
    slow = _UNITS.latency(case, processor=2.0)
    assert _UNITS.latency(case) < slow < _UNITS.latency(case, 2.0, 2.0)
    assert _UNITS.latency(case, 2.0, 2.0) == pytest.approx(2 * _UNITS.latency(case))
    layers = BlockCase(32, 32, 24, 'layers', 0, 0.25)
    assert _UNITS.latency(layers) == pytest.approx(_UNITS.latency(BlockCase(32, 32, 24)) / 4)


def test_all_ways_run_as_many_multiply_adds_and_the_fastest_is_chosen() -> None:
    layout = LAYOUTS['adaptive_96x96']
    found = ways(layout, 0.25, _UNITS.latency)
    assert {way.case.mode for way in found[0]} == {'layers', 'patches', 'channels'}
    whole = BlockCase(32, 32, 24).multiply_adds
    (layers,) = (way.case for way in found[0] if way.case.mode == 'layers')
    assert layers.rate == 0.25
    for way in found[0]:
        if way.case.mode == 'channels':
            rate = way.case.rate
            assert (2 * 32 * rate + 9 * 32 * rate**2) * 32 * 24**2 == pytest.approx(whole / 4)
    best = chosen(layout, found)
    assert [stage.mode for stage in best.stages] == [group[0].case.mode for group in found]
    free = ways(layout, 0.25, lambda case: 1.0 if case.mode != 'patches' else 1 / case.granularity)
    assert (chosen(layout, free).stages[0].mode, chosen(layout, free).stages[0].granularity) == (
        'patches',
        12,
    )


def test_a_board_says_it_by_its_own_law() -> None:
    board = load_board('orin_nx_simulated')
    clocks = dict(board.reference_frequencies)
    whole = BlockCase(64, 64, 48)
    fast = on_board(board, whole, 'gpu', clocks)
    slow = on_board(board, whole, 'gpu', {**clocks, 'gpu': clocks['gpu'] / 2})
    assert 0 < fast < slow
    skipped = dataclasses.replace(whole, mode='layers', rate=0.5)
    assert on_board(board, skipped, 'gpu', clocks) == pytest.approx(fast / 2)


def test_blocks_are_measured_here() -> None:
    blocks = [BlockCase(16, 16, 12), BlockCase(16, 16, 12, 'patches', 6, 0.25)]
    assert all(seconds > 0 for seconds in measured(blocks, turns=2))


def test_the_command_prints_the_table_that_it_decides_by(
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = ['granularity', 'adaptive_96x96', '--work', '0.25']
    assert main([*arguments, '--platform', 'orin_nx_simulated']) == 0
    printed = capsys.readouterr().out
    assert 'of undivided' in printed and "'mode': 'layers'" in printed
    assert main(['granularity', 'adaptive_7']) != 0
    assert 'adaptive_96x96' in capsys.readouterr().err
