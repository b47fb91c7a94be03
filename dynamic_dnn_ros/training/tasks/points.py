# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Points of a detector's input, and the boxes that its answers say."""

from __future__ import annotations

import dataclasses

import torch

from dynamic_dnn_ros.networks.detector_layouts import STRIDES
from dynamic_dnn_ros.pictures.placement import Size


@dataclasses.dataclass(frozen=True)
class Points:
    """
    The points of an input, those of the finest level first, row by row.

    :param centers: P x 2, x and y, pixels.
    :param strides: P, pixels from one point of the level to the next.
    """

    centers: torch.Tensor
    strides: torch.Tensor

    @classmethod
    def of(cls, size: Size, device: torch.device) -> Points:
        """Return the points of an input, as NanoDet-Plus has them: at whole strides from 0."""
        centers, strides = [], []
        for stride in STRIDES:
            rows, columns = (-(-side // stride) for side in size)
            y, x = torch.meshgrid(
                torch.arange(rows, device=device),
                torch.arange(columns, device=device),
                indexing='ij',
            )
            centers.append(torch.stack([x, y], 2).reshape(-1, 2).float() * stride)
            strides.append(torch.full((rows * columns,), float(stride), device=device))
        return cls(torch.cat(centers), torch.cat(strides))

    def distances(self, boxes: torch.Tensor) -> torch.Tensor:
        """Return how far the sides of a box for each point are, ... x P x 4, in its strides."""
        sides = torch.cat([self.centers - boxes[..., :2], boxes[..., 2:] - self.centers], -1)
        return sides / self.strides[:, None]

    def boxes(self, distributions: torch.Tensor) -> torch.Tensor:
        """
        Return the boxes of distributions, B x P x 4, pixels.

        :param distributions: logits, B x P x (4 x steps): left, upper, right, lower.
        """
        steps = distributions.shape[-1] // 4
        shares = distributions.unflatten(-1, (4, steps)).softmax(-1)
        values = torch.arange(steps, device=shares.device, dtype=shares.dtype)
        sides = (shares * values).sum(-1) * self.strides[:, None]
        return torch.cat([self.centers - sides[..., :2], self.centers + sides[..., 2:]], -1)
