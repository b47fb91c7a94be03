# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The files in an archive, without unpacking it to where anything else could find them."""

from __future__ import annotations

import abc
from collections.abc import Iterator
import lzma
import os
from pathlib import Path
import stat
import tarfile
import tempfile
from typing import IO, Any
import zipfile
import zlib

from dynamic_dnn_ros.datasets.contract import DataError
from dynamic_dnn_ros.datasets.entries import MOST_BYTES, Entry, Kind

#: What reading an archive raises that is damaged or cut off.
_DAMAGED = (
    OSError,
    EOFError,
    KeyError,
    NotImplementedError,
    RuntimeError,
    UnicodeError,
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
)
#: An archive may unpack to so many times its own size, or to _SMALL bytes.
_MOST_EXPANSION = 200
_SMALL = 2**30
_MOST_LINKS = 40
_BLOCK = 512


class Archive(abc.ABC):
    """
    The members of an archive as folders and files; places are their paths in it.

    A link leads to another member. Nothing in an archive can lead out of it.
    """

    def __init__(self, path: Path) -> None:
        """
        List an archive.

        :raises DataError: if it is damaged, or has a member that leads out of it
        """
        self.path = path
        self._children: dict[str, set[str]] = {'': set()}
        self._files: dict[str, Any] = {}
        self._links: dict[str, str] = {}
        try:
            self._list()
        except _DAMAGED as error:
            raise unreadable(path, error) from error

    @abc.abstractmethod
    def _list(self) -> None:
        """Call `_add` for each member."""

    @abc.abstractmethod
    def _content(self, member: Any) -> bytes:
        """Return the content of a file."""

    def read(self, place: str) -> bytes:
        """
        Return the content of a file.

        :raises DataError: when it cannot be read
        """
        try:
            return self._content(self._files[place])
        except _DAMAGED as error:
            raise unreadable(self.path, error) from error

    def entries(self, place: str) -> Iterator[tuple[str, Entry]]:
        """Yield the names in a folder, in order, with what they are."""
        for name in sorted(self._children[place]):
            yield name, self._resolved(f'{place}/{name}' if place else name)

    def _add(self, name: str, size: int = 0, member: Any = None, link: str | None = None) -> None:
        parts = [part for part in name.split('/') if part not in ('', '.')]
        if name.startswith('/') or '..' in parts:
            raise DataError(
                f'{self.path} holds {name!r}, which leads out of the archive: make it anew'
            )
        if size > MOST_BYTES:
            raise DataError(
                f'{self.path}: {name} has {size} bytes, more than {MOST_BYTES}: remove it'
            )
        folder = ''
        for part in parts[:-1] if member is not None or link is not None else parts:
            self._children[folder].add(part)
            folder = f'{folder}/{part}' if folder else part
            self._children.setdefault(folder, set())
        if not parts or (member is None and link is None):
            return
        place = '/'.join(parts)
        self._children[folder].add(parts[-1])
        # A later member of the same name takes the place of an earlier one, as when unpacking.
        self._files.pop(place, None)
        self._links.pop(place, None)
        if member is not None:
            self._files[place] = member
        else:
            self._links[place] = str(link)

    def _resolved(self, path: str) -> Entry:
        waiting = path.split('/')[::-1]
        place = ''
        links = 0
        while waiting:
            part = waiting.pop()
            if part in ('', '.'):
                continue
            if part == '..':
                if not place:
                    return Entry(Kind.NOWHERE, path)
                place = place.rpartition('/')[0]
                continue
            below = f'{place}/{part}' if place else part
            target = self._links.get(below)
            if target is not None:
                links += 1
                if links > _MOST_LINKS or target.startswith('/'):
                    return Entry(Kind.NOWHERE, target)
                waiting += target.split('/')[::-1]
            elif below in self._children or below in self._files:
                place = below
            else:
                return Entry(Kind.NOWHERE, target or below)
        kind = Kind.FILE if place in self._files else Kind.FOLDER
        return Entry(kind, place, linked=links > 0)


class TarArchive(Archive):
    """
    A tar archive with any compression that Python reads.

    A compressed one is unpacked as a whole into a temporary file, so that its files can be read
    in any order. Reads are positioned: several processes may share an archive.
    """

    def _list(self) -> None:
        self._stream = self._unpacked()
        size = self._stream.seek(0, os.SEEK_END)
        self._stream.seek(0)
        end = 0
        with tarfile.open(fileobj=self._stream, mode='r:') as archive:
            for member in archive:
                stored = member.size if member.isreg() else 0
                end = member.offset_data + -(-stored // _BLOCK) * _BLOCK
                if member.isdir():
                    self._add(member.name)
                elif member.issym():
                    self._add(member.name, link=member.linkname)
                elif member.islnk():
                    up = '../' * member.name.strip('/').count('/')
                    self._add(member.name, link=up + member.linkname)
                elif member.issparse():
                    raise tarfile.ReadError(f'{member.name} is stored sparse')
                elif member.isfile():
                    self._add(member.name, member.size, (member.offset_data, member.size))
        # A damaged header looks like the end to tarfile; behind the true one there are zeros.
        if any(self._at(end, min(_BLOCK, max(0, size - end)))) or end > size:
            raise tarfile.ReadError('a header is damaged')

    def _unpacked(self) -> IO[bytes]:
        whole = self.path.open('rb')
        try:
            with tarfile.open(fileobj=whole, mode='r:'):
                return whole
        except tarfile.TarError:
            whole.seek(0)
        with whole, tarfile.open(fileobj=whole, mode='r:*') as archive:
            assert archive.fileobj is not None
            archive.fileobj.seek(0)
            return self._spooled(archive.fileobj)

    def _spooled(self, source: Any) -> IO[bytes]:
        most = max(_SMALL, _MOST_EXPANSION * self.path.stat().st_size)
        target = tempfile.TemporaryFile()  # noqa: SIM115  # it lives as long as the archive
        try:
            written = 0
            while block := source.read(2**20):
                written += len(block)
                if written > most:
                    raise DataError(
                        f'{self.path} unpacks to more than {most} bytes, far more than pictures '
                        'do: check where it comes from, or unpack it and name the folder'
                    )
                target.write(block)
            target.flush()
        except BaseException:
            target.close()
            raise
        return target

    def _content(self, member: tuple[int, int]) -> bytes:
        content = self._at(*member)
        if len(content) != member[1]:
            raise EOFError('it ends early')
        return content

    def _at(self, offset: int, size: int) -> bytes:
        parts = []
        while size > 0 and (part := os.pread(self._stream.fileno(), size, offset)):
            parts.append(part)
            offset += len(part)
            size -= len(part)
        return b''.join(parts)


class ZipArchive(Archive):
    """A zip archive; each process that reads it opens it for itself."""

    def _list(self) -> None:
        self._process = -1
        archive = self._opened()
        unpacked = 0
        for member in archive.infolist():
            unpacked += member.file_size
            if stat.S_ISLNK(member.external_attr >> 16):
                self._add(member.filename, link=archive.read(member)[:4096].decode())
            elif member.is_dir():
                self._add(member.filename)
            elif member.flag_bits & 1:
                raise DataError(
                    f'{self.path}: {member.filename} is encrypted: unpack it and name the folder'
                )
            else:
                self._add(member.filename, member.file_size, member.filename)
        if unpacked > max(_SMALL, _MOST_EXPANSION * self.path.stat().st_size):
            raise DataError(
                f'{self.path} unpacks to {unpacked} bytes, far more than pictures do: check '
                'where it comes from, or unpack it and name the folder'
            )

    def _content(self, member: str) -> bytes:
        return self._opened().read(member)

    def _opened(self) -> zipfile.ZipFile:
        if self._process != os.getpid():
            self._archive = zipfile.ZipFile(self.path)
            self._process = os.getpid()
        return self._archive


def open_archive(path: Path) -> Archive:
    """
    List an archive: zip, or tar with any compression.

    :raises DataError: if it is none, damaged, or has a member that leads out of it
    """
    try:
        with path.open('rb') as stream:
            # Not is_zipfile: a tar archive that ends in a zip file is none.
            zipped = stream.read(2) == b'PK'
    except OSError as error:
        raise unreadable(path, error) from error
    return ZipArchive(path) if zipped else TarArchive(path)


def unreadable(path: Path, error: Exception) -> DataError:
    """Return what to say of a folder or an archive that cannot be read."""
    # What tarfile says of a file that is no archive goes on with a line for each compression.
    reason = str(error).partition('\n')[0].rstrip(':')
    return DataError(
        f'{path} cannot be read ({reason}): a folder, or a tar or zip archive is needed'
    )
