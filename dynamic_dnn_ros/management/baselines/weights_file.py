# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
The file of a decider that was trained: arrays of known shapes and a few words on the training.

It is an `.npz` without objects. Nothing is read before its size, name, shape and type are checked,
so a file of strangers can neither run code nor fill the memory.
"""

from __future__ import annotations

from collections.abc import Mapping
import io
import json
from pathlib import Path
from typing import Any, Protocol
import zipfile

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from dynamic_dnn_ros.storage import write_whole

FloatArray = NDArray[np.float64]
Shapes = Mapping[str, tuple[int, ...]]

LARGEST = 1 << 20
"""Bytes of a file, and of what it holds."""

ABOUT = 'about'
FORMAT = 1


class Learner(Protocol):
    """What is trained: `restore` raises ValueError for arrays that it cannot go on from."""

    def shapes(self) -> Shapes:
        """Return the shapes of its arrays by name."""

    def restore(self, arrays: Mapping[str, FloatArray]) -> None:
        """Go on from arrays."""


class DeciderFileError(ValueError):
    """A file that is none of a decider; the text names it, the problem and the remedy."""

    def __init__(self, path: Path, problem: str, remedy: str = '') -> None:
        """Compose the message."""
        remedy = remedy or 'Make one with `dynamic-dnn train-decider`'
        super().__init__(f'{path} {problem}. {remedy}')


def write_decider(
    path: Path, decider: str, about: Mapping[str, Any], arrays: Mapping[str, Any]
) -> None:
    """
    Write the file at once or not at all.

    :param about: of the training, plain JSON
    :param arrays: by name
    :raises OSError: when it cannot be written
    """
    text = json.dumps({**about, 'decider': decider, 'format': FORMAT}, sort_keys=True)
    stream = io.BytesIO()
    held: dict[str, Any] = {ABOUT: np.frombuffer(text.encode(), np.uint8), **arrays}
    np.savez_compressed(stream, **held)
    write_whole(path, stream.getvalue())


def read_decider(
    path: Path, decider: str, shapes: Shapes
) -> tuple[dict[str, Any], dict[str, FloatArray]]:
    """
    Return what the file says of its training, and its arrays.

    :param shapes: by name of the arrays that it has to have
    :raises DeciderFileError: for a file that is missing, of another decider, or none at all
    """
    try:
        if path.stat().st_size > LARGEST:
            raise DeciderFileError(path, f'has more than {LARGEST} bytes')
        with zipfile.ZipFile(path) as archive:
            if sum(info.file_size for info in archive.infolist()) > LARGEST:
                raise DeciderFileError(path, f'holds more than {LARGEST} bytes')
            names = {name.removesuffix('.npy') for name in archive.namelist()}
            if names != {ABOUT, *shapes}:
                raise DeciderFileError(path, f'has other arrays than a decider {decider!r}')
            about = _about(path, archive.read(f'{ABOUT}.npy'), decider)
            arrays = {n: _array(path, n, archive.read(f'{n}.npy'), shapes[n]) for n in shapes}
    except OSError as error:
        raise DeciderFileError(path, f'cannot be read ({error.strerror or error})') from error
    except (zipfile.BadZipFile, zipfile.LargeZipFile, NotImplementedError, RuntimeError) as error:
        raise DeciderFileError(path, f'is no file of a decider ({error})') from error
    return about, arrays


def restore_decider(path: Path, decider: str, learner: Learner) -> dict[str, Any]:
    """
    Have a learner go on from a file, and return what that says of its training.

    :raises DeciderFileError: for a file that is missing, of another decider, or of no use
    """
    about, arrays = read_decider(path, decider, learner.shapes())
    try:
        learner.restore(arrays)
    except ValueError as error:
        raise DeciderFileError(path, f'is of no use ({error})') from error
    return about


def _about(path: Path, data: bytes, decider: str) -> dict[str, Any]:
    stream = io.BytesIO(data)
    try:
        _header(stream)
        about = json.loads(stream.read().decode())
    except ValueError as error:
        raise DeciderFileError(path, f'says nothing of its training ({error})') from error
    if not isinstance(about, dict) or about.get('format') != FORMAT:
        raise DeciderFileError(path, 'has a format that this version does not know')
    if about.get('decider') != decider:
        raise DeciderFileError(
            path, f'is of the decider {about.get("decider")!r}, not of {decider!r}'
        )
    return about


def _array(path: Path, name: str, data: bytes, shape: tuple[int, ...]) -> FloatArray:
    stream = io.BytesIO(data)
    try:
        found, fortran, kind = _header(stream)
        if found != shape or fortran or kind != np.dtype('<f8'):
            raise ValueError(f'{kind} of shape {found} in place of float64 of {shape}')
        array = np.frombuffer(data[stream.tell() :], '<f8').reshape(shape).astype(np.float64)
        if not np.isfinite(array).all():
            raise ValueError('some are no numbers')
    except ValueError as error:
        raise DeciderFileError(
            path, f'has an array {name!r} that is of no use ({error})'
        ) from error
    return array


def _header(stream: io.BytesIO) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    if npy.read_magic(stream) != (1, 0):
        raise ValueError('another version of .npy')
    shape, fortran, kind = npy.read_array_header_1_0(stream)
    return shape, fortran, kind
