# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""From pictures to batches on the device that computes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

from dynamic_dnn_ros.datasets.contract import DataError
from dynamic_dnn_ros.pictures.input import Interpolation, Preprocessing
from dynamic_dnn_ros.pictures.placement import Size
from dynamic_dnn_ros.pictures.scaling import RawPicture, fitted
from dynamic_dnn_ros.training.augmentation import Augmentation
from dynamic_dnn_ros.training.pictures import PictureFiles, Pictures

#: Of camera frames, which are mostly many times as large as the network's input. A bilinear filter
#: blurs them, area averaging spoils frames that are hardly larger than the input; on 1,000 test
#: pictures shown at 320x240 and at their own size, this one was within 0.6 points of the best.
CAMERA_INTERPOLATION = Interpolation.HAMMING

Batch = tuple[torch.Tensor, torch.Tensor]
"""Pictures, N x 3 x H x W, and their labels, N."""


class Normalisation:
    """Map uint8 colours to zero mean and unit deviation."""

    def __init__(self, mean: Sequence[float], standard_deviation: Sequence[float]) -> None:
        deviation = torch.tensor(standard_deviation).view(1, 3, 1, 1)
        self._scale = 1.0 / (255.0 * deviation)
        self._shift = -torch.tensor(mean).view(1, 3, 1, 1) / deviation

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """Return N x 3 x H x W float32, laid out channels last, from colours in 0..255."""
        scale, shift = self._scale.to(images.device), self._shift.to(images.device)
        normalised = images.float() * scale + shift
        return normalised.contiguous(memory_format=torch.channels_last)


def use_channels_last(module: nn.Module) -> None:
    """Lay a module's filters out as `Normalisation` lays out pictures, the faster way on a CPU."""
    for parameter in module.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)


def resize(images: torch.Tensor, size: Size) -> torch.Tensor:
    """Scale N x 3 x H x W to a size, bilinear and antialiased as Pillow does."""
    if tuple(images.shape[2:]) == size:
        return images
    scaled = functional.interpolate(
        images.float(), size=tuple(size), mode='bilinear', antialias=True
    )
    return scaled.contiguous(memory_format=torch.channels_last)


class TrainingBatches:
    """
    Shuffled, augmented batches of pictures, the same in each call for the same seed.

    What happens to a picture follows from the seed and the picture alone, however many workers
    and processes share the work.

    :param batch_size: of one process; smaller where there are fewer pictures.
    :param rank: which of `count` equal shares of the pictures to yield; the shares are disjoint,
        and the pictures of a step are the same for every `count` that divides a whole batch.
    :raises DataError: if there are fewer pictures than shares.
    """

    def __init__(
        self,
        pictures: Pictures,
        augmentation: Augmentation,
        batch_size: int,
        workers: int = 0,
        device: torch.device | str = 'cpu',
        rank: int = 0,
        count: int = 1,
    ) -> None:
        if len(pictures) < count:
            raise DataError(
                f'{len(pictures)} pictures are too few for {count} processes: start fewer, or '
                'lower held_out'
            )
        self._pictures = pictures
        self._augmentation = augmentation
        self._batch_size = max(1, min(batch_size, len(pictures) // count))
        self._workers = workers
        self._device = torch.device(device)
        self._rank = rank
        self._count = count

    def __len__(self) -> int:
        return len(self._pictures) // self._count // self._batch_size

    def batches(self, seed: int) -> Iterator[Batch]:
        """Yield the batches of one epoch, colours in 0..255; an odd rest is dropped."""
        order = torch.randperm(len(self._pictures), generator=_generator(seed))
        used = order[: len(self) * self._batch_size * self._count]
        shared = used[self._rank :: self._count]
        loader = DataLoader(
            _AugmentedPictures(self._pictures, self._augmentation, seed),
            batch_size=self._batch_size,
            sampler=shared.tolist(),
            num_workers=self._workers,
            pin_memory=self._device.type == 'cuda',
            generator=_generator(seed),
        )
        for images, labels in _loaded(loader):
            yield (
                images.to(self._device, non_blocking=True),
                labels.to(self._device, non_blocking=True),
            )


class _AugmentedPictures(Dataset[tuple[torch.Tensor, int]]):
    def __init__(self, pictures: Pictures, augmentation: Augmentation, seed: int) -> None:
        self._pictures = pictures
        self._augmentation = augmentation
        self._seed = seed

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        # Transforms draw from the default generator; nothing else in training does. Neighbouring
        # seeds give the generator alike states, so they are spread by a large odd factor first.
        spread = (self._seed * 1_000_003 + index) * 0x9E3779B97F4A7C15 % 2**64
        torch.default_generator.manual_seed(spread >> 32)
        image = torch.from_numpy(self._pictures.images[index]).permute(2, 0, 1)
        return self._augmentation(image), int(self._pictures.labels[index])


def plain_batches(
    pictures: Pictures,
    size: Size,
    normalisation: Normalisation,
    batch_size: int = 250,
    device: torch.device | str = 'cpu',
) -> Iterator[Batch]:
    """
    Yield batches in order, and labels.

    Pictures are scaled as the bundle has camera frames scaled, so that statistics and accuracies
    are those of what a robot runs.
    """
    labels = torch.from_numpy(pictures.labels).to(device)
    files = pictures.images if isinstance(pictures.images, PictureFiles) else None
    loader = DataLoader(
        _FittedPictures(pictures, size),
        batch_size=batch_size,
        num_workers=files.workers if files else 0,
    )
    start = 0
    for batch in _loaded(loader):
        images = batch.to(device).permute(0, 3, 1, 2)
        yield normalisation(images), labels[start : start + len(images)]
        start += len(images)


class _FittedPictures(Dataset[npt.NDArray[np.uint8]]):
    def __init__(self, pictures: Pictures, size: Size) -> None:
        self._images = pictures.images
        self._size = size
        self._preprocessing = Preprocessing(
            pictures.resize, (0.0,) * 3, (1.0,) * 3, CAMERA_INTERPOLATION
        )

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: int) -> npt.NDArray[np.uint8]:
        picture = np.ascontiguousarray(self._images[index])
        height, width, colours = picture.shape
        raw = RawPicture('rgb8', width, height, width * colours, picture.data)
        return fitted(raw, self._size, self._preprocessing)[0]


def _loaded(loader: DataLoader[Any]) -> Iterator[Any]:
    """Yield batches; what a worker says of a picture is raised without the worker's traceback."""
    try:
        yield from loader
    except DataError as error:
        *_, last = str(error).strip().splitlines()
        raise DataError(last.rpartition(f'{DataError.__name__}: ')[2]) from error


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)
