# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What a training writes down about itself after each epoch: lines of JSON, and TensorBoard."""

from __future__ import annotations

from collections.abc import Mapping
import json
import logging
from pathlib import Path
from typing import Any

_LOGGER = logging.getLogger(__name__)
_LINES = 'training.jsonl'
_TENSORBOARD = 'tensorboard'


class Log:
    """
    The log of one training, in its work folder.

    :param epochs: that were trained before; what TensorBoard shows of later ones is of a training
        whose checkpoint was removed, and goes.
    """

    def __init__(self, folder: Path, epochs: int) -> None:
        self._path = folder / _LINES
        _drop_part_of_a_line(self._path)
        self._writer = _tensorboard_writer(folder / _TENSORBOARD, epochs + 1)

    def write(self, row: Mapping[str, Any]) -> None:
        """Write a row about the epoch that it names."""
        with self._path.open('a', encoding='utf-8') as lines:
            lines.write(json.dumps(row) + '\n')
        if self._writer is not None:
            for name, value in row.items():
                if name != 'epoch' and isinstance(value, (int, float)):
                    self._writer.add_scalar(name, value, row['epoch'])
            self._writer.flush()

    def close(self) -> None:
        """Close the files."""
        if self._writer is not None:
            self._writer.close()


def _drop_part_of_a_line(path: Path) -> None:
    """Cut off what a kill, or a full disk, left of a line."""
    try:
        with path.open('r+b') as lines:
            lines.truncate(lines.read().rfind(b'\n') + 1)
    except FileNotFoundError:
        return


def _tensorboard_writer(folder: Path, first_epoch: int) -> Any:
    """Return a writer, None where TensorBoard is not installed."""
    try:
        # It is no part of PyTorch, and not needed to train.
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        _LOGGER.info("no TensorBoard logs: they need the package 'tensorboard'")
        return None
    return SummaryWriter(str(folder), purge_step=first_epoch)
