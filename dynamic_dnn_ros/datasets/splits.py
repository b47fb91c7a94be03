# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Parts of a data set: pictures to train on, to validate with, to test with."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from dynamic_dnn_ros.datasets.contract import DataError, MissingPartError

_NAMES = {
    'train': ('train', 'training'),
    'val': ('val', 'valid', 'validation', 'eval', 'dev'),
    'test': ('test', 'testing'),
}
SPLITS = tuple(_NAMES)
#: Which one is read where nobody says: accuracy is measured on what was not trained on.
_PREFERRED = ('val', 'test', 'train')


def split_named(name: str) -> str | None:
    """Return which part a folder's name stands for; 'val2017' is 'val'."""
    plain = name.casefold().rstrip('0123456789').rstrip('_-')
    return next((split for split, names in _NAMES.items() if plain in names), None)


def split_of(name: str) -> str | None:
    """Return the part that a file is of: its first folder that is named like one."""
    folders = name.split('/')[:-1]
    return next((split for split in map(split_named, folders) if split), None)


def chosen_split(found: Iterable[str | None], wanted: str | None, where: str) -> str | None:
    """
    Return the part to read; None for all of it, where it has no parts.

    :param found: the parts that pictures are of
    :param wanted: train, val or test; None for what is not trained on
    :raises MissingPartError: when the data has parts, and not that one
    """
    known = {split for split in found if split}
    if not known:
        return None
    if wanted is None:
        return next(split for split in _PREFERRED if split in known)
    if wanted not in known:
        raise MissingPartError(f'{where} has no part {wanted}, only {", ".join(sorted(known))}')
    return wanted


def of_split(names: Sequence[str], split: str | None) -> list[str]:
    """Return the files of a part; all, for None."""
    return [name for name in names if split is None or split_of(name) == split]


def held_out(count: int, number: int, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """
    Return the positions of all pictures but the held-out ones, and of these, drawn by a seed.

    :param count: of all pictures
    :param number: of those to hold out
    :raises DataError: when no others would be left
    """
    if number >= count:
        raise DataError(f'{number} pictures cannot be held out of {count}: lower held_out')
    order = np.random.default_rng(seed).permutation(count)
    return order[: count - number], order[count - number :]
