# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from dynamic_dnn_ros.networks.elastic_layers import (
    ElasticBatchNorm2d,
    ElasticConvolution,
    ElasticDepthwiseConvolution,
    expanded_channels,
    make_divisible,
    plain_convolution,
    squeezed_channels,
)


@pytest.mark.parametrize(
    ('value', 'expected'),
    [(3, 8), (16, 16), (19.2, 24), (28.8, 32), (134.4, 136), (1152, 1152), (35, 32), (36, 40)],
)
def test_channels_are_made_divisible_as_published(value, expected):
    assert make_divisible(value) == expected


def test_inner_widths():
    assert expanded_channels(24, 3) == 72
    assert expanded_channels(40, 6) == 240
    assert squeezed_channels(120) == 32
    assert squeezed_channels(16) == 8


@pytest.fixture
def depthwise():
    torch.manual_seed(0)
    layer = ElasticDepthwiseConvolution(6, (3, 5, 7), stride=1)
    torch.nn.init.normal_(layer.weight)
    return layer


def test_transforms_have_the_published_sizes_and_start_as_identity(depthwise):
    assert torch.equal(depthwise.transform_7_to_5, torch.eye(25))
    assert torch.equal(depthwise.transform_5_to_3, torch.eye(9))


def test_an_untrained_smaller_kernel_is_the_centre(depthwise):
    assert torch.equal(depthwise.kernel(6, 7), depthwise.weight)
    torch.testing.assert_close(depthwise.kernel(6, 5), depthwise.weight[:, :, 1:-1, 1:-1])
    torch.testing.assert_close(depthwise.kernel(6, 3), depthwise.weight[:, :, 2:-2, 2:-2])


def test_a_smaller_kernel_is_transformed_step_by_step(depthwise):
    with torch.no_grad():
        depthwise.transform_7_to_5.normal_()
        depthwise.transform_5_to_3.normal_()
    for channel in range(6):
        centre = depthwise.weight[channel, 0, 1:-1, 1:-1].flatten()
        five = (depthwise.transform_7_to_5 @ centre).view(5, 5)
        torch.testing.assert_close(depthwise.kernel(6, 5)[channel, 0], five)
        three = (depthwise.transform_5_to_3 @ five[1:-1, 1:-1].flatten()).view(3, 3)
        torch.testing.assert_close(depthwise.kernel(6, 3)[channel, 0], three)


@pytest.mark.parametrize('kernel_size', [3, 5, 7])
def test_depthwise_runs_its_leading_channels(depthwise, kernel_size):
    depthwise.active_kernel_size = kernel_size
    images = torch.randn(2, 4, 9, 9)
    weight = depthwise.weight[:4]
    margin = (7 - kernel_size) // 2
    weight = weight[:, :, margin : 7 - margin, margin : 7 - margin]
    expected = functional.conv2d(images, weight, padding=kernel_size // 2, groups=4)
    torch.testing.assert_close(depthwise(images), expected)


def test_gradients_reach_the_transforms_of_the_active_kernel_only(depthwise):
    depthwise.active_kernel_size = 5
    depthwise(torch.randn(1, 6, 9, 9)).sum().backward()
    assert depthwise.transform_7_to_5.grad is not None
    assert depthwise.transform_5_to_3.grad is None


def test_pointwise_runs_its_leading_channels():
    layer = ElasticConvolution(6, 8, bias=True)
    layer.active_out_channels = 5
    images = torch.randn(2, 4, 3, 3)
    expected = torch.einsum('oi,nihw->nohw', layer.weight[:5, :4, 0, 0], images)
    torch.testing.assert_close(layer(images), expected + layer.bias[:5].view(1, 5, 1, 1))


def test_batch_norm_touches_only_its_leading_statistics():
    layer = ElasticBatchNorm2d(6).train()
    images = torch.randn(8, 4, 5, 5) + 3.0
    torch.testing.assert_close(
        layer(images), functional.batch_norm(images, None, None, training=True)
    )
    assert (layer.running_mean[:4] > 0.1).all()
    assert (layer.running_mean[4:] == 0.0).all()


def test_a_shared_convolution_follows_the_weights_and_a_copy_does_not():
    weight = torch.randn(4, 3, 1, 1)
    shared = plain_convolution(weight, share_weights=True)
    copied = plain_convolution(weight)
    weight.zero_()
    assert (shared.weight == 0).all()
    assert (copied.weight != 0).any()
