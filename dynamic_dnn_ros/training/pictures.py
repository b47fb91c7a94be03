# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Labelled pictures from a folder or an archive: small ones in memory, others read when used."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
import dataclasses
import io
import lzma
from pathlib import Path, PurePosixPath
import tarfile
from typing import TypeVar, overload
import zlib

import numpy as np
import numpy.typing as npt
from PIL import Image
from tqdm import tqdm

from dynamic_dnn_ros.pictures.input import Resize

_SUFFIXES = ('.jpg', '.jpeg', '.png')
#: What Pillow raises of a file that it cannot read, or that is too large to be a picture.
_UNREADABLE = (OSError, ValueError, SyntaxError, Image.DecompressionBombError)
#: What reading an archive raises that is damaged or cut off, or where a link leads nowhere.
_DAMAGED = (OSError, EOFError, KeyError, tarfile.TarError, zlib.error, lzma.LZMAError)
#: Pictures of a folder that are larger than this together, decoded, stay on the disk.
_MEMORY = 2 * 2**30

_ItemT = TypeVar('_ItemT')

PictureData = npt.NDArray[np.uint8]
"""A picture: height x width x 3, RGB."""


class PictureError(ValueError):
    """Pictures that cannot be used; names the file and the remedy."""


@dataclasses.dataclass(frozen=True)
class PictureFiles:
    """
    Pictures of any size, decoded whenever one is asked for.

    :param sizes: N x 2, width and height.
    :param workers: processes that decode them.
    """

    paths: tuple[Path, ...]
    sizes: npt.NDArray[np.int64]
    workers: int = 0

    def __len__(self) -> int:
        return len(self.paths)

    @overload
    def __getitem__(self, index: int) -> PictureData: ...

    @overload
    def __getitem__(self, index: npt.NDArray[np.int64]) -> PictureFiles: ...

    def __getitem__(self, index: int | npt.NDArray[np.int64]) -> PictureData | PictureFiles:
        """
        Return one picture, or the files of several.

        :raises PictureError: if a picture cannot be read.
        """
        if isinstance(index, np.ndarray):
            paths = tuple(self.paths[each] for each in index)
            return dataclasses.replace(self, paths=paths, sizes=self.sizes[index])
        path = self.paths[index]
        try:
            return _decode(path.read_bytes())
        except _UNREADABLE as error:
            raise _unreadable(path, error) from error


@dataclasses.dataclass(frozen=True)
class Pictures:
    """
    Pictures with their labels.

    :param images: N x height x width x 3, uint8, RGB, or the files of pictures of any size.
    :param labels: N, int64, indices into the classes.
    :param classes: names in alphabetical order.
    :param resize: how they become square, where they are not trained on.
    """

    images: PictureData | PictureFiles
    labels: npt.NDArray[np.int64]
    classes: tuple[str, ...]
    resize: Resize = Resize.STRETCH

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, indices: npt.NDArray[np.int64]) -> Pictures:
        """Return some of the pictures."""
        return dataclasses.replace(self, images=self.images[indices], labels=self.labels[indices])

    def first(self, count: int) -> Pictures:
        """Return that many pictures, or all where there are fewer."""
        return self.take(np.arange(min(count, len(self))))

    def split(self, held_out: int, seed: int) -> tuple[Pictures, Pictures]:
        """
        Return all but the held-out pictures, and the held-out ones, drawn by a seed.

        :raises PictureError: if too few pictures would be left.
        """
        if held_out >= len(self):
            raise PictureError(
                f'{held_out} pictures cannot be held out of {len(self)}: lower held_out'
            )
        order = np.random.default_rng(seed).permutation(len(self))
        return self.take(order[:-held_out]), self.take(order[-held_out:])

    def sizes(self) -> Sequence[tuple[int, int, int]]:
        """Return each width and height that occurs, with the position of a picture that has it."""
        if isinstance(self.images, PictureFiles):
            found, positions = np.unique(self.images.sizes, axis=0, return_index=True)
            return [(int(w), int(h), int(at)) for (w, h), at in zip(found, positions)]
        return [(self.images.shape[2], self.images.shape[1], 0)]

    def name(self, position: int) -> str:
        """Return what to call a picture in an error."""
        if isinstance(self.images, PictureFiles):
            return str(self.images.paths[position])
        return f'number {position}'


def read_pictures(
    path: Path, quiet: bool = False, resize: Resize = Resize.STRETCH, workers: int = 0
) -> Pictures:
    """
    Read pictures with one folder a class, from a folder or a tar archive, any compression.

    Those of a folder stay there where they have several sizes or are too large for the memory.

    :param resize: how pictures become square, where they are not trained on.
    :param workers: processes that decode pictures that stay in their folder.
    :raises PictureError: if there are none, of fewer than two classes, if one cannot be read, or
        if those of an archive have different sizes.
    """
    read = _read_folder(path, quiet, workers) if path.is_dir() else _read_archive(path, quiet)
    return dataclasses.replace(read, resize=resize)


def _read_folder(path: Path, quiet: bool, workers: int) -> Pictures:
    # It is needed here only, and takes seconds to import.
    from torchvision.datasets import ImageFolder

    try:
        folder = ImageFolder(str(path))
    except FileNotFoundError as error:
        raise PictureError(
            f'{path} holds no pictures, or an empty folder ({error}): one folder of jpg or png a '
            'class is needed'
        ) from error
    classes = tuple(folder.classes)
    _check_classes(path, classes)
    paths = tuple(Path(name) for name, _ in folder.samples)
    labels = np.array([label for _, label in folder.samples], dtype=np.int64)
    sizes = np.empty((len(paths), 2), np.int64)
    for index, file in enumerate(_bar(paths, f'checking {path.name}', quiet)):
        try:
            with Image.open(file) as image:
                sizes[index] = image.size
        except _UNREADABLE as error:
            raise _unreadable(file, error) from error
    files = PictureFiles(paths, sizes, workers)
    alike = bool((sizes == sizes[0]).all())
    if not alike or 3 * int(sizes.prod(1).sum()) > _MEMORY:
        return Pictures(files, labels, classes)
    images = [files[index] for index in _bar(range(len(paths)), f'reading {path.name}', quiet)]
    return Pictures(np.stack(images), labels, classes)


def _read_archive(path: Path, quiet: bool) -> Pictures:
    rows: list[tuple[str, PictureData]] = []
    for name, data in _bar(_members(path), f'reading {path.name}', quiet):
        try:
            picture = _decode(data)
        except _UNREADABLE as error:
            raise _unreadable(f'{path}: {name}', error) from error
        rows.append((name, picture))
        # At once: all of a large archive may be more than the memory holds.
        size = rows[0][1].shape
        if picture.shape != size:
            raise PictureError(
                f'{path}: picture {name} is {picture.shape[1]}x{picture.shape[0]}, '
                f'others are {size[1]}x{size[0]}: unpack the archive and name the folder'
            )
    if not rows:
        raise PictureError(f'{path} holds no pictures: one folder of jpg or png a class is needed')
    rows.sort(key=lambda row: row[0])
    names = [PurePosixPath(name).parent.name for name, _ in rows]
    classes = tuple(sorted(set(names)))
    _check_classes(path, classes)
    index = {name: number for number, name in enumerate(classes)}
    return Pictures(
        np.stack([image_data for _, image_data in rows]),
        np.array([index[name] for name in names], dtype=np.int64),
        classes,
    )


def _members(path: Path) -> Iterator[tuple[str, bytes]]:
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                # Links within the archive are pictures, too: tar makes them of hard links.
                readable = member.isfile() or member.islnk() or member.issym()
                if readable and member.name.lower().endswith(_SUFFIXES):
                    stream = archive.extractfile(member)
                    if stream is not None:
                        yield member.name, stream.read()
    except _DAMAGED as error:
        raise PictureError(
            f'{path} cannot be read ({error}): a folder or a tar archive is needed'
        ) from error


def _decode(data: bytes) -> PictureData:
    with Image.open(io.BytesIO(data)) as image:
        return np.array(image.convert('RGB'), np.uint8)


def _check_classes(path: Path, classes: Sequence[str]) -> None:
    if len(classes) < 2:
        raise PictureError(f'{path} holds the one class {classes[0]!r}: at least two are needed')


def _unreadable(name: object, error: Exception) -> PictureError:
    return PictureError(f'picture {name} cannot be read ({error}): replace or remove it')


def _bar(items: Iterable[_ItemT], description: str, quiet: bool) -> Iterable[_ItemT]:
    return tqdm(items, desc=description, unit='', disable=quiet)
