# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What a bundle's manifest says, as values, and the schema that it has to keep."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
import re
from typing import Any

import jsonschema

from dynamic_dnn_ros.bundles.errors import BundleError
from dynamic_dnn_ros.pictures.input import Interpolation, Preprocessing, Resize

FORMAT_VERSION = 1
MANIFEST_NAME = 'manifest.json'

_REMEDY = 'Export the bundle again, or install an undamaged copy'

#: A plain file name: no folder, no `..`, nothing hidden.
_FILE_NAME = re.compile(r'[A-Za-z0-9_][A-Za-z0-9_.-]*')

#: What a message and numpy hold of a whole number.
_LARGEST = 2**63 - 1

_COUNT = {'type': 'integer', 'minimum': 1, 'maximum': _LARGEST}

_SCHEMA: dict[str, Any] = {
    'type': 'object',
    'required': [
        'format_version',
        'name',
        'family',
        'layout',
        'classes',
        'preprocessing',
        'sub_networks',
        'weights',
        'profiles',
        'files',
    ],
    'properties': {
        'format_version': {'const': FORMAT_VERSION},
        'name': {
            'type': 'string',
            'pattern': r'^[a-z0-9_]+\Z',
            'description': 'small letters, digits and underscores',
        },
        'description': {'type': 'string'},
        'accuracy_data': {'type': 'string'},
        'family': {'type': 'string', 'minLength': 1},
        'layout': {'type': 'object'},
        'classes': {
            'type': 'array',
            'minItems': 2,
            'uniqueItems': True,
            'items': {'type': 'string', 'minLength': 1},
        },
        'preprocessing': {
            'type': 'object',
            'required': ['resize', 'mean', 'standard_deviation'],
            'additionalProperties': False,
            'properties': {
                'resize': {'enum': ['stretch', 'center_crop']},
                'interpolation': {'enum': ['box', 'bilinear', 'hamming', 'bicubic', 'lanczos']},
                'mean': {'$ref': '#/definitions/channels'},
                'standard_deviation': {
                    'allOf': [
                        {'$ref': '#/definitions/channels'},
                        {'items': {'type': 'number', 'exclusiveMinimum': 0}},
                    ]
                },
            },
        },
        'sub_networks': {
            'type': 'array',
            'minItems': 1,
            'items': {
                'type': 'object',
                'required': [
                    'id',
                    'configuration',
                    'resolution',
                    'accuracy',
                    'multiply_adds',
                    'parameters',
                    'layers',
                ],
                'additionalProperties': False,
                'properties': {
                    'id': {
                        'type': 'string',
                        'pattern': r'^[a-z0-9_]{1,16}\Z',
                        'description': '1 to 16 small letters, digits and underscores',
                    },
                    'configuration': {'type': 'object'},
                    'resolution': {'type': 'integer', 'minimum': 8, 'maximum': 4096},
                    'accuracy': {'type': 'number', 'minimum': 0, 'maximum': 1},
                    'multiply_adds': _COUNT,
                    'parameters': _COUNT,
                    'layers': _COUNT,
                },
            },
        },
        'weights': {'type': 'string'},
        'profiles': {'type': 'array', 'items': {'type': 'string'}},
        'files': {
            'type': 'object',
            'additionalProperties': {
                'type': 'string',
                'pattern': r'^[0-9a-f]{64}\Z',
                'description': 'a SHA-256 as 64 hexadecimal digits',
            },
        },
    },
    'additionalProperties': False,
    'definitions': {
        'channels': {
            'type': 'array',
            'minItems': 3,
            'maxItems': 3,
            'items': {'type': 'number'},
        }
    },
}


#: Errors of the schema that are named at once.
_MOST_ERRORS = 8


def _explained(error: jsonschema.ValidationError) -> str:
    """Return an error of the schema in words: the field, and what is allowed there."""
    field = '.'.join(str(part) for part in error.absolute_path) or 'the manifest'
    rule = error.validator
    limit: Any = error.validator_value
    value: Any = error.instance
    schema: Any = error.schema
    problem = error.message
    if rule == 'pattern':
        problem = f'is {value!r}: allowed is {schema["description"]}'
    elif rule in ('minItems', 'maxItems'):
        sense = 'at least' if rule == 'minItems' else 'at most'
        problem = f'has {len(value)} entries: allowed is {sense} {limit}'
    elif rule == 'minLength':
        problem = 'is empty: a text is needed'
    elif rule == 'required':
        missing = ', '.join(name for name in limit if name not in value)
        problem = f'lacks {missing}'
    elif rule == 'additionalProperties' and limit is False:
        unknown = ', '.join(sorted(set(value) - set(schema['properties'])))
        allowed = ', '.join(schema['properties'])
        problem = f'has the unknown field {unknown}: allowed are {allowed}'
    return f'{field}: {problem}'


@dataclass(frozen=True)
class SubNetwork:
    """
    One runnable configuration of a dynamic network.

    `resolution` in pixels, `accuracy` top-1 in 0..1 on the bundle's test data, `multiply_adds`
    for one picture, `parameters` the weights it uses, `layers` the convolutions and linear
    layers that it runs one after the other.
    """

    id: str
    configuration: Mapping[str, Any]
    resolution: int
    accuracy: float
    multiply_adds: int
    parameters: int
    layers: int


def _sub_network(entry: Mapping[str, Any]) -> SubNetwork:
    # JSON does not tell 32.0 from 32, nor 1 from 1.0.
    whole = {
        name: int(entry[name]) for name in ('resolution', 'multiply_adds', 'parameters', 'layers')
    }
    return SubNetwork(**{**entry, **whole, 'accuracy': float(entry['accuracy'])})


@dataclass(frozen=True)
class Manifest:
    """
    The manifest of a bundle; `files` maps each file to its SHA-256.

    Whoever makes a bundle leaves `weights`, `profiles` and `files` to the writer.
    """

    name: str
    family: str
    layout: Mapping[str, Any]
    classes: tuple[str, ...]
    preprocessing: Preprocessing
    sub_networks: tuple[SubNetwork, ...]
    weights: str = ''
    profiles: tuple[str, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    description: str = ''
    accuracy_data: str = ''

    def sub_network(self, identifier: str) -> SubNetwork:
        """
        Return one sub-network by its id.

        :raises BundleError: when the bundle has none of that id
        """
        for sub_network in self.sub_networks:
            if sub_network.id == identifier:
                return sub_network
        known = ', '.join(sub_network.id for sub_network in self.sub_networks)
        raise BundleError(
            f'bundle {self.name!r}', f'has no sub-network {identifier!r}', f'It has: {known}'
        )

    @classmethod
    def from_mapping(cls, mapping: object, where: object) -> Manifest:
        """
        Build the manifest from its JSON data.

        :param where: named in errors, the file usually
        :raises BundleError: when it breaks the schema, names a file that is not plainly inside
            the bundle or is not listed with its SHA-256, or names an id twice
        """
        version = mapping.get('format_version') if isinstance(mapping, dict) else None
        if isinstance(version, int) and version > FORMAT_VERSION:
            raise BundleError(
                where,
                f'has format version {version}, this release reads up to {FORMAT_VERSION}',
                'Update dynamic_dnn_ros',
            )
        errors = sorted(
            jsonschema.Draft7Validator(_SCHEMA).iter_errors(mapping), key=lambda e: len(e.path)
        )
        if errors:
            explained = list(dict.fromkeys(map(_explained, errors)))[:_MOST_ERRORS]
            raise BundleError(where, '; '.join(explained), _REMEDY)
        assert isinstance(mapping, dict)
        manifest = cls(
            name=mapping['name'],
            family=mapping['family'],
            layout=mapping['layout'],
            classes=tuple(mapping['classes']),
            preprocessing=Preprocessing(
                resize=Resize(mapping['preprocessing']['resize']),
                mean=tuple(mapping['preprocessing']['mean']),
                standard_deviation=tuple(mapping['preprocessing']['standard_deviation']),
                interpolation=Interpolation(
                    mapping['preprocessing'].get('interpolation', Interpolation.BILINEAR.value)
                ),
            ),
            sub_networks=tuple(map(_sub_network, mapping['sub_networks'])),
            weights=mapping['weights'],
            profiles=tuple(mapping['profiles']),
            files=mapping['files'],
            description=mapping.get('description', ''),
            accuracy_data=mapping.get('accuracy_data', ''),
        )
        manifest._check_names(where)
        return manifest

    def _check_names(self, where: object) -> None:
        for name in (self.weights, *self.profiles, *self.files):
            if not _FILE_NAME.fullmatch(name):
                raise BundleError(
                    where,
                    f'names the file {name!r}, which is not a plain name inside the bundle',
                    'Do not use this bundle: '
                    'a sound one names only files in its own folder, without "/" or ".."',
                )
        for name in (self.weights, *self.profiles):
            if name not in self.files:
                raise BundleError(where, f'gives no SHA-256 for {name!r}', _REMEDY)
        identifiers = [sub_network.id for sub_network in self.sub_networks]
        for identifier in identifiers:
            if identifiers.count(identifier) > 1:
                raise BundleError(where, f'has two sub-networks {identifier!r}', _REMEDY)

    def to_mapping(self) -> dict[str, Any]:
        """Return the manifest as plain JSON data."""
        return {
            'format_version': FORMAT_VERSION,
            'name': self.name,
            'description': self.description,
            'accuracy_data': self.accuracy_data,
            'family': self.family,
            'layout': dict(self.layout),
            'classes': list(self.classes),
            'preprocessing': {
                'resize': self.preprocessing.resize.value,
                'interpolation': self.preprocessing.interpolation.value,
                'mean': list(self.preprocessing.mean),
                'standard_deviation': list(self.preprocessing.standard_deviation),
            },
            'sub_networks': [
                {**vars(entry), 'configuration': dict(entry.configuration)}
                for entry in self.sub_networks
            ],
            'weights': self.weights,
            'profiles': list(self.profiles),
            'files': dict(self.files),
        }
