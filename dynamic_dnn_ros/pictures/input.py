# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""How a camera picture becomes the input of a network."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

#: Red, green, blue, 0..255, with the shape (height, width, 3), contiguous.
Picture = NDArray[np.uint8]


class Resize(Enum):
    """How a camera picture becomes the input of a network, where its proportions are others."""

    STRETCH = 'stretch'
    CENTER_CROP = 'center_crop'
    LETTERBOX = 'letterbox'


class Alignment(Enum):
    """Where a letterboxed picture lies in the input."""

    CENTER = 'center'
    TOP_LEFT = 'top_left'


class ChannelOrder(Enum):
    """The order in which a network takes the channels."""

    RGB = 'rgb'
    BGR = 'bgr'


class Interpolation(Enum):
    """The filter that scales a picture, antialiased, as Pillow defines it."""

    BOX = 'box'
    BILINEAR = 'bilinear'
    HAMMING = 'hamming'
    BICUBIC = 'bicubic'
    LANCZOS = 'lanczos'


@dataclass(frozen=True)
class Preprocessing:
    """
    How a picture becomes the input of a network.

    `mean` and `standard_deviation` are those of the red, green and blue channel on a scale of
    0..1; `channels` is the order in which the network takes them. `alignment` and `padding`, the
    grey level 0..255 of what the picture leaves free, are those of a letterbox.
    """

    resize: Resize
    mean: tuple[float, float, float]
    standard_deviation: tuple[float, float, float]
    interpolation: Interpolation = Interpolation.BILINEAR
    channels: ChannelOrder = ChannelOrder.RGB
    alignment: Alignment = Alignment.CENTER
    padding: int = 114
