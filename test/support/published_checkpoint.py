# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
The published form of a Once-for-All checkpoint, and what a network of it computes.

Written from the description of the networks (names, widths, strides, activations), with nothing
of the package: an import is checked against this.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch.nn import functional

State = dict[str, torch.Tensor]
Shapes = dict[str, tuple[int, ...]]

STAGES = (
    # base width, stride, activation, squeeze and excitation
    (24, 2, functional.relu, False),
    (40, 2, functional.relu, True),
    (80, 2, functional.hardswish, False),
    (112, 1, functional.hardswish, True),
    (160, 2, functional.hardswish, True),
)
BLOCKS_PER_STAGE = 4
CLASSES = 1000


def divisible(value: float) -> int:
    """Return the nearest multiple of 8 that is no more than 10 % smaller."""
    nearest = max(8, int(value + 4) // 8 * 8)
    return nearest + 8 if nearest < 0.9 * value else nearest


def published_shapes(width: float) -> Shapes:
    """Return name and shape of each tensor, counters of batches left out."""
    shapes: Shapes = {}

    def convolution(name: str, *shape: int) -> None:
        shapes[f'{name}.weight'] = shape

    def batch_norm(name: str, channels: int) -> None:
        for tensor in ('weight', 'bias', 'running_mean', 'running_var'):
            shapes[f'{name}.{tensor}'] = (channels,)

    first = divisible(16 * width)
    convolution('first_conv.conv', first, 3, 3, 3)
    batch_norm('first_conv.bn', first)
    convolution('blocks.0.conv.depth_conv.conv', first, 1, 3, 3)
    batch_norm('blocks.0.conv.depth_conv.bn', first)
    convolution('blocks.0.conv.point_linear.conv', first, first, 1, 1)
    batch_norm('blocks.0.conv.point_linear.bn', first)
    channels = first
    for number, (base, _, _, gate) in enumerate(_blocks(), start=1):
        block = f'blocks.{number}.conv'
        middle, out = divisible(6 * channels), divisible(base * width)
        convolution(f'{block}.inverted_bottleneck.conv.conv', middle, channels, 1, 1)
        batch_norm(f'{block}.inverted_bottleneck.bn.bn', middle)
        convolution(f'{block}.depth_conv.conv.conv', middle, 1, 7, 7)
        shapes[f'{block}.depth_conv.conv.7to5_matrix'] = (25, 25)
        shapes[f'{block}.depth_conv.conv.5to3_matrix'] = (9, 9)
        batch_norm(f'{block}.depth_conv.bn.bn', middle)
        if gate:
            squeezed = divisible(middle // 4)
            convolution(f'{block}.depth_conv.se.fc.reduce', squeezed, middle, 1, 1)
            shapes[f'{block}.depth_conv.se.fc.reduce.bias'] = (squeezed,)
            convolution(f'{block}.depth_conv.se.fc.expand', middle, squeezed, 1, 1)
            shapes[f'{block}.depth_conv.se.fc.expand.bias'] = (middle,)
        convolution(f'{block}.point_linear.conv.conv', out, middle, 1, 1)
        batch_norm(f'{block}.point_linear.bn.bn', out)
        channels = out
    expanded, features = divisible(960 * width), divisible(1280 * width)
    convolution('final_expand_layer.conv', expanded, channels, 1, 1)
    batch_norm('final_expand_layer.bn', expanded)
    convolution('feature_mix_layer.conv', features, expanded, 1, 1)
    shapes['classifier.linear.weight'] = (CLASSES, features)
    shapes['classifier.linear.bias'] = (CLASSES,)
    return shapes


def constant_state(width: float) -> State:
    """Return tensors of a single number each: files of them are small, whatever their shapes."""
    return {name: torch.ones(()).expand(shape) for name, shape in published_shapes(width).items()}


def random_state(width: float, seed: int = 0) -> State:
    """Return random tensors, the kernel transforms too."""
    generator = torch.Generator().manual_seed(seed)
    state: State = {}
    for name, shape in published_shapes(width).items():
        noise = torch.randn(shape, generator=generator)
        if name.endswith('_matrix'):
            state[name] = torch.eye(len(noise)) + 0.1 * noise
        elif name.endswith('running_var'):
            state[name] = 1.0 + 0.1 * noise.abs()
        elif name.endswith(('.bias', 'running_mean')):
            state[name] = 0.2 * noise
        elif noise.ndim == 1:
            state[name] = 1.0 + 0.2 * noise
        else:
            state[name] = noise * (2.0 / noise[0].numel()) ** 0.5
    # Pooled features of random layers differ little: make of that a difference of order 1.
    state['classifier.linear.weight'] *= 20.0
    return state


def forward(
    state: State,
    images: torch.Tensor,
    kernel_sizes: Sequence[int],
    expand_ratios: Sequence[int],
    depths: Sequence[int],
    calibrate: bool = False,
) -> torch.Tensor:
    """
    Return the logits of a sub-network.

    :param calibrate: put the statistics of these images into the state on the way.
    """

    def batch_norm(name: str, inputs: torch.Tensor) -> torch.Tensor:
        channels = inputs.shape[1]
        mean, variance, weight, bias = (
            state[f'{name}.{tensor}'][:channels]
            for tensor in ('running_mean', 'running_var', 'weight', 'bias')
        )
        if calibrate:
            mean.copy_(inputs.mean((0, 2, 3)))
            variance.copy_(inputs.var((0, 2, 3)))
            # What is kept is the estimate for all pictures, what is used that of these.
            variance = inputs.var((0, 2, 3), unbiased=False)
        inputs = (inputs - mean.view(-1, 1, 1)) / (variance.view(-1, 1, 1) + 1e-5).sqrt()
        return inputs * weight.view(-1, 1, 1) + bias.view(-1, 1, 1)

    def pointwise(name: str, inputs: torch.Tensor, out: int) -> torch.Tensor:
        weight = state[f'{name}.weight'][:out, : inputs.shape[1]]
        bias = state.get(f'{name}.bias')
        return functional.conv2d(inputs, weight, None if bias is None else bias[:out])

    def depthwise(weight: torch.Tensor, inputs: torch.Tensor, stride: int) -> torch.Tensor:
        padding = weight.shape[-1] // 2
        return functional.conv2d(inputs, weight, None, stride, padding, groups=inputs.shape[1])

    hidden = functional.conv2d(images, state['first_conv.conv.weight'], stride=2, padding=1)
    features = functional.hardswish(batch_norm('first_conv.bn', hidden))
    block = 'blocks.0.conv'
    hidden = depthwise(state[f'{block}.depth_conv.conv.weight'], features, 1)
    hidden = functional.relu(batch_norm(f'{block}.depth_conv.bn', hidden))
    hidden = pointwise(f'{block}.point_linear.conv', hidden, features.shape[1])
    features = features + batch_norm(f'{block}.point_linear.bn', hidden)
    for index, (_, stride, activation, gate) in enumerate(_blocks()):
        if index % BLOCKS_PER_STAGE >= depths[index // BLOCKS_PER_STAGE]:
            continue
        block = f'blocks.{index + 1}.conv'
        middle = divisible(features.shape[1] * expand_ratios[index])
        hidden = pointwise(f'{block}.inverted_bottleneck.conv.conv', features, middle)
        hidden = activation(batch_norm(f'{block}.inverted_bottleneck.bn.bn', hidden))
        kernel = _kernel(state, f'{block}.depth_conv.conv', middle, kernel_sizes[index])
        hidden = depthwise(kernel, hidden, stride)
        hidden = activation(batch_norm(f'{block}.depth_conv.bn.bn', hidden))
        if gate:
            fc = f'{block}.depth_conv.se.fc'
            squeezed = pointwise(
                f'{fc}.reduce', hidden.mean((2, 3), keepdim=True), divisible(middle // 4)
            )
            scale = pointwise(f'{fc}.expand', squeezed.relu(), middle)
            hidden = hidden * functional.relu6(scale + 3.0) / 6.0
        out = len(state[f'{block}.point_linear.bn.bn.weight'])
        hidden = pointwise(f'{block}.point_linear.conv.conv', hidden, out)
        hidden = batch_norm(f'{block}.point_linear.bn.bn', hidden)
        same = stride == 1 and features.shape[1] == out
        features = features + hidden if same else hidden
    expanded = len(state['final_expand_layer.bn.weight'])
    hidden = pointwise('final_expand_layer.conv', features, expanded)
    hidden = functional.hardswish(batch_norm('final_expand_layer.bn', hidden))
    hidden = hidden.mean((2, 3), keepdim=True)
    mixed = functional.conv2d(hidden, state['feature_mix_layer.conv.weight'])
    return functional.linear(
        functional.hardswish(mixed).flatten(1),
        state['classifier.linear.weight'],
        state['classifier.linear.bias'],
    )


def _blocks() -> Iterator[tuple[int, int, object, bool]]:
    """Yield base width, stride, activation and gate of each elastic block."""
    for base, stride, activation, gate in STAGES:
        for index in range(BLOCKS_PER_STAGE):
            yield base, stride if index == 0 else 1, activation, gate


def _kernel(state: State, name: str, channels: int, size: int) -> torch.Tensor:
    kernel = state[f'{name}.conv.weight'][:channels]
    if size < 7:
        flat = kernel[:, :, 1:6, 1:6].reshape(channels, 25)
        kernel = (flat @ state[f'{name}.7to5_matrix'].T).view(channels, 1, 5, 5)
    if size < 5:
        flat = kernel[:, :, 1:4, 1:4].reshape(channels, 9)
        kernel = (flat @ state[f'{name}.5to3_matrix'].T).view(channels, 1, 3, 3)
    return kernel
