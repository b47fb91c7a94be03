# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import json

import pytest

from dynamic_dnn_ros.cli.ofa_choices import read_choices
from dynamic_dnn_ros.networks.ofa_checkpoint import PUBLISHED_LAYOUTS
from dynamic_dnn_ros.networks.ofa_mobilenet_v3 import OfaMobileNetV3
from support.shared_data import shared_data


def test_the_levels_of_dynamic_ofa_are_read():
    path = shared_data('platforms/xavier_nx/dynamic_ofa_levels.json')
    network = OfaMobileNetV3.from_layout(PUBLISHED_LAYOUTS[1])
    choices = read_choices(path, 'nets_6', network, PUBLISHED_LAYOUTS[1])
    accuracies = [choice.published_accuracy for choice in choices]
    assert accuracies == [0.74202, 0.74968, 0.76134, 0.7754, 0.78346, 0.7903]
    assert choices[0].configuration.resolution == 176


@pytest.mark.parametrize(
    ('content', 'said'),
    [
        ({'levels': 3}, "a list of configurations, bare or under 'levels'"),
        ([], 'a list of configurations'),
        ([3], 'a list of configurations'),
        ({'super_network': 'other', 'levels': [{}]}, 'are of layout other'),
        ([{'set': 'a'}, {'set': 'b'}], 'choose with --set from a, b'),
        ([{'ks': [3] * 20}], 'entry 0: configuration is'),
        ([{'ks': [4] * 20, 'e': [3] * 20, 'd': [2] * 5, 'r': 128}], 'entry 0: kernel_size[0]'),
        (
            [{'ks': [3] * 20, 'e': [3] * 20, 'd': [2] * 5, 'r': 128, 'accuracy': 74.2}],
            'entry 0: accuracy is 74.2',
        ),
    ],
)
def test_a_bad_list_of_sub_networks_is_refused_by_entry(content, said, tmp_path):
    path = tmp_path / 'list.json'
    path.write_text(json.dumps(content))
    network = OfaMobileNetV3.from_layout(PUBLISHED_LAYOUTS[0])
    with pytest.raises(ValueError, match='list.json') as caught:
        read_choices(path, None, network, PUBLISHED_LAYOUTS[0])
    assert said in str(caught.value)
    with pytest.raises(ValueError, match='list.json'):
        read_choices(path, 'nonesuch', network, PUBLISHED_LAYOUTS[0])
