# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""N cameras from one YAML file, each with a bundle and parameters of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
import difflib
from pathlib import Path
import re
from typing import Any

import yaml

from dynamic_dnn_ros.nodes.common.lifecycle import COMMON_PARAMETERS
from dynamic_dnn_ros.nodes.inference.parameters import PARAMETERS
from dynamic_dnn_ros.yaml_files import read_yaml

TEXT_KEYS = ('name', 'image', 'bundle', 'image_transport')
KEYS = (*TEXT_KEYS, 'parameters')

_NAME = re.compile(r'[A-Za-z_][A-Za-z0-9_]*(/[A-Za-z_][A-Za-z0-9_]*)*')
_TABLE = {row.name: row for row in (*COMMON_PARAMETERS, *PARAMETERS)}


class CamerasError(RuntimeError):
    """A file of cameras cannot be used. The text names the file, the camera and the remedy."""


@dataclass(frozen=True)
class Camera:
    """
    A camera and the inference node that serves it.

    `namespace` of that node, empty for the root; `image` its topic without "/compressed",
    relative to the namespace unless it begins with "/"; `parameters` of that node alone.
    """

    namespace: str
    image: str = 'image'
    parameters: Mapping[str, Any] = field(default_factory=dict)


def read_cameras(path: Path) -> tuple[Camera, ...]:
    """
    Return the cameras that a file lists; config/cameras.yaml shows every key.

    :raises CamerasError: naming the file, the camera, the key and the remedy
    """
    try:
        document = read_yaml(path)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise CamerasError(f'{path} cannot be read: {error}') from error
    if not isinstance(document, dict) or set(document) != {'cameras'}:
        raise CamerasError(
            f'{path}: the one key at the top has to be "cameras", with a list below it. '
            'config/cameras.yaml of the package shows one.'
        )
    rows = document['cameras']
    if not isinstance(rows, list) or not rows:
        raise CamerasError(
            f'{path}: "cameras" holds no list of cameras. Add one: "- name: front".'
        )
    cameras = tuple(_camera(path, number, row) for number, row in enumerate(rows, 1))
    names = [camera.namespace for camera in cameras]
    for name in names:
        if names.count(name) > 1:
            raise CamerasError(
                f'{path}: camera {name!r} is listed twice. Two nodes of one name cannot run: '
                'give one of them another name.'
            )
    return cameras


def _camera(path: Path, number: int, row: Any) -> Camera:
    where = f'{path}: camera {number}'
    if not isinstance(row, dict):
        raise CamerasError(f'{where} is {row!r}. Give keys and values: "- name: front".')
    for key in row:
        if key not in KEYS:
            raise CamerasError(
                f'{where} has an unknown key {key!r}{_near(key, KEYS)}. Known: {", ".join(KEYS)}.'
            )
    for key in TEXT_KEYS:
        if key in row and not isinstance(row[key], str):
            raise CamerasError(
                f'{where}: {key} is {row[key]!r}, not text. Put it into quotes: '
                f'{key}: "{row[key]}"'
            )
    name = row.get('name', '')
    if not _NAME.fullmatch(name):
        raise CamerasError(
            f'{where}: name is {name!r}, which is no namespace. Give letters, digits and '
            'underscores, as in "name: front".'
        )
    where = f'{where} ({name})'
    image = row.get('image', 'image')
    if not image or image.endswith(('/', '/compressed')):
        raise CamerasError(
            f'{where}: image is {image!r}. Name the topic without "/compressed", and set '
            'image_transport: compressed where it has no other.'
        )
    parameters = dict(_parameters(where, row.get('parameters') or {}))
    for key in ('bundle', 'image_transport'):
        if row.get(key):
            if key in parameters:
                raise CamerasError(f'{where}: {key} is given twice, once below parameters.')
            parameters[key] = _checked(where, key, row[key])
    return Camera(name, image, parameters)


def _parameters(where: str, rows: Any) -> dict[str, Any]:
    if not isinstance(rows, dict):
        raise CamerasError(f'{where}: parameters are {rows!r}. Give keys and values.')
    return {name: _checked(where, name, value) for name, value in rows.items()}


def _checked(where: str, name: Any, value: Any) -> Any:
    """Return the value of a parameter, checked as the node itself checks it."""
    specification = _TABLE.get(name)
    if specification is None:
        raise CamerasError(
            f'{where}: inference_node has no parameter {name!r}{_near(str(name), _TABLE)}. '
            'docs/parameters.md lists them.'
        )
    value = specification.coerce(value)
    problem = specification.problem(value)
    if problem is not None:
        raise CamerasError(f'{where}: {problem}')
    return value


def _near(given: str, known: Any) -> str:
    found = difflib.get_close_matches(str(given), list(known), 1)
    return f' (did you mean {found[0]!r}?)' if found else ''
