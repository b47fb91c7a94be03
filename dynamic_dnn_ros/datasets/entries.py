# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What is found in a folder, on the disk or in an archive."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
import os
from pathlib import Path
from typing import Protocol

from dynamic_dnn_ros.datasets.contract import DataError

#: No file of a data set is larger.
MOST_BYTES = 2 * 2**30


class Kind(Enum):
    """What a name in a folder is, links followed."""

    FOLDER = 'folder'
    FILE = 'file'
    NOWHERE = 'nowhere'
    OTHER = 'other'


@dataclass(frozen=True)
class Entry:
    """
    What a name in a folder is.

    :param place: where it truly is, the same for all links to it; of a link that leads nowhere,
        what it names.
    """

    kind: Kind
    place: str
    linked: bool = False


class Entries(Protocol):
    """Folders and files; the place of the first folder is that of the data set."""

    path: Path

    def entries(self, place: str) -> Iterator[tuple[str, Entry]]:
        """
        Yield the names in a folder, in order, with what they are.

        :raises DataError: when it cannot be read
        """

    def read(self, place: str) -> bytes:
        """
        Return the content of a file.

        :raises DataError: when it cannot be read
        """


class Folder:
    """A folder on the disk; places are absolute paths without links."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def entries(self, place: str) -> Iterator[tuple[str, Entry]]:
        """Yield the names in a folder, in order, with what they are."""
        try:
            with os.scandir(place) as found:
                listed = sorted(found, key=lambda entry: entry.name)
            for entry in listed:
                yield entry.name, _entry(entry)
        except OSError as error:
            raise DataError(
                f'{place} cannot be read ({error.strerror}): check its permissions'
            ) from error

    def read(self, place: str) -> bytes:
        """Return the content of a file."""
        try:
            with open(place, 'rb') as stream:
                content = stream.read(MOST_BYTES + 1)
        except OSError as error:
            raise DataError(
                f'{place} cannot be read ({error.strerror}): replace or remove it'
            ) from error
        if len(content) > MOST_BYTES:
            raise DataError(f'{place} has more than {MOST_BYTES} bytes: remove it')
        return content


def _entry(entry: os.DirEntry[str]) -> Entry:
    if not entry.is_symlink():
        if entry.is_dir(follow_symlinks=False):
            return Entry(Kind.FOLDER, entry.path)
        return Entry(Kind.FILE if entry.is_file() else Kind.OTHER, entry.path)
    place = os.path.realpath(entry.path)
    if os.path.isdir(place):
        return Entry(Kind.FOLDER, place, linked=True)
    if os.path.isfile(place):
        return Entry(Kind.FILE, place, linked=True)
    if os.path.exists(place):
        return Entry(Kind.OTHER, place, linked=True)
    return Entry(Kind.NOWHERE, place, linked=True)
