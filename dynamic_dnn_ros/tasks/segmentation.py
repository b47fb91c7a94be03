# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Which of the labels each pixel of a picture belongs to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
import math
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from dynamic_dnn_ros.datasets.contract import LabelledPicture
from dynamic_dnn_ros.pictures.placement import Placement, Size
from dynamic_dnn_ros.tasks.contract import (
    LabelMap,
    Limits,
    Metric,
    Outputs,
    Scorer,
    TaskError,
    TensorSpec,
)
from dynamic_dnn_ros.tasks.decoders.selection import NONE, SIGMOID, logit
from dynamic_dnn_ros.tasks.label_planes import MOST_LABELS, best_classes, finer_classes
from dynamic_dnn_ros.tasks.mean_iou import MeanIouScorer
from dynamic_dnn_ros.tasks.options import OptionedTask, option
from dynamic_dnn_ros.tasks.tensors import (
    all_finite,
    described,
    find,
    fits,
    is_float,
    relative_difference,
    same_layout,
)
from dynamic_dnn_ros.tasks.truths import read_truths

#: A plane of values for each label, one plane that tells two labels apart, or labels themselves.
PLANES, BINARY, LABELS = 'planes', 'binary', 'labels'
FIRST, LAST = 'first', 'last'

#: Rows and columns of places that confidence is asked of, about: a softmax of all takes longer
#: than many a stage.
_SURE_SIDE = 64

#: An argument whose sigmoid is 0 or 1, and whose exponential is a number.
_LARGE = 500.0


@dataclass(frozen=True)
class Segmentation(OptionedTask[LabelMap, NDArray[Any]]):
    """
    A label for each pixel of the picture.

    :param output: its name
    :param kind: `planes`, a value for each label, the highest wins (pictures, labels, rows,
        columns); `binary`, one such plane: where it is above the threshold, the second of two
        labels; `labels`, the indices of labels (pictures, rows, columns), with or without an axis
        of one channel
    :param channels: `first`, or `last` (pictures, rows, columns, labels)
    :param activation: of a binary plane: `none` where it is 0..1, `sigmoid` of its arguments
    :param threshold: of a binary plane, 0..1

    Rows and columns are spread evenly over the input. Where they are fewer than its pixels,
    values are interpolated bilinearly.
    """

    output: str = option('output')
    kind: str = option(PLANES, choices=(PLANES, BINARY, LABELS))
    channels: str = option(FIRST, choices=(FIRST, LAST))
    activation: str = option(NONE, choices=(NONE, SIGMOID))
    threshold: float = option(0.5, low=0.0, high=1.0)

    name: ClassVar[str] = 'segmentation'
    metric: ClassVar[Metric] = Metric.MEAN_IOU

    @classmethod
    def recognise(
        cls,
        outputs: Sequence[TensorSpec],
        labels: Sequence[str],
        samples: Sequence[Outputs] = (),
    ) -> dict[str, Any] | None:
        """
        Return the options that outputs ask for, None where they are no segmentation.

        Of several outputs, the one named `out` counts: torchvision has another beside it, for
        training.

        :param samples: what the network answered to pictures. Without any, one plane is taken for
            arguments of a sigmoid
        """
        chosen = [spec for spec in outputs if spec.name == 'out'] if len(outputs) > 1 else outputs
        if len(chosen) != 1:
            return None
        (spec,) = chosen
        if len(spec.shape) == 4 and (spec.shape[2:] == (1, 1) or spec.shape[1:3] == (1, 1)):
            return None  # a value for the whole picture
        for channels, axis in ((FIRST, 1), (LAST, 3)):
            if len(spec.shape) != 4 or not is_float(spec):
                break
            if spec.shape[axis] == len(labels) > 1:
                return cls(spec.name, PLANES, channels).options()
            if spec.shape[axis] == 1 and len(labels) == 2:
                values = [np.asarray(sample[spec.name]) for sample in samples]
                shares = bool(values) and all(
                    np.all((value >= 0) & (value <= 1)) for value in values
                )
                return cls(spec.name, BINARY, channels, NONE if shares else SIGMOID).options()
        if not is_float(spec) and len(spec.shape) in (3, 4):
            channels = LAST if len(spec.shape) == 4 and spec.shape[3] == 1 else FIRST
            if len(spec.shape) == 3 or 1 in (spec.shape[1], spec.shape[3]):
                return cls(spec.name, LABELS, channels).options()
        return None

    def check(self, outputs: Sequence[TensorSpec], labels: Sequence[str], size: Size) -> None:
        """Check that the output has a plane for each label, or labels."""
        if len(labels) > MOST_LABELS:
            raise TaskError(
                f'There are {len(labels)} labels, and a label map holds {MOST_LABELS} at most. '
                'Put rare ones together, and train with these.'
            )
        spec = find(outputs, self.output, 'Segmentation')
        axis = 1 if self.channels == FIRST else 3
        wanted = {PLANES: len(labels), BINARY: 1, LABELS: 1}[self.kind]
        good = len(spec.shape) == 4 and fits(spec.shape[axis], wanted)
        if self.kind == LABELS and len(spec.shape) == 3:
            good = True
        if not good:
            shape = ['pictures', 'rows', 'columns']
            shape.insert(axis, str(wanted))
            raise TaskError(
                f'Segmentation ({self.kind}) needs an output ({", ".join(shape)}) for '
                f'{len(labels)} labels, and the network has {described([spec])}. Give the labels '
                'that it was trained with, one a class, the background too.'
            )
        if self.kind == BINARY and len(labels) != 2:
            raise TaskError(
                f'One plane tells two labels apart, and there are {len(labels)}. Give two: what '
                'is there where it is low, then what where it is high.'
            )

    def decode(
        self,
        outputs: Outputs,
        index: int,
        placement: Placement,
        labels: Sequence[str],
        limits: Limits,
    ) -> LabelMap:
        """Return the label of each pixel of the camera's picture."""
        values = outputs[self.output][index]
        if self.channels == LAST and values.ndim == 3:
            values = np.moveaxis(values, -1, 0)
        if self.kind == LABELS:
            classes = _labels(values.reshape(values.shape[-2:]), len(labels))
        else:
            planes = values if self.kind == PLANES else self._two_planes(values)
            coarse = planes.shape[1] * planes.shape[2] < placement.input[0] * placement.input[1]
            classes = finer_classes(planes, placement.input) if coarse else best_classes(planes)
        return LabelMap(placement.mask_to_picture(classes, LabelMap.UNLABELLED))

    def confidence(self, outputs: Outputs, index: int, size: Size, limits: Limits) -> float:
        """
        Return the mean over places of the probability of the best label there.

        That of a plane for each label is by softmax, so planes that hold probabilities already
        give less than these; a threshold is calibrated with the same planes. Of many places,
        evenly spaced ones are looked at. Labels alone do not say how sure they are: 0.
        """
        if self.kind == LABELS:
            return 0.0
        values = outputs[self.output][index]
        planes = np.moveaxis(values, -1, 0) if self.channels == LAST else values
        rows, columns = (max(1, side // _SURE_SIDE) for side in planes.shape[1:])
        places = planes[:, ::rows, ::columns].astype(np.float64)
        if not np.isfinite(places).all():
            return math.nan
        if self.kind == PLANES:
            exponentials = np.exp(places - places.max(axis=0))
            return float((1 / exponentials.sum(axis=0)).mean())
        if self.activation == SIGMOID:
            places = 1 / (1 + np.exp(-np.clip(places, -_LARGE, _LARGE)))
        shares = np.clip(places, 0, 1)
        return float(np.maximum(shares, 1 - shares).mean())

    def departure(self, found: Outputs, recorded: Outputs) -> float:
        """
        Return by how much answers depart from the recorded ones, relative to their size.

        Of labels, the share of pixels that have another.
        """
        if not same_layout(found, recorded) or not all_finite(found):
            return float('inf')
        now, then = found[self.output], recorded[self.output]
        if self.kind == LABELS:
            return float(np.mean(now != then))
        return relative_difference(now, then)

    def scorer(self, labels: Sequence[str]) -> Scorer[LabelMap, NDArray[Any]]:
        """Return a new scorer of mean IoU."""
        return MeanIouScorer(len(labels))

    def read(
        self, data: Path, labels: Sequence[str] | None = None
    ) -> Iterator[LabelledPicture[NDArray[Any]]]:
        """Read pictures with label images."""
        return read_truths(data, self.name, labels)

    def _two_planes(self, plane: NDArray[Any]) -> NDArray[Any]:
        """Return a plane of the threshold before a binary plane: what is higher wins."""
        limit = logit(self.threshold) if self.activation == SIGMOID else self.threshold
        # A threshold of 0 or 1 is an infinite argument: the largest finite one stands for it.
        edge = np.clip(limit, *(np.finfo(np.float32).max * np.array((-1, 1), np.float64)))
        low = np.where(np.isfinite(plane), np.float32(edge), np.float32(np.nan))
        return np.concatenate([low, plane.astype(np.float32)])


def _labels(values: NDArray[Any], count: int) -> NDArray[np.uint8]:
    """Return indices of labels, `UNLABELLED` where there is no such label."""
    with np.errstate(invalid='ignore'):
        good = (values >= 0) & (values < count)
        return np.where(good, values, LabelMap.UNLABELLED).astype(np.uint8)
