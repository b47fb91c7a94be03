# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
The models of the boards: how far off they are, where fitted and where not, and how fast.

Orin NX: four networks that were measured on a board, alone and in pairs. Xavier NX: published
latencies, and the power of the module in its modes. Boards from tables: TX2, AGX Orin, Orin NX,
and one that is made up. Errors are of the models against those measurements; the speed is
measured here.
Needs the measurements beside the repository, and SciPy.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
import importlib.util
from itertools import combinations_with_replacement
import json
from pathlib import Path
from statistics import mean
import time
from typing import Any

import calibrated_tables
import numpy as np
from report import Figure, Report, figure

from dynamic_dnn_ros.platforms.board_model import (
    BoardModel,
    MeasuredNetwork,
    NetworkCost,
    load_board,
)
from dynamic_dnn_ros.platforms.calibration.refit import (
    THROUGHPUT,
    at_clocks,
    contention_errors,
    fit_contention,
    fit_power,
    prediction_errors,
    read_losses,
    read_measurements,
    with_networks,
)
from dynamic_dnn_ros.platforms.contract import DomainRange
from dynamic_dnn_ros.platforms.measured_network import Measurement
from dynamic_dnn_ros.platforms.simulated import SimulatedPlatform
from support.orin_nx_published import (
    CO_RUNNERS,
    LIMITED_RATES,
    LimitedRates,
    board_mapping,
    co_runners_power,
    limited_rates_power,
    losses_at,
    without_pair,
)
from support.shared_data import DATA

RUNS = 3
PAIRS = ((306e6, 918e6), (408e6, 918e6), (408e6, 714e6))
"""Two GPU clocks, Hz, from which a network is added."""
CONTENTION_CLOCK = 612e6
KEPT_CLOCKS = {'every second one left out': (306e6, 510e6, 714e6, 918e6)}
CAMERA_RATE = 30.0
DURATION = 20.0
"""Seconds of simulated time for the speed of a platform."""

Errors = Mapping[str, list[float]]


def run(runs: int) -> Report:
    """Compute the errors once, since they do not vary, and the speed so many times."""
    figures = [
        *_orin_alone(),
        *_orin_together(),
        *_xavier(),
        *_xavier_power(),
        *calibrated_tables.figures(),
        *_speed(runs),
    ]
    configuration = {
        'orin_nx': 'shared/data/platforms/orin_nx; not fitted: test/support/orin_nx_published.py',
        'xavier_nx': 'shared/data/platforms/xavier_nx and the motivation figure of Dynamic-OFA',
        'error': 'modelled / measured - 1, absolute',
        'not_measured': [
            'Xavier NX, power of single rails: that of the module alone was published.',
            'Xavier NX, a network added from two frequencies: each was published at one.',
            'Latency of these two against the CPU clock and the memory clock: not published.',
        ],
    }
    return Report('simulator', 'simulated', configuration, figures)


def _orin_alone() -> list[Figure]:
    mapping, board = board_mapping(), load_board('orin_nx_simulated')
    measured = read_measurements(DATA / 'platforms/orin_nx/standalone.csv', board)
    figures = _rows(
        'Orin NX, where fitted',
        prediction_errors(mapping, board.networks, measured),
        dict.fromkeys((THROUGHPUT, *_rails(board)), 0.05),
    )
    bars = {THROUGHPUT: 0.03, **dict.fromkeys(_rails(board), 0.08)}
    for pair in PAIRS:
        named = f'{pair[0] / 1e6:g} and {pair[1] / 1e6:g} MHz'
        gathered: dict[str, list[float]] = {}
        for left in measured:
            fitted = fit_power(mapping, _without(measured, left))
            network = with_networks(fitted, at_clocks({left: measured[left]}, pair))
            rest = {left: [r for r in measured[left] if r.frequencies['gpu'] not in pair]}
            for name, errors in prediction_errors(fitted, network, rest).items():
                gathered.setdefault(name, []).extend(errors)
        figures += _rows(f'Orin NX, a network left out, added from {named}', gathered, bars)
    for named, clocks in KEPT_CLOCKS.items():
        kept = at_clocks(measured, clocks)
        fitted = fit_power(mapping, kept)
        rest = {
            name: [row for row in rows if row.frequencies['gpu'] not in clocks]
            for name, rows in measured.items()
        }
        errors = prediction_errors(fitted, with_networks(fitted, kept), rest)
        figures += _rows(f'Orin NX, frequencies left out, {named}', errors, {})
    return figures


def _orin_together() -> list[Figure]:
    mapping, board = board_mapping(), load_board('orin_nx_simulated')
    networks = board.networks
    losses = read_losses(DATA / 'platforms/orin_nx/gpu_contention.csv')
    figures = _points(
        'Orin NX, contention, where fitted',
        contention_errors(mapping, networks, losses, CONTENTION_CLOCK),
        '<= 5',
    )
    left_out: list[float] = []
    names = sorted({name for pair in losses for name in pair})
    for pair in combinations_with_replacement(names, 2):
        known, unknown = without_pair(losses, pair)
        fitted = fit_contention(mapping, networks, known, CONTENTION_CLOCK)
        left_out += contention_errors(fitted, networks, unknown, CONTENTION_CLOCK)
    figures += _points('Orin NX, contention, each pair left out', left_out, '<= 10')
    figures += _other_laws(mapping, networks, losses)
    for clock, unknown in ((918e6, False), (612e6, True), (918e6, True)):
        whom = 'a network that is in no fitted pair' if unknown else 'the fitted pairs'
        figures += _points(
            f'Orin NX, contention at {clock / 1e6:g} MHz, {whom}',
            contention_errors(mapping, networks, losses_at(clock, unknown), clock),
        )
    two = [(co_runners_power(board, each), each.power) for each in CO_RUNNERS]
    several = [(limited_rates_power(board, each), each.power) for each in LIMITED_RATES]
    for named, runs in (
        ('two networks at once', two),
        ('three or four at limited rates', several),
    ):
        figures += _rows(f'Orin NX, not fitted, {named}', _power_errors(board, runs), {})
    shares = [_own_cpu(board, [r for r in LIMITED_RATES if r is not run]) for run in LIMITED_RATES]
    known = [
        (limited_rates_power(board, run, share), run.power)
        for run, share in zip(LIMITED_RATES, shares)
    ]
    figures += _rows(
        'Orin NX, three or four at limited rates, CPU load of that program from the other runs',
        _power_errors(board, known),
        dict.fromkeys(_rails(board), 0.08),
    )
    text = 'Orin NX, at limited rates: CPU load of that program, each run left out in turn'
    figures.append(figure(text, shares, 'share of all cores'))
    return figures


def _power_errors(
    board: BoardModel, runs: Sequence[tuple[Mapping[str, float], Mapping[str, float]]]
) -> dict[str, list[float]]:
    """Return errors by rail of modelled and measured power."""
    return {rail: [w[rail] / m[rail] - 1 for w, m in runs] for rail in _rails(board)}


def _own_cpu(board: BoardModel, runs: Sequence[LimitedRates]) -> float:
    """Return the share of the CPU that explains the power of some runs best, least squares."""
    rail = board.domains['cpu'].rail
    slopes, rest = [], []
    for run in runs:
        without, whole = (limited_rates_power(board, run, share)[rail] for share in (0.0, 1.0))
        slopes.append((whole - without) / run.power[rail])
        rest.append(1.0 - without / run.power[rail])
    return sum(a * b for a, b in zip(slopes, rest)) / sum(a * a for a in slopes)


def _other_laws(
    mapping: Any,
    networks: Mapping[str, MeasuredNetwork],
    losses: Mapping[tuple[str, str], float],
) -> list[Figure]:
    """Return what the law is better than: processor sharing alone."""
    sharing = json.loads(json.dumps(mapping))
    for name, value in (('sharing', 1.0), ('processor_delay', 0.0), ('other_delay', 0.0)):
        sharing['contention'][name]['value'] = value
    errors = contention_errors(sharing, networks, losses, CONTENTION_CLOCK)
    return _points('Orin NX, contention, if it were processor sharing alone', errors)


def _xavier() -> list[Figure]:
    board = load_board('xavier_nx_simulated')
    path = Path(DATA / 'platforms/xavier_nx/dynamic_ofa_levels.json')
    levels = json.loads(path.read_text(encoding='utf-8'))['levels']
    costs = _calibration().costs(levels)
    at = board.reference_frequencies
    modelled = np.array(
        [
            board.latency(NetworkCost(round(row[2]), round(row[1]), round(row[3])), 'gpu', at)
            for row in costs
        ]
    )
    measured = np.array([level['gpu_latency_s'] for level in levels])
    second = np.array([level['set'] == 'nets_7' for level in levels])
    # Of two sessions one is slower throughout: their ratio is a parameter of the fit.
    centre = np.array([np.mean((measured / modelled)[second == own]) for own in second])
    known, unknown = centre * modelled / measured - 1.0, modelled / measured - 1.0
    scales = np.linspace(0.8, 1.2, 4001)
    best = min((scale * modelled / measured - 1.0 for scale in scales), key=_size)
    left_out, from_one = _xavier_left_out(levels, costs, measured, second)
    return [
        figure
        for named, errors, bars in (
            ('13 networks, session known', known, {'latency': 0.05}),
            ('13 networks, session unknown', unknown, {}),
            ('13 networks, session unknown, the best single scale', best, {}),
            ('a network left out, session from the other networks of it', left_out, {}),
            ('a network left out, session from one other network of it', from_one, {}),
        )
        for figure in _rows(f'Xavier NX, {named}', {'latency': list(map(float, errors))}, bars)
    ]


def _xavier_power() -> list[Figure]:
    """Return how far the power of the module is off in a power mode that no fit has seen."""
    calibration = _calibration()
    loads = calibration.power_loads(DATA / 'platforms/xavier_nx/power_modes.csv')
    outlier = [load for load in loads if calibration.is_outlier(load)]
    kept = [load for load in loads if not calibration.is_outlier(load)]
    named = 'Xavier NX, each power mode left out'
    bars = {'VDD_IN': 0.05}
    return [
        *_rows(named, {'VDD_IN': calibration.power_left_out(kept, kept)}, bars),
        *_rows(
            f'{named}, the outlier counted too',
            {'VDD_IN': calibration.power_left_out(loads, kept + outlier)},
            {},
        ),
    ]


def _xavier_left_out(
    levels: Sequence[Mapping[str, Any]], costs: Any, measured: Any, second: Any
) -> tuple[list[float], list[float]]:
    """Return errors of each network where neither fit nor factor of its session has seen it."""
    calibration = _calibration()
    memory = costs[:, 3] * 4 / calibration.BANDWIDTH
    # Some networks were measured in both sessions.
    networks = [json.dumps([level['kernel_size'], level['depth']]) for level in levels]
    left_out, from_one = [], []
    for index, network in enumerate(networks):
        keep = np.array([other != network for other in networks])
        coefficients, _ = calibration.fit(costs[keep], measured[keep], second[keep])
        modelled = costs[:, :3] @ coefficients + memory
        factors = (measured / modelled)[keep & (second == second[index])]
        scaled = modelled[index] / measured[index]
        left_out.append(float(np.exp(np.log(factors).mean()) * scaled - 1.0))
        from_one += [float(factor * scaled - 1.0) for factor in factors]
    return left_out, from_one


def _calibration() -> Any:
    """Return the tool that has made the coefficients of the Xavier NX."""
    path = Path(__file__).resolve().parents[2] / 'tools' / 'calibrate_xavier_nx.py'
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _size(errors: Any) -> float:
    return float(np.abs(errors).mean())


def _speed(runs: int) -> list[Figure]:
    figures = []
    for name in ('xavier_nx_simulated', 'orin_nx_simulated'):
        board = load_board(name)
        costs = NetworkCost(10_000_000, 40, 500_000), NetworkCost(20_000_000, 60, 800_000)
        at = board.reference_frequencies
        own, other = (board.parts(cost, 'gpu', at) for cost in costs)
        activity = {'cpu': 0.1, 'gpu': 0.5, 'memory': 0.1}

        def hold_up(board: BoardModel = board, own: Any = own, other: Any = other) -> None:
            held = board.contention.hold_up(own, other)
            board.contention.slow_down(own.processor_share, [held], 0.0)

        calls: dict[str, Callable[[], object]] = {
            'latency of a frame': lambda: board.parts(costs[0], 'gpu', at),  # noqa: B023
            'power of all rails': lambda: board.power(at, activity),  # noqa: B023
            'how long two hold each other up': hold_up,
        }
        for what, call in calls.items():
            figures.append(
                figure(f'{name}: {what}, measured', [_seconds(call) for _ in range(runs)], 's')
            )
        speeds = [_simulated_seconds(board, costs) for _ in range(runs)]
        text = f'{name}: platform with governors, two applications at 30 Hz, measured'
        figures.append(figure(text, speeds, 'simulated s / s', '>= 50'))
    return figures


def _seconds(call: Callable[[], object], count: int = 20_000) -> float:
    begun = time.process_time()
    for _ in range(count):
        call()
    return (time.process_time() - begun) / count


def _simulated_seconds(board: BoardModel, costs: tuple[NetworkCost, ...]) -> float:
    """Return how many seconds of simulated time a second of one core makes."""
    begun = time.process_time()
    platform = SimulatedPlatform(board, 0.0)
    platform.apply(0.0, [DomainRange(r.name, r.minimum, r.maximum) for r in board.limits()])
    busy = [dict.fromkeys(board.domains, 0.0) for _ in costs]
    granted = {row.name: row.available[0] for row in board.limits()}
    for frame in range(1, round(DURATION * CAMERA_RATE) + 1):
        now = frame / CAMERA_RATE
        for index, cost in enumerate(costs):
            for name, value in board.parts(cost, 'gpu', granted).busy().items():
                busy[index][name] += value
            platform.observe(now, f'/{index}', 'one', 'gpu', busy[index], frame)
        granted = {row.name: row.granted for row in platform.read(now).domains}
    return DURATION / (time.process_time() - begun)


def _rails(board: BoardModel) -> tuple[str, ...]:
    return tuple(board.power(board.reference_frequencies, {}))


def _without(measured: Mapping[str, list[Measurement]], left: str) -> dict[str, list[Measurement]]:
    return {name: rows for name, rows in measured.items() if name != left}


def _rows(named: str, errors: Errors, bars: Mapping[str, float]) -> list[Figure]:
    figures = []
    for name, values in errors.items():
        sizes = [abs(value) for value in values]
        bar = f'<= {bars[name]:g}' if name in bars else None
        figures.append(figure(f'{named}: {name}, mean error', mean(sizes), '', bar))
        figures.append(figure(f'{named}: {name}, largest error', max(sizes), ''))
    return figures


def _points(named: str, errors: list[float], bar: str | None = None) -> list[Figure]:
    sizes = [100 * abs(error) for error in errors]
    return [
        figure(f'{named}: mean error of the loss', mean(sizes), 'points', bar),
        figure(f'{named}: largest error of the loss', max(sizes), 'points', bar),
    ]
