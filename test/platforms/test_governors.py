# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Governors of a simulated domain against the kernel's formulas and a table made from them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st
import pytest

from dynamic_dnn_ros.platforms.governors import (
    Governor,
    NvhostPodgov,
    Schedutil,
    SimpleOndemand,
    Userspace,
    make_governor,
)
from support.governor_reference import (
    CPU,
    GPU,
    NAMES,
    RAMP,
    ROWS,
    Row,
    difference,
    latency_difference,
    make,
    position,
    table_of,
)
from support.periodic_job import settle

LOADED = ('nvhost_podgov', 'schedutil', 'simple_ondemand')
"""Those that look at the load."""


def run(
    governor: Governor, table: Sequence[float], demand: float, seconds: float, current: float
) -> list[float]:
    """Return the choices under work of so many Hz, spread evenly; saturated beyond the clock."""
    chosen = []
    for _ in range(round(seconds / governor.period)):
        current = governor.step(current, min(1.0, demand / current), table)
        chosen.append(current)
    return chosen


# --- the table ---


@pytest.mark.parametrize('row', ROWS, ids=str)
def test_table_in_the_steps_of_the_reference(row: Row) -> None:
    """Frequency and mean latency to one step of the table, in every row."""
    found = settle(row.make(), row.table, row.work, grid=row.grid)
    assert abs(difference(found.frequency, row.frequency, row.table)) <= 1.0
    assert abs(latency_difference(found.latency, row, row.latency)) <= 1.0


@pytest.mark.parametrize('row', [r for r in ROWS if r.governor == 'nvhost_podgov'], ids=str)
def test_podgov_settles_exactly_where_the_reference_does(row: Row) -> None:
    found = settle(row.make(), row.table, row.work, grid=row.grid)
    assert found.frequency == pytest.approx(row.frequency)
    assert found.latency == pytest.approx(row.latency, abs=1e-6)


@pytest.mark.parametrize('phase', [0.0, 0.002, 0.004, 0.006])
@pytest.mark.parametrize('row', ROWS, ids=str)
def test_table_in_exact_time(row: Row, phase: float) -> None:
    """
    Frames that end when their work is done, begun at other times between two choices.

    25 ms between choices and 33.3 between frames: after 8.3 ms the same begins again.
    """
    found = settle(row.make(), row.table, row.work, phase=phase)
    assert abs(difference(found.frequency, row.frequency, row.table)) <= 1.0
    assert abs(latency_difference(found.latency, row, row.latency)) <= 1.0


@pytest.mark.parametrize('row', ROWS, ids=str)
def test_longest_latency_in_exact_time(row: Row) -> None:
    """To one step of the table, or to the step of time to which the reference rounds."""
    found = settle(row.make(), row.table, row.work)
    late = abs(found.latency_maximum - row.latency_maximum)
    steps = abs(latency_difference(found.latency_maximum, row, row.latency_maximum))
    assert steps <= 1.0 or late <= row.grid


def test_ramp_of_podgov_under_a_saturated_gpu() -> None:
    chosen = run(NvhostPodgov(GPU[-1]), GPU, 2 * GPU[-1], 0.2, GPU[0])
    for time, frequency in RAMP.items():
        assert chosen[round(time / NvhostPodgov.period) - 1] == frequency


# --- schedutil ---


def test_schedutil_keeps_a_quarter_in_reserve() -> None:
    demand = 0.4 * CPU[-1]
    settled = run(Schedutil(CPU[-1]), CPU, demand, 2.0, CPU[0])[-1]
    assert settled == next(f for f in CPU if f >= 1.25 * demand)


def test_schedutil_average_halves_in_32_periods_of_the_scheduler() -> None:
    """After 32 x 1.024 ms of a busy core at the highest clock utilisation is a half."""
    governor = Schedutil(CPU[-1])
    governor.observe(32 * 0.001024, 1.0, CPU[-1])
    assert governor.choose(CPU[0], CPU) == next(f for f in CPU if f >= 1.25 * 0.5 * CPU[-1])


def test_schedutil_counts_work_not_time() -> None:
    """Half of the clock makes a busy core half as loaded (frequency invariance)."""
    slow, fast = Schedutil(CPU[-1]), Schedutil(CPU[-1])
    slow.observe(0.02, 1.0, CPU[-1] / 2)
    fast.observe(0.02, 0.5, CPU[-1])
    assert slow.choose(CPU[3], CPU) == fast.choose(CPU[3], CPU)


def test_schedutil_average_does_not_depend_on_how_time_is_cut() -> None:
    whole, cut = Schedutil(CPU[-1]), Schedutil(CPU[-1])
    whole.observe(0.030, 1.0, CPU[10])
    for _ in range(30):
        cut.observe(0.001, 1.0, CPU[10])
    assert whole.choose(CPU[0], CPU) == cut.choose(CPU[0], CPU)


def test_schedutil_changes_at_most_every_ten_milliseconds() -> None:
    governor, current, changes = Schedutil(CPU[-1]), CPU[0], []
    for step in range(3000):
        following = governor.step(current, float(step // 200 % 2 == 0), CPU)
        if following != current:
            changes.append(step * governor.period)
        current = following
    assert len(changes) > 30
    assert min(b - a for a, b in pairwise(changes)) >= 0.01 - 1e-9


def test_schedutil_obeys_new_limits_at_once() -> None:
    governor = Schedutil(CPU[-1])
    current = run(governor, CPU, 2 * CPU[-1], 1.0, CPU[0])[-1]
    assert governor.step(current, 1.0, CPU[:5]) == CPU[4]
    assert governor.step(CPU[4], 1.0, CPU) == CPU[-1]


@pytest.mark.parametrize(('shared', 'falls'), [(False, False), (True, True)])
def test_schedutil_of_one_core_holds_while_it_is_busy(shared: bool, falls: bool) -> None:
    """A low average, as after a pause, slows a core that is busy again only if it is shared."""
    governor = Schedutil(CPU[-1], shared)
    governor.observe(0.02, 1.0, CPU[-1])
    current = governor.choose(CPU[0], CPU)
    governor.observe(0.05, 0.0, current)
    assert governor.choose(CPU[-1], CPU) < CPU[-1]  # it idled: both may fall
    governor = Schedutil(CPU[-1], shared)
    governor.choose(CPU[0], CPU)
    governor.observe(0.011, 1.0, CPU[0])
    assert (governor.choose(CPU[-1], CPU) < CPU[-1]) is falls


@pytest.mark.parametrize('shared', [False, True])
@settings(max_examples=20, deadline=None)
@given(work=st.floats(0.0005, 0.04), phase=st.floats(0.0, 0.03))
def test_schedutil_knows_which_choices_change_nothing(
    shared: bool, work: float, phase: float
) -> None:
    """Left out, they change the frequency at no time, and there are many of them."""
    every, some = (
        settle(
            Schedutil(CPU[-1], shared),
            CPU,
            work,
            duration=2.0,
            warm_up=0.0,
            phase=phase,
            leave_out=leave_out,
        )
        for leave_out in (False, True)
    )
    assert some.seconds.keys() == every.seconds.keys()
    for frequency, seconds in every.seconds.items():
        assert some.seconds[frequency] == pytest.approx(seconds, abs=1e-6)
    assert some.choices < every.choices / 4


# --- nvhost_podgov, by hand from the formula ---


def test_podgov_boosts_a_saturated_gpu_by_a_third() -> None:
    governor = NvhostPodgov(GPU[-1])
    # 204 + 1109 // 3 = 573, undamped, to the next step
    assert governor.step(GPU[1], 1.0, GPU) == 599.25e6


def test_podgov_of_a_moderate_load() -> None:
    """
    First look at 1109.25 MHz, 60 % busy.

    cycles = (0 x 10 + 665550000) / 11 = 60504545; busyness = 54; boost = (54 - 700) x 80 x 1109 /
    70000 = -818; 1109 - 818 = 291; average = 291 / 11 = 26; (7 x 291 + 3 x 26) / 10 = 211.
    """
    assert NvhostPodgov(GPU[-1]).step(GPU[-1], 0.6, GPU) == 306e6


def test_podgov_above_900_of_1000_only_is_saturated() -> None:
    assert NvhostPodgov(GPU[-1]).step(GPU[4], 0.902, GPU) == 905.25e6
    assert NvhostPodgov(GPU[-1]).step(GPU[4], 0.9, GPU) < GPU[4]


def test_podgov_waits_50_milliseconds_after_a_change() -> None:
    chosen = run(NvhostPodgov(GPU[-1]), GPU, 2 * GPU[-1], 0.15, GPU[0])
    assert chosen == [510e6, 510e6, 905.25e6, 905.25e6, 1109.25e6, 1109.25e6]


def test_podgov_without_a_count_keeps_its_frequency() -> None:
    assert NvhostPodgov(GPU[-1]).choose(GPU[5], GPU) == GPU[5]


# --- simple_ondemand ---


@pytest.mark.parametrize(
    ('utilisation', 'megahertz'),
    [
        (0.91, 1109.25),
        (0.9, 510),  # not above: kept
        (0.86, 510),
        (0.85, 510),  # 510 x 85 / 88 = 492.6
        (0.7, 408),  # 405.7
        (0.5, 306),  # 289.8
        (0.0, 114.75),
    ],
)
def test_simple_ondemand_thresholds(utilisation: float, megahertz: float) -> None:
    assert SimpleOndemand().step(510e6, utilisation, GPU) == megahertz * 1e6


def test_simple_ondemand_sees_the_time_since_its_last_look() -> None:
    governor = SimpleOndemand()
    governor.observe(0.005, 1.0, 510e6)
    governor.observe(0.020, 0.0, 510e6)
    assert governor.choose(510e6, GPU) == 204e6  # 510 x 20 / 88 = 115.9
    assert governor.choose(510e6, GPU) == GPU[-1]  # no time has passed


# --- those that do not look ---


def test_performance_and_powersave_take_the_ends() -> None:
    assert make_governor('performance', GPU[-1]).step(GPU[0], 0.0, GPU) == GPU[-1]
    assert make_governor('powersave', GPU[-1]).step(GPU[-1], 1.0, GPU) == GPU[0]


def test_userspace_holds_what_was_set() -> None:
    governor = Userspace()
    assert governor.step(GPU[6], 1.0, GPU) == GPU[6]
    governor.set(500e6)
    for utilisation in (0.0, 1.0, 0.3):
        assert governor.step(GPU[6], utilisation, GPU) == 510e6
    assert governor.step(510e6, 1.0, GPU[:3]) == GPU[2]
    assert governor.step(GPU[2], 1.0, GPU) == 510e6


@pytest.mark.parametrize('frequency', [0.0, -1.0, float('nan'), float('inf')])
def test_userspace_refuses_what_is_no_frequency(frequency: float) -> None:
    with pytest.raises(ValueError, match='give Hz'):
        Userspace().set(frequency)


# --- all of them ---


@settings(max_examples=60, deadline=None)
@given(
    name=st.sampled_from(NAMES),
    looks=st.lists(
        st.tuples(st.floats(0.0, 0.06), st.floats(0.0, 1.0), st.integers(0, 9), st.integers(1, 9)),
        max_size=60,
    ),
)
def test_never_outside_the_table(name: str, looks: list[tuple[float, float, int, int]]) -> None:
    """Whatever was seen, for however long, with limits that change from look to look."""
    governor, table = make(name), table_of(name)
    current = table[0]
    for duration, utilisation, first, count in looks:
        allowed = table[first : first + count]
        governor.observe(duration, utilisation, current)
        current = governor.choose(current, allowed)
        assert current in allowed
        assert governor.unchanged_for(current, round(utilisation), allowed) >= 0.0


@pytest.mark.parametrize('name', LOADED)
@settings(max_examples=25, deadline=None)
@given(demands=st.tuples(st.floats(0.0, 1.2), st.floats(0.0, 1.2)))
def test_more_work_does_not_settle_lower(name: str, demands: tuple[float, float]) -> None:
    """Means over two seconds of work spread evenly; to a step, about which they may swing."""
    table = table_of(name)
    low, high = (
        run(make(name), table, share * table[-1], 4.0, table[0]) for share in sorted(demands)
    )
    means = [sum(seen[len(seen) // 2 :]) / (len(seen) - len(seen) // 2) for seen in (low, high)]
    assert position(means[1], table) >= position(means[0], table) - 1.0


@pytest.mark.parametrize('name', ['schedutil', 'simple_ondemand'])
@settings(max_examples=50, deadline=None)
@given(index=st.integers(0, 14), loads=st.tuples(st.floats(0.0, 1.0), st.floats(0.0, 1.0)))
def test_one_look_is_monotone_in_load(name: str, index: int, loads: tuple[float, float]) -> None:
    table = table_of(name)
    low, high = (make(name).step(table[index], load, table) for load in sorted(loads))
    assert low <= high


@pytest.mark.parametrize('name', LOADED)
@pytest.mark.parametrize('start', [0, 7, -1])
def test_idle_goes_to_the_lowest(name: str, start: int) -> None:
    table = table_of(name)
    governor = make(name)
    current = run(governor, table, 2 * table[-1], 1.0, table[start])[-1]
    assert run(governor, table, 0.0, 3.0, current)[-1] == table[0]


@pytest.mark.parametrize('name', LOADED)
@pytest.mark.parametrize('start', [0, 7, -1])
def test_saturated_goes_to_the_highest(name: str, start: int) -> None:
    table = table_of(name)
    governor = make(name)
    current = run(governor, table, 0.0, 1.0, table[start])[-1]
    assert run(governor, table, 2 * table[-1], 1.0, current)[-1] == table[-1]


@pytest.mark.parametrize('name', NAMES)
def test_the_same_input_gives_the_same_choices(name: str) -> None:
    table = table_of(name)
    runs = [run(make(name), table, 0.37 * table[-1], 2.0, table[0]) for _ in range(2)]
    assert runs[0] == runs[1]


def test_unknown_name_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(ValueError, match=r"'ondemand'.*simple_ondemand"):
        make_governor('ondemand', GPU[-1])
