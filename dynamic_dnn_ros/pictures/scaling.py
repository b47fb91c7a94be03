# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""From a camera's picture, in whatever encoding, to the picture that a sub-network takes."""

from __future__ import annotations

import numpy as np

from dynamic_dnn_ros.pictures.compressed import REDUCED_DECODING as REDUCED_DECODING
from dynamic_dnn_ros.pictures.compressed import CompressedPicture as CompressedPicture
from dynamic_dnn_ros.pictures.errors import PictureError as PictureError
from dynamic_dnn_ros.pictures.fitting import Fit
from dynamic_dnn_ros.pictures.input import Picture, Preprocessing
from dynamic_dnn_ros.pictures.placement import Placement, Size
from dynamic_dnn_ros.pictures.raw import RawPicture as RawPicture

CameraPicture = RawPicture | CompressedPicture


def fitted(
    picture: CameraPicture,
    size: Size,
    preprocessing: Preprocessing,
    out: Picture | None = None,
    reduced_decoding: bool = False,
) -> tuple[Picture, Placement]:
    """
    Fit a camera's picture into a sub-network's input, as its bundle says.

    Equal to what Pillow makes of all pixels to within one grey level.

    :param size: of the input
    :param out: where to write the result, shape (height, width, 3); a new array if None
    :param reduced_decoding: of a JPEG picture, decode no more than the result needs
    :return: red, green, blue, shape (height, width, 3), contiguous (`out` where given), and where
        the upright picture lies in it
    :raises PictureError: when the picture cannot be decoded
    """
    if isinstance(picture, CompressedPicture):
        pixels, fit = picture.scaled(size, preprocessing, reduced_decoding)
    else:
        fit = Fit.of(picture.size, size, preprocessing)
        pixels = picture.scaled(fit, preprocessing.interpolation)
    if out is None:
        out = np.empty((*size, 3), np.uint8)
    elif out.shape != (*size, 3):
        raise ValueError(f'the buffer has the shape {out.shape}, {(*size, 3)} is needed')
    if fit.size == size:
        np.copyto(out, pixels)
    else:
        _place(pixels, fit, preprocessing.padding, out)
    return out, Placement.of(fit.picture, size, preprocessing)


def _place(pixels: Picture, fit: Fit, padding: int, out: Picture) -> None:
    lower, right = fit.upper + fit.size.height, fit.left + fit.size.width
    np.copyto(out[fit.upper : lower, fit.left : right], pixels)
    out[: fit.upper] = padding
    out[lower:] = padding
    out[fit.upper : lower, : fit.left] = padding
    out[fit.upper : lower, right:] = padding
