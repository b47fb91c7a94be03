# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Which points are to find which objects.

By how well a point already does what it is to do, score and overlap together: task alignment of
Feng et al., TOOD, ICCV 2021, section 3.3. The best points of an object learn it, the better the
more; the score that they are to reach is the alignment, scaled to the best overlap.
"""

from __future__ import annotations

import dataclasses

import torch

from dynamic_dnn_ros.training.tasks.points import Points

_CANDIDATES = 13
_SCORE_EXPONENT = 0.5
_OVERLAP_EXPONENT = 6.0
_SMALLEST_SIDE = 10.0
"""Pixels; objects are looked for in a region at least as large, so that a point lies in it."""
_EPSILON = 1e-9


@dataclasses.dataclass(frozen=True)
class Assignment:
    """
    What each point is to say.

    :param scores: B x P x classes, 0..1.
    :param boxes: B x P x 4, pixels; of use where a point has an object.
    :param weights: B x P, 0..1, the score of the point's object; 0 where it has none.
    """

    scores: torch.Tensor
    boxes: torch.Tensor
    weights: torch.Tensor


@torch.no_grad()
def assign(
    scores: torch.Tensor,
    boxes: torch.Tensor,
    points: Points,
    truth_boxes: torch.Tensor,
    truth_classes: torch.Tensor,
) -> Assignment:
    """
    Assign objects to points.

    :param scores: B x P x classes, what the network says, 0..1.
    :param boxes: B x P x 4, what it says, pixels.
    :param truth_boxes: B x G x 4, pixels.
    :param truth_classes: B x G, -1 where there is no object.
    """
    batch, count = scores.shape[:2]
    valid = truth_classes >= 0
    if truth_boxes.shape[1] == 0:
        return Assignment(
            torch.zeros_like(scores), torch.zeros_like(boxes), scores.new_zeros(batch, count)
        )
    overlaps = pairwise_overlaps(truth_boxes, boxes)
    possible = _inside(points, truth_boxes) & valid[..., None]
    said = scores.transpose(1, 2).gather(
        1, truth_classes.clamp(min=0)[..., None].expand(-1, -1, count)
    )
    alignment = said**_SCORE_EXPONENT * overlaps**_OVERLAP_EXPONENT
    alignment = torch.where(possible, alignment + _EPSILON, torch.zeros_like(alignment))
    best = alignment.topk(min(_CANDIDATES, count), dim=2)
    chosen = torch.zeros_like(possible).scatter_(2, best.indices, best.values > 0)
    # A point in several objects learns the one that it overlaps most.
    owner = torch.where(chosen, overlaps + _EPSILON, torch.zeros_like(overlaps)).argmax(1)
    taken = chosen.any(1)
    mine = chosen & (
        owner[:, None] == torch.arange(truth_boxes.shape[1], device=owner.device)[:, None]
    )
    alignment = torch.where(mine, alignment, torch.zeros_like(alignment))
    reached = torch.where(mine, overlaps, torch.zeros_like(overlaps)).amax(2, keepdim=True)
    scaled = alignment / alignment.amax(2, keepdim=True).clamp(min=1e-12) * reached
    weights = scaled.gather(1, owner[:, None]).squeeze(1) * taken
    labels = truth_classes.gather(1, owner).clamp(min=0)
    targets = torch.zeros_like(scores).scatter_(2, labels[..., None], weights[..., None])
    return Assignment(targets, truth_boxes.gather(1, owner[..., None].expand(-1, -1, 4)), weights)


def pairwise_overlaps(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Return IoU, 0..1, of each of B x G x 4 with each of B x P x 4: B x G x P."""
    first, second = first[:, :, None], second[:, None]
    sides = (
        torch.minimum(first[..., 2:], second[..., 2:])
        - torch.maximum(first[..., :2], second[..., :2])
    ).clamp(min=0)
    shared = sides.prod(-1)
    areas = [(each[..., 2:] - each[..., :2]).clamp(min=0).prod(-1) for each in (first, second)]
    return shared / (areas[0] + areas[1] - shared).clamp(min=_EPSILON)


def _inside(points: Points, boxes: torch.Tensor) -> torch.Tensor:
    """Return which points lie in which boxes, B x G x P."""
    middle = (boxes[..., :2] + boxes[..., 2:]) / 2
    half = ((boxes[..., 2:] - boxes[..., :2]) / 2).clamp(min=_SMALLEST_SIDE / 2)
    offsets = (points.centers - middle[:, :, None]).abs()
    return (offsets < half[:, :, None]).all(-1)
