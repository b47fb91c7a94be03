# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The contract of every decoder: boxes, scores and classes out of a detector's outputs."""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dynamic_dnn_ros.pictures.placement import Size
from dynamic_dnn_ros.tasks.contract import Outputs, TensorSpec


class Candidates(NamedTuple):
    """
    What a detector says of one picture, in any order.

    Scores, boxes and classes of any value are allowed: what is not finite, below the limit or not
    among the labels is left out later.
    """

    boxes: NDArray[np.float32]
    """Left, upper, right, lower, pixels of the network's input, shape (candidates, 4)."""
    scores: NDArray[np.float32]
    """0..1, shape (candidates,)."""
    classes: NDArray[np.int64]
    """Indices into the labels, shape (candidates,)."""

    def take(self, which: NDArray[np.intp] | NDArray[np.bool_]) -> Candidates:
        """Return some of them."""
        return Candidates(self.boxes[which], self.scores[which], self.classes[which])


class Decoder(abc.ABC):
    """
    One way of writing down detections.

    Decoders are made from plain options, as a manifest holds them, and have no state.
    """

    name: ClassVar[str]
    #: What outputs it reads, in a few words, for errors and help.
    reads: ClassVar[str]
    #: Whether one object may have several boxes, of which the best is to be kept.
    nms: ClassVar[bool]

    @classmethod
    @abc.abstractmethod
    def recognise(
        cls,
        outputs: Sequence[TensorSpec],
        labels: int,
        size: Size,
        samples: Sequence[Outputs],
    ) -> dict[str, Any] | None:
        """
        Return the options under which outputs are of this kind, None where they are not.

        :param labels: their number
        :param size: of the network's input
        :param samples: what the network answered to pictures; may be empty
        """

    @classmethod
    @abc.abstractmethod
    def from_options(cls, options: Mapping[str, Any]) -> Decoder:
        """
        Create a decoder from the options of a manifest, without its name.

        :raises TaskError: naming the option, its value and what is allowed
        """

    @abc.abstractmethod
    def options(self) -> dict[str, Any]:
        """Return the options as plain JSON data, without its name."""

    @abc.abstractmethod
    def check(self, outputs: Sequence[TensorSpec], labels: int, size: Size) -> None:
        """
        Check that outputs can be decoded.

        :raises TaskError: naming the outputs found, those that are needed, and the remedy
        """

    @abc.abstractmethod
    def candidates(self, outputs: Outputs, index: int, size: Size, score: float) -> Candidates:
        """
        Return what the outputs say of one picture of the batch.

        :param size: of the network's input
        :param score: what lies below may be left out
        """

    @abc.abstractmethod
    def comparable(self, outputs: Outputs) -> tuple[NDArray[Any], ...]:
        """
        Return the parts of outputs that are compared with recorded ones, each by its own size.

        A part changes little where the outputs do: where the order of the detections may change,
        a part does not depend on it.
        """
