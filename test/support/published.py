# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Trained networks that others published, run on labelled pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dynamic_dnn_ros.pictures.input import Alignment, Preprocessing, Resize
from dynamic_dnn_ros.pictures.placement import Placement, Size
from dynamic_dnn_ros.pictures.raw import RawPicture
from dynamic_dnn_ros.pictures.scaling import fitted
from dynamic_dnn_ros.tasks.contract import Outputs


def values(pixels: NDArray[np.uint8], mean: Sequence[float], scale: Sequence[float]) -> Any:
    """Return (pixels - mean) / scale, the channels in the order given, as a network reads them."""
    normal = (pixels.astype(np.float32) - np.float32(mean)) / np.float32(scale)
    return np.ascontiguousarray(normal.transpose(2, 0, 1)[None])


@dataclass(frozen=True)
class Published:
    """
    A network of ../shared/data/models.

    `mean` and `scale` are those of its channels, in its order, of 0..255.
    """

    file: str
    fit: Preprocessing
    bgr: bool
    mean: tuple[float, float, float]
    scale: tuple[float, float, float]
    decoder: str | None = None

    def session(self, models: Path) -> Any:
        """Return a session on one thread."""
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        return onnxruntime.InferenceSession(
            str(models / self.file), options, providers=['CPUExecutionProvider']
        )

    def scaled(
        self, pixels: NDArray[np.uint8], size: Size
    ) -> tuple[NDArray[np.float32], Placement]:
        """Return a picture as it reads it, (1, 3, height, width), and where the picture lies."""
        height, width = pixels.shape[:2]
        camera = RawPicture('rgb8', width, height, 3 * width, pixels.tobytes())
        picture, placement = fitted(camera, size, self.fit)
        channels = picture[..., ::-1] if self.bgr else picture
        return values(channels, self.mean, self.scale), placement

    def run(
        self, session: Any, pixels: NDArray[np.uint8], size: Size
    ) -> tuple[Outputs, Placement]:
        """Return what it answers to a picture, and where that lies in its input."""
        given, placement = self.scaled(pixels, size)
        found = session.run(None, {session.get_inputs()[0].name: given})
        names = [output.name for output in session.get_outputs()]
        return dict(zip(names, found)), placement


def _fit(resize: Resize, alignment: Alignment = Alignment.CENTER) -> Preprocessing:
    return Preprocessing(resize, (0, 0, 0), (1, 1, 1), alignment=alignment)


_NANODET: dict[str, Any] = {
    'fit': _fit(Resize.STRETCH),
    'bgr': True,
    'mean': (103.53, 116.28, 123.675),
    'scale': (57.375, 57.12, 58.395),
}

PUBLISHED = {
    'nanodet_m': Published('nanodet/nanodet-m.onnx', decoder='nanodet', **_NANODET),
    'nanodet_plus_320': Published('nanodet/nanodet-plus-m-320.onnx', **_NANODET),
    'nanodet_plus_416': Published('nanodet/nanodet-plus-m-416.onnx', **_NANODET),
    'yolox_nano': Published(
        'yolox/yolox-nano.onnx',
        _fit(Resize.LETTERBOX, Alignment.TOP_LEFT),
        bgr=True,
        mean=(0, 0, 0),
        scale=(1, 1, 1),
    ),
    'fastestdet': Published(
        'fastestdet/FastestDet.onnx',
        _fit(Resize.STRETCH),
        bgr=True,
        mean=(0, 0, 0),
        scale=(255, 255, 255),
    ),
    'deeplab': Published(
        'deeplab/deeplabv3-mnv2-0.5.onnx',
        _fit(Resize.STRETCH),
        bgr=False,
        mean=(128, 128, 128),
        scale=(128, 128, 128),
    ),
    'selfie': Published(
        'selfie/selfie-segmentation.onnx',
        _fit(Resize.STRETCH),
        bgr=False,
        mean=(0, 0, 0),
        scale=(255, 255, 255),
    ),
}

#: COCO's names of Pascal VOC's classes, the background first.
VOC = (
    'background',
    *('airplane', 'bicycle', 'bird', 'boat', 'bottle', 'bus', 'car', 'cat', 'chair', 'cow'),
    *('dining table', 'dog', 'horse', 'motorcycle', 'person', 'potted plant', 'sheep', 'couch'),
    *('train', 'tv'),
)
