# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Mapping
import copy
import math
from typing import Any

import pytest

from dynamic_dnn_ros.bundles.errors import BundleError
from dynamic_dnn_ros.bundles.manifest import (
    CLASSIFICATION,
    MOST_SUB_NETWORKS,
    AccuracySource,
    Manifest,
    SeparateModels,
    SuperNetwork,
    TaskChoice,
)
from dynamic_dnn_ros.pictures.input import Alignment, ChannelOrder, Interpolation, Resize
from dynamic_dnn_ros.pictures.placement import Size

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


MODELS: dict[str, Any] = {
    'format_version': 2,
    'name': 'yolo',
    'task': {'name': 'detection', 'decoder': 'ultralytics_v8'},
    'labels': ['crane', 'crane'],
    'preprocessing': {
        'resize': 'letterbox',
        'mean': [0, 0, 0],
        'standard_deviation': [1, 1, 1],
        'channels': 'bgr',
        'alignment': 'top_left',
        'padding': 0,
    },
    'source': {'kind': 'separate_models', 'models': {'yolo_n': 'yolo_n.onnx'}},
    'sub_networks': [
        {
            'id': 'n_320',
            'configuration': {'model': 'yolo_n'},
            'height': 320,
            'width': 512,
            'accuracy': 0.37,
            'accuracy_source': 'given',
            'multiply_adds': 1000,
            'parameters': 100,
            'layers': 10,
        },
        {
            'id': 'n_640',
            'configuration': {'model': 'yolo_n'},
            'height': 640,
            'width': 640,
            'accuracy': None,
            'multiply_adds': 4000,
            'parameters': 100,
            'layers': 10,
        },
    ],
    'profiles': [],
    'files': {'yolo_n.onnx': 'a' * 64},
}


def changed(path: str, value: object, original: Mapping[str, Any] = MAPPING) -> dict[str, Any]:
    mapping = copy.deepcopy(dict(original))
    *parents, last = path.split('.')
    target: Any = mapping
    for part in parents:
        target = target[int(part)] if isinstance(target, list) else target[part]
    target[last] = value
    return mapping


def test_reads_back_what_it_writes() -> None:
    manifest = Manifest.from_mapping(MAPPING, 'here')
    assert Manifest.from_mapping(manifest.to_mapping(), 'here') == manifest
    assert manifest.sub_network('s0').size == Size(32, 32)


@pytest.mark.parametrize(
    ('path', 'value', 'named'),
    [
        ('format_version', 3, 'format version 3'),
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
    assert type(entry.size.height) is int and type(entry.accuracy) is float


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


def test_format_1_is_a_classifier_of_a_super_network() -> None:
    manifest = Manifest.from_mapping(MAPPING, 'here')
    assert manifest.task == CLASSIFICATION and manifest.make_task().metric.title == 'top-1'
    assert manifest.source == SuperNetwork('some_family', {'classes': 2}, 'weights.safetensors')
    assert manifest.super_network is manifest.source and manifest.weights_sha256 == 'a' * 64
    assert manifest.labels == ('cat', 'dog')
    assert manifest.to_mapping()['format_version'] == 2


def test_separate_models() -> None:
    manifest = Manifest.from_mapping(MODELS, 'here')
    assert Manifest.from_mapping(manifest.to_mapping(), 'here') == manifest
    assert manifest.task == TaskChoice('detection', {'decoder': 'ultralytics_v8'})
    assert manifest.source == SeparateModels({'yolo_n': 'yolo_n.onnx'})
    assert manifest.labels == ('crane', 'crane'), 'as ImageNet has them'
    small, large = manifest.sub_networks
    assert small.size == Size(320, 512) and small.accuracy_source is AccuracySource.GIVEN
    assert manifest.model_file(small) == manifest.model_file(large) == 'yolo_n.onnx'
    assert math.isnan(large.accuracy) and not large.accuracy_is_known
    fitting = manifest.preprocessing
    assert (fitting.resize, fitting.interpolation) == (Resize.LETTERBOX, Interpolation.BILINEAR)
    assert (fitting.channels, fitting.alignment) == (ChannelOrder.BGR, Alignment.TOP_LEFT)
    assert fitting.padding == 0
    with pytest.raises(BundleError, match='separate models, no super-network'):
        _ = manifest.super_network


def test_what_profiles_are_made_with_are_all_models() -> None:
    mapping = changed('files', {'yolo_n.onnx': 'b' * 64}, MODELS)
    manifest = Manifest.from_mapping(mapping, 'here')
    assert manifest.weights_sha256 != Manifest.from_mapping(MODELS, 'here').weights_sha256


@pytest.mark.parametrize(
    ('path', 'value', 'named'),
    [
        ('labels', [], 'labels: has 0 entries'),
        ('labels', [''], 'labels.0: is empty'),
        ('task', {}, 'task: lacks name'),
        ('source', {'kind': 'zoo'}, "source.kind: 'zoo' is not one of"),
        ('source', {'kind': 'separate_models'}, 'source: lacks models'),
        ('source', {'kind': 'separate_models', 'models': {}}, 'source.models: is empty'),
        ('source', {'kind': 'super_network', 'family': 'f'}, 'source: lacks layout, weights'),
        ('source.models', {'yolo_n': '../n.onnx'}, "names the file '../n.onnx'"),
        ('source.models', {'yolo_n': 'm.onnx'}, "gives no SHA-256 for 'm.onnx'"),
        ('source.models', {'other': 'yolo_n.onnx'}, "model 'yolo_n', which is none of it"),
        ('sub_networks.0.configuration', {}, "'n_320' is of the model None"),
        ('sub_networks.0.height', 4, 'sub_networks.0.height'),
        ('sub_networks.0.accuracy', 'good', 'sub_networks.0.accuracy'),
        ('sub_networks.0.accuracy_source', 'guess', 'sub_networks.0.accuracy_source'),
        ('preprocessing.resize', 'pad', 'preprocessing.resize'),
        ('preprocessing.padding', 300, 'preprocessing.padding'),
        ('family', 'some', 'unknown field family'),
    ],
)
def test_refuses_a_broken_field_of_format_2(path: str, value: object, named: str) -> None:
    with pytest.raises(BundleError, match=named):
        Manifest.from_mapping(changed(path, value, MODELS), 'here')


def test_a_task_that_is_unknown_here() -> None:
    manifest = Manifest.from_mapping(changed('task.name', 'telepathy', MODELS), 'here')
    with pytest.raises(BundleError, match="'telepathy' is unknown. Known are: classi"):
        manifest.make_task()


def test_a_super_network_takes_no_other_order_of_channels() -> None:
    mapping = Manifest.from_mapping(MAPPING, 'here').to_mapping()
    mapping['preprocessing']['channels'] = 'bgr'
    with pytest.raises(BundleError, match='gives channels as bgr to a super-network'):
        Manifest.from_mapping(mapping, 'here')


@pytest.mark.parametrize('label', ['\x1b[2Jcat', 'cat\n', 'c\u202eat'])
def test_a_class_whose_name_a_terminal_would_carry_out_is_refused(label: str) -> None:
    mapping = changed('classes', [label, *MAPPING['classes'][1:]])
    with pytest.raises(BundleError, match='control characters'):
        Manifest.from_mapping(mapping, 'here')


def test_sub_networks_without_end_are_refused() -> None:
    mapping = changed('sub_networks', [MAPPING['sub_networks'][0]] * (MOST_SUB_NETWORKS + 1))
    with pytest.raises(BundleError, match='sub_networks'):
        Manifest.from_mapping(mapping, 'here')
