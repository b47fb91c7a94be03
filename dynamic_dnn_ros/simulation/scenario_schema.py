# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The JSON schema of a scenario file; docs/scenarios.md says what each field means."""

from __future__ import annotations

from typing import Any

from dynamic_dnn_ros.bundles.profile import LARGEST_BATCH

_TIME = {'type': 'number', 'minimum': 0}
_SHARE = {'type': 'number', 'minimum': 0, 'maximum': 1}
_LOADS = {
    'cpu': {'type': 'number', 'minimum': 0, 'maximum': 1},
    'gpu': {'type': 'number', 'minimum': 0, 'maximum': 1},
    'memory': {'type': 'number', 'minimum': 0, 'maximum': 1},
}


def _object(properties: dict[str, Any], required: tuple[str, ...] = ()) -> dict[str, Any]:
    return {
        'type': 'object',
        'properties': properties,
        'required': list(required),
        'additionalProperties': False,
    }


def _list(entry: dict[str, Any]) -> dict[str, Any]:
    return {'type': 'array', 'items': entry}


_STAGE = _object(
    {'name': {'type': 'string', 'minLength': 1}, 'work': _SHARE, 'taken': _SHARE},
    ('name', 'work', 'taken'),
)

_SUB_NETWORK = _object(
    {
        'id': {'type': 'string', 'minLength': 1},
        'accuracy': _SHARE,
        'multiply_adds': {'type': 'integer', 'minimum': 1},
        'layers': {'type': 'integer', 'minimum': 1},
        'parameters': {'type': 'integer', 'minimum': 1},
        'model': {'type': 'string', 'minLength': 1},
        'size': {'type': 'integer', 'minimum': 8, 'maximum': 8192},
        'stages': {'type': 'array', 'items': _STAGE, 'minItems': 2},
    },
    ('id', 'accuracy', 'multiply_adds', 'layers', 'parameters'),
)

NETWORK: dict[str, Any] = _object(
    {
        'bundle': {'type': 'string', 'minLength': 1},
        'levels': {'type': 'string', 'minLength': 1},
        'measured': {'type': 'string', 'minLength': 1},
        'processors': {'type': 'array', 'items': {'type': 'string'}, 'minItems': 1},
        'only': {'type': 'array', 'items': {'type': 'string'}, 'minItems': 1},
        'sub_networks': {'type': 'array', 'items': _SUB_NETWORK, 'minItems': 1},
        'measurements': {'type': 'string', 'minLength': 1},
        'board': {'type': 'string', 'minLength': 1},
        'framework': {'type': 'string', 'minLength': 1},
        'map': {'type': 'object', 'additionalProperties': {'type': 'string', 'minLength': 1}},
        'batches': {
            'type': 'array',
            'items': {'type': 'number', 'exclusiveMinimum': 0},
            'minItems': 2,
            'maxItems': LARGEST_BATCH,
        },
    }
)

_CAMERA = _object(
    {
        'rate': {'type': 'number', 'exclusiveMinimum': 0, 'maximum': 1000},
        'jitter': {'type': 'number', 'minimum': 0, 'maximum': 0.3},
        'phase': _TIME,
        'changes': _list(
            _object(
                {'at': _TIME, 'rate': {'type': 'number', 'exclusiveMinimum': 0, 'maximum': 1000}},
                ('at', 'rate'),
            )
        ),
    },
    ('rate',),
)

_TARGET = _object(
    {
        'at': _TIME,
        'clear': {'const': True},
        'latency': _TIME,
        'latency_quantile': _SHARE,
        'accuracy': _SHARE,
        'energy': _TIME,
        'rate': _TIME,
        'priority': {'type': 'integer', 'minimum': 0, 'maximum': 255},
        'objective': {'enum': ['minimum_energy', 'maximum_accuracy', 'minimum_latency']},
        'late_frames': {'enum': ['serve', 'drop']},
    }
)

_APPLICATION = _object(
    {
        'id': {'type': 'string', 'pattern': r'^(/[A-Za-z_][A-Za-z0-9_]*)+$'},
        'network': NETWORK,
        'camera': _CAMERA,
        'sub_network': {'type': 'string', 'minLength': 1},
        'starts': _TIME,
        'ends': {'type': 'number', 'exclusiveMinimum': 0},
        'jitter': {'type': 'number', 'minimum': 0, 'maximum': 1},
        'slow_down': _list(
            _object(
                {'at': _TIME, 'factor': {'type': 'number', 'exclusiveMinimum': 0}},
                ('at', 'factor'),
            )
        ),
        'difficulty': _list(
            _object(
                {
                    'at': _TIME,
                    'value': {'type': 'number', 'minimum': 0.01, 'maximum': 100},
                },
                ('at', 'value'),
            )
        ),
        'targets': _list(_TARGET),
    },
    ('id', 'network', 'camera'),
)

_SERVER = _object(
    {
        'name': {'type': 'string', 'minLength': 1},
        'scheduler': {'type': 'string', 'minLength': 1},
        'applications': {'type': 'array', 'items': {'type': 'string'}, 'minItems': 1},
    },
    ('name', 'applications'),
)

_SENSOR = _object(
    {
        'noise': {'type': 'number', 'minimum': 0, 'maximum': 1},
        'bias': {'type': 'number', 'minimum': -1, 'maximum': 10},
    }
)

SCHEMA: dict[str, Any] = _object(
    {
        'name': {'type': 'string'},
        'platform': _object(
            {
                'board': {'type': 'string', 'minLength': 1},
                'power_mode': {'type': 'string'},
                'scale': {
                    'type': 'object',
                    'additionalProperties': {'type': 'number', 'exclusiveMinimum': 0},
                },
            },
            ('board',),
        ),
        'duration': {'type': 'number', 'exclusiveMinimum': 0, 'maximum': 86400},
        'measured_from': _TIME,
        'seed': {'type': 'integer', 'minimum': 0},
        'applications': {'type': 'array', 'items': _APPLICATION, 'minItems': 1},
        'scheduler': {'type': 'string', 'minLength': 1},
        'servers': _list(_SERVER),
        'other_load': _list(
            _object(
                {
                    'at': _TIME,
                    'until': {'type': 'number'},
                    'polling': {'type': 'boolean'},
                    **_LOADS,
                },
                ('at',),
            )
        ),
        'cooling': _list(
            _object(
                {
                    'at': _TIME,
                    'ambient': {'type': 'number', 'minimum': -60, 'maximum': 120},
                    'resistance': {'type': 'number', 'exclusiveMinimum': 0},
                },
                ('at',),
            )
        ),
        'power_modes': _list(
            _object({'at': _TIME, 'mode': {'type': 'string', 'minLength': 1}}, ('at', 'mode'))
        ),
        'held_clocks': _list(
            _object(
                {
                    'at': _TIME,
                    'domain': {'type': 'string', 'minLength': 1},
                    'hertz': {'type': 'number', 'exclusiveMinimum': 0},
                },
                ('at', 'domain', 'hertz'),
            )
        ),
        'sensors': _object(
            {
                'delay': _TIME,
                'delay_jitter': _TIME,
                'drop_out': _SHARE,
                'silent': _list(
                    _object(
                        {'at': _TIME, 'until': {'type': 'number', 'exclusiveMinimum': 0}},
                        ('at', 'until'),
                    )
                ),
                'load': _SENSOR,
                'latency': _SENSOR,
                'power': _SENSOR,
                'temperature': _object(
                    {
                        'noise': {'type': 'number', 'minimum': 0, 'maximum': 50},
                        'bias': {'type': 'number', 'minimum': -100, 'maximum': 100},
                    }
                ),
            }
        ),
        'delays': _object({'decision': _TIME, 'switch': _TIME}),
    },
    ('platform', 'duration', 'applications'),
)
