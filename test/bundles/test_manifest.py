# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import copy
from typing import Any

import pytest

from dynamic_dnn_ros.bundles.errors import BundleError
from dynamic_dnn_ros.bundles.manifest import Manifest

SUB_NETWORK = {
    'id': 's0',
    'configuration': {'depth': [2]},
    'resolution': 32,
    'accuracy': 0.8,
    'multiply_adds': 1000,
    'parameters': 100,
    'layers': 10,
}
MAPPING: dict[str, Any] = {
    'format_version': 1,
    'name': 'tiny',
    'family': 'some_family',
    'layout': {'classes': 2},
    'classes': ['cat', 'dog'],
    'preprocessing': {
        'resize': 'stretch',
        'mean': [0.5, 0.5, 0.5],
        'standard_deviation': [0.2, 0.2, 0.2],
    },
    'sub_networks': [SUB_NETWORK],
    'weights': 'weights.safetensors',
    'profiles': [],
    'files': {'weights.safetensors': 'a' * 64},
}


def changed(path: str, value: object) -> dict[str, Any]:
    mapping = copy.deepcopy(MAPPING)
    *parents, last = path.split('.')
    target: Any = mapping
    for part in parents:
        target = target[int(part)] if isinstance(target, list) else target[part]
    target[last] = value
    return mapping


def test_reads_back_what_it_writes() -> None:
    manifest = Manifest.from_mapping(MAPPING, 'here')
    assert Manifest.from_mapping(manifest.to_mapping(), 'here') == manifest
    assert manifest.sub_network('s0').resolution == 32


@pytest.mark.parametrize(
    ('path', 'value', 'named'),
    [
        ('format_version', 2, 'format version 2'),
        ('classes', ['cat'], 'classes'),
        ('classes', ['cat', 'cat'], 'classes'),
        ('sub_networks', [], 'sub_networks'),
        ('sub_networks.0.accuracy', 1.5, 'accuracy'),
        ('sub_networks.0.resolution', 0, 'resolution'),
        ('sub_networks.0.id', 'S 0', 'id'),
        ('sub_networks', [SUB_NETWORK, SUB_NETWORK], "two sub-networks 's0'"),
        ('preprocessing.resize', 'squeeze', 'squeeze'),
        ('preprocessing.interpolation', 'guess', 'guess'),
        ('preprocessing.standard_deviation', [0.2, 0.0, 0.2], 'standard_deviation'),
        ('preprocessing.mean', [0.5], 'mean'),
        ('weights', 'other.safetensors', "no SHA-256 for 'other.safetensors'"),
        ('files', {'weights.safetensors': 'short'}, 'files'),
        ('name', 'tiny\n', 'name'),
        ('sub_networks.0.id', 's0\n', 'id'),
        ('sub_networks.0.parameters', 1e300, 'parameters'),
    ],
)
def test_refuses_a_broken_field_by_name(path: str, value: object, named: str) -> None:
    with pytest.raises(BundleError, match=named):
        Manifest.from_mapping(changed(path, value), 'here')


@pytest.mark.parametrize(
    ('path', 'value', 'allowed'),
    [
        ('name', 'Big Name', 'name: is .*: allowed is small letters, digits and underscores'),
        ('classes', ['cat'], 'classes: has 1 entries: allowed is at least 2'),
        ('sub_networks.0.colour', 'red', 'unknown field colour: allowed are id, configuration'),
        ('family', '', 'family: is empty'),
        ('sub_networks.0.resolution', 9999, r'sub_networks\.0\.resolution: .*maximum of 4096'),
        ('preprocessing', {'mean': [0.5] * 3}, 'preprocessing: lacks resize, standard_deviation'),
    ],
)
def test_says_what_is_allowed(path: str, value: object, allowed: str) -> None:
    with pytest.raises(BundleError, match=allowed):
        Manifest.from_mapping(changed(path, value), 'here')


def test_names_several_errors_at_once() -> None:
    mapping = changed('name', 'Big Name')
    mapping['family'] = ''
    with pytest.raises(BundleError, match='name: is .*; family: is empty'):
        Manifest.from_mapping(mapping, 'here')


def test_whole_numbers_are_whole_however_they_are_written() -> None:
    mapping = changed('sub_networks.0.resolution', 32.0)
    mapping['sub_networks'][0]['accuracy'] = 1
    (entry,) = Manifest.from_mapping(mapping, 'here').sub_networks
    assert type(entry.resolution) is int and type(entry.accuracy) is float


@pytest.mark.parametrize(
    'name', ['/etc/passwd', '../weights', 'a/b', '..', '.hidden', 'a\\b', '', 'a\n']
)
def test_refuses_a_name_that_leaves_the_folder(name: str) -> None:
    mapping = changed('weights', name)
    mapping['files'] = {name: 'a' * 64}
    with pytest.raises(BundleError, match='not a plain name inside the bundle'):
        Manifest.from_mapping(mapping, 'here')


@pytest.mark.parametrize('mapping', [None, [], 'text', {}])
def test_refuses_what_is_no_manifest(mapping: object) -> None:
    with pytest.raises(BundleError):
        Manifest.from_mapping(mapping, 'here')


def test_names_the_sub_networks_it_has() -> None:
    with pytest.raises(BundleError, match=r"no sub-network 's7'.*It has: s0"):
        Manifest.from_mapping(MAPPING, 'here').sub_network('s7')
