# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""N cameras from one YAML file: an inference node for each of them, or one for all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
import re
from typing import Any, Protocol

from dynamic_dnn_ros.nodes.common.written_parameters import (
    WrittenError,
    check_keys,
    checked_parameters,
    written_document,
    written_rows,
)
from dynamic_dnn_ros.nodes.inference.node_list import TABLE
from dynamic_dnn_ros.nodes.inference.parameters import cameras_problem

#: What each camera may have of its own, or all of them where they share a node.
OF_NODE = ('bundle', 'image_transport', 'parameters')

#: Parameters that a camera may have for itself where it shares a node.
BY_CAMERA = tuple(row.name for row in TABLE if row.by_part)

OF_CAMERA = ('name', 'image')

KEYS = (*OF_CAMERA, *OF_NODE)

_NAME = re.compile(r'[A-Za-z_][A-Za-z0-9_]*(/[A-Za-z_][A-Za-z0-9_]*)*')


class Serving(Protocol):
    """An inference node, and what it serves."""

    @property
    def namespace(self) -> str:
        """Return the namespace of the node, empty for the root."""

    @property
    def parameters(self) -> Mapping[str, Any]:
        """Return parameters of that node alone."""

    @property
    def remappings(self) -> Mapping[str, str]:
        """Return its camera topics by the names that it has for them."""


@dataclass(frozen=True)
class Camera:
    """
    A camera that has an inference node of its own.

    `image` is its topic without "/compressed", relative to the namespace unless it begins with
    "/".
    """

    namespace: str
    image: str = 'image'
    parameters: Mapping[str, Any] = field(default_factory=dict)

    @property
    def remappings(self) -> dict[str, str]:
        """Return the camera topic, raw and compressed."""
        return _remappings('image', self.image)


@dataclass(frozen=True)
class SharedNode:
    """
    Cameras that one inference node serves, each as a stream.

    `images` are their topics by their names, relative to these unless they begin with "/".
    """

    images: Mapping[str, str]
    given: Mapping[str, Any] = field(default_factory=dict)
    namespace: str = ''

    @property
    def parameters(self) -> dict[str, Any]:
        """Return parameters of the node."""
        return {**self.given, 'cameras': list(self.images)}

    @property
    def remappings(self) -> dict[str, str]:
        """Return the camera topics, raw and compressed."""
        found = {}
        for name, image in self.images.items():
            topic = image if image.startswith('/') else f'{name}/{image}'
            found.update(_remappings(f'{name}/image', topic))
        return found


def read_cameras(path: Path) -> tuple[Serving, ...]:
    """
    Return the inference nodes for the cameras of a file; config/cameras.yaml shows every key.

    :raises WrittenError: naming the file, the camera, the key and the remedy
    """
    document = written_document(path, 'cameras', 'config/cameras.yaml of the package shows one.')
    share = document.get('share', False)
    if not isinstance(share, bool):
        raise WrittenError(f'{path}: share is {share!r}. Give true or false.')
    check_keys(str(path), document, ('share', 'cameras', *(OF_NODE if share else ())))
    rows = written_rows(path, document, 'cameras')
    cameras = [_camera(path, number, row, share) for number, row in enumerate(rows, 1)]
    names = [camera.namespace for camera in cameras]
    for name in names:
        if names.count(name) > 1:
            raise WrittenError(
                f'{path}: camera {name!r} is listed twice. Give one of the two another name.'
            )
    if not share:
        return tuple(cameras)
    problem = cameras_problem(names)
    if problem is not None:
        raise WrittenError(f'{path}: {problem}')
    images = {camera.namespace: camera.image for camera in cameras}
    own = {}
    for camera in cameras:
        for key, value in camera.parameters.items():
            if key not in BY_CAMERA:
                raise WrittenError(
                    f'{path}: camera {camera.namespace}: {key} is that of all cameras of a node. '
                    f'Give it once, beside "share". A camera may have: {", ".join(BY_CAMERA)}.'
                )
            own[f'{camera.namespace}.{key}'] = value
    return (SharedNode(images, {**_of_node(str(path), document), **own}),)


def _camera(path: Path, number: int, row: Any, share: bool) -> Camera:
    where = f'{path}: camera {number}'
    if not isinstance(row, dict):
        raise WrittenError(f'{where} is {row!r}. Give keys and values: "- name: front".')
    check_keys(where, row, KEYS)
    name, image = _text(where, row, 'name', ''), _text(where, row, 'image', 'image')
    if not _NAME.fullmatch(name):
        raise WrittenError(
            f'{where}: name is {name!r}, which is no namespace. Give letters, digits and '
            'underscores, as in "name: front".'
        )
    where = f'{where} ({name})'
    if not image or image.endswith(('/', '/compressed')):
        raise WrittenError(
            f'{where}: image is {image!r}. Name the topic without "/compressed", and set '
            'image_transport: compressed where it has no other.'
        )
    return Camera(name, image, _of_node(where, row))


def _of_node(where: str, row: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a row says of its node, as parameters."""
    parameters = checked_parameters(where, row.get('parameters'), TABLE, 'inference_node')
    if 'cameras' in parameters:
        raise WrittenError(f'{where}: cameras stand in the list, not below parameters.')
    for key in ('bundle', 'image_transport'):
        value = _text(where, row, key, '')
        if value:
            if key in parameters:
                raise WrittenError(f'{where}: {key} is given twice, once below parameters.')
            parameters |= checked_parameters(where, {key: value}, TABLE, 'inference_node')
    return parameters


def _text(where: str, row: Mapping[str, Any], key: str, default: str) -> str:
    value = row.get(key, default)
    if not isinstance(value, str):
        raise WrittenError(
            f'{where}: {key} is {value!r}, not text. Put it into quotes: {key}: "{value}"'
        )
    return value


def _remappings(name: str, topic: str) -> dict[str, str]:
    # Relative names of a remap are those of the node's namespace.
    return {name: topic, f'{name}/compressed': f'{topic}/compressed'}
