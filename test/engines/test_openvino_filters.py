# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A convolution whose filters are chosen while it runs: OpenVINO gives what PyTorch gives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

pytest.importorskip('openvino')
import openvino

from dynamic_dnn_ros.engines.openvino_engine import core
from dynamic_dnn_ros.engines.openvino_filters import operators, with_chosen_filters

CHANNELS, SIDE = 4, 6


def model_of(kernel: int, filters: int, stride: int = 1, padding: int | None = None) -> Any:
    """Return one convolution; `filters` -1: their number is not known beforehand."""
    features = operators.parameter([1, CHANNELS, SIDE, SIDE], np.float32, name='features')
    weights = operators.parameter([filters, CHANNELS, kernel, kernel], np.float32, name='weights')
    around = [kernel // 2 if padding is None else padding] * 2
    found = operators.convolution(
        features, weights, [stride, stride], around, around, [1, 1], name='found'
    )
    return openvino.Model([found], [features, weights], 'one')


def kinds(model: Any) -> set[str]:
    """Return which operators a model has."""
    return {node.get_type_name() for node in model.get_ordered_ops()}


@pytest.mark.parametrize('kernel', [1, 3, 5])
@pytest.mark.parametrize('count', [1, 3, 8])
def test_chosen_filters_give_what_a_convolution_gives(kernel: int, count: int) -> None:
    model = with_chosen_filters(model_of(kernel, -1))
    assert 'MatMul' in kinds(model) and 'Convolution' not in kinds(model)
    generator = np.random.default_rng(kernel)
    features = generator.standard_normal((1, CHANNELS, SIDE, SIDE)).astype(np.float32)
    filters = generator.standard_normal((count, CHANNELS, kernel, kernel)).astype(np.float32)
    run = core().compile_model(model, 'CPU', {'INFERENCE_PRECISION_HINT': 'f32'})
    found = run([features, filters])[0]
    expected = functional.conv2d(
        torch.from_numpy(features), torch.from_numpy(filters), padding=kernel // 2
    )
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-4)


@pytest.mark.parametrize(
    'given',
    [
        {'kernel': 3, 'filters': 8},
        {'kernel': 3, 'filters': -1, 'stride': 2},
        {'kernel': 3, 'filters': -1, 'padding': 0},
        {'kernel': 2, 'filters': -1, 'padding': 1},
    ],
    ids=['known filters', 'stride', 'no padding', 'even kernel'],
)
def test_other_convolutions_stay(given: dict[str, int]) -> None:
    assert 'Convolution' in kinds(with_chosen_filters(model_of(**given)))
