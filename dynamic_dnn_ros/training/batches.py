# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""From uint8 pictures to normalised batches, whole batches at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import nn
from torch.nn import functional

from dynamic_dnn_ros.training.pictures import Pictures


class Normalisation:
    """Map uint8 colours to zero mean and unit deviation."""

    def __init__(self, mean: Sequence[float], standard_deviation: Sequence[float]) -> None:
        deviation = torch.tensor(standard_deviation).view(1, 3, 1, 1)
        self._scale = 1.0 / (255.0 * deviation)
        self._shift = -torch.tensor(mean).view(1, 3, 1, 1) / deviation

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """Return N x 3 x H x W float32, laid out channels last, from colours in 0..255."""
        normalised = images.float() * self._scale + self._shift
        return normalised.contiguous(memory_format=torch.channels_last)


def use_channels_last(module: nn.Module) -> None:
    """Lay a module's filters out as `Normalisation` lays out pictures, the faster way on a CPU."""
    for parameter in module.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)


def resize(images: torch.Tensor, resolution: int) -> torch.Tensor:
    """Scale N x 3 x H x W to a square, bilinear and antialiased as Pillow does."""
    if tuple(images.shape[2:]) == (resolution, resolution):
        return images
    scaled = functional.interpolate(
        images.float(), size=(resolution, resolution), mode='bilinear', antialias=True
    )
    return scaled.contiguous(memory_format=torch.channels_last)


def augment(images: torch.Tensor, padding: int, generator: torch.Generator) -> torch.Tensor:
    """Shift each picture by up to `padding` pixels, reflected at the border; flip half of them."""
    count, _, height, width = images.shape
    padded = functional.pad(images.float(), (padding,) * 4, mode='reflect')
    top, left = torch.randint(0, 2 * padding + 1, (2, count), generator=generator)
    flipped = torch.rand(count, generator=generator) < 0.5
    rows = top[:, None] + torch.arange(height)
    columns = torch.arange(width).expand(count, width)
    columns = left[:, None] + torch.where(flipped[:, None], columns.flip(1), columns)
    pictures = torch.arange(count)[:, None, None]
    # Indexing with the colour axis in between puts that axis last: N x H x W x 3.
    return padded[pictures, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def training_batches(
    pictures: Pictures,
    batch_size: int,
    padding: int,
    generator: torch.Generator,
    rank: int = 0,
    count: int = 1,
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """
    Yield shuffled, augmented batches of colours in 0..255 and labels; drop an odd rest.

    :param rank: which of `count` equal shares of the pictures to yield; the shares are disjoint
        where the generators are in one state.
    """
    images = torch.from_numpy(pictures.images).permute(0, 3, 1, 2)
    labels = torch.from_numpy(pictures.labels)
    order = torch.randperm(len(pictures), generator=generator)
    order = order[rank : len(order) // count * count : count]
    batch_size = min(batch_size, len(order))
    for indices in order[: len(order) // batch_size * batch_size].split(batch_size):
        yield augment(images[indices], padding, generator), labels[indices]


def plain_batches(
    pictures: Pictures, resolution: int, normalisation: Normalisation, batch_size: int = 250
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield batches in order, scaled to a resolution and normalised, and labels."""
    images = torch.from_numpy(pictures.images).permute(0, 3, 1, 2)
    labels = torch.from_numpy(pictures.labels)
    for start in range(0, len(pictures), batch_size):
        part = slice(start, start + batch_size)
        # The camera path rounds to whole colours between scaling and normalising, so do it here.
        scaled = resize(images[part], resolution).round().clamp(0, 255)
        yield normalisation(scaled), labels[part]
