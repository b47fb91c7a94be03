# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Checkpoints of the authors of Once-for-All: read without running anything, checked, taken over.

Names of tensors are those of the authors' current code. What they published was written by
several releases of it, which spell a few names differently; every spelling is read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
import dataclasses
import functools
import logging
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dynamic_dnn_ros.networks.checkpoint_file import CheckpointFileError, load_checkpoint
from dynamic_dnn_ros.networks.ofa_layouts import LAYOUTS, MobileNetV3Layout
from dynamic_dnn_ros.networks.ofa_mobilenet_v3 import OfaMobileNetV3

PUBLISHED_LAYOUTS = ('ofa_mbv3_d234_e346_k357_w1.0', 'ofa_mbv3_d234_e346_k357_w1.2')
"""Names of the layouts whose weights the authors published."""

_MODULES = {
    'stem.convolution': 'first_conv.conv',
    'stem.batch_norm': 'first_conv.bn',
    'final_expand.convolution': 'final_expand_layer.conv',
    'final_expand.batch_norm': 'final_expand_layer.bn',
    'feature_mix': 'feature_mix_layer.conv',
    'classifier': 'classifier.linear',
}
_BLOCK_PARTS = {
    'expand': 'inverted_bottleneck',
    'depthwise': 'depth_conv',
    'squeeze_excitation': 'depth_conv.se.fc',
    'project': 'point_linear',
}
_FIXED_LAYERS = {'convolution': 'conv', 'batch_norm': 'bn'}
_ELASTIC_LAYERS = {'convolution': 'conv.conv', 'batch_norm': 'bn.bn'}
_COUNTER = '.num_batches_tracked'
_FIELDS = {'ks': 'kernel_size', 'e': 'expand_ratio', 'd': 'depth', 'r': 'resolution'}
_NAMES_SHOWN = 6
_PREFIXES = ('module.', '_orig_mod.')
#: What trainings leave beside the tensors: numbers of epochs, accuracies, names.
_PLAIN_VALUES = (bool, int, float, str, bytes, type(None), np.generic)

_LOGGER = logging.getLogger(__name__)


class OfaCheckpointError(CheckpointFileError):
    """A checkpoint cannot be used. The text names the file, the problem and the remedy."""

    def __init__(self, where: object, problem: str, remedy: str) -> None:
        super().__init__(where, problem, f'{remedy}.')


@dataclasses.dataclass(frozen=True)
class Fit:
    """
    How the tensors of a checkpoint fit a layout.

    :param missing: names that the layout has and the checkpoint does not.
    :param left_over: names that the checkpoint has and the layout does not.
    :param wrong_shape: name, shape in the checkpoint, shape in the layout.
    """

    missing: tuple[str, ...]
    left_over: tuple[str, ...]
    wrong_shape: tuple[tuple[str, tuple[int, ...], tuple[int, ...]], ...]

    @property
    def misfits(self) -> int:
        """Return the number of tensors that do not fit."""
        return len(self.missing) + len(self.left_over) + len(self.wrong_shape)

    def __str__(self) -> str:
        shapes = [
            f'{name} is {_shape(found)} instead of {_shape(expected)}'
            for name, found, expected in self.wrong_shape
        ]
        parts = (
            ('missing', self.missing),
            ('left over', self.left_over),
            ('of another shape', shapes),
        )
        return '; '.join(f'{len(names)} {what}: {_few(names)}' for what, names in parts if names)


def read_state_dict(
    path: Path, say: Callable[[str], None] = _LOGGER.info
) -> dict[str, torch.Tensor]:
    """
    Read the tensors of a PyTorch checkpoint; a pickle that names code is refused, not run.

    The tensors may lie under `state_dict` or bare. Plain values beside them are left out, and
    the prefixes of distributed training (`module.`) and of compiled modules (`_orig_mod.`) are
    taken off the names.

    :param say: is told what was left out and taken off
    :raises OfaCheckpointError: if the file cannot be read, would run code, or holds no tensors.
    """
    try:
        content = load_checkpoint(path)
    except CheckpointFileError as error:
        raise OfaCheckpointError(path, error.problem, error.remedy) from error
    if isinstance(content, Mapping):
        content = content.get('state_dict', content)
    if not isinstance(content, Mapping) or not content:
        raise _no_tensors(path, f'an object of type {type(content).__name__}')
    tensors: dict[str, torch.Tensor] = {}
    values = []
    prefixes: set[str] = set()
    for name, value in content.items():
        if isinstance(value, _PLAIN_VALUES):
            values.append(str(name))
            continue
        if not isinstance(name, str) or not isinstance(value, torch.Tensor):
            raise _no_tensors(path, f'{name!r} of type {type(value).__name__}')
        plain = _without_prefixes(name, prefixes)
        if plain in tensors:
            raise OfaCheckpointError(
                path,
                f'holds {plain} twice, with and without a prefix',
                "Give a file with one network's tensors",
            )
        tensors[plain] = value
    if not tensors:
        raise _no_tensors(path, f'only {_few(values)}')
    if values:
        say(f'{path}: left out what is no tensor: {_few(values)}')
    if prefixes:
        say(f'{path}: taken off the names of tensors: {", ".join(sorted(prefixes))}')
    return tensors


def _without_prefixes(name: str, found: set[str]) -> str:
    """Return a name without prefixes, which are added to those found."""
    while prefix := next((each for each in _PREFIXES if name.startswith(each)), ''):
        found.add(prefix)
        name = name[len(prefix) :]
    return name


def published_name(name: str, blocks_per_stage: int) -> str:
    """
    Return the authors' name of a tensor of ours.

    Blocks are numbered through all stages in theirs, the first one, which is fixed, being 0.

    :param name: as in the state dict of `OfaMobileNetV3`.
    """
    module, _, tensor = name.rpartition('.')
    if module in _MODULES:
        return f'{_MODULES[module]}.{tensor}'
    if module.startswith('first_block.'):
        _, part, layer = module.split('.')
        number, layers = 0, _FIXED_LAYERS
    else:
        _, stage, index, part, layer = module.split('.')
        number, layers = 1 + int(stage) * blocks_per_stage + int(index), _ELASTIC_LAYERS
    prefix = f'blocks.{number}.conv.{_BLOCK_PARTS[part]}'
    if part == 'squeeze_excitation':
        return f'{prefix}.{layer}.{tensor}'
    if tensor.startswith('transform_'):
        _, larger, _, smaller = tensor.split('_')
        return f'{prefix}.conv.{larger}to{smaller}_matrix'
    return f'{prefix}.{layers[layer]}.{tensor}'


@functools.cache
def published_shapes(layout: MobileNetV3Layout) -> Mapping[str, tuple[int, ...]]:
    """Return the shape of each tensor that a checkpoint of a layout has, by the authors' name."""
    return {
        published_name(name, layout.blocks_per_stage): tuple(tensor.shape)
        for name, tensor in OfaMobileNetV3(layout).state_dict().items()
        if not name.endswith(_COUNTER)
    }


def fit(tensors: Mapping[str, torch.Tensor], layout: MobileNetV3Layout) -> Fit:
    """Return how tensors fit a layout. Counters of batches, which nothing reads, are passed by."""
    expected = published_shapes(layout)
    spelled = {_one_spelling(name): name for name in expected}
    found = {
        spelled.get(_one_spelling(name), name): tuple(tensor.shape)
        for name, tensor in tensors.items()
        if not name.endswith(_COUNTER)
    }
    return Fit(
        missing=tuple(name for name in expected if name not in found),
        left_over=tuple(name for name in found if name not in expected),
        wrong_shape=tuple(
            (name, found[name], shape)
            for name, shape in expected.items()
            if name in found and found[name] != shape
        ),
    )


def network_from_checkpoint(
    tensors: Mapping[str, torch.Tensor], where: object, layout_name: str | None = None
) -> tuple[str, OfaMobileNetV3]:
    """
    Return the layout's name and the network that holds a checkpoint's weights and statistics.

    :param tensors: from `read_state_dict`.
    :param where: named in errors, the file usually.
    :param layout_name: the layout it has to be; None for the published one that it fits.
    :raises OfaCheckpointError: if a tensor is missing, left over, of another shape, or holds
        values that are not finite; says which published layout fits, if one does.
    """
    fits = {name: fit(tensors, LAYOUTS[name]) for name in PUBLISHED_LAYOUTS}
    nearest = min(fits, key=lambda name: fits[name].misfits)
    chosen = layout_name or nearest
    if fits[chosen].misfits:
        raise OfaCheckpointError(
            where,
            f'does not hold a network of layout {chosen}: {fits[chosen]}',
            f'Its tensors fit layout {nearest}: ask for that'
            if not fits[nearest].misfits
            else 'Give a super-network that the authors published: its tensors have to fit '
            f'{" or ".join(PUBLISHED_LAYOUTS)}',
        )
    network = OfaMobileNetV3(LAYOUTS[chosen])
    by_spelling = {_one_spelling(name): tensor for name, tensor in tensors.items()}
    state = {}
    for name in network.state_dict():
        if name.endswith(_COUNTER):
            continue
        published = published_name(name, network.layout.blocks_per_stage)
        tensor = by_spelling[_one_spelling(published)]
        if not tensor.is_floating_point() or not torch.isfinite(tensor).all():
            raise OfaCheckpointError(
                where,
                f'{published} holds values that are no finite numbers',
                'The file is damaged, or its training diverged: get another copy',
            )
        state[name] = tensor.float()
    network.load_state_dict(state, strict=False)
    return chosen, network.eval()


def configuration_mapping(published: Mapping[str, Any]) -> dict[str, Any]:
    """
    Return a configuration with our names of fields from one with the authors' or ours.

    The authors write `ks`, `e`, `d` and `r`, the last as a number or as a list of one.
    """
    mapping = {_FIELDS.get(name, name): value for name, value in published.items()}
    resolution = mapping.get('resolution')
    if isinstance(resolution, list) and len(resolution) == 1:
        mapping['resolution'] = resolution[0]
    return mapping


def _one_spelling(name: str) -> str:
    """Return what all releases of the authors' code agree on in a name."""
    name = name.replace('.mobile_inverted_conv.', '.conv.')
    for layer in ('bn', 'conv', 'linear'):
        name = name.replace(f'.{layer}.{layer}.', f'.{layer}.')
    return name


def _no_tensors(path: Path, found: str) -> OfaCheckpointError:
    return OfaCheckpointError(
        path,
        f'holds {found}, where named tensors are needed',
        "Give a file that holds a state dict, bare or under 'state_dict'",
    )


def _shape(shape: tuple[int, ...]) -> str:
    return 'x'.join(map(str, shape)) or 'a single number'


def _few(names: tuple[str, ...] | list[str]) -> str:
    more = f' and {len(names) - _NAMES_SHOWN} more' if len(names) > _NAMES_SHOWN else ''
    return ', '.join(names[:_NAMES_SHOWN]) + more
