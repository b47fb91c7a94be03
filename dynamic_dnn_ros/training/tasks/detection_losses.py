# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Losses of a detector with distributions for boxes.

Quality focal loss and distribution focal loss: Li et al., Generalized Focal Loss, NeurIPS 2020.
Generalised IoU: Rezatofighi et al., CVPR 2019, computed by torchvision.
"""

from __future__ import annotations

import torch
from torch.nn import functional
from torchvision.ops import generalized_box_iou_loss

from dynamic_dnn_ros.training.tasks.assignment import Assignment, assign
from dynamic_dnn_ros.training.tasks.contract import Lesson
from dynamic_dnn_ros.training.tasks.points import Points

_BOX_WEIGHT = 2.0
_DISTRIBUTION_WEIGHT = 0.5
_IMITATION_WEIGHT = 1.0
_CONFIDENT = 0.05
"""Points whose best score is below it teach no boxes: the largest has found nothing there."""


class DetectionLesson(Lesson):
    """
    Pictures of one size with their boxes.

    The assignment of objects to points is that of what first answers, the largest sub-network of
    a step; those that follow at the same size learn by the same one.

    :param truth_boxes: B x G x 4, pixels.
    :param truth_classes: B x G, -1 where there is no object.
    """

    students_learn_labels = True

    def __init__(
        self,
        inputs: torch.Tensor,
        points: Points,
        truth_boxes: torch.Tensor,
        truth_classes: torch.Tensor,
        classes: int,
    ) -> None:
        self.inputs = inputs
        self._points = points
        self._truth_boxes = truth_boxes
        self._truth_classes = truth_classes
        self._classes = classes
        self._assignment: Assignment | None = None

    def loss(self, outputs: torch.Tensor) -> torch.Tensor:
        """Return the sum of the losses of scores, boxes and distributions."""
        logits, distributions = outputs[..., : self._classes], outputs[..., self._classes :]
        boxes = self._points.boxes(distributions)
        if self._assignment is None:
            self._assignment = assign(
                logits.detach().sigmoid(),
                boxes.detach(),
                self._points,
                self._truth_boxes,
                self._truth_classes,
            )
        target = self._assignment
        total = target.weights.sum().clamp(min=1.0)
        loss = quality_focal_loss(logits, target.scores) / total
        chosen = target.weights > 0
        weights = target.weights[chosen]
        overlaps = generalized_box_iou_loss(boxes[chosen], target.boxes[chosen])
        distances = self._points.distances(target.boxes)[chosen]
        spread = distribution_focal_loss(distributions[chosen], distances)
        box_loss = _BOX_WEIGHT * overlaps + _DISTRIBUTION_WEIGHT * spread
        return loss + (box_loss * weights).sum() / total

    def soft(self, outputs: torch.Tensor) -> torch.Tensor:
        """Return scores and the logits of distributions."""
        outputs = outputs.detach()
        scores, distributions = outputs[..., : self._classes], outputs[..., self._classes :]
        return torch.cat([scores.sigmoid(), distributions], -1)

    def distilled(self, outputs: torch.Tensor, soft: torch.Tensor) -> torch.Tensor:
        """
        Return the loss on what another network said at the same size.

        Scores are learned everywhere, distributions where the other one is confident.
        """
        logits, distributions = outputs[..., : self._classes], outputs[..., self._classes :]
        scores, others = soft[..., : self._classes], soft[..., self._classes :]
        best = scores.amax(-1)
        confident = best > _CONFIDENT
        weights = best[confident]
        total = weights.sum().clamp(min=1.0)
        loss = quality_focal_loss(logits, scores) / total
        steps = distributions.shape[-1] // 4
        own = distributions[confident].unflatten(-1, (4, steps)).log_softmax(-1)
        taught = others[confident].unflatten(-1, (4, steps)).log_softmax(-1)
        divergence = functional.kl_div(own, taught, reduction='none', log_target=True)
        spread = (divergence.sum(-1).mean(-1) * weights).sum() / total
        return _IMITATION_WEIGHT * (loss + spread)


def quality_focal_loss(logits: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
    """Return the summed cross-entropy, weighted by the squared distance to the target score."""
    cross_entropy = functional.binary_cross_entropy_with_logits(logits, scores, reduction='none')
    return (cross_entropy * (logits.sigmoid() - scores) ** 2).sum()


def distribution_focal_loss(distributions: torch.Tensor, distances: torch.Tensor) -> torch.Tensor:
    """
    Return the cross-entropy with the two whole numbers around each distance, N.

    :param distributions: logits, N x (4 x steps).
    :param distances: N x 4, in strides; those beyond the last step count as it.
    """
    steps = distributions.shape[-1] // 4
    distances = distances.clamp(0.0, steps - 1 - 0.01)
    lower = distances.floor().long()
    share = distances - lower
    flat = distributions.reshape(-1, steps)
    return (
        functional.cross_entropy(flat, lower.flatten(), reduction='none').view_as(share)
        * (1.0 - share)
        + functional.cross_entropy(flat, lower.flatten() + 1, reduction='none').view_as(share)
        * share
    ).mean(-1)
