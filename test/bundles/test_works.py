# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What stages of cascades cost on a platform."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dynamic_dnn_ros.bundles.manifest import Manifest, SubNetwork, SuperNetwork
from dynamic_dnn_ros.bundles.stages import Stage
from dynamic_dnn_ros.bundles.works import shares_on, with_works, works_on
from dynamic_dnn_ros.pictures.input import Preprocessing, Resize
from dynamic_dnn_ros.pictures.placement import Size
from support.applications import operating_points

POINTS = {'s0': (0.01, 0.5), 's1': (0.03, 0.6), 'c0': (0.04, 0.7)}


CASCADE = (Stage('first', 's0', 0.9, 0.2, 0.7), Stage('last', 's1', None, 1.0, 0.3))
PARTS = (Stage('stem', '', None, 0.5, 0.0), Stage('rest', '', None, 1.0, 1.0))


def manifest(stages: tuple[Stage, ...] = CASCADE) -> Manifest:
    plain = [SubNetwork(name, {}, Size(32, 32), 0.5, 1, 1, 1) for name in ('s0', 's1')]
    staged = SubNetwork('c0', {}, Size(32, 32), 0.6, 1, 1, 1, stages=stages)
    return Manifest(
        'tiny',
        SuperNetwork('some', {}),
        ('cat', 'dog'),
        Preprocessing(Resize.STRETCH, (0.5, 0.5, 0.5), (0.2, 0.2, 0.2)),
        (*plain, staged),
    )


def test_works_are_those_of_the_profile() -> None:
    works = works_on(operating_points((), POINTS, 'cpu'), manifest())
    assert works == {'c0': pytest.approx((0.25, 1.0))}
    adapted = with_works(manifest().sub_network('c0'), works, {})
    assert [stage.work for stage in adapted.stages] == pytest.approx([0.25, 1.0])
    assert [stage.taken for stage in adapted.stages] == [0.7, 0.3]
    assert with_works(manifest().sub_network('s0'), works, {}) == manifest().sub_network('s0')


def test_works_stay_where_no_profile_knows_all_stages() -> None:
    assert works_on(None, manifest()) == {}
    partly = {name: POINTS[name] for name in ('s1', 'c0')}
    assert works_on(operating_points((), partly, 'cpu'), manifest()) == {}
    assert works_on(operating_points((), POINTS, 'cpu'), manifest(PARTS)) == {}


@pytest.mark.parametrize('stages', [CASCADE, PARTS])
def test_paths_that_were_measured_count_before_all_else(stages: tuple[Stage, ...]) -> None:
    measured = replace(
        operating_points((), POINTS, 'cpu'), works={'c0': (0.4, 1.0)}, taken={'c0': (0.9, 0.1)}
    )
    works, taken = works_on(measured, manifest(stages)), shares_on(measured, manifest(stages))
    assert (works, taken) == ({'c0': (0.4, 1.0)}, {'c0': (0.9, 0.1)})
    adapted = with_works(manifest(stages).sub_network('c0'), works, taken)
    assert [(stage.work, stage.taken) for stage in adapted.stages] == [(0.4, 0.9), (1.0, 0.1)]


def test_paths_of_other_stages_are_passed_over() -> None:
    measured = replace(
        operating_points((), POINTS, 'cpu'),
        works={'c0': (0.2, 0.4, 1.0), 's0': (1.0,)},
        taken={'c0': (0.8, 0.1, 0.1), 's0': (1.0,)},
    )
    assert works_on(measured, manifest(PARTS)) == shares_on(measured, manifest(PARTS)) == {}
