# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Labelled picture files, one after the other, from a folder or a tar archive."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
import lzma
import os
from pathlib import Path, PurePosixPath
import tarfile
import zlib

_UNREADABLE = (OSError, EOFError, tarfile.TarError, lzma.LZMAError, zlib.error)
_SUFFIXES = ('.jpg', '.jpeg', '.png')


class DataError(ValueError):
    """Pictures that cannot be used. The text names the file, the problem and the remedy."""


@dataclass(frozen=True)
class LabelledPictures:
    """
    The pictures below a path, one folder for each class.

    :param names: of the files, relative to the path; the folder that one lies in is its class.
    """

    path: Path
    names: tuple[str, ...]

    @classmethod
    def find(cls, path: Path) -> LabelledPictures:
        """
        List the pictures of a folder or of a tar archive, any compression.

        :raises DataError: when the path cannot be read or holds no pictures
        """
        try:
            if path.is_dir():
                names = sorted(
                    (Path(folder) / name).relative_to(path).as_posix()
                    for folder, _, files in os.walk(path)
                    for name in files
                )
            else:
                with tarfile.open(path) as archive:
                    names = [member.name for member in archive if member.isfile()]
        except _UNREADABLE as error:
            raise _unreadable(path, error) from error
        names = [name for name in names if name.lower().endswith(_SUFFIXES)]
        if not names:
            raise DataError(
                f'{path} holds no pictures: a folder of jpg or png files for each class is needed'
            )
        return cls(path, tuple(names))

    def __len__(self) -> int:
        return len(self.names)

    def some(self, names: Iterable[str]) -> LabelledPictures:
        """Return those of these names."""
        chosen = set(names)
        return LabelledPictures(self.path, tuple(name for name in self.names if name in chosen))

    def check_classes(self, classes: tuple[str, ...]) -> None:
        """
        Check that the pictures are of just these classes.

        :raises DataError: naming those that are unknown or missing
        """
        found = {class_of(name) for name in self.names}
        for problem, names in (
            ('pictures of classes that the bundle does not know', found - set(classes)),
            ('no pictures of classes that the bundle knows', set(classes) - found),
        ):
            if names:
                few = ', '.join(sorted(names)[:8]) + (', ...' if len(names) > 8 else '')
                raise DataError(
                    f'{self.path} holds {problem}: {few}. Its folders have to be named as the '
                    f'{len(classes)} classes of the bundle, and to hold pictures of each'
                )

    def __iter__(self) -> Iterator[tuple[str, bytes]]:
        """
        Yield name and content of each file.

        :raises DataError: when one cannot be read
        """
        try:
            yield from self._contents()
        except _UNREADABLE as error:
            raise _unreadable(self.path, error) from error

    def _contents(self) -> Iterator[tuple[str, bytes]]:
        if self.path.is_dir():
            for name in self.names:
                yield name, (self.path / name).read_bytes()
            return
        with tarfile.open(self.path) as archive:
            wanted = set(self.names)
            for member in archive:
                if member.name in wanted:
                    stream = archive.extractfile(member)
                    assert stream is not None
                    yield member.name, stream.read()


def _unreadable(path: Path, error: Exception) -> DataError:
    return DataError(f'{path} cannot be read ({error}): a folder or a tar archive is needed')


def class_of(name: str) -> str:
    """Return the class of a picture file."""
    return PurePosixPath(name).parent.name
