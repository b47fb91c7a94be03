# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Checkpoints of PyTorch, read without running what is in them."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
import io
from pathlib import Path
import pickletools
from typing import Any, BinaryIO, cast
import warnings
import zipfile

import numpy as np
import torch

_MODULES_OF_TENSORS = (
    'collections',
    'torch',
    'torch._utils',
    'torch._tensor',
    'torch.storage',
)
_DATA_OF_NUMPY = ('numpy.dtype', 'numpy.core.multiarray.scalar', 'numpy._core.multiarray.scalar')


class CheckpointFileError(ValueError):
    """A file of weights cannot be read. The text names the file, the problem and the remedy."""

    def __init__(self, where: object, problem: str, remedy: str) -> None:
        super().__init__(f'{where}: {problem}. {remedy}')
        self.problem = problem
        self.remedy = remedy


def load_checkpoint(path: Path) -> Any:
    """
    Return what a file of `torch.save` holds: tensors, plain values and numbers of numpy.

    :raises CheckpointFileError: when it cannot be opened, is damaged, or would run code
    """
    try:
        with open(path, 'rb') as file:
            return _loaded(path, file)
    except OSError as error:
        raise CheckpointFileError(
            path, f'cannot be opened ({error.strerror or error})', 'Name a file of weights'
        ) from error


def _loaded(path: Path, file: BinaryIO) -> Any:
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
            raise CheckpointFileError(
                path,
                f'is a pickle that would run code ({code}); nothing of it was run',
                'Do not use this file. If you trust its source, ask it for the state dict alone',
            ) from error
        raise CheckpointFileError(
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
