# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What a bundle's manifest says, as values, and the schema that it has to keep."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
import hashlib
import json
import math
import re
from typing import Any, ClassVar

import jsonschema

from dynamic_dnn_ros.bundles import stages as staging
from dynamic_dnn_ros.bundles.errors import BundleError
from dynamic_dnn_ros.bundles.stages import Stage
from dynamic_dnn_ros.pictures.input import (
    Alignment,
    ChannelOrder,
    Interpolation,
    Preprocessing,
    Resize,
)
from dynamic_dnn_ros.pictures.placement import Size
from dynamic_dnn_ros.tasks.contract import Task, TaskError
from dynamic_dnn_ros.tasks.registry import create_task

#: Of what is written; format 1 is read as well.
FORMAT_VERSION = 2
MANIFEST_NAME = 'manifest.json'

_REMEDY = 'Export the bundle again, or install an undamaged copy'

#: A plain file name: no folder, no `..`, nothing hidden.
_FILE_NAME = re.compile(r'[A-Za-z0-9_][A-Za-z0-9_.-]*')

#: What a message and numpy hold of a whole number.
_LARGEST = 2**63 - 1

_COUNT = {'type': 'integer', 'minimum': 1, 'maximum': _LARGEST}

#: Sub-networks of a bundle: a hundred times what a front has.
MOST_SUB_NETWORKS = 4096

#: Letters of the id of a sub-network: one line of a table holds it.
LONGEST_ID = 32

_SUB_NETWORK: dict[str, Any] = {
    'id': {
        'type': 'string',
        'pattern': rf'^[a-z0-9_]{{1,{LONGEST_ID}}}\Z',
        'description': f'1 to {LONGEST_ID} small letters, digits and underscores',
    },
    'configuration': {'type': 'object'},
    'multiply_adds': _COUNT,
    'parameters': _COUNT,
    'layers': _COUNT,
}

_SIDE = {'type': 'integer', 'minimum': 8, 'maximum': 4096}
_ACCURACY = {'type': 'number', 'minimum': 0, 'maximum': 1}
_FITTING: dict[str, Any] = {
    'interpolation': {'enum': [entry.value for entry in Interpolation]},
    'mean': {'$ref': '#/definitions/channels'},
    'standard_deviation': {
        'allOf': [
            {'$ref': '#/definitions/channels'},
            {'items': {'type': 'number', 'exclusiveMinimum': 0}},
        ]
    },
}


def _object(properties: Mapping[str, Any], optional: Sequence[str] = ()) -> dict[str, Any]:
    """Return the schema of an object without other fields."""
    return {
        'type': 'object',
        'required': [name for name in properties if name not in optional],
        'additionalProperties': False,
        'properties': dict(properties),
    }


def _schema(version: int, properties: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema of a format: what all formats have, and what is its own."""
    whole = _object(
        {
            'format_version': {'const': version},
            'name': {
                'type': 'string',
                'pattern': r'^[a-z0-9_]+\Z',
                'description': 'small letters, digits and underscores',
            },
            'description': {'type': 'string'},
            'accuracy_data': {'type': 'string'},
            **properties,
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
        optional=('description', 'accuracy_data'),
    )
    channels = {'type': 'array', 'minItems': 3, 'maxItems': 3, 'items': {'type': 'number'}}
    return {**whole, 'definitions': {'channels': channels}}


def _array(items: Mapping[str, Any], least: int, **rules: Any) -> dict[str, Any]:
    return {'type': 'array', 'minItems': least, 'items': dict(items), **rules}


_NAME = {'type': 'string', 'minLength': 1}

#: Format 1: a classifier, a super-network, square pictures.
_SCHEMA_1 = _schema(
    1,
    {
        'family': _NAME,
        'layout': {'type': 'object'},
        'classes': _array(_NAME, 2, uniqueItems=True),
        'preprocessing': _object(
            {'resize': {'enum': ['stretch', 'center_crop']}, **_FITTING}, ('interpolation',)
        ),
        'sub_networks': _array(
            _object({**_SUB_NETWORK, 'resolution': _SIDE, 'accuracy': _ACCURACY}),
            1,
            maxItems=MOST_SUB_NETWORKS,
        ),
        'weights': {'type': 'string'},
    },
)

_SOURCES = {
    'super_network': _object(
        {
            'kind': {'const': 'super_network'},
            'family': _NAME,
            'layout': {'type': 'object'},
            'weights': {'type': 'string'},
        }
    ),
    'separate_models': _object(
        {
            'kind': {'const': 'separate_models'},
            'models': {
                'type': 'object',
                'minProperties': 1,
                'additionalProperties': {'type': 'string'},
            },
        }
    ),
}

_SCHEMA_2 = _schema(
    2,
    {
        'task': {'type': 'object', 'required': ['name'], 'properties': {'name': _NAME}},
        'labels': _array(_NAME, 1),
        'preprocessing': _object(
            {
                'resize': {'enum': [entry.value for entry in Resize]},
                **_FITTING,
                'channels': {'enum': [entry.value for entry in ChannelOrder]},
                'alignment': {'enum': [entry.value for entry in Alignment]},
                'padding': {'type': 'integer', 'minimum': 0, 'maximum': 255},
            },
            ('interpolation', 'channels', 'alignment', 'padding'),
        ),
        # What a source of its kind has, `_SOURCES` says.
        'source': {
            'type': 'object',
            'required': ['kind'],
            'properties': {'kind': {'enum': list(_SOURCES)}},
        },
        'sub_networks': _array(
            _object(
                {
                    **_SUB_NETWORK,
                    'height': _SIDE,
                    'width': _SIDE,
                    'accuracy': {**_ACCURACY, 'type': ['number', 'null']},
                    'accuracy_source': {'enum': ['measured', 'given']},
                    'stages': {'type': 'array', 'items': staging.SCHEMA},
                },
                ('accuracy_source', 'stages'),
            ),
            1,
            maxItems=MOST_SUB_NETWORKS,
        ),
    },
)


#: Errors of the schema that are named at once.
_MOST_ERRORS = 8


def _explained(error: jsonschema.ValidationError, within: str = '') -> str:
    """Return an error of the schema in words: the field, and what is allowed there."""
    path = [within] if within else []
    field = '.'.join([*path, *map(str, error.absolute_path)]) or 'the manifest'
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
    elif rule == 'minProperties':
        problem = 'is empty: at least one entry is needed'
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


class AccuracySource(Enum):
    """Where the accuracy of a sub-network is from."""

    MEASURED = 'measured'
    GIVEN = 'given'


@dataclass(frozen=True)
class SubNetwork:
    """
    One runnable configuration of a dynamic network.

    `size` of its input, pixels; `accuracy` in 0..1 on the bundle's test data, of the metric that
    the bundle's task names, NaN where nobody knows it; `multiply_adds` for one picture,
    `parameters` the weights it uses, `layers` the convolutions and linear layers that it runs one
    after the other.

    `stages` in the order in which they run, none where it is one piece. With stages, `accuracy` is
    that with the thresholds of their exits; `multiply_adds`, `parameters` and `layers` are those
    of the largest path, which is all stages. A cascade, whose stages are other sub-networks, has
    no configuration of its own: an empty one.
    """

    id: str
    configuration: Mapping[str, Any]
    size: Size
    accuracy: float
    multiply_adds: int
    parameters: int
    layers: int
    accuracy_source: AccuracySource = AccuracySource.MEASURED
    stages: tuple[Stage, ...] = ()

    @property
    def is_cascade(self) -> bool:
        """Tell whether its stages are other sub-networks."""
        return any(stage.sub_network for stage in self.stages)

    @property
    def mean_work(self) -> float:
        """Return the mean share of the largest path's cost over calibration pictures, 0..1."""
        if not self.stages:
            return 1.0
        return math.fsum(stage.taken * stage.work for stage in self.stages)

    @property
    def accuracy_is_known(self) -> bool:
        """Tell whether there is a figure of its accuracy."""
        return not math.isnan(self.accuracy)

    @property
    def accuracy_for_targets(self) -> float:
        """Return the accuracy that targets are held against: 0 where nobody knows it."""
        return self.accuracy if self.accuracy_is_known else 0.0

    def to_mapping(self) -> dict[str, Any]:
        """Return it as plain JSON data."""
        mapping = {
            'id': self.id,
            'configuration': dict(self.configuration),
            'height': self.size.height,
            'width': self.size.width,
            'accuracy': self.accuracy if self.accuracy_is_known else None,
            'accuracy_source': self.accuracy_source.value,
            'multiply_adds': self.multiply_adds,
            'parameters': self.parameters,
            'layers': self.layers,
        }
        if self.stages:
            mapping['stages'] = [stage.to_mapping() for stage in self.stages]
        return mapping


def _sub_network(entry: Mapping[str, Any]) -> SubNetwork:
    # JSON does not tell 32.0 from 32, nor 1 from 1.0.
    accuracy = entry['accuracy']
    return SubNetwork(
        id=entry['id'],
        configuration=entry['configuration'],
        size=Size(int(entry['height']), int(entry['width'])),
        accuracy=math.nan if accuracy is None else float(accuracy),
        multiply_adds=int(entry['multiply_adds']),
        parameters=int(entry['parameters']),
        layers=int(entry['layers']),
        accuracy_source=AccuracySource(entry.get('accuracy_source', 'measured')),
        stages=tuple(map(Stage.from_mapping, entry.get('stages', ()))),
    )


@dataclass(frozen=True)
class TaskChoice:
    """The task of a bundle by its name, and the options it is made from."""

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)


CLASSIFICATION = TaskChoice('classification')


@dataclass(frozen=True)
class SuperNetwork:
    """
    Sub-networks out of one set of weights.

    A bundle's writer fills in `weights`, the name of their file.
    """

    family: str
    layout: Mapping[str, Any]
    weights: str = ''

    kind: ClassVar[str] = 'super_network'

    @property
    def files(self) -> tuple[str, ...]:
        """Return the names of the files that hold what is learned."""
        return (self.weights,)

    def to_mapping(self) -> dict[str, Any]:
        """Return it as plain JSON data."""
        return {
            'kind': self.kind,
            'family': self.family,
            'layout': dict(self.layout),
            'weights': self.weights,
        }


@dataclass(frozen=True)
class SeparateModels:
    """
    Models that were made without regard to each other: `models` names the file of each.

    A file is a whole ONNX model. Its one input `pictures` is uint8, N x height x width x 3, red,
    green, blue; height and width are fixed or symbolic, N is 1 or symbolic. Normalisation, order
    of channels and transposition are nodes of the graph. The configuration of a sub-network is
    `{"model": name}`; those of one model differ in size.
    """

    models: Mapping[str, str]

    kind: ClassVar[str] = 'separate_models'

    @property
    def files(self) -> tuple[str, ...]:
        """Return the names of the files that hold what is learned."""
        return tuple(dict.fromkeys(self.models.values()))

    def to_mapping(self) -> dict[str, Any]:
        """Return it as plain JSON data."""
        return {'kind': self.kind, 'models': dict(self.models)}


Source = SuperNetwork | SeparateModels


def _source(entry: Mapping[str, Any]) -> Source:
    if entry['kind'] == SeparateModels.kind:
        return SeparateModels(entry['models'])
    return SuperNetwork(entry['family'], entry['layout'], entry['weights'])


def _preprocessing(entry: Mapping[str, Any]) -> Preprocessing:
    return Preprocessing(
        resize=Resize(entry['resize']),
        mean=tuple(entry['mean']),
        standard_deviation=tuple(entry['standard_deviation']),
        interpolation=Interpolation(entry.get('interpolation', Interpolation.BILINEAR.value)),
        channels=ChannelOrder(entry.get('channels', ChannelOrder.RGB.value)),
        alignment=Alignment(entry.get('alignment', Alignment.CENTER.value)),
        padding=int(entry.get('padding', 114)),
    )


def _as_format_2(mapping: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a manifest of format 1 says, in format 2."""
    changed = ('family', 'layout', 'weights', 'classes', 'sub_networks')
    return {
        **{name: value for name, value in mapping.items() if name not in changed},
        'format_version': FORMAT_VERSION,
        'task': {'name': CLASSIFICATION.name},
        'labels': mapping['classes'],
        'source': {
            'kind': SuperNetwork.kind,
            **{name: mapping[name] for name in ('family', 'layout', 'weights')},
        },
        'sub_networks': [
            {**entry, 'height': entry['resolution'], 'width': entry['resolution']}
            for entry in mapping['sub_networks']
        ],
    }


@dataclass(frozen=True)
class Manifest:
    """
    The manifest of a bundle; `files` maps each file to its SHA-256.

    Of `labels` two may be equal: ImageNet has two cranes. Whoever makes a bundle leaves
    `profiles`, `files` and the names of files in `source` to the writer.
    """

    name: str
    source: Source
    labels: tuple[str, ...]
    preprocessing: Preprocessing
    sub_networks: tuple[SubNetwork, ...]
    task: TaskChoice = CLASSIFICATION
    profiles: tuple[str, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    description: str = ''
    accuracy_data: str = ''

    def make_task(self) -> Task[Any, Any]:
        """
        Return the task that the outputs are decoded by.

        :raises BundleError: when it is unknown here, or refuses its options
        """
        try:
            return create_task(self.task.name, self.task.options)
        except TaskError as error:
            raise BundleError(
                f'bundle {self.name!r}', str(error).rstrip('.'), 'Update dynamic_dnn_ros'
            ) from error

    @property
    def super_network(self) -> SuperNetwork:
        """
        Return the source as the super-network it is.

        :raises BundleError: when it is none
        """
        if isinstance(self.source, SuperNetwork):
            return self.source
        raise BundleError(
            f'bundle {self.name!r}',
            'holds separate models, no super-network',
            'Name a bundle of a super-network, or do this with the models before they are '
            "imported: 'dynamic-dnn import-onnx'",
        )

    @property
    def weights_sha256(self) -> str:
        """Return a SHA-256 over all that is learned: what a profile or a graph was made with."""
        if isinstance(self.source, SuperNetwork):
            return self.files[self.source.weights]
        models = {name: self.files[file] for name, file in self.source.models.items()}
        return hashlib.sha256(json.dumps(models, sort_keys=True).encode()).hexdigest()

    def model_file(self, sub_network: SubNetwork) -> str:
        """
        Return the name of the file of a sub-network's model.

        :raises BundleError: when it has none: in a super-network, or the model is unknown
        """
        models = self.source.models if isinstance(self.source, SeparateModels) else {}
        name = sub_network.configuration.get('model')
        if not isinstance(name, str) or name not in models:
            raise BundleError(
                f'bundle {self.name!r}',
                f'sub-network {sub_network.id!r} is of the model {name!r}, which is none of it',
                f'Known are: {", ".join(models) or "none"}. {_REMEDY}',
            )
        return models[name]

    @property
    def own_sub_networks(self) -> tuple[SubNetwork, ...]:
        """Return the sub-networks that the source has: all but cascades."""
        return tuple(entry for entry in self.sub_networks if not entry.is_cascade)

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
        Build the manifest from its JSON data, of format 1 or 2.

        :param where: named in errors, the file usually
        :raises BundleError: when it breaks the schema, names a file that is not plainly inside
            the bundle or is not listed with its SHA-256, names an id twice, or a sub-network is
            of a model that it has not, or has stages that cannot be
        """
        version = mapping.get('format_version') if isinstance(mapping, dict) else None
        if isinstance(version, int) and version > FORMAT_VERSION:
            raise BundleError(
                where,
                f'has format version {version}, this release reads up to {FORMAT_VERSION}',
                'Update dynamic_dnn_ros',
            )
        _check(mapping, _SCHEMA_1 if version == 1 else _SCHEMA_2, where)
        assert isinstance(mapping, dict)
        if version == 1:
            mapping = _as_format_2(mapping)
        _check(mapping['source'], _SOURCES[mapping['source']['kind']], where, 'source')
        manifest = cls(
            name=mapping['name'],
            source=_source(mapping['source']),
            labels=tuple(mapping['labels']),
            preprocessing=_preprocessing(mapping['preprocessing']),
            sub_networks=tuple(map(_sub_network, mapping['sub_networks'])),
            task=TaskChoice(
                mapping['task']['name'],
                {name: value for name, value in mapping['task'].items() if name != 'name'},
            ),
            profiles=tuple(mapping['profiles']),
            files=mapping['files'],
            description=mapping.get('description', ''),
            accuracy_data=mapping.get('accuracy_data', ''),
        )
        manifest._check_names(where)
        return manifest

    def _check_names(self, where: object) -> None:
        for name in (*self.source.files, *self.profiles, *self.files):
            if not _FILE_NAME.fullmatch(name):
                raise BundleError(
                    where,
                    f'names the file {name!r}, which is not a plain name inside the bundle',
                    'Do not use this bundle: '
                    'a sound one names only files in its own folder, without "/" or ".."',
                )
        for name in (*self.source.files, *self.profiles):
            if name not in self.files:
                raise BundleError(where, f'gives no SHA-256 for {name!r}', _REMEDY)
        identifiers = Counter(sub_network.id for sub_network in self.sub_networks)
        for identifier, count in identifiers.items():
            if count > 1:
                raise BundleError(where, f'has two sub-networks {identifier!r}', _REMEDY)
        for label in self.labels:
            # A terminal would carry out what such characters stand for.
            if not label.isprintable():
                raise BundleError(
                    where,
                    f'names a class {label[:40]!r}, which holds control characters',
                    'Name its classes in plain text, and write it again',
                )
        self._check_stages(where)
        if isinstance(self.source, SeparateModels):
            for entry in self.sub_networks:
                if not entry.is_cascade:
                    self.model_file(entry)
        elif self.preprocessing.channels is not ChannelOrder.RGB:
            raise BundleError(
                where,
                'gives channels as bgr to a super-network, and those take rgb',
                'Exchange the first and the last channel of its first weights, or import it as a '
                'separate model',
            )

    def _check_stages(self, where: object) -> None:
        by_id = {entry.id: entry for entry in self.sub_networks}
        has_parts = isinstance(self.source, SuperNetwork)
        for entry in self.sub_networks:
            for problem in staging.problems_of(entry, by_id, has_parts):
                raise BundleError(where, f'sub-network {entry.id!r} {problem}', _REMEDY)

    def to_mapping(self) -> dict[str, Any]:
        """Return the manifest as plain JSON data, in format 2."""
        return {
            'format_version': FORMAT_VERSION,
            'name': self.name,
            'description': self.description,
            'accuracy_data': self.accuracy_data,
            'task': {'name': self.task.name, **self.task.options},
            'labels': list(self.labels),
            'preprocessing': {
                'resize': self.preprocessing.resize.value,
                'interpolation': self.preprocessing.interpolation.value,
                'mean': list(self.preprocessing.mean),
                'standard_deviation': list(self.preprocessing.standard_deviation),
                'channels': self.preprocessing.channels.value,
                'alignment': self.preprocessing.alignment.value,
                'padding': self.preprocessing.padding,
            },
            'source': self.source.to_mapping(),
            'sub_networks': [entry.to_mapping() for entry in self.sub_networks],
            'profiles': list(self.profiles),
            'files': dict(self.files),
        }


def _check(mapping: object, schema: Mapping[str, Any], where: object, field: str = '') -> None:
    """Raise BundleError for what a schema does not allow; `field` is where the mapping stands."""
    errors = sorted(
        jsonschema.Draft7Validator(schema).iter_errors(mapping), key=lambda e: len(e.path)
    )
    if errors:
        explained = list(dict.fromkeys(_explained(each, field) for each in errors))
        raise BundleError(where, '; '.join(explained[:_MOST_ERRORS]), _REMEDY)
