# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The models of boards: against what was published of the Xavier NX, and what holds for all."""

import json
import math
from pathlib import Path
import random
import statistics

from hypothesis import given
from hypothesis import strategies as st
import pytest
import yaml

from dynamic_dnn_ros.files import share_folder
from dynamic_dnn_ros.platforms.board_model import BoardModel, NetworkCost, load_board
from dynamic_dnn_ros.platforms.contract import PlatformError
from support.growth import growth
from support.shared_data import shared_data

PLATFORM = 'xavier_nx_simulated'
BOARD = load_board(PLATFORM)
BOARDS = ('xavier_nx', 'orin_nx', 'tx2', 'agx_orin')
ORIN = load_board('orin_nx_simulated')
HIGHEST = {'cpu': 1420.8e6, 'gpu': 1109.25e6, 'memory': 1600e6}
LOWER = {**HIGHEST, 'gpu': 803.25e6}
MOTIVATION = NetworkCost(multiply_adds=269_000_000, layers=61, parameters=6_200_000)
"""The cost at which the fitted line gives the 43 ms of the motivation figure."""

costs = st.builds(
    NetworkCost,
    multiply_adds=st.integers(1, 10**10),
    layers=st.integers(1, 500),
    parameters=st.integers(1, 10**9),
)
settings = st.fixed_dictionaries(
    {row.name: st.sampled_from(row.available) for row in BOARD.limits()}
)


def published_levels() -> list[tuple[NetworkCost, float, str]]:
    """Return cost, latency in seconds and session of the thirteen published levels."""
    torch_network = pytest.importorskip('dynamic_dnn_ros.networks.ofa_mobilenet_v3')
    path = shared_data('platforms/xavier_nx/dynamic_ofa_levels.json')
    network = torch_network.OfaMobileNetV3.from_layout('ofa_mbv3_d234_e346_k357_w1.2')
    rows = []
    for level in json.loads(Path(path).read_text())['levels']:
        configuration = network.configuration(
            {key: level[key] for key in ('kernel_size', 'expand_ratio', 'depth', 'resolution')}
        )
        cost = NetworkCost(
            network.multiply_adds(configuration),
            network.layer_count(configuration),
            network.parameter_count(configuration),
        )
        rows.append((cost, level['gpu_latency_s'], level['set']))
    return rows


def test_published_levels() -> None:
    """The errors that docs/simulation.md quotes, session unknown: 5.7 % mean, 10.7 % largest."""
    errors = [
        abs(BOARD.latency(cost, 'gpu', HIGHEST) / latency - 1)
        for cost, latency, _ in published_levels()
    ]
    assert statistics.mean(errors) == pytest.approx(0.057, abs=0.002)
    assert max(errors) == pytest.approx(0.107, abs=0.003)


def test_published_levels_of_one_session() -> None:
    """With the session known the fit is as good as docs/simulation.md says: 2.1 %, 4.6 %."""
    ratio = {'nets_6': 1.124**0.5, 'nets_7': 1.124**-0.5}
    errors = [
        abs(BOARD.latency(cost, 'gpu', HIGHEST) * ratio[session] / latency - 1)
        for cost, latency, session in published_levels()
    ]
    assert statistics.mean(errors) == pytest.approx(0.021, abs=0.002)
    assert max(errors) == pytest.approx(0.046, abs=0.003)


def test_published_levels_are_inside_the_calibration() -> None:
    assert not any(BOARD.extrapolated(cost, 'gpu') for cost, _, _ in published_levels())


def test_two_clocks_of_the_motivation_figure() -> None:
    assert BOARD.latency(MOTIVATION, 'gpu', HIGHEST) == pytest.approx(0.043, rel=0.01)
    assert BOARD.latency(MOTIVATION, 'gpu', LOWER) == pytest.approx(0.050, rel=0.01)
    assert BOARD.latency(MOTIVATION, 'cpu', HIGHEST) == pytest.approx(0.570, rel=0.01)


def test_gpu_table_is_that_of_a_board() -> None:
    path = shared_data('platforms/xavier_nx/gpu_frequencies.json')
    table = json.loads(Path(path).read_text())['gpu_frequencies_hz']
    assert BOARD.domains['gpu'].frequencies == tuple(table)
    assert len(BOARD.domains['cpu'].frequencies) == 25


def test_small_network_is_extrapolated() -> None:
    small = NetworkCost(10_000_000, 45, 500_000)
    assert BOARD.extrapolated(small, 'gpu')
    assert BOARD.extrapolated(small, 'cpu')


def test_power_modes_limit_the_tables() -> None:
    limits = {row.name: row for row in load_board(PLATFORM, '10W_4CORE').limits()}
    assert limits['gpu'].available[-1] == 803.25e6
    assert limits['cpu'].available == (1190.4e6,)
    assert limits['memory'].available[-1] == 1600e6
    assert {row.name: row for row in BOARD.limits()}['memory'].available[-1] == 1866e6


def test_fewer_cores_lengthen_only_what_uses_them_all() -> None:
    two, six = load_board(PLATFORM, '15W_2CORE'), load_board(PLATFORM, '15W_6CORE')
    assert two.latency(MOTIVATION, 'gpu', HIGHEST) == six.latency(MOTIVATION, 'gpu', HIGHEST)
    parts = [board.parts(MOTIVATION, 'cpu', HIGHEST) for board in (two, six)]
    assert parts[0].parallel == pytest.approx(3 * parts[1].parallel)
    assert parts[0].busy()['cpu'] == pytest.approx(parts[1].busy()['cpu'])


@given(
    cost=costs, low=settings, high=settings, processor=st.sampled_from(BOARD.modelled_processors)
)
def test_higher_clocks_are_never_slower(
    cost: NetworkCost, low: dict[str, float], high: dict[str, float], processor: str
) -> None:
    both = {name: max(low[name], high[name]) for name in low}
    slow, fast = BOARD.latency(cost, processor, low), BOARD.latency(cost, processor, both)
    assert 0.0 < fast <= slow * (1 + 1e-12)


@given(cost=costs, setting=settings)
def test_busy_time_on_the_gpu_adds_up_to_the_latency(
    cost: NetworkCost, setting: dict[str, float]
) -> None:
    parts = BOARD.parts(cost, 'gpu', setting)
    busy = parts.busy()
    assert busy['cpu'] + busy['gpu'] == pytest.approx(parts.total)
    assert busy['memory'] <= busy['gpu']


@given(
    setting=settings,
    idle=st.floats(0.0, 1.0),
    busier=st.floats(0.0, 1.0),
    domain=st.sampled_from(['cpu', 'gpu', 'memory']),
)
def test_power_grows_with_clocks_and_load(
    setting: dict[str, float], idle: float, busier: float, domain: str
) -> None:
    low, high = sorted((idle, busier))
    total = BOARD.total_power_rail
    assert (
        BOARD.power(setting, {domain: low})[total] <= BOARD.power(setting, {domain: high})[total]
    )
    table = BOARD.domains[domain].frequencies
    slower = {**setting, domain: table[0]}
    assert BOARD.power(slower, {domain: low})[total] <= BOARD.power(setting, {domain: low})[total]


def test_total_rail_includes_the_others_and_stays_within_the_mode() -> None:
    top = {row.name: row.available[-1] for row in BOARD.limits()}
    rails = BOARD.power(top, dict.fromkeys(top, 1.0))
    assert rails['VDD_IN'] > rails['VDD_CPU_GPU_CV'] + rails['VDD_SOC']
    assert rails['VDD_IN'] < 20.0
    assert rails['VDD_IN'] > 1.5 * BOARD.power(top, {})['VDD_IN']


@pytest.mark.parametrize('name', BOARDS)
def test_budgets_of_the_power_modes(name: str) -> None:
    board = load_board(f'{name}_simulated')
    for mode in board.power_modes.values():
        watts = mode.name.split('W')[0]
        assert mode.budget == (float(watts) if watts.isdigit() else math.inf)
        own = load_board(board.platform, mode.name)
        assert own.power_mode == mode
        for row in own.limits():
            assert mode.limits[row.name][0] <= row.minimum <= row.maximum
            assert row.maximum <= mode.limits[row.name][1]


def test_half_of_the_gpu_takes_twice_as_long_and_half_the_power() -> None:
    whole, half = (load_board('orin_nx_simulated', mode) for mode in ('MAXN', '15W'))
    at = {'cpu': 1651.2e6, 'gpu': 612e6, 'memory': 3199e6}
    network = whole.networks['resnet50']
    assert half.parts(network, 'gpu', at).gpu == 2 * whole.parts(network, 'gpu', at).gpu
    rails = [
        board.power(at, {'gpu': 1.0})['VDD_SOC'] - board.power(at, {})['VDD_SOC']
        for board in (whole, half)
    ]
    assert rails == [0.0, 0.0]
    more = [
        board.power(at, {'gpu': 1.0})['VDD_CPU_GPU_CV'] - board.power(at, {})['VDD_CPU_GPU_CV']
        for board in (whole, half)
    ]
    assert more[1] == pytest.approx(more[0] / 2)


def test_what_an_idle_board_takes_at_the_reference_clocks_is_in_its_file() -> None:
    for board in (BOARD, ORIN):
        idle = {p.name: p.value for p in board.parameters if p.name.startswith('power.idle.')}
        for rail, watts in board.power(board.reference_frequencies, {}).items():
            if rail != board.total_power_rail:
                assert watts == pytest.approx(idle[f'power.idle.{rail}'])


def test_hold_ups_of_several_add_up_to_less_than_their_sum() -> None:
    parts = ORIN.parts(ORIN.networks['resnet50'], 'gpu', ORIN.reference_frequencies)
    held = ORIN.contention.hold_up(parts, parts)
    one, two = (
        ORIN.contention.slow_down(parts.processor_share, [held] * count, 0.0) - 1.0
        for count in (1, 2)
    )
    assert two == pytest.approx(1.55 * one, rel=0.01)
    assert ORIN.contention.slow_down(0.4, [], 0.5) == pytest.approx(1.4)
    other = ORIN.parts(ORIN.networks['resnet50'], 'dla0', ORIN.reference_frequencies)
    assert ORIN.contention.hold_up(parts, other) == 0.0


def test_jitter_has_mean_one_and_the_stated_quantiles() -> None:
    generator = random.Random(3)
    factors = sorted(BOARD.jitter(generator) for _ in range(20_000))
    assert statistics.mean(factors) == pytest.approx(1.0, abs=0.001)
    assert factors[19_000] == pytest.approx(BOARD.jitter_quantile(0.95), rel=0.005)


def test_bias_is_reproducible_and_differs() -> None:
    assert BOARD.bias(1, '/a') == BOARD.bias(1, '/a')
    values = {BOARD.bias(seed, name) for seed in range(50) for name in ('/a', '/b')}
    assert len(values) == 100
    assert statistics.pstdev(map(math.log, values)) == pytest.approx(0.05, rel=0.3)


def test_heat_reaches_its_final_value_after_some_time_constants() -> None:
    thermal = BOARD.thermal
    final = thermal.ambient + 10.0 * thermal.resistance
    one = thermal.advance(thermal.ambient, 10.0, thermal.time_constant)
    assert one == pytest.approx(thermal.ambient + 10.0 * thermal.resistance * (1 - math.exp(-1)))
    assert thermal.advance(one, 10.0, 1e6) == pytest.approx(final)


@pytest.mark.parametrize('name', BOARDS)
def test_every_parameter_has_a_source(name: str) -> None:
    path = share_folder() / f'config/platforms/{name}.yaml'

    def check(entry: object, name: str) -> None:
        if isinstance(entry, dict) and 'value' in entry:
            assert entry.get('source'), name
        elif isinstance(entry, dict) and 'source' not in entry:
            for key, value in entry.items():
                check(value, f'{name}.{key}')
        elif not isinstance(entry, dict):
            assert name in ('.name', '.processors'), f'{name} has no source'

    check(yaml.safe_load(path.read_text()), '')


@pytest.mark.parametrize(
    ('processor', 'frequencies', 'words'),
    [
        ('dla0', HIGHEST, "processor 'dla0'"),
        ('gpu', {'cpu': 1e9, 'gpu': 1e9}, "domain 'memory'"),
        ('gpu', {**HIGHEST, 'gpu': 0.0}, "domain 'gpu'"),
        ('gpu', {**HIGHEST, 'gpu': math.nan}, "domain 'gpu'"),
    ],
)
def test_refuses_what_it_cannot_compute(
    processor: str, frequencies: dict[str, float], words: str
) -> None:
    with pytest.raises(PlatformError, match=words):
        BOARD.latency(MOTIVATION, processor, frequencies)


def test_unknown_board_and_mode_are_refused() -> None:
    with pytest.raises(PlatformError, match='xavier_nx_simulated'):
        load_board('toaster_simulated')
    with pytest.raises(PlatformError, match='20W_6CORE'):
        load_board(PLATFORM, '500W')


def test_damaged_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / 'bad.yaml').write_text('name: [')
    with pytest.raises(PlatformError, match='cannot be read'):
        load_board('bad_simulated', folder=tmp_path)
    (tmp_path / 'bad.yaml').write_text('name: a\nname: b\n')
    with pytest.raises(PlatformError, match="'name' is given twice, in line 1 and in line 2"):
        load_board('bad_simulated', folder=tmp_path)
    (tmp_path / 'bad.yaml').write_bytes(b'name: \xff\n')
    with pytest.raises(PlatformError, match='cannot be read'):
        load_board('bad_simulated', folder=tmp_path)
    with pytest.raises(PlatformError, match='KeyError'):
        BoardModel({'name': 'half'}, 'half.yaml')


def test_frequencies_that_no_board_has_leave_nothing_behind() -> None:
    """A load of somebody may say any."""
    cost = NetworkCost(multiply_adds=269_000_000, layers=61, parameters=6_200_000)
    table = {name: domain.frequencies[-1] for name, domain in BOARD.domains.items()}

    def compute(number: int) -> None:
        clocks = {**table, 'gpu': 5e8 + number}
        BOARD.parts(cost, 'gpu', clocks)
        BOARD.power(clocks, dict.fromkeys(clocks, 0.5))

    assert growth(compute, 50, 200) < 20
