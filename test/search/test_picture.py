# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import io

import numpy as np
from PIL import Image
import pytest

from dynamic_dnn_ros.search.picture import Plot, draw


def plot(count):
    costs = np.geomspace(0.002, 0.012, count)
    accuracies = np.linspace(0.82, 0.9, count)
    return Plot(
        title='a search',
        caption='measured somewhere ' * 10,
        metric='AP 50:95',
        cost_name='latency',
        cost_unit='ms',
        costs=np.concatenate((costs, costs * 1.3)),
        accuracies=np.concatenate((accuracies, accuracies - 0.02)),
        front=(costs, accuracies),
        chosen=(costs, accuracies),
        identifiers=[f's{index}' for index in range(count)],
        test_accuracies=accuracies - 0.005,
    )


@pytest.mark.parametrize('count', [1, 12])
def test_it_is_a_picture_that_is_not_empty(count):
    with Image.open(io.BytesIO(draw(plot(count)))) as image:
        assert image.format == 'PNG'
        assert len(image.convert('RGB').getcolors(1_000_000)) > 20


def test_the_same_search_gives_the_same_picture():
    assert draw(plot(3)) == draw(plot(3))
