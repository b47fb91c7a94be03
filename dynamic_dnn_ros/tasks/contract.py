# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The contract of every task: what the outputs of a network mean, and how good they are."""

from __future__ import annotations

import abc
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from dynamic_dnn_ros.datasets.contract import LabelledPicture
from dynamic_dnn_ros.pictures.placement import Placement, Size

#: What a network gives out, by the names of its outputs; the first axis is the picture of the
#: batch.
Outputs = Mapping[str, NDArray[Any]]


class TaskError(ValueError):
    """Outputs, labels or options do not fit a task. The text says what to do."""


class Metric(Enum):
    """What the one number 0..1 of a sub-network's accuracy is."""

    TOP1 = 'top1'
    MAP_50_95 = 'map_50_95'
    MEAN_IOU = 'mean_iou'

    @property
    def title(self) -> str:
        """Return how to name it to people."""
        return {'top1': 'top-1', 'map_50_95': 'AP 50:95', 'mean_iou': 'mean IoU'}[self.value]


@dataclass(frozen=True)
class TensorSpec:
    """
    One output of a network, as its graph declares it.

    `shape` with the batch first; None where it is not fixed. `dtype` as numpy names it.
    """

    name: str
    shape: tuple[int | None, ...]
    dtype: str = 'float32'


@dataclass(frozen=True)
class Limits:
    """What a result may hold at most; live parameters of the inference node."""

    score: float = 0.25
    """Detections below it are left out, 0..1."""
    number: int = 100
    """The best are kept."""
    overlap: float = 0.5
    """Of two boxes of one class that overlap by more (IoU, 0..1), the better one is kept."""


#: The limits under which the accuracy of a network is measured: COCO takes the 100 best.
MEASURING_LIMITS = Limits(score=0.001, number=100, overlap=0.6)

#: The limits under which a task is asked for its confidence, at calibration and while serving: so
#: a threshold means the same whatever limits a user has set for results.
DECIDING_LIMITS = Limits()


@dataclass(frozen=True, eq=False)
class ClassScores:
    """A classification: the probability of each class, shape (classes,)."""

    scores: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Detections:
    """
    What was found in a picture, the best first.

    `boxes` left, upper, right, lower in pixels of the camera's picture, float32 (boxes, 4);
    `scores` float32 (boxes,), 0..1; `classes` int64 (boxes,), indices into the labels.
    """

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    classes: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.scores)


@dataclass(frozen=True, eq=False)
class LabelMap:
    """
    A segmentation at the camera's size: the class of each pixel, uint8 or uint16 (height, width).

    What the network did not see (outside a center crop) has the value `UNLABELLED`.
    """

    classes: NDArray[Any]

    UNLABELLED: ClassVar[int] = 255


ResultT = TypeVar('ResultT')
TruthT = TypeVar('TruthT')
_Result = TypeVar('_Result', contravariant=True)
_Truth = TypeVar('_Truth', contravariant=True)


class Scorer(Protocol[_Result, _Truth]):
    """Measures results against the truth, one picture after the other."""

    def add(self, result: _Result, truth: _Truth) -> None:
        """Take one picture's result."""

    def value(self) -> float:
        """Return the accuracy of all that was taken, 0..1, higher is better."""


class Task(abc.ABC, Generic[ResultT, TruthT]):
    """
    What the outputs of a network mean.

    A task is made from plain options, as a manifest holds them, and has no state: it may be used
    by several threads at once.
    """

    name: ClassVar[str]
    metric: ClassVar[Metric]

    #: `departure` of a sub-network above which it may have lost accuracy, and is not served.
    departure_limit: ClassVar[float] = 0.08

    @classmethod
    @abc.abstractmethod
    def from_options(cls, options: Mapping[str, Any]) -> Task[ResultT, TruthT]:
        """
        Create a task from the options of a manifest.

        :raises TaskError: naming the option, its value and what is allowed
        """

    @abc.abstractmethod
    def options(self) -> dict[str, Any]:
        """Return the options as plain JSON data."""

    @abc.abstractmethod
    def check(self, outputs: Sequence[TensorSpec], labels: Sequence[str], size: Size) -> None:
        """
        Check that a network's outputs can be decoded, and fit the labels.

        :param size: of the network's input
        :raises TaskError: naming the outputs found, those that are needed, and the remedy
        """

    @abc.abstractmethod
    def decode(
        self,
        outputs: Outputs,
        index: int,
        placement: Placement,
        labels: Sequence[str],
        limits: Limits,
    ) -> ResultT:
        """
        Return what the outputs say of one picture of the batch, in the camera's pixels.

        Values that are not finite count as nothing found; they never raise.
        """

    def confidence(self, outputs: Outputs, index: int, size: Size, limits: Limits) -> float:
        """
        Return how sure the outputs are of one picture of the batch, 0..1.

        A sub-network with stages leaves early where it is at least a threshold. Not a number
        where the outputs are not finite, which no threshold is met by. By default 0: a task that
        does not say how sure an answer is takes all stages.

        :param size: of the network's input
        :param limits: `DECIDING_LIMITS` wherever thresholds are meant
        """
        return 0.0

    @abc.abstractmethod
    def departure(self, found: Outputs, recorded: Outputs) -> float:
        """
        Return how far outputs are from recorded ones, relative to the size of these.

        Infinite where shapes or names differ, or a value is not finite.
        """

    @abc.abstractmethod
    def scorer(self, labels: Sequence[str]) -> Scorer[ResultT, TruthT]:
        """Return a new scorer of the task's metric."""

    @abc.abstractmethod
    def read(
        self, data: Path, labels: Sequence[str] | None = None
    ) -> Iterator[LabelledPicture[TruthT]]:
        """
        Read labelled pictures, from a folder or an archive, in the order of their names.

        :param labels: of the network; names of the data are mapped to them. None: the data's own
        :raises DataError: when there are none, or one cannot be read
        """
