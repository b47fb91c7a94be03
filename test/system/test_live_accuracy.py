# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A node classifies what it sees as well as its networks do without any node."""

from __future__ import annotations

import pytest

from support.accuracy import carries_its_stamp, measure_accuracy
from support.offline import offline_classifier
from support.shared_data import CIFAR10_TEST, shared_data, shipped_bundle

pytestmark = [pytest.mark.system, pytest.mark.slow]

PICTURES = 500
TOLERANCE = 0.005
"""Of the top-1 accuracy: 0.5 points."""


@pytest.mark.parametrize('which', ['smallest', 'largest'])
def test_live_accuracy_is_offline_accuracy(which: str) -> None:
    shared_data(CIFAR10_TEST)
    bundle = shipped_bundle()
    sub_network = offline_classifier(bundle).sub_networks[0 if which == 'smallest' else -1]

    found = measure_accuracy(bundle, sub_network, PICTURES)

    assert (found.received, found.served, found.replaced) == (PICTURES, PICTURES, 0)
    assert len(found.results) == PICTURES
    assert carries_its_stamp(found)
    assert {result.sub_network for result in found.results} == {sub_network}
    print(f'{sub_network}: live {found.live}, off line {found.offline}, {found.original}')
    assert found.offline > 0.5, 'the bundle is to have been trained'
    assert abs(found.live - found.offline) <= TOLERANCE
