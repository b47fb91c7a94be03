# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What is done with each frame of a stream before its sub-network runs, and after it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dynamic_dnn_ros.bundles.manifest import SubNetwork
from dynamic_dnn_ros.engines.contract import Outputs
from dynamic_dnn_ros.pictures.input import Picture, Preprocessing
from dynamic_dnn_ros.pictures.placement import Placement, Size
from dynamic_dnn_ros.pictures.scaling import CameraPicture, fitted
from dynamic_dnn_ros.tasks.contract import (
    ClassScores,
    Detections,
    LabelMap,
    Limits,
    Task,
    TaskError,
)
from dynamic_dnn_ros.tasks.tensors import specs_of


class Pipeline:
    """
    From a camera's picture to the input of a sub-network, and from its outputs to a result.

    It has one input buffer for each size, so one frame of the stream is in work at a time.
    """

    def __init__(
        self,
        preprocessing: Preprocessing,
        task: Task[Any, Any],
        labels: Sequence[str],
        limits: Callable[[], Limits],
        reduced_decoding: bool,
    ) -> None:
        """
        Take what a bundle says; parameters as for `FrameStream`.

        :param limits: returns what a result may hold at most; asked with each frame
        """
        self.task = task
        self._preprocessing = preprocessing
        self._labels = labels
        self._limits = limits
        self._reduced_decoding = reduced_decoding
        # Engines read a picture where it lies, so these are their input buffers.
        self._inputs: dict[Size, Picture] = {}
        self._checked: set[str] = set()

    def preprocess(self, picture: CameraPicture, size: Size) -> tuple[Picture, Placement]:
        """
        Return a picture as a network of a size takes it, and where it lies there.

        :raises PictureError: when it cannot be read
        """
        if size not in self._inputs:
            self._inputs[size] = np.empty((*size, 3), np.uint8)
        return fitted(
            picture, size, self._preprocessing, self._inputs[size], self._reduced_decoding
        )

    def decode(
        self, outputs: Outputs, placement: Placement, sub_network: SubNetwork
    ) -> ClassScores | Detections | LabelMap:
        """
        Return what the outputs of one picture say of it, in the camera's pixels.

        :raises TaskError: for the first outputs of a sub-network that cannot be decoded
        """
        if sub_network.id not in self._checked:
            self._check(outputs, sub_network)
        result: ClassScores | Detections | LabelMap = self.task.decode(
            outputs, 0, placement, self._labels, self._limits()
        )
        return result

    def _check(self, outputs: Outputs, sub_network: SubNetwork) -> None:
        """Check the first outputs of a sub-network: what cannot be decoded is no empty result."""
        for name, output in outputs.items():
            if not np.all(np.isfinite(output)):
                raise TaskError(
                    f'Sub-network {sub_network.id!r} gives values that are not finite in its '
                    f"output {name!r}. Look at the bundle with 'dynamic-dnn bundle check'."
                )
        self.task.check(specs_of(outputs), self._labels, sub_network.size)
        self._checked.add(sub_network.id)
