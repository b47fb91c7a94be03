# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Stages of sub-networks, as a manifest holds them."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from dynamic_dnn_ros.bundles.errors import BundleError
from dynamic_dnn_ros.bundles.manifest import Manifest, SubNetwork
from dynamic_dnn_ros.bundles.stages import Stage, flow, largest_path, leaving, routes, work_of
from dynamic_dnn_ros.pictures.placement import Size


def entry(identifier: str, **changes: Any) -> dict[str, Any]:
    return {
        'id': identifier,
        'configuration': {'depth': [2]},
        'height': 32,
        'width': 32,
        'accuracy': 0.8,
        'multiply_adds': 1000,
        'parameters': 100,
        'layers': 10,
        **changes,
    }


FIRST = {
    'name': 'first',
    'sub_network': 's0',
    'exit': {'threshold': 0.9},
    'work': 0.2,
    'taken': 0.7,
}
LAST = {'name': 'last', 'sub_network': 's1', 'work': 1, 'taken': 0.3}


def mapping(*stages: dict[str, Any], others: tuple[dict[str, Any], ...] = ()) -> dict[str, Any]:
    """Return a manifest of ``s0``, ``s1``, ``c0`` that has the stages, and others."""
    cascade = entry('c0', configuration={}, stages=list(stages))
    return copy.deepcopy(
        {
            'format_version': 2,
            'name': 'tiny',
            'task': {'name': 'classification'},
            'labels': ['cat', 'dog'],
            'preprocessing': {
                'resize': 'stretch',
                'mean': [0.5, 0.5, 0.5],
                'standard_deviation': [0.2, 0.2, 0.2],
            },
            'source': {
                'kind': 'super_network',
                'family': 'some_family',
                'layout': {'classes': 2},
                'weights': 'weights.safetensors',
            },
            'sub_networks': [entry('s0'), entry('s1'), cascade, *others],
            'profiles': [],
            'files': {'weights.safetensors': 'a' * 64},
        }
    )


def read(*stages: dict[str, Any], others: tuple[dict[str, Any], ...] = ()) -> Manifest:
    return Manifest.from_mapping(mapping(*stages, others=others), 'here')


def part(name: str, **changes: Any) -> dict[str, Any]:
    """Return a stage that is a part of the family's network."""
    return {'name': name, 'work': 1.0, 'taken': 0.0, **changes}


def test_a_cascade_reads_back() -> None:
    manifest = read(FIRST, LAST)
    cascade = manifest.sub_network('c0')
    assert cascade.stages == (
        Stage('first', 's0', 0.9, 0.2, 0.7),
        Stage('last', 's1', None, 1.0, 0.3),
    )
    assert cascade.is_cascade and cascade.mean_work == pytest.approx(0.7 * 0.2 + 0.3)
    assert [each.id for each in manifest.own_sub_networks] == ['s0', 's1']
    written = json.loads(json.dumps(manifest.to_mapping()))
    assert Manifest.from_mapping(written, 'here') == manifest


def test_parts_of_a_network_read_back() -> None:
    exits = part('early', exit={'threshold': 0.0}, work=0.4, taken=0.5)
    manifest = read(part('stem', work=0.1), exits, part('rest', taken=0.5))
    staged = manifest.sub_network('c0')
    assert not staged.is_cascade and staged in manifest.own_sub_networks
    assert [stage.threshold for stage in staged.stages] == [None, 0.0, None]
    assert Manifest.from_mapping(manifest.to_mapping(), 'here') == manifest


def test_one_piece_is_written_as_it_always_was() -> None:
    manifest = read()
    plain = manifest.sub_network('c0')
    assert plain.stages == () and plain.mean_work == 1.0 and not plain.is_cascade
    assert all('stages' not in each for each in manifest.to_mapping()['sub_networks'])
    assert manifest == read(others=())


@pytest.mark.parametrize(
    ('stages', 'said'),
    [
        (({**FIRST, 'exit': {'threshold': 1.5}}, LAST), r'stages\.0\.exit\.threshold: 1\.5 .*1'),
        (({**FIRST, 'exit': {'threshold': -0.1}}, LAST), r'exit\.threshold: -0\.1 .*minimum of 0'),
        (({**FIRST, 'exit': {}}, LAST), r'exit: lacks threshold'),
        (({**FIRST, 'work': 0}, LAST), r'stages\.0\.work'),
        (({**FIRST, 'taken': 2}, LAST), r'stages\.0\.taken'),
        (({**FIRST, 'door': 1}, LAST), 'unknown field door: allowed are name, sub_network, exit'),
        (({**FIRST, 'name': 'First one'}, LAST), 'allowed is 1 to 32 small letters'),
        ((LAST,), "'c0' has the one stage 'last'.*one piece has none"),
        (({**FIRST, 'name': 'last'}, LAST), "two stages 'last'"),
        (({**FIRST, 'sub_network': 's7'}, LAST), "'first' of sub-network 's7'.*It has: s0, s1"),
        (({**FIRST, 'sub_network': 's1'}, LAST), "names sub-network 's1' in two stages"),
        (({**FIRST, 'sub_network': 'c0'}, LAST), 'form a loop, c0 -> c0, which'),
        (
            (part('first', exit={'threshold': 0.9}, work=0.2, taken=0.7), LAST),
            "a sub-network for 1 of 2 stages, not for 'first'",
        ),
        ((FIRST, {**LAST, 'exit': {'threshold': 0.5}}), "threshold after its last stage 'last'"),
        (
            ({k: v for k, v in FIRST.items() if k != 'exit'}, LAST),
            "no exit after stage 'first', though that is a whole sub-network",
        ),
        ((part('stem', taken=0.7), part('rest', taken=0.3)), "0.7 of all .* 'stem', which has no"),
        (
            (FIRST, {**FIRST, 'name': 'b', 'sub_network': 's1', 'work': 0.1}, {**LAST, 'work': 1}),
            r"works that fall, 0\.1 after 0\.2 at stage 'b'",
        ),
        ((FIRST, {**LAST, 'work': 0.9}), r'the work 0\.9 after its last stage'),
        ((FIRST, {**LAST, 'taken': 0.2}), r'0\.9 of all pictures .* sum to 1'),
    ],
)
def test_refuses_stages_that_cannot_be(stages: tuple[dict[str, Any], ...], said: str) -> None:
    with pytest.raises(BundleError, match=said):
        read(*stages)


def gated(*names: str, **changes: Any) -> dict[str, Any]:
    """Return a first stage whose gate chooses of others."""
    return part('stem', gate={'next': list(names)}, work=0.1, **changes)


NARROW = part('narrow', work=0.4, taken=0.7, last=True)
WIDE = part('wide', taken=0.3)


def test_a_gate_reads_back_and_says_what_runs_next() -> None:
    manifest = read(gated('narrow', 'wide'), NARROW, WIDE)
    stages = manifest.sub_network('c0').stages
    assert Manifest.from_mapping(manifest.to_mapping(), 'here') == manifest
    assert manifest.sub_network('c0').mean_work == pytest.approx(0.7 * 0.4 + 0.3)
    assert routes(stages) == ((1, 2), (), ()) and largest_path(stages) == (0, 2)
    assert [stage.name for stage in leaving(stages)] == ['narrow', 'wide']
    found = flow(stages)
    assert found.reached == pytest.approx((1.0, 0.7, 0.3))
    assert found.onward == ({1: pytest.approx(0.7), 2: pytest.approx(0.3)}, {}, {})
    assert found.parts == pytest.approx((0.1, 0.3, 0.9))


def test_branches_that_meet_again() -> None:
    costs = [0.2, 0.5, 0.3]
    block = part('block', work=0.7, then='head', cost=costs[1])
    head = part('head', work=0.75, taken=1.0, cost=costs[2])
    stages = read(gated('head', 'block', cost=costs[0]), block, head).sub_network('c0').stages
    assert routes(stages) == ((2, 1), (2,), ()) and largest_path(stages) == (0, 1, 2)
    assert [stage.name for stage in leaving(stages)] == ['head']
    assert work_of(stages, (0, 2)) == pytest.approx(0.5)
    assert work_of(stages, (0, 1, 2)) == pytest.approx(1.0)
    assert flow(stages).reached == pytest.approx((1.0, 0.5, 1.0))
    assert flow(stages).parts == pytest.approx(costs)


@pytest.mark.parametrize(
    ('stages', 'said'),
    [
        (
            (gated('narrow', 'broad'), NARROW, WIDE),
            "a gate after stage 'stem' that chooses the stage 'broad', which is not there. It has",
        ),
        ((gated('stem', 'wide'), NARROW, WIDE), "form a loop: after 'stem' runs 'stem', which is"),
        (
            (gated('narrow', 'wide'), {**NARROW, 'last': False, 'then': 'stem'}, WIDE),
            "form a loop: after 'narrow' runs 'stem', which is not later",
        ),
        ((gated('wide', 'wide'), NARROW, WIDE), "after stage 'stem' that names 'wide' twice"),
        ((gated('narrow'), NARROW, WIDE), "stage 'wide', to which no other one leads"),
        (
            (gated('narrow', 'wide', exit={'threshold': 0.5}), NARROW, WIDE),
            "a gate and an exit after stage 'stem': a gate alone says what runs next",
        ),
        (
            (gated('narrow', 'wide', then='wide'), NARROW, WIDE),
            'a gate and a field "then" after stage \'stem\'',
        ),
        ((gated('narrow', 'wide', last=True), NARROW, WIDE), "a gate after stage 'stem', whose"),
        (
            (gated('narrow', 'wide', taken=0.1), {**NARROW, 'taken': 0.6}, WIDE),
            "0.1 of all .* 'stem', which has no exit",
        ),
        (
            (gated('narrow', 'wide'), {**NARROW, 'work': 0.05}, WIDE),
            r"works that fall, 0\.05 after 0\.1 at stage 'narrow'",
        ),
        (
            (gated('narrow', 'wide'), NARROW, {**WIDE, 'work': 0.9}),
            r"the work 0\.9 after its last stage 'wide'",
        ),
        (
            (gated('narrow', 'wide', sub_network='s0'), NARROW, WIDE),
            "a gate after stage 'stem', which is a whole sub-network",
        ),
        (
            (gated('narrow', 'wide', cost=0.1), NARROW, WIDE),
            "a cost for some stages, not for 'narrow'",
        ),
        (
            (gated('narrow', 'wide', cost=0.1), {**NARROW, 'cost': 0.3}, {**WIDE, 'cost': 0.5}),
            'costs that are 0.6 along the largest path',
        ),
    ],
)
def test_refuses_gates_that_cannot_be(stages: tuple[dict[str, Any], ...], said: str) -> None:
    with pytest.raises(BundleError, match=said):
        read(*stages)


def test_refuses_stages_that_have_stages() -> None:
    other = entry('c1', configuration={}, stages=[FIRST, {**LAST, 'sub_network': 'c0'}])
    with pytest.raises(BundleError, match="'c1' has stages that name 'c0', which has stages"):
        read(FIRST, LAST, others=(other,))
    with pytest.raises(BundleError, match='form a loop, c0 -> c1 -> c0, which has stages itself'):
        read(FIRST, {**LAST, 'sub_network': 'c1'}, others=(other,))


def test_refuses_a_stage_of_another_size() -> None:
    small = entry('small', height=16, width=24)
    with pytest.raises(BundleError, match="of 32x32, and its stage 'last', .*'small', of 24x16"):
        read(FIRST, {**LAST, 'sub_network': 'small'}, others=(small,))


def test_separate_models_have_cascades_and_no_parts() -> None:
    manifest = mapping(FIRST, LAST)
    manifest['source'] = {'kind': 'separate_models', 'models': {'m': 'm.onnx'}}
    manifest['files'] = {'m.onnx': 'a' * 64}
    for each in manifest['sub_networks'][:2]:
        each['configuration'] = {'model': 'm'}
    assert Manifest.from_mapping(manifest, 'here').sub_network('c0').is_cascade
    staged = manifest['sub_networks'][2]
    stages = [part('stem', work=0.5), part('rest', taken=1)]
    staged.update(configuration={'model': 'm'}, stages=stages)
    with pytest.raises(BundleError, match='separate models have none: let each stage name'):
        Manifest.from_mapping(manifest, 'here')


def test_rounded_shares_are_shares() -> None:
    third = {**FIRST, 'taken': 0.333}
    manifest = read(third, {**LAST, 'taken': 0.667})
    assert manifest.sub_network('c0').stages[0].taken == 0.333


def test_one_piece_by_default() -> None:
    plain = SubNetwork('s0', {}, Size(32, 32), 0.5, 1, 1, 1)
    assert plain.stages == () and 'stages' not in plain.to_mapping()
