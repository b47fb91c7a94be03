# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
How pictures with boxes are altered: flipped, scaled, cropped, recoloured, put together.

A batch at once, on the device that trains. All that changes places is one map for each picture,
scale and offset of each axis, so a picture is sampled once, and boxes go the same way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import dataclasses
from typing import Any

import torch
from torch.nn import functional

from dynamic_dnn_ros.pictures.placement import Size
from dynamic_dnn_ros.training.configuration import TrainingConfigurationError

GREY = 114
"""Where there is no picture, as letterboxed camera frames have it."""

_SMALLEST_SIDE = 2.0
"""Pixels; what is left of a box at a border has to be larger."""
_LEAST_LEFT = 0.25
"""Share of a box that must be left."""
_TILES = 4


@dataclasses.dataclass(frozen=True)
class BoxAugmentation:
    """
    By how much pictures are altered. Ranges are drawn from evenly, scales by their logarithm.

    :param flip: share of pictures that are mirrored, left and right.
    :param scale: of a picture, from and to, where 1 just fits into the input.
    :param stretch: of width against height, from 1 / stretch to it.
    :param mosaic: share of pictures that are put together of four.
    :param mosaic_scale: of each of the four, where 1 would fit into the input.
    :param brightness: by which share it is changed, up and down; `contrast` and `saturation` too.
    """

    flip: float = 0.0
    scale: tuple[float, float] = (1.0, 1.0)
    stretch: float = 1.0
    mosaic: float = 0.0
    mosaic_scale: tuple[float, float] = (0.4, 1.0)
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0

    @classmethod
    def of(cls, transforms: Sequence[Mapping[str, Mapping[str, Any]]]) -> BoxAugmentation:
        """
        Return the augmentation of a training configuration.

        :param transforms: each one of Flip, Scale, Mosaic, Colour with its arguments.
        :raises TrainingConfigurationError: for an unknown name or argument.
        """
        found: dict[str, Any] = {}
        for position, transform in enumerate(transforms):
            for name, arguments in transform.items():
                where = f'augmentation[{position}]'
                known = _ARGUMENTS.get(name)
                if known is None:
                    raise TrainingConfigurationError(
                        f'{where} is {name}: for boxes one of {", ".join(_ARGUMENTS)} is needed'
                    )
                for argument, value in arguments.items():
                    if argument not in known:
                        raise TrainingConfigurationError(
                            f'{where}, {name}, has no {argument}; known are {", ".join(known)}'
                        )
                    convert, field = known[argument]
                    try:
                        found[field] = convert(value)
                    except (TypeError, ValueError) as error:
                        raise TrainingConfigurationError(
                            f'{where}, {name}: {argument} is {value!r} ({error})'
                        ) from error
        return cls(**found)


def _share(value: Any) -> float:
    share = float(value)
    if not 0.0 <= share <= 1.0:
        raise ValueError('a share, 0..1, is needed')
    return share


def _range(value: Any) -> tuple[float, float]:
    low, high = map(float, value)
    if not 0.0 < low <= high:
        raise ValueError('two numbers above 0 are needed, the smaller one first')
    return low, high


def _factor(value: Any) -> float:
    factor = float(value)
    if not factor >= 1.0:
        raise ValueError('at least 1 is needed')
    return factor


_ARGUMENTS: dict[str, dict[str, tuple[Any, str]]] = {
    'Flip': {'share': (_share, 'flip')},
    'Scale': {'range': (_range, 'scale'), 'stretch': (_factor, 'stretch')},
    'Mosaic': {'share': (_share, 'mosaic'), 'range': (_range, 'mosaic_scale')},
    'Colour': {
        'brightness': (_share, 'brightness'),
        'contrast': (_share, 'contrast'),
        'saturation': (_share, 'saturation'),
    },
}


@dataclasses.dataclass(frozen=True)
class BoxBatch:
    """
    Pictures of a batch, each in the upper left corner of a canvas, grey beside it.

    :param canvases: B x 3 x S x S, uint8.
    :param sizes: B x 2, height and width of each picture, float.
    :param boxes: B x G x 4, pixels of the picture.
    :param classes: B x G, -1 where there is no object.
    """

    canvases: torch.Tensor
    sizes: torch.Tensor
    boxes: torch.Tensor
    classes: torch.Tensor


Altered = tuple[torch.Tensor, torch.Tensor, torch.Tensor]
"""Pictures, B x 3 x H x W, colours in 0..255; boxes, B x G x 4, pixels; classes, B x G."""


def altered(
    batch: BoxBatch, size: Size, augmentation: BoxAugmentation, generator: torch.Generator
) -> Altered:
    """
    Return a batch altered and fitted into a size.

    :param generator: on the CPU; draws everything.
    """
    device = batch.canvases.device
    count = len(batch.canvases)
    frame = torch.tensor((float(size.height), float(size.width)))
    plan = _Plan(batch.sizes.cpu(), frame, augmentation, generator)
    images = torch.full((count, 3, *size), float(GREY), device=device)
    boxes, classes = [], []
    for tile in range(_TILES if bool(plan.mosaic.any()) else 1):
        rows = torch.arange(count) if tile == 0 else plan.mosaic.nonzero().squeeze(1)
        sources, scale, offset, part = (
            values[tile][rows].to(device)
            for values in (plan.sources, plan.scales, plan.offsets, plan.parts)
        )
        rows = rows.to(device)
        images[rows] = _painted(
            images[rows], batch.canvases[sources], batch.sizes[sources], scale, offset, part
        )
        found, kept = _carried(batch.boxes[sources], batch.classes[sources], scale, offset, part)
        boxes.append(batch.boxes.new_zeros(count, *found.shape[1:]).index_copy(0, rows, found))
        everywhere = torch.full((count, kept.shape[1]), -1, device=device)
        classes.append(everywhere.index_copy(0, rows, kept))
    mirrored = plan.flips.to(device)
    images = torch.where(mirrored[:, None, None, None], images.flip(3), images)
    images = _recoloured(images, augmentation, generator)
    together, labels = _compact(torch.cat(boxes, 1), torch.cat(classes, 1))
    left, right = size.width - together[..., 2], size.width - together[..., 0]
    flipped = torch.stack([left, together[..., 1], right, together[..., 3]], -1)
    return images, torch.where(mirrored[:, None, None], flipped, together), labels


class _Plan:
    """Draws where pictures go: for each of four tiles the source, its scale, offset and part."""

    def __init__(
        self,
        sizes: torch.Tensor,
        frame: torch.Tensor,
        augmentation: BoxAugmentation,
        generator: torch.Generator,
    ) -> None:
        count = len(sizes)

        def drawn(*shape: int) -> torch.Tensor:
            return torch.rand(*shape, generator=generator)

        self.mosaic = drawn(count) < augmentation.mosaic
        self.flips = drawn(count) < augmentation.flip
        others = [torch.randperm(count, generator=generator) for _ in range(_TILES - 1)]
        self.sources = torch.stack([torch.arange(count), *others])
        source_sizes = sizes[self.sources]
        fits = (frame / source_sizes).amin(2, keepdim=True)
        alone = _between(augmentation.scale, drawn(_TILES, count, 1))
        tiled = _between(augmentation.mosaic_scale, drawn(_TILES, count, 1))
        root = _between(
            (1 / augmentation.stretch, augmentation.stretch), drawn(_TILES, count, 1)
        ).sqrt()
        stretch = torch.cat([1 / root, root], 2)
        self.scales = fits * torch.where(self.mosaic[None, :, None], tiled, alone) * stretch
        extents = self.scales * source_sizes
        free = drawn(_TILES, count, 2) * (frame - extents)
        middle = (0.3 + 0.4 * drawn(count, 2)) * frame
        # Tiles touch in the middle: above or below it, left or right of it.
        below = torch.tensor([[0, 0], [0, 1], [1, 0], [1, 1]])[:, None].bool()
        touching = torch.where(below, middle, middle - extents)
        self.offsets = torch.where(self.mosaic[None, :, None], touching, free)
        begin = torch.where(below, middle, torch.zeros_like(middle))
        end = torch.where(below, frame.expand_as(middle), middle)
        part = torch.cat([begin, end], 2)
        whole = torch.cat([torch.zeros(2), frame])
        self.parts = torch.where(self.mosaic[None, :, None], part.round(), whole)


def _between(limits: tuple[float, float], drawn: torch.Tensor) -> torch.Tensor:
    low, high = limits
    return low * (high / low) ** drawn


def _painted(
    images: torch.Tensor,
    canvases: torch.Tensor,
    sizes: torch.Tensor,
    scale: torch.Tensor,
    offset: torch.Tensor,
    part: torch.Tensor,
) -> torch.Tensor:
    """Return images with each source sampled into its part; scales are of height and width."""
    height, width = images.shape[2:]
    # Finer first and then averaged, where a source becomes much smaller: else it would alias.
    finer = max(1, min(4, round(1.0 / max(float(scale.median()), 1e-3))))
    side = canvases.shape[-1]
    device = images.device
    y = (torch.arange(height * finer, device=device) + 0.5) / finer
    x = (torch.arange(width * finer, device=device) + 0.5) / finer
    source_y = (y - offset[:, :1]) / scale[:, :1]
    source_x = (x - offset[:, 1:]) / scale[:, 1:]
    grid = torch.stack(
        [
            (2 * source_x / side - 1)[:, None, :].expand(-1, len(y), -1),
            (2 * source_y / side - 1)[:, :, None].expand(-1, -1, len(x)),
        ],
        -1,
    )
    # Sampled as differences from grey: outside of the canvas there are zeros.
    found = functional.grid_sample(
        canvases.float() - GREY, grid, mode='bilinear', align_corners=False
    )
    if finer > 1:
        found = functional.avg_pool2d(found, finer)
    rows = torch.arange(height, device=device)[None] + 0.5
    columns = torch.arange(width, device=device)[None] + 0.5
    inside = ((rows > part[:, :1]) & (rows < part[:, 2:3]))[:, None, :, None] & (
        (columns > part[:, 1:2]) & (columns < part[:, 3:])
    )[:, None, None, :]
    return torch.where(inside, found + GREY, images)


def _carried(
    boxes: torch.Tensor,
    classes: torch.Tensor,
    scale: torch.Tensor,
    offset: torch.Tensor,
    part: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return boxes where their pictures went, and -1 as class of those that are not seen."""
    scales = scale.flip(1).repeat(1, 2)[:, None]
    offsets = offset.flip(1).repeat(1, 2)[:, None]
    whole = boxes * scales + offsets
    low = part[:, :2].flip(1).repeat(1, 2)[:, None]
    high = part[:, 2:].flip(1).repeat(1, 2)[:, None]
    cut = torch.minimum(torch.maximum(whole, low), high)
    sides = cut[..., 2:] - cut[..., :2]
    left = sides.clamp(min=0).prod(-1) / (whole[..., 2:] - whole[..., :2]).prod(-1).clamp(min=1e-6)
    seen = (sides > _SMALLEST_SIDE).all(-1) & (left > _LEAST_LEFT)
    return cut, torch.where(seen, classes, -1)


def _compact(boxes: torch.Tensor, classes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Put objects first and leave out the places that no picture needs."""
    order = torch.argsort((classes < 0).to(torch.int8), dim=1, stable=True)
    most = int((classes >= 0).sum(1).max()) if classes.numel() else 0
    order = order[:, :most]
    return boxes.gather(1, order[..., None].expand(-1, -1, 4)), classes.gather(1, order)


def _recoloured(
    images: torch.Tensor, augmentation: BoxAugmentation, generator: torch.Generator
) -> torch.Tensor:
    """Change brightness, then contrast, then saturation of each picture."""
    count = len(images)

    def factors(strength: float) -> torch.Tensor:
        drawn = 1.0 + strength * (2 * torch.rand(count, 1, 1, 1, generator=generator) - 1)
        return drawn.to(images.device)

    if augmentation.brightness:
        images = images * factors(augmentation.brightness)
    if augmentation.contrast:
        mean = images.mean((1, 2, 3), keepdim=True)
        images = mean + (images - mean) * factors(augmentation.contrast)
    if augmentation.saturation:
        grey = images.mean(1, keepdim=True)
        images = grey + (images - grey) * factors(augmentation.saturation)
    return images.clamp(0.0, 255.0)
