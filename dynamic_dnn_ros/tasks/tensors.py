# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Outputs of networks: what their graphs declare, found by name and shape."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dynamic_dnn_ros.tasks.contract import Outputs, TaskError, TensorSpec


def specs_of(outputs: Outputs) -> tuple[TensorSpec, ...]:
    """Return what outputs are, as if a graph declared them."""
    return tuple(
        TensorSpec(name, tuple(value.shape), str(value.dtype)) for name, value in outputs.items()
    )


def described(outputs: Sequence[TensorSpec]) -> str:
    """Return outputs in words: `output0 float32 (1, 84, 8400), ...`."""
    if not outputs:
        return 'none'
    return ', '.join(
        f'{spec.name} {spec.dtype} '
        f'({", ".join("?" if length is None else str(length) for length in spec.shape)})'
        for spec in outputs
    )


def find(outputs: Sequence[TensorSpec], name: str, what: str) -> TensorSpec:
    """
    Return the output of a name.

    :param what: who needs it, for the error
    :raises TaskError: when there is none
    """
    for spec in outputs:
        if spec.name == name:
            return spec
    raise TaskError(
        f'{what} needs an output {name!r}, and the network has {described(outputs)}. Name its '
        'outputs in the options of the task, or import the network again.'
    )


def fits(length: int | None, wanted: int) -> bool:
    """Return whether an axis has a length, or may have it."""
    return length is None or length == wanted


def is_float(spec: TensorSpec) -> bool:
    """Return whether an output holds real numbers."""
    return spec.dtype.startswith('float')


def is_integer(spec: TensorSpec) -> bool:
    """Return whether an output holds whole numbers."""
    return spec.dtype.startswith(('int', 'uint'))


def same_layout(found: Outputs, recorded: Outputs) -> bool:
    """Return whether two outputs have the same names and shapes."""
    return set(found) == set(recorded) and all(
        np.shape(found[name]) == np.shape(recorded[name]) for name in found
    )


def all_finite(outputs: Mapping[str, NDArray[Any]]) -> bool:
    """Return whether every value is a finite number."""
    return all(bool(np.all(np.isfinite(value))) for value in outputs.values())


def relative_difference(found: NDArray[Any], recorded: NDArray[Any]) -> float:
    """Return the root of the mean square of a difference, relative to the size of the recorded."""
    size = float(np.linalg.norm(np.asarray(recorded, np.float64)))
    difference = np.asarray(found, np.float64) - np.asarray(recorded, np.float64)
    return float(np.linalg.norm(difference)) / max(size, 1e-12)
