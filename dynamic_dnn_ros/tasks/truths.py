# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Labelled pictures of a task, in whatever layout they are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from dynamic_dnn_ros.datasets.contract import LabelledPicture


def read_truths(
    data: Path, kind: str, labels: Sequence[str] | None
) -> Iterator[LabelledPicture[Any]]:
    """
    Read labelled pictures, from a folder or an archive, in the order of their names.

    :param kind: 'classification', 'detection' or 'segmentation'
    :param labels: of the network; names of the data are mapped to them. None: the data's own
    :raises DataError: when there are none, or one cannot be read
    """
    # Here, so that what only serves takes no memory for reading data sets.
    from dynamic_dnn_ros.datasets.registry import open_dataset

    found = open_dataset(data, kind, labels)
    return (found[index] for index in range(len(found)))
