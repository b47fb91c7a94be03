# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""How pictures are altered before they are trained on: transforms of torchvision by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from dynamic_dnn_ros.datasets.contract import DataError
from dynamic_dnn_ros.training.configuration import TrainingConfigurationError
from dynamic_dnn_ros.training.pictures import Pictures

Augmentation = Callable[[torch.Tensor], torch.Tensor]
"""From a picture, uint8, 3 x H x W, to another."""


def make_augmentation(transforms: Sequence[Mapping[str, Mapping[str, Any]]]) -> Augmentation:
    """
    Return the transforms of torchvision.transforms.v2, one after the other.

    :param transforms: each a class name with its arguments.
    :raises TrainingConfigurationError: for an unknown name or argument.
    """
    if not transforms:
        return _unchanged
    # It is needed here only, and takes seconds to import.
    from torchvision.transforms import v2

    made = []
    for position, transform in enumerate(transforms):
        for name, arguments in transform.items():
            where = f'augmentation[{position}]'
            kind = getattr(v2, name, None)
            if not (isinstance(kind, type) and issubclass(kind, v2.Transform)):
                raise TrainingConfigurationError(
                    f'{where} is {name}: the name of a class in torchvision.transforms.v2 is '
                    'needed'
                )
            try:
                made.append(kind(**arguments))
            except (TypeError, ValueError) as error:
                raise TrainingConfigurationError(
                    f'{where}, {name}, cannot be made of {dict(arguments)} ({error}): see '
                    'torchvision.transforms.v2 for its arguments'
                ) from error
    return v2.Compose(made)


def check_augmentation(augmentation: Augmentation, pictures: Pictures) -> None:
    """
    Check that pictures of every size that occurs become pictures of one size.

    :raises DataError: naming two that do not, or one whose augmentation fails.
    """
    first: tuple[torch.Size, str] | None = None
    for width, height, position in pictures.sizes():
        name = f'{pictures.name(position)} ({width}x{height})'
        try:
            made = augmentation(torch.zeros(3, height, width, dtype=torch.uint8))
        except (RuntimeError, TypeError, ValueError) as error:
            raise DataError(
                f'the augmentation fails on picture {name}: {error}: change the augmentation'
            ) from error
        if made.dtype is not torch.uint8 or made.ndim != 3:
            raise DataError(
                f'the augmentation makes {made.dtype}, shape {tuple(made.shape)}, of picture '
                f'{name}: leave out transforms that convert or normalise, which is done later'
            )
        if first is None:
            first = made.shape, name
        elif made.shape != first[0]:
            raise DataError(
                f'after augmentation picture {name} is {made.shape[2]}x{made.shape[1]}, '
                f'{first[1]} is {first[0][2]}x{first[0][1]}: add RandomResizedCrop, or Resize '
                'with both sides, to augmentation'
            )


def _unchanged(picture: torch.Tensor) -> torch.Tensor:
    return picture
