# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Whether all processes train the same: version, training file and data."""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import hashlib
from importlib.metadata import PackageNotFoundError, version
import os
from pathlib import Path
from typing import Any

import numpy as np

from dynamic_dnn_ros.training.configuration import TrainingConfiguration
from dynamic_dnn_ros.training.processes import WorkerError, from_each
from dynamic_dnn_ros.training.tasks.contract import TrainingData

#: Fields of a training file that may differ from computer to computer. Weights at the beginning
#: are those of the first process.
_OWN_FIELDS = (
    'training_data',
    'test_data',
    'output',
    'work',
    'initial_weights',
    'fine_tune',
    'workers',
    'threads',
    'device',
    'search',
    'limits',
)

_REMEDIES = {
    'version of dynamic_dnn_ros': 'install the same on all computers',
    'training data': 'give all computers the same pictures',
}


def check_alike(configuration: TrainingConfiguration, pictures: TrainingData) -> None:
    """
    Compare what the processes are about to train; all must call.

    :param pictures: to train on.
    :raises WorkerError: in all of them, if one differs, naming it and in what.
    """
    compare(from_each(_told(configuration, pictures)))


def compare(told: list[Mapping[str, str]]) -> None:
    """
    Compare what processes say of themselves, each the same names.

    :raises WorkerError: naming the first one that differs, and in what.
    """
    for name, expected in told[0].items():
        for rank, other in enumerate(told):
            if other.get(name) != expected:
                remedy = _REMEDIES.get(name, 'give all computers the same training file')
                raise WorkerError(
                    f'process {rank} has another {name} than process 0 ({other.get(name)}, not '
                    f'{expected}): {remedy}'
                )


def _told(configuration: TrainingConfiguration, pictures: TrainingData) -> dict[str, str]:
    try:
        own_version = version('dynamic_dnn_ros')
    except PackageNotFoundError:
        own_version = 'unknown'
    fields = {
        field.name: repr(getattr(configuration, field.name))
        for field in dataclasses.fields(configuration)
        if field.name not in _OWN_FIELDS
    }
    return {
        'version of dynamic_dnn_ros': own_version,
        **{f'`{name}` in the training file': value for name, value in fields.items()},
        'training data': data_digest(pictures.identity()),
    }


def data_digest(identity: Mapping[str, Any]) -> str:
    """Return what tells pictures from others, wherever they lie, in a few characters."""
    digest = hashlib.sha256()
    for name, value in sorted(identity.items()):
        if name == 'path':
            continue
        digest.update(name.encode())
        if isinstance(value, np.ndarray):
            digest.update(f'{value.dtype}{value.shape}'.encode())
            digest.update(np.ascontiguousarray(value).data)
        elif name == 'paths' and len(value):
            folder = os.path.commonpath([Path(path).parent for path in value])
            names = [os.path.relpath(path, folder) for path in value]
            digest.update('\0'.join(names).encode())
        else:
            digest.update(repr(value).encode())
    return digest.hexdigest()[:12]
