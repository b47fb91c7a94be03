# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from dynamic_dnn_ros.networks.depthwise import depthwise_convolution


@pytest.mark.parametrize('size', [3, 5, 7, 9])
@pytest.mark.parametrize('stride', [1, 2])
@pytest.mark.parametrize('side', [4, 7, 8])
@pytest.mark.parametrize('memory_format', [torch.contiguous_format, torch.channels_last])
def test_outputs_and_gradients_are_those_of_a_convolution(size, stride, side, memory_format):
    generator = torch.Generator().manual_seed(size)
    inputs = torch.randn(2, 6, side, side, generator=generator)
    inputs = inputs.contiguous(memory_format=memory_format).requires_grad_()
    weight = torch.randn(6, 1, size, size, generator=generator).requires_grad_()
    expected = functional.conv2d(inputs, weight, None, stride, size // 2, groups=6)
    direction = torch.randn(expected.shape, generator=generator)
    wanted = torch.autograd.grad(expected, (inputs, weight), direction)
    outputs = depthwise_convolution(inputs, weight, stride)
    torch.testing.assert_close(outputs, expected, rtol=0, atol=0)
    gradients = torch.autograd.grad(outputs, (inputs, weight), direction)
    for gradient, reference in zip(gradients, wanted):
        torch.testing.assert_close(gradient, reference, rtol=1e-5, atol=1e-5)


def test_gradient_of_a_part_of_the_weights():
    weight = torch.randn(8, 1, 5, 5, requires_grad=True)
    inputs = torch.randn(2, 4, 6, 6)
    depthwise_convolution(inputs, weight[:4], 1).square().sum().backward()
    assert weight.grad is not None
    assert weight.grad[:4].abs().min() > 0.0
    assert not weight.grad[4:].any()


def test_without_gradient_nothing_is_kept():
    inputs, weight = torch.randn(1, 4, 6, 6), torch.randn(4, 1, 5, 5, requires_grad=True)
    with torch.no_grad():
        assert depthwise_convolution(inputs, weight, 1).grad_fn is None


def test_lower_precision_is_left_to_autocast():
    inputs, weight = torch.randn(1, 4, 6, 6), torch.randn(4, 1, 5, 5, requires_grad=True)
    with torch.autocast('cpu', torch.bfloat16):
        outputs = depthwise_convolution(inputs, weight, 1)
    assert outputs.dtype is torch.bfloat16
    outputs.float().sum().backward()
    assert weight.grad is not None
