# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Labelled pictures to train on: small ones in memory, others read when used."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
import dataclasses
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, overload

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from tqdm import tqdm

from dynamic_dnn_ros.datasets import splits
from dynamic_dnn_ros.datasets.contract import DataError
from dynamic_dnn_ros.datasets.labelled_set import LabelledSet
from dynamic_dnn_ros.datasets.registry import open_dataset
from dynamic_dnn_ros.pictures.input import Resize
from dynamic_dnn_ros.pictures.placement import Size

if TYPE_CHECKING:
    from dynamic_dnn_ros.training.batches import Normalisation

_LOGGER = logging.getLogger(__name__)

#: Pictures that are larger than this together, decoded, are decoded whenever they are used.
_MEMORY = 2 * 2**30

_ItemT = TypeVar('_ItemT')

PictureData = npt.NDArray[np.uint8]
"""A picture: height x width x 3, RGB."""


@dataclasses.dataclass(frozen=True)
class PictureFiles:
    """
    Pictures of any size, decoded whenever one is asked for.

    :param sizes: N x 2, width and height.
    :param workers: processes that decode them.
    """

    data: LabelledSet[int]
    sizes: npt.NDArray[np.int64]
    workers: int = 0

    def __len__(self) -> int:
        return len(self.data)

    @property
    def paths(self) -> tuple[Path, ...]:
        """Return what tells the pictures apart."""
        return tuple(self.data.files.path / name for name in self.data.names)

    @overload
    def __getitem__(self, index: int) -> PictureData: ...

    @overload
    def __getitem__(self, index: npt.NDArray[np.int64]) -> PictureFiles: ...

    def __getitem__(self, index: int | npt.NDArray[np.int64]) -> PictureData | PictureFiles:
        """
        Return one picture, or the files of several.

        :raises DataError: if a picture cannot be read.
        """
        if isinstance(index, np.ndarray):
            part = self.data.take(index.tolist())
            return dataclasses.replace(self, data=part, sizes=self.sizes[index])
        return self.data.pixels(index)


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

        :raises DataError: if too few pictures would be left.
        """
        rest, held = splits.held_out(len(self), held_out, seed)
        return self.take(rest), self.take(held)

    def every(self, step: int) -> tuple[Pictures, Pictures]:
        """Return all but every so manieth picture by class and name, and these."""
        places = np.arange(len(self))
        chosen = places % step == step - 1
        return self.take(places[~chosen]), self.take(places[chosen])

    def identity(self) -> dict[str, Any]:
        """Return what tells these pictures from others; of files, their names and sizes."""
        told: dict[str, Any] = {'images': self.images}
        if isinstance(self.images, PictureFiles):
            told = {'paths': self.images.paths, 'sizes': self.images.sizes}
        return {**told, 'labels': self.labels, 'classes': self.classes}

    def inputs(
        self, size: Size, normalisation: Normalisation, device: torch.device
    ) -> Iterator[torch.Tensor]:
        """Yield batches in order, fitted as a bundle has camera frames fitted."""
        from dynamic_dnn_ros.training.batches import plain_batches

        for images, _ in plain_batches(self, size, normalisation, device=device):
            yield images

    def accuracy(self, module: nn.Module, size: Size, normalisation: Normalisation) -> float:
        """Return the share of pictures, 0..1, whose class has the highest logit."""
        # That module fits and loads pictures, so it cannot be imported before this class is made.
        from dynamic_dnn_ros.training.batches import plain_batches

        correct = 0
        device = next((each.device for each in module.parameters()), torch.device('cpu'))
        with torch.no_grad():
            for images, labels in plain_batches(self, size, normalisation, device=device):
                correct += int((module(images).argmax(1) == labels).sum())
        return correct / len(self)

    def sizes(self) -> Sequence[tuple[int, int, int]]:
        """Return each width and height that occurs, with the position of a picture that has it."""
        if isinstance(self.images, PictureFiles):
            found, positions = np.unique(self.images.sizes, axis=0, return_index=True)
            return [(int(w), int(h), int(at)) for (w, h), at in zip(found, positions)]
        return [(self.images.shape[2], self.images.shape[1], 0)]

    def name(self, position: int) -> str:
        """Return what to call a picture in an error."""
        if isinstance(self.images, PictureFiles):
            return self.images.data.files.said(self.images.data.names[position])
        return f'number {position}'


def read_pictures(
    path: Path,
    quiet: bool = False,
    resize: Resize = Resize.STRETCH,
    workers: int = 0,
    split: str | None = None,
) -> Pictures:
    """
    Read pictures with one folder a class, from a folder or an archive.

    Those stay there that have several sizes or are too large for the memory.

    :param resize: how pictures become square, where they are not trained on.
    :param workers: processes that decode pictures that stay where they are.
    :param split: the part to read, where the data has parts; see `open_dataset`.
    :raises DataError: if there are none, of fewer than two classes, or if one cannot be read.
    """
    say = _LOGGER.debug if quiet else _LOGGER.warning
    data: LabelledSet[int] = open_dataset(path, 'classification', say=say, split=split)
    if len(data.labels) < 2:
        raise DataError(f'{path} holds the one class {data.labels[0]!r}: at least two are needed')
    labels = np.array([data.truth_of(index) for index in range(len(data))], np.int64)
    sizes = np.empty((len(data), 2), np.int64)
    for index in _bar(range(len(data)), f'checking {path.name}', quiet):
        height, width = data.size(index)
        sizes[index] = width, height
    files = PictureFiles(data, sizes, workers)
    alike = bool((sizes == sizes[0]).all())
    if not alike or 3 * int(sizes.prod(1).sum()) > _MEMORY:
        return Pictures(files, labels, data.labels, resize)
    images = np.empty((len(data), sizes[0, 1], sizes[0, 0], 3), np.uint8)
    for index in _bar(range(len(data)), f'reading {path.name}', quiet):
        images[index] = data.pixels(index)
    return Pictures(images, labels, data.labels, resize)


def _bar(items: Iterable[_ItemT], description: str, quiet: bool) -> Iterable[_ItemT]:
    return tqdm(items, desc=description, unit='', disable=quiet)
