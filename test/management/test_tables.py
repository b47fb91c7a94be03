# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Operating points laid out for a search."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dynamic_dnn_ros.management.difficulty import DOUBT
from dynamic_dnn_ros.management.estimator import profiled_quantile
from dynamic_dnn_ros.management.paths import Paths
from dynamic_dnn_ros.management.tables import MOST_NEAREST, along_paths, application_table, join
from support.applications import GPU, STAGES, SUB_NETWORKS, application, operating_points


def test_lays_out_every_point() -> None:
    points = operating_points()
    table = application_table(application(operating_points=points))
    assert table.options == tuple((name, 'gpu') for name in SUB_NETWORKS)
    assert table.mean.shape == (len(SUB_NETWORKS), len(GPU))
    for i in range(len(points)):
        row = table.nearest_row({'gpu': float(points.frequencies[i, 0])})
        assert table.mean[points.sub_network[i], row] == points.latency_mean[i]
        assert table.energy[points.sub_network[i], row] == points.energy[i]
    assert table.accuracy.tolist() == [accuracy for _, accuracy in SUB_NETWORKS.values()]
    assert (table.dynamic_power == table.power - table.idle_power).all()
    assert (table.added == table.dynamic_power).all()
    assert (table.idle == table.idle_power.max(axis=0)).all()
    assert table.hertz[:, 0].tolist() == sorted(GPU)
    without = application_table(application(operating_points=operating_points(power=False)))
    assert without.dynamic_power.max() == 1.0
    assert np.isnan(without.added).all()
    assert np.isnan(without.idle).all()


def test_a_missing_point_is_not_a_number() -> None:
    points = operating_points()
    keep = np.arange(len(points)) != 3
    columns = ('sub_network', 'processor', 'frequencies', 'latency_mean', 'latency_p50')
    columns += ('latency_p95', 'latency_p99', 'power', 'idle_power', 'energy', 'interpolated')
    less = replace(points, **{name: getattr(points, name)[keep] for name in columns})
    table = application_table(application(operating_points=less))
    assert np.isnan(table.mean).sum() == 1


def test_where_nothing_has_stages_the_profile_is_taken_as_it_is() -> None:
    table = application_table(application())
    assert along_paths(table, {}, 0.95, 3.0) is table


@pytest.mark.parametrize(
    ('difficulty', 'quantile', 'tail'),
    # 90 % leave early at calibration; the scene may be harder than thought by DOUBT.
    [(1.0, 0.95, 1.0), (0.2, 0.95, 0.3), (0.2, 0.99, 1.0), (1.0, 0.8, 0.3)],
)
def test_of_stages_the_mean_picture_counts_and_the_one_at_the_quantile(
    difficulty: float, quantile: float, tail: float
) -> None:
    whole = application_table(application())
    paths = Paths(STAGES)
    table = along_paths(whole, {'s3': paths}, quantile, difficulty)
    mean = paths.mean_work(difficulty)
    assert table.mean[3] == pytest.approx(whole.mean[3] * mean)
    assert table.energy[3] == pytest.approx(whole.energy[3] * mean)
    assert table.p50[3] == pytest.approx(whole.p50[3] * tail)
    of_path = paths.quantile_of_path(quantile, difficulty * DOUBT)
    found, alone = (
        profiled_quantile(asked, each.p50[3], each.p95[3], each.p99[3])
        for asked, each in ((quantile, table), (of_path, whole))
    )
    assert found == pytest.approx(alone * tail)
    assert (table.power == whole.power).all(), 'while it runs it takes what it takes'
    assert (table.figures[:, :3] == whole.figures[:, :3]).all(), 'the others are of one piece'
    assert (paths.left[0] ** (difficulty * DOUBT) >= quantile) == (tail < 1.0)


@pytest.mark.parametrize('difficulty', [0.1, 0.3, 1.0, 5.0])
@pytest.mark.parametrize('quantile', [0.9, 0.95, 0.99])
def test_the_quantile_is_that_of_all_pictures(difficulty: float, quantile: float) -> None:
    """Where half of them take the long path, one in ten of these may be late, not one in 20."""
    whole, paths = application_table(application()), Paths(STAGES)
    table = along_paths(whole, {'s3': paths}, quantile, difficulty)
    mean, spread = whole.p50[3, 0], (whole.p95[3, 0] - whole.p50[3, 0]) / 1.6449
    random = np.random.default_rng(1)
    shares = paths.shares(difficulty * DOUBT)
    drawn = random.choice(paths.works, 200_000, p=shares)
    drawn = drawn * (mean + spread * random.standard_normal(len(drawn)))
    figures = (each[3, 0] for each in (table.p50, table.p95, table.p99))
    found = float(profiled_quantile(quantile, *(np.array([each]) for each in figures))[0])
    if paths.quantile_of_path(quantile, difficulty * DOUBT) >= 0.5:
        assert np.mean(drawn <= found) == pytest.approx(quantile, abs=0.005)
    else:  # below its median a profile says nothing
        assert np.mean(drawn <= found) > quantile


def test_every_path_takes_the_preprocessing() -> None:
    whole = application_table(application())
    paths = Paths(STAGES)
    table = along_paths(whole, {'s3': paths}, 0.8, 0.2, preprocessing=0.005)
    mean = paths.mean_work(0.2)
    assert table.mean[3] == pytest.approx(0.005 + (whole.mean[3] - 0.005) * mean)
    longer = along_paths(whole, {'s3': paths}, 0.8, 0.2, preprocessing=10.0)
    assert longer.mean == pytest.approx(whole.mean), 'a path is never longer than the largest'


def test_finds_the_nearest_row() -> None:
    table = application_table(application())
    assert table.rows[table.nearest_row({'gpu': 500e6})][0] == 510000
    assert table.rows[table.nearest_row({})][0] == 1109250
    assert table.rows[table.nearest_row({'gpu': float('nan')})][0] == 1109250


def test_the_nearest_row_is_the_same_however_often_it_is_asked_for() -> None:
    table = application_table(application())
    asked = [300e6 + 1e3 * step for step in range(2 * MOST_NEAREST)]
    first = [table.nearest_row({'gpu': hertz}) for hertz in asked]
    again = [table.nearest_row({'gpu': hertz}) for hertz in asked]
    assert first == again
    distances = np.abs(np.log(table.rows[:, 0] * 1e3 / np.array(asked)[:, None]))
    assert first == distances.argmin(axis=1).tolist()


def test_finds_options_by_name() -> None:
    table = application_table(application())
    assert table.option('s2', 'gpu') == 2
    assert table.option('s2', 'cpu') is None
    assert table.option('s9', 'gpu') is None


def test_without_domains_there_is_one_row() -> None:
    table = application_table(application(operating_points=operating_points(())))
    assert table.rows.shape == (1, 0)
    assert table.nearest_row({'gpu': 1e9}) == 0
    joint = join([table])
    assert joint.settings.shape == (1, 0)
    assert joint.frequencies(0) == {}


def test_joins_on_shared_settings() -> None:
    one = application_table(application('/a'))
    other = application_table(application('/b', operating_points=operating_points(GPU[1:])))
    joint = join([one, other])
    assert joint.domains == ('gpu',)
    assert len(joint.settings) == len(GPU) - 1
    for setting in range(len(joint.settings)):
        frequency = joint.frequencies(setting)['gpu']
        for table, row in zip((one, other), joint.row):
            assert table.rows[row[setting], 0] * 1e3 == pytest.approx(frequency)
    assert joint.unjoined == ()


def test_joins_different_domains_freely() -> None:
    one = application_table(application('/a'))
    points = operating_points((1e9, 2e9), domain='cpu')
    joint = join([one, application_table(application('/b', operating_points=points))])
    assert joint.domains == ('gpu', 'cpu')
    assert len(joint.settings) == 2 * len(GPU)
    assert [codes.tolist() for codes in joint.processors] == [[1] * 4, [0] * 4]


def test_a_profile_that_shares_no_setting_is_named() -> None:
    one = application_table(application('/a'))
    other = application_table(application('/b', operating_points=operating_points((1e9, 9e8))))
    joint = join([one, other])
    assert joint.unjoined == ('/b',)
    assert len(joint.settings) == len(GPU)
    assert set(joint.row[1].tolist()) == {other.nearest_row({})}
