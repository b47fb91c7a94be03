# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The files of separate models: on disk until an engine needs one, and only as they were read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
import hashlib
import os
from pathlib import Path
from typing import BinaryIO

from dynamic_dnn_ros.bundles.errors import BundleError

_PIECE = 16 << 20
_REMEDY = 'Install an undamaged copy of the bundle, and start again'


class ModelFiles(Mapping[str, bytes]):
    """
    The content of files by their names, read anew each time and kept nowhere.

    An engine has its own copy of a model, and a second one of 100 MB would stay for the life of
    a node. The files are held open, so they outlive a bundle that is exchanged for another one;
    what was changed in place meanwhile is refused.
    """

    def __init__(self, folder: Path, sha256: Mapping[str, str]) -> None:
        """
        Open files.

        :param sha256: that their content has to have, by their names
        :raises OSError: when one cannot be opened
        """
        self._folder = folder
        self._sha256 = dict(sha256)
        self._files: dict[str, BinaryIO] = {
            name: open(folder / name, 'rb', buffering=0)  # noqa: SIM115 (for as long as it lives)
            for name in self._sha256
        }

    def __getitem__(self, name: str) -> bytes:
        """
        Read a file.

        :raises BundleError: when it is not what it should be, or cannot be read
        """
        descriptor = self._files[name].fileno()
        content = bytearray()
        try:
            while piece := os.pread(descriptor, _PIECE, len(content)):
                content += piece
        except OSError as error:
            raise BundleError(
                self._folder / name, f'cannot be read ({error.strerror})', _REMEDY
            ) from error
        if hashlib.sha256(content).hexdigest() != self._sha256[name]:
            raise BundleError(
                self._folder / name, 'was altered since the bundle was read', _REMEDY
            )
        return bytes(content)

    def __iter__(self) -> Iterator[str]:
        return iter(self._sha256)

    def __len__(self) -> int:
        return len(self._sha256)
