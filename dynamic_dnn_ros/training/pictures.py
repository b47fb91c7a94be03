# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Labelled pictures, read whole into memory from a folder or an archive."""

from __future__ import annotations

from collections.abc import Iterator
import dataclasses
import io
from pathlib import Path, PurePosixPath
import tarfile

import numpy as np
import numpy.typing as npt
from PIL import Image
from tqdm import tqdm

_SUFFIXES = ('.jpg', '.jpeg', '.png')


class PictureError(ValueError):
    """Pictures that cannot be used; names the file and the remedy."""


@dataclasses.dataclass(frozen=True)
class Pictures:
    """
    Pictures of one size with their labels.

    :param images: N x height x width x 3, uint8, RGB.
    :param labels: N, int64, indices into the classes.
    :param classes: names in alphabetical order.
    """

    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64]
    classes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, indices: npt.NDArray[np.int64]) -> Pictures:
        """Return a copy of some of the pictures."""
        return Pictures(self.images[indices], self.labels[indices], self.classes)

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


def read_pictures(path: Path, quiet: bool = False) -> Pictures:
    """
    Read pictures with one folder a class, from a folder or a tar archive, any compression.

    :raises PictureError: if there are none, of fewer than two classes, of different sizes, or
        if one cannot be read.
    """
    rows: list[tuple[str, npt.NDArray[np.uint8]]] = []
    for name, data in tqdm(_files(path), desc=f'reading {path.name}', unit='', disable=quiet):
        try:
            with Image.open(io.BytesIO(data)) as image:
                rows.append((name, np.asarray(image.convert('RGB'))))
        except (OSError, ValueError) as error:
            raise PictureError(
                f'{path}: picture {name} cannot be read ({error}): replace or remove it'
            ) from error
    if not rows:
        raise PictureError(f'{path} holds no pictures: one folder of jpg or png a class is needed')
    rows.sort(key=lambda row: row[0])
    names = [PurePosixPath(name).parent.name for name, _ in rows]
    classes = tuple(sorted(set(names)))
    if len(classes) < 2:
        raise PictureError(f'{path} holds the one class {classes[0]!r}: at least two are needed')
    size = rows[0][1].shape
    for name, image_data in rows:
        if image_data.shape != size:
            raise PictureError(
                f'{path}: picture {name} is {image_data.shape[1]}x{image_data.shape[0]}, '
                f'others are {size[1]}x{size[0]}: scale all to one size'
            )
    index = {name: number for number, name in enumerate(classes)}
    return Pictures(
        np.stack([image_data for _, image_data in rows]),
        np.array([index[name] for name in names], dtype=np.int64),
        classes,
    )


def _files(path: Path) -> Iterator[tuple[str, bytes]]:
    if path.is_dir():
        for file in sorted(path.rglob('*')):
            if file.suffix.lower() in _SUFFIXES:
                yield file.relative_to(path).as_posix(), file.read_bytes()
        return
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                if member.isfile() and member.name.lower().endswith(_SUFFIXES):
                    stream = archive.extractfile(member)
                    assert stream is not None
                    yield member.name, stream.read()
    except (OSError, EOFError, tarfile.TarError) as error:
        raise PictureError(
            f'{path} cannot be read ({error}): a folder or a tar archive is needed'
        ) from error
