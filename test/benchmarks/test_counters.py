# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from collections.abc import Callable
import random
from types import ModuleType

from torch import nn

from dynamic_dnn_ros.networks.incremental_group import IncrementalGroup
from dynamic_dnn_ros.networks.ofa_mobilenet_v3 import OfaMobileNetV3
from dynamic_dnn_ros.networks.registry import family_names
from support.bundles import LAYOUT

Import = Callable[[str], ModuleType]


def test_every_family_and_layout_is_counted(benchmark: Import) -> None:
    layouts = benchmark('suites.counters').layouts()
    assert {family for family, _ in layouts.values()} == set(family_names())
    assert len(layouts) == 10


def test_the_counter_counts_layers_known_by_hand(benchmark: Import) -> None:
    configuration = OfaMobileNetV3(LAYOUT).largest()
    side = configuration.resolution
    module = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1, groups=3), nn.Flatten())
    operations, parameters = benchmark('suites.counters').counted(module, configuration)
    assert operations == 2 * side * side * 6 * 9
    assert parameters == 6 * 9 + 6


def test_what_a_family_says_wrongly_is_seen(benchmark: Import) -> None:
    class OneTooMany(IncrementalGroup):
        def multiply_adds(self, configuration):
            return super().multiply_adds(configuration) + 1

    network = OneTooMany.from_layout('incremental_group_32x32')
    drawn = [network.sample(random.Random(seed)) for seed in range(3)]
    compare = benchmark('suites.counters')._compare
    wrong = {row.name: row for row in compare('layout', network, drawn)}
    assert [row.met for row in wrong.values()] == [False, False, True, True]
    assert wrong['layout: multiply-adds equal, of 3 configurations'].value == 0
