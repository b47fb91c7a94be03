# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from dynamic_dnn_ros.networks.slimmable.axes import (
    dimension,
    factors_of,
    keep,
    regrouped,
    size_of,
    unite,
)


def sizes(factors):
    return [factor.size for factor in factors_of(factors)]


def test_united_dimensions_are_one_from_then_on():
    one, two, three = dimension(12), dimension(12), dimension(12)
    unite(one, two, 'unlike')
    unite(three, two, 'unlike')
    assert factors_of(one) == factors_of(two) == factors_of(three)
    keep(three, 'why')
    assert factors_of(one)[0].kept == 'why'


def test_a_dimension_takes_the_structure_of_what_it_is_united_with():
    heads = regrouped(dimension(24), [3, 2, 4], 'unlike')
    rows = dimension(24)
    unite(rows, [each for part in heads for each in part], 'unlike')
    assert sizes(rows) == [3, 2, 4]
    other = dimension(24)
    unite(other, rows, 'unlike')
    assert factors_of(other) == factors_of(rows)


def test_what_was_kept_stays_kept_in_all_its_parts():
    rows = dimension(24, 'classes')
    unite(rows, [*dimension(3), *dimension(8)], 'unlike')
    assert [factor.kept for factor in factors_of(rows)] == ['classes', 'classes']


def test_dimensions_of_unlike_structure_are_kept_for_the_reason_given():
    one = [*dimension(4), *dimension(6)]
    two = [*dimension(6), *dimension(4)]
    unite(one, two, 'unlike')
    assert {factor.kept for factor in factors_of([*one, *two])} == {'unlike'}


def test_channels_and_places_become_one_dimension_and_two_again():
    channels, height, width = dimension(16), dimension(7), dimension(7)
    (flat,) = regrouped([*channels, *height, *width], [784], 'unlike')
    assert sizes(flat) == [16, 7, 7]
    again = regrouped(flat, [16, 1, 49], 'unlike')
    assert factors_of(again[0]) == factors_of(channels)
    assert again[1] == [] and size_of(factors_of(again[2])) == 49


def test_a_border_inside_of_a_factor_keeps_all():
    channels = dimension(9)
    parts = regrouped([*channels, *dimension(4)], [6, 6], 'mixed')
    assert [sizes(each) for each in parts] == [[6], [6]]
    assert {factor.kept for factor in factors_of(channels)} == {'mixed'}
