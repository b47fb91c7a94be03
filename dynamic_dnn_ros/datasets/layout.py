# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The one rule for what belongs to a data set, whether it is a folder or an archive."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
import os
from pathlib import Path, PurePosixPath

from dynamic_dnn_ros.datasets.archive import open_archive
from dynamic_dnn_ros.datasets.contract import DataError
from dynamic_dnn_ros.datasets.entries import Entries, Entry, Folder, Kind

#: Endings of names of picture files, whatever their case.
PICTURE_SUFFIXES = ('.jpg', '.jpeg', '.png', '.webp', '.bmp', '.tif', '.tiff')

_MOST_LEVELS = 64
_MOST_FILES = 20_000_000


@dataclass
class LeftOut:
    """What does not count, by the reason, with one example each."""

    counts: dict[str, int] = field(default_factory=dict)
    examples: dict[str, str] = field(default_factory=dict)

    def add(self, reason: str, example: str) -> None:
        """Count one more."""
        self.counts[reason] = self.counts.get(reason, 0) + 1
        self.examples.setdefault(reason, example)

    def copy(self) -> LeftOut:
        """Return the same, to which more can be added."""
        return LeftOut(dict(self.counts), dict(self.examples))

    def __bool__(self) -> bool:
        return bool(self.counts)

    def __str__(self) -> str:
        """Return all of it in one sentence, or nothing."""
        if not self.counts:
            return ''
        parts = (
            f'{count} x {reason} ({self.examples[reason]}{", ..." if count > 1 else ""})'
            for reason, count in self.counts.items()
        )
        return f'left out: {"; ".join(parts)}'


class DataFiles:
    """
    The files of a data set, in the order of their folders and names.

    Hidden entries (names that begin with a dot, and __MACOSX) and links back to a folder that
    they lie in are left out. All other links count as what they lead to. Where there is nothing
    but one folder of folders, as archives mostly have, the data set is that one.

    :ivar path: of the folder or archive.
    :ivar names: of the files, relative, with slashes.
    :ivar folders: all there are, empty ones too.
    :ivar left_out: what was found and does not count.
    """

    def __init__(self, path: Path) -> None:
        """
        List a data set.

        :raises DataError: when it cannot be read, or has a link that leads nowhere
        """
        self.path = path
        self.left_out = LeftOut()
        self._places: dict[str, str] = {}
        self._folders: list[str] = []
        self._open()
        beginning = self._beginning()
        cut = len(beginning)
        self._places = {name[cut:]: place for name, place in self._places.items()}
        examples = self.left_out.examples
        for reason, name in examples.items():
            examples[reason] = name[cut:] if name.startswith(beginning) else name
        self.folders = tuple(name[cut:] for name in self._folders if len(name) >= cut)
        self.names = tuple(sorted(self._places, key=_order))

    def _open(self) -> None:
        self._source: Entries
        if self.path.is_dir():
            self._source = Folder(self.path)
            self._walk(os.path.realpath(self.path), '', ())
        else:
            self._source = open_archive(self.path)
            self._walk('', '', ())

    def __reduce__(self) -> tuple[type[DataFiles], tuple[Path]]:
        return DataFiles, (self.path,)

    def read(self, name: str) -> bytes:
        """
        Return the content of a file.

        :raises DataError: when it cannot be read
        """
        return self._source.read(self._places[name])

    def pictures(self) -> tuple[str, ...]:
        """Return the names of the picture files, in order."""
        return tuple(name for name in self.names if is_picture(name))

    def location(self, name: str) -> Path | None:
        """Return where a file lies on the disk; None in an archive."""
        return Path(self._places[name]) if isinstance(self._source, Folder) else None

    def said(self, name: str) -> str:
        """Return what to call a file in an error."""
        if isinstance(self._source, Folder):
            return str(self.path / name)
        return f'{self.path}: {name}'

    def __contains__(self, name: object) -> bool:
        return name in self._places

    def _walk(self, place: str, prefix: str, above: tuple[str, ...]) -> None:
        above = (*above, place)
        if len(above) > _MOST_LEVELS:
            raise DataError(f'{self.path}: {prefix} lies too deep: flatten the folders')
        for name, entry in self._source.entries(place):
            path = prefix + name
            if name.startswith('.') or name == '__MACOSX':
                self.left_out.add('hidden entry', path)
            elif entry.kind is Kind.FOLDER:
                if entry.linked and any(_within(folder, entry.place) for folder in above):
                    self.left_out.add('link back to a folder that it lies in', path)
                else:
                    self._folders.append(path)
                    self._walk(entry.place, path + '/', above)
            else:
                self._take(path, entry)

    def _take(self, path: str, entry: Entry) -> None:
        if entry.kind is Kind.NOWHERE:
            raise DataError(
                f'{self.path} cannot be read: {path} is a link that leads nowhere '
                f'({entry.place}): mend or remove it'
            )
        if entry.kind is Kind.OTHER:
            self.left_out.add('entry that is neither file nor folder', path)
            return
        self._places[path] = entry.place
        if len(self._places) > _MOST_FILES:
            raise DataError(
                f'{self.path} has more than {_MOST_FILES} files: check where its links lead'
            )

    def _beginning(self) -> str:
        beginning = ''
        below: dict[str, list[str]] = {}
        for name in (*self._folders, *self._places):
            parent, _, last = name.rpartition('/')
            below.setdefault(parent, []).append(last)
        folders = set(self._folders)
        while True:
            entries = below.get(beginning.rstrip('/'), [])
            if len(entries) != 1 or beginning + entries[0] not in folders:
                return beginning
            only = beginning + entries[0]
            if not any(f'{only}/{name}' in folders for name in below.get(only, [])):
                return beginning
            beginning = only + '/'


def is_picture(name: str) -> bool:
    """Return whether a name is one of a picture file."""
    return name.lower().endswith(PICTURE_SUFFIXES)


def by_stem(names: tuple[str, ...]) -> Mapping[str, str]:
    """Return names by themselves without their endings; of several alike, the last."""
    return {str(PurePosixPath(name).with_suffix('')): name for name in names}


def _order(name: str) -> tuple[str, str]:
    folder, _, last = name.rpartition('/')
    return folder, last


def _within(folder: str, other: str) -> bool:
    """Return whether a folder is another one, or lies in it."""
    return not other or folder == other or folder.startswith(other.rstrip('/') + '/')
