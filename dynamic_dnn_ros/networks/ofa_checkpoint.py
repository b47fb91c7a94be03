# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Checkpoints of the authors of Once-for-All: read without running anything, checked, taken over.

Names of tensors are those of the authors' current code. What they published was written by
several releases of it, which spell a few names differently; every spelling is read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
import dataclasses
import functools
import io
import logging
from pathlib import Path
import pickletools
from typing import Any, BinaryIO, cast
import warnings
import zipfile

import numpy as np
import torch

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
_MODULES_OF_TENSORS = (
    'collections',
    'torch',
    'torch._utils',
    'torch._tensor',
    'torch.storage',
)
_DATA_OF_NUMPY = ('numpy.dtype', 'numpy.core.multiarray.scalar', 'numpy._core.multiarray.scalar')
_NAMES_SHOWN = 6
_PREFIXES = ('module.', '_orig_mod.')
#: What trainings leave beside the tensors: numbers of epochs, accuracies, names.
_PLAIN_VALUES = (bool, int, float, str, bytes, type(None), np.generic)

_LOGGER = logging.getLogger(__name__)


class OfaCheckpointError(ValueError):
    """A checkpoint cannot be used. The text names the file, the problem and the remedy."""

    def __init__(self, where: object, problem: str, remedy: str) -> None:
        super().__init__(f'{where}: {problem}. {remedy}.')
        self.problem = problem
        self.remedy = remedy


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
        with open(path, 'rb') as file:
            content = _load(path, file)
    except OSError as error:
        raise OfaCheckpointError(
            path,
            f'cannot be opened ({error.strerror or error})',
            'Give the file that was downloaded from the authors',
        ) from error
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


def _load(path: Path, file: BinaryIO) -> Any:
    try:
        with warnings.catch_warnings():
            # About old protocols and TorchScript: what it leads to is said below.
            warnings.simplefilter('ignore', UserWarning)
            with _numbers_of_numpy():
                return torch.load(file, map_location='cpu', weights_only=True)
    # A damaged pickle can fail in whatever operation its bytes happen to name.
    except Exception as error:
        file.seek(0)
        code = _named_code(file)
        if code is not None:
            raise OfaCheckpointError(
                path,
                f'is a pickle that would run code ({code}); nothing of it was run',
                'Do not use this file. If you trust its source, ask it for the state dict alone',
            ) from error
        raise OfaCheckpointError(
            path,
            'is truncated or damaged, or no PyTorch checkpoint',
            'Compare its size with that at its source, and get it again',
        ) from error


def _numbers_of_numpy() -> AbstractContextManager[Any]:
    """Let numbers of numpy be read, which are data as those of Python are."""
    allow = getattr(torch.serialization, 'safe_globals', None)
    if allow is None:
        # PyTorch before 2.5.
        return nullcontext()
    core = getattr(np, '_core', None) or np.core
    scalar = core.multiarray.scalar
    kinds = {type(np.dtype(code)) for code in '?bBhHiIlLqQefdFD'}
    # Numpy 2 gave the module another name; files of both are read by both.
    names = [(scalar, f'numpy.{room}.multiarray.scalar') for room in ('core', '_core')]
    return cast('AbstractContextManager[Any]', allow([*names, np.dtype, *kinds]))


def _named_code(file: BinaryIO) -> str | None:
    """Return the first function or class that a checkpoint names and tensors do not need."""
    try:
        if zipfile.is_zipfile(file):
            with zipfile.ZipFile(file) as archive:
                name = next(name for name in archive.namelist() if name.endswith('data.pkl'))
                file = io.BytesIO(archive.read(name))
        else:
            file.seek(0)
        strings: list[str] = []
        # The old format of PyTorch has three short pickles in front.
        for _ in range(4):
            for operation, argument, _ in pickletools.genops(file):
                if operation.name in ('GLOBAL', 'STACK_GLOBAL'):
                    names = argument.split(' ') if argument else strings[-2:]
                    code = '.'.join(names)
                    if names[0] not in _MODULES_OF_TENSORS and code not in _DATA_OF_NUMPY:
                        return code
                elif isinstance(argument, str):
                    strings.append(argument)
    # Looks for a name to say in an error: what cannot be parsed has none.
    except Exception:
        pass
    return None


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
