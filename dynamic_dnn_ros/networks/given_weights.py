# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Weights that a fine-tuning goes on from: of a bundle, or of a file, read without running anything.

They have to be those of the network that is trained, tensor by tensor; only its last layers may
be of other classes. Then the rows of classes that both know are taken over, the others begin anew.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from dynamic_dnn_ros.bundles.errors import BundleError
from dynamic_dnn_ros.bundles.manifest import SuperNetwork
from dynamic_dnn_ros.bundles.reader import read_bundle
from dynamic_dnn_ros.bundles.shipped import find_bundle
from dynamic_dnn_ros.networks.checkpoint_file import CheckpointFileError, load_checkpoint
from dynamic_dnn_ros.networks.contract import DynamicNetwork
from dynamic_dnn_ros.networks.exits import EXITS, ExitNetwork
from dynamic_dnn_ros.networks.initial_weights import (
    put_tensors,
    read_tensors,
    trunk_of_classifier,
)
from dynamic_dnn_ros.networks.ofa_checkpoint import network_from_checkpoint
from dynamic_dnn_ros.networks.ofa_mobilenet_v3 import OfaMobileNetV3

#: Fields of layouts that say how large inputs may be, pixels.
_SIZES = ('resolution', 'resolutions', 'heights', 'widths')
#: Buffers that trainings keep, and that each sub-network gets anew.
_STATISTICS = ('running_mean', 'running_var', 'num_batches_tracked')
#: A tensor that every checkpoint of the authors has.
_OF_ONCE_FOR_ALL = 'first_conv.conv.weight'
#: What a checkpoint of a training of this package has.
_OF_TRAININGS = {'family', 'layout', 'network'}
_NAMES_SHOWN = 4


class GivenWeightsError(ValueError):
    """Weights that a network cannot go on from. The text names source, problem and remedy."""

    def __init__(self, source: object, problem: str, remedy: str) -> None:
        super().__init__(f'fine_tune {source}: {problem}. {remedy}')


@dataclasses.dataclass(frozen=True)
class Taken:
    """
    What a network took over.

    :param tensors: how many.
    :param known: labels whose rows in the last layers were taken over.
    :param anew: names of tensors that begin anew, as far as classes are others or not known.
    """

    tensors: int
    known: tuple[str, ...]
    anew: tuple[str, ...]

    def __str__(self) -> str:
        if not self.anew:
            return f'{self.tensors} tensors, the classes are the same'
        known = f'known of the classes: {_few(self.known)}'
        return f'{self.tensors} tensors; {known}; the rest begins anew in {_few(self.anew)}'


def take_weights(network: DynamicNetwork[Any], source: str, labels: Sequence[str]) -> Taken:
    """
    Put the weights of a source into a network of the same architecture.

    :param source: name or folder of a bundle, or a file: a checkpoint of a training of this
        package or of the authors of Once-for-All, EfficientNet-Lite0 of timm or of its own
        package (the trunk alone), or tensors by the names of the network.
    :param labels: of the network's classes, in order.
    :raises GivenWeightsError: if the source cannot be read, would run code, is of another
        architecture, of other sizes of inputs, or lacks a tensor.
    """
    if isinstance(network, ExitNetwork):
        # Heads begin anew: those of a source may be at other places.
        taken = take_weights(network.backbone, source, labels)
        network.take_parameters()
        return taken
    path = Path(source).expanduser()
    try:
        if not path.is_file():
            return _take_bundle(network, source, labels)
        if path.suffix != '.safetensors':
            content = load_checkpoint(path)
            if isinstance(content, Mapping) and content.keys() >= _OF_TRAININGS:
                return _take_checkpoint(network, path, content, labels)
        tensors = read_tensors(path)
        if isinstance(network, OfaMobileNetV3) and _OF_ONCE_FOR_ALL in tensors:
            _, published = network_from_checkpoint(tensors, path)
            _check_layout(path, published.layout_mapping(), network.layout_mapping())
            return _adopt(network, path, published.state(), (), labels)
        trunk = trunk_of_classifier(tensors, path)
        if trunk is not None:
            return _take_trunk(network, path, trunk)
        return _adopt(network, path, _arrays(tensors), (), labels)
    except BundleError as error:
        raise GivenWeightsError(error.where, error.problem, error.remedy) from error
    except CheckpointFileError as error:
        raise GivenWeightsError(path, error.problem, error.remedy) from error


def _take_bundle(network: DynamicNetwork[Any], source: str, labels: Sequence[str]) -> Taken:
    bundle = read_bundle(find_bundle(source))
    given = bundle.manifest.source
    if not isinstance(given, SuperNetwork):
        raise GivenWeightsError(
            bundle.folder,
            'holds separate models, which this package does not train',
            'Give a bundle of a super-network, or fine-tune these where they were trained',
        )
    if given.family != network.family:
        raise _of_another_family(bundle.folder, given.family, network.family)
    _check_layout(bundle.folder, given.layout, network.layout_mapping())
    arrays = bundle.weights().network
    return _adopt(network, bundle.folder, arrays, bundle.manifest.labels, labels)


def _take_checkpoint(
    network: DynamicNetwork[Any], path: Path, content: Mapping[str, Any], labels: Sequence[str]
) -> Taken:
    """Take what a training of this package was at; its labels stand nowhere."""
    if content['family'] != network.family:
        raise _of_another_family(path, content['family'], network.family)
    _check_layout(path, json.loads(content['layout']), network.layout_mapping())
    return _adopt(network, path, _arrays(content['network']), (), labels)


def _of_another_family(where: Path, given: str, own: str) -> GivenWeightsError:
    return GivenWeightsError(
        where,
        f'is of the family {given}, the training file of {own}',
        f'Write `family: {given}`, or give weights of the other',
    )


def _arrays(tensors: Mapping[str, torch.Tensor]) -> dict[str, npt.NDArray[Any]]:
    return {name: tensor.detach().float().numpy() for name, tensor in tensors.items()}


def _check_layout(where: Path, given: Mapping[str, Any], own: Mapping[str, Any]) -> None:
    """Refuse other architectures, and sizes of inputs that the weights were not trained for."""
    for name, value in own.items():
        if name == 'classes' or given.get(name) == value:
            continue
        if name not in _SIZES:
            raise GivenWeightsError(
                where,
                f'has another architecture: its {name} is {given.get(name)}, that of the layout '
                f'in the training file {value}',
                'Give the layout of these weights; `dynamic-dnn new --from` writes it',
            )
        trained, asked = (np.atleast_1d(each[name]) for each in (given, own))
        if asked.min() < trained.min() or asked.max() > trained.max():
            raise GivenWeightsError(
                where,
                f'was trained with {name} of {trained.min()} to {trained.max()} pixels, the '
                f'layout in the training file has {asked.min()} to {asked.max()}',
                'Give sizes in between, or train without fine_tune',
            )


def _adopt(
    network: DynamicNetwork[Any],
    where: Path,
    arrays: Mapping[str, npt.NDArray[Any]],
    known: Sequence[str],
    labels: Sequence[str],
) -> Taken:
    """
    Take all tensors; of those that classes have a row in, the rows of labels that are known.

    :param known: labels of the weights; none where nobody knows them.
    """
    state = network.state()
    arrays = {n: array for n, array in arrays.items() if not n.startswith(f'{EXITS}.')}
    of_classes = class_tensors(network)
    missing = [name for name in state if name not in arrays]
    left_over = [
        name for name in arrays if name not in state and name.rpartition('.')[2] not in _STATISTICS
    ]
    # Rows behind those of the classes, as of a detector's boxes, are the same for all classes.
    rest = {name: len(state[name]) - len(labels) for name in of_classes}
    wrong = [
        f'{name} ({_shape(arrays[name])} instead of {_shape(state[name])})'
        for name in state
        if name in arrays and not _fits(arrays[name], state[name], rest.get(name))
    ]
    if missing or left_over or wrong:
        raise GivenWeightsError(
            where,
            f'does not hold the network that is trained, a {network.family}: '
            f'{len(missing)} tensors missing ({_few(missing)}), {len(left_over)} left over '
            f'({_few(left_over)}), {len(wrong)} of another shape ({_few(wrong)})',
            'Give weights of this layout. Models of torchvision and timm are no such networks: '
            '`dynamic-dnn import-model` makes bundles of them as they are',
        )
    same = tuple(known) == tuple(labels)
    for name, own in state.items():
        array = np.asarray(arrays[name], np.float32)
        if not np.isfinite(array).all():
            raise GivenWeightsError(
                where,
                f'{name} holds values that are no finite numbers',
                'The file is damaged, or its training diverged: give another',
            )
        if same or name not in of_classes:
            state[name] = array
            continue
        if rest[name]:
            own[len(labels) :] = array[-rest[name] :]
        for row, label in enumerate(labels):
            if label in known:
                own[row] = array[known.index(label)]
    network.load_state(state)
    return Taken(
        len(state),
        tuple(label for label in labels if label in known),
        () if same else tuple(of_classes),
    )


def class_tensors(network: DynamicNetwork[Any]) -> tuple[str, ...]:
    """Return the names of the tensors whose first rows are one for each class."""
    layout = network.layout_mapping()
    more = type(network).from_layout({**layout, 'classes': layout['classes'] + 1}).state()
    state = network.state()
    return tuple(name for name in state if state[name].shape != more[name].shape)


def _fits(array: npt.NDArray[Any], own: npt.NDArray[Any], rest: int | None) -> bool:
    if rest is None:
        return array.shape == own.shape
    return array.ndim == own.ndim and array.shape[1:] == own.shape[1:] and len(array) > rest


def _take_trunk(
    network: DynamicNetwork[Any], where: Path, tensors: Mapping[str, torch.Tensor]
) -> Taken:
    parameters = dict(network.named_parameters())
    # A layout may have fewer blocks.
    tensors = {name: tensor for name, tensor in tensors.items() if name in parameters}
    taken = put_tensors(network, tensors)
    lacking = [name for name in tensors if name not in taken]
    if lacking or not taken:
        raise GivenWeightsError(
            where,
            f'holds an EfficientNet-Lite0, of other widths than the layout ({_few(lacking)})',
            'Give a layout with its widths, as ofa_detector_352 has',
        )
    return Taken(len(taken), (), tuple(name for name in network.state() if name not in taken))


def _shape(array: npt.NDArray[Any]) -> str:
    return 'x'.join(map(str, array.shape))


def _few(names: Sequence[str]) -> str:
    more = f' and {len(names) - _NAMES_SHOWN} more' if len(names) > _NAMES_SHOWN else ''
    return ', '.join(names[:_NAMES_SHOWN]) + more if names else 'none'
