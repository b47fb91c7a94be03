# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The check of families finds what is not kept."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from dynamic_dnn_ros.networks.contract import ConfigurationError
from dynamic_dnn_ros.networks.family_checks import check_family
from dynamic_dnn_ros.networks.ofa_layouts import LAYOUTS, MobileNetV3Configuration
from dynamic_dnn_ros.networks.ofa_mobilenet_v3 import OfaMobileNetV3

#: Networks are so small that threads only wait for each other.
pytestmark = pytest.mark.usefixtures('one_thread')

LAYOUT = dataclasses.replace(
    LAYOUTS['ofa_mbv3_32x32'],
    stages=LAYOUTS['ofa_mbv3_32x32'].stages[2:3],
    expand_ratios=(2, 3),
    depths=(1, 2),
    resolutions=(12, 16),
    final_expand_width=16,
    feature_width=16,
).to_mapping()


def test_a_small_family_keeps_the_contract():
    check_family(OfaMobileNetV3, LAYOUT)


def plus(method, number):
    """Return a method that counts more."""
    return lambda self, *arguments: method(self, *arguments) + number


def of(method, change):
    """Return a method whose answer is changed."""
    return lambda self, *arguments, **options: change(self, method(self, *arguments, **options))


def any_layout(cls, layout):
    if isinstance(layout, dict):
        layout = {name: value for name, value in layout.items() if name != 'nonesuch'}
    return OfaMobileNetV3.from_layout.__func__(cls, layout)


def wider(self):
    return {**OfaMobileNetV3.layout_mapping(self), 'feature_width': 24}


def any_configuration(self, mapping):
    default = {'kernel_size': [3, 3], 'expand_ratio': [2, 2], 'depth': [1], 'resolution': 12}
    chosen = {name: mapping.get(name, value) for name, value in default.items()}
    return OfaMobileNetV3.configuration(self, chosen)


def without_check(self, mapping):
    if set(mapping) != {'kernel_size', 'expand_ratio', 'depth', 'resolution'}:
        raise ConfigurationError('configuration', mapping, 'the fields')
    return MobileNetV3Configuration(
        **{name: tuple(v) if isinstance(v, list) else v for name, v in mapping.items()}
    )


def nameless_error(self, mapping):
    try:
        return OfaMobileNetV3.configuration(self, mapping)
    except ConfigurationError as error:
        field = error.field if error.field == 'configuration' else 'something'
        raise ConfigurationError(field, error.value, error.allowed) from error


def any_value(self, values):
    return OfaMobileNetV3.uniform(
        self, {name: value if value < 100 else 1 for name, value in values.items()}
    ) if values.get('kernel_size', 0) < 100 else self.largest()  # fmt: skip


def same_sample(self, generator, within=None):
    return self.largest(within)


def random_sample(self, generator, within=None):
    return OfaMobileNetV3.sample(self, __import__('random').Random(), within)


def free_sample(self, generator, within=None):
    OfaMobileNetV3.choices_within(self, within)
    return OfaMobileNetV3.sample(self, generator)


def unchecked_part(self, within):
    return {**self.choices(), **(within or {})}


def noisy(self, images):
    return OfaMobileNetV3.forward(self, images) + torch.randn(1)


def trained(self, module):
    for part in module.modules():
        part.training = not isinstance(part, torch.nn.BatchNorm2d)
    return module


def with_gradient(self, module):
    return module.requires_grad_(True)


def always_shared(self, configuration, share_weights=False):
    return OfaMobileNetV3.extract(self, configuration, share_weights=True)


def never_shared(self, configuration, share_weights=False):
    return OfaMobileNetV3.extract(self, configuration)


def with_statistics_of_the_network(self, configuration, share_weights=False):
    static = OfaMobileNetV3.extract(self, configuration, share_weights)
    static.stem.batch_norm.running_mean = self.stem.batch_norm.running_mean
    return static


def less_state(self):
    state = OfaMobileNetV3.state(self)
    return {name: 0 * value if name.startswith('classifier') else value
            for name, value in state.items()}  # fmt: skip


def any_state(self, arrays, share_memory=False):
    known = OfaMobileNetV3.state(self)
    arrays = {name: arrays.get(name, value) for name, value in known.items()}
    OfaMobileNetV3.load_state(self, arrays, share_memory)


def copied_state(self, arrays, share_memory=False):
    OfaMobileNetV3.load_state(self, arrays)


def renamed_statistics(self):
    for name, module, channels in OfaMobileNetV3.active_batch_norms(self):
        yield f'module.{name}', module, channels


def any_statistics(self, statistics):
    known = OfaMobileNetV3.batch_norm_statistics(self)
    fitting = {
        name: statistics[name]
        if name in statistics and statistics[name].shape == value.shape
        else value
        for name, value in known.items()
    }
    OfaMobileNetV3.load_batch_norm_statistics(self, fitting)


def spoiling(self, trained=None):
    with torch.no_grad():
        self.classifier.weight.mul_(2.0)


def frozen_for_good(self, configuration):
    self.classifier.requires_grad_(False)
    OfaMobileNetV3.freeze(self, configuration)


def frozen_in_name(self, configuration):
    """Freeze nothing, and say nothing."""


def refused_otherwise(self, configuration):
    if configuration is not None:
        raise ConfigurationError('configuration', 1, 'none')


EXTRACT = OfaMobileNetV3.extract


@pytest.mark.parametrize(
    ('parts', 'said'),
    [
        ({'family': ''}, 'a family has a name'),
        ({'task': ''}, 'a family says its task'),
        ({'output_name': ''}, 'names its output'),
        ({'layout_mapping': wider}, 'has the same parameters'),
        ({'from_layout': classmethod(any_layout)}, 'a layout that is unknown'),
        ({'configuration': any_configuration}, 'a missing or an unknown field is refused'),
        ({'configuration': without_check}, 'an illegal kernel_size is refused'),
        ({'configuration': nameless_error}, 'the error of an illegal kernel_size names it'),
        ({'uniform': any_value}, 'an illegal value of .* for all layers is refused'),
        ({'sample': same_sample}, 'samples have every choice of'),
        ({'sample': random_sample}, 'sampling repeats with its seed'),
        ({'sample': free_sample}, 'samples keep to a part of'),
        ({'choices_within': unchecked_part}, 'what is no part of the choices of'),
        ({'landmarks': lambda self: (self.largest(), self.smallest())}, 'landmarks rise'),
        ({'landmarks': lambda self: (self.smallest(),)}, 'the last landmark is the largest'),
        ({'multiply_adds': plus(OfaMobileNetV3.multiply_adds, 1)}, 'those that PyTorch counts'),
        ({'parameter_count': plus(OfaMobileNetV3.parameter_count, 1)}, 'parameters are counted'),
        ({'layer_count': plus(OfaMobileNetV3.layer_count, 1)}, 'layers are counted'),
        ({'forward': noisy}, 'computes what the active network computes'),
        ({'extract': of(EXTRACT, trained)}, 'an extracted module is in eval mode'),
        ({'extract': of(EXTRACT, with_gradient)}, 'take no gradient'),
        ({'extract': always_shared}, 'has weights of its own'),
        ({'extract': never_shared}, 'are those of the network'),
        ({'extract': with_statistics_of_the_network}, 'statistics are always copied'),
        ({'state': less_state}, 'rebuild every sub-network'),
        ({'load_state': any_state}, 'a state that does not fit is refused'),
        ({'load_state': copied_state}, 'are the memory of the arrays'),
        ({'active_batch_norms': renamed_statistics}, 'statistics bear the names'),
        ({'statistics_per_sub_network': False}, 'has statistics of its own where all share'),
        ({'load_batch_norm_statistics': any_statistics}, 'statistics with one left over'),
        ({'sort_channels': spoiling}, 'leaves the largest sub-network as it is'),
        ({'freeze': frozen_for_good}, 'all train again where nothing is frozen'),
        ({'freeze': frozen_in_name}, 'stays the same bits'),
        ({'freeze': refused_otherwise}, 'who can keep no sub-network says so'),
    ],
)
def test_finds_what_is_not_kept(parts, said):
    family = type('Broken', (OfaMobileNetV3,), parts)
    with pytest.raises(AssertionError, match=said):
        check_family(family, LAYOUT)
