# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The contract of every decoder: boxes, scores and classes out of a detector's outputs."""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from dynamic_dnn_ros.pictures.placement import Size
from dynamic_dnn_ros.tasks.contract import Outputs, TaskError, TensorSpec
from dynamic_dnn_ros.tasks.options import read_options, write_options
from dynamic_dnn_ros.tasks.tensors import described

DecoderT = TypeVar('DecoderT', bound='Decoder')


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

    A decoder is a frozen dataclass without state: its fields are its options, each made with
    `tasks.options.option`, as a manifest holds them.
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
        labels: Sequence[str],
        size: Size,
        samples: Sequence[Outputs],
    ) -> dict[str, Any] | None:
        """
        Return the options under which outputs are of this kind, None where they are not.

        :param size: of the network's input
        :param samples: what the network answered to pictures; may be empty
        """

    @classmethod
    def from_options(cls: type[DecoderT], options: Mapping[str, Any]) -> DecoderT:
        """
        Create a decoder from the options of a manifest, without its name.

        :raises TaskError: naming the option, its value and what is allowed
        """
        return read_options(cls, f'decoder {cls.name}', options)

    def options(self) -> dict[str, Any]:
        """Return the options as plain JSON data, without its name."""
        return write_options(self)

    @abc.abstractmethod
    def check(self, outputs: Sequence[TensorSpec], labels: Sequence[str], size: Size) -> None:
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

    def refusal(self, needed: str, outputs: Sequence[TensorSpec], labels: int) -> TaskError:
        """Return the error of outputs that do not fit."""
        return TaskError(
            f'Decoder {self.name} needs {needed} for {labels} labels, and the network has '
            f'{described(outputs)}. Give the labels that it was trained with, one a class, or '
            'name another decoder.'
        )
