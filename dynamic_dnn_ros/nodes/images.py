# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Camera messages as pictures, without copying a pixel."""

from __future__ import annotations

from sensor_msgs.msg import CompressedImage, Image

from dynamic_dnn_ros.engines.preprocessing import CompressedPicture, PictureError, RawPicture


def raw_picture(message: Image) -> RawPicture:
    """
    Return the picture of an `Image`.

    :raises PictureError: for an encoding that is not read, a size of zero, or too little data
    """
    return RawPicture(message.encoding, message.width, message.height, message.step, message.data)


def compressed_picture(message: CompressedImage) -> CompressedPicture:
    """
    Return the picture of a `CompressedImage`; it is decoded when it is opened.

    :raises PictureError: when it is empty
    """
    if not len(message.data):
        raise PictureError(
            f'compressed image {message.format!r}: it has no data. Check the camera driver.'
        )
    return CompressedPicture(message.data)
