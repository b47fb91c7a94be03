# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Camera messages as pictures, without copying a pixel.

rclpy makes a message out of the bytes that arrive by copying the pixels three times: into a
message in C, into `bytes`, and into an `array.array`. So the camera topics are subscribed raw, and
the fields are read here where they lie in the serialised message.
"""

from __future__ import annotations

from dataclasses import dataclass
import struct

from builtin_interfaces.msg import Time
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from dynamic_dnn_ros.pictures.encodings import CONVERTED
from dynamic_dnn_ros.pictures.scaling import (
    CameraPicture,
    CompressedPicture,
    PictureError,
    RawPicture,
)
from dynamic_dnn_ros.pictures.value_range import ValueRange, needs_range

#: First two bytes of a serialised message: plain CDR, big and little endian, and the plain CDR 2
#: of XTypes, which is the same for messages without fields of eight bytes
#: (DDS-XTypes 1.3, table 60).
_BYTE_ORDERS = {b'\x00\x00': '>', b'\x00\x01': '<', b'\x00\x06': '>', b'\x00\x07': '<'}

_ENCAPSULATION = 4


def raw_picture(message: Image, value_range: ValueRange | None = None) -> RawPicture:
    """
    Return the picture of an `Image`.

    :param value_range: values that become black and white, where there are more than 8 bits
    :raises PictureError: for an encoding that is not read or needs a range, a size of zero, or too
        little data
    """
    return RawPicture(
        message.encoding,
        message.width,
        message.height,
        message.step,
        message.data,
        bool(message.is_bigendian),
        value_range,
    )


def compressed_picture(
    message: CompressedImage, value_range: ValueRange | None = None
) -> CompressedPicture:
    """
    Return the picture of a `CompressedImage`; it is decoded when it is opened.

    :param value_range: values that become black and white, where there are more than 8 bits
    :raises PictureError: when it is empty, or holds distances
    """
    return _compressed(message.format, memoryview(message.data), value_range)


class SerialisedImage:
    """An `Image` or `CompressedImage` as it arrives; its header is read at once."""

    def __init__(self, data: bytes, message_type: type[Image] | type[CompressedImage]) -> None:
        """
        Take the bytes of a raw subscription.

        :raises PictureError: when they are no such message
        """
        self._message_type = message_type
        byte_order = _BYTE_ORDERS.get(data[:2])
        if byte_order is None:
            # Some other way of serialising: the middleware knows it.
            try:
                self._message = deserialize_message(data, message_type)
            except Exception as error:  # rclpy has no type of its own for it
                raise PictureError(self._what(len(data), error)) from error
            self.header = self._message.header
            return
        try:
            self._message = None
            self._reader = _Reader(data, byte_order)
            seconds, nanoseconds = self._reader.numbers('iI')
            stamp = Time(sec=seconds, nanosec=nanoseconds)
            self.header = Header(stamp=stamp, frame_id=self._reader.text())
        except (struct.error, IndexError, ValueError, AssertionError) as error:
            raise PictureError(self._what(len(data), error)) from error

    def picture(self, value_range: ValueRange | None = None) -> CameraPicture:
        """
        Return the picture; its data is a view of the bytes that arrived. To be called once.

        :param value_range: values that become black and white, where there are more than 8 bits
        :raises PictureError: as `raw_picture` and `compressed_picture`, and for cut messages
        """
        if self._message is not None:
            if self._message_type is Image:
                return raw_picture(self._message, value_range)
            return compressed_picture(self._message, value_range)
        reader = self._reader
        try:
            if self._message_type is CompressedImage:
                return _compressed(reader.text(), reader.octets(), value_range)
            height, width = reader.numbers('II')
            encoding = reader.text()
            (big_endian,) = reader.numbers('B')
            (step,) = reader.numbers('I')
            data = reader.octets()
        except (struct.error, UnicodeDecodeError) as error:
            raise PictureError(self._what(len(reader.data), error)) from error
        return RawPicture(encoding, width, height, step, data, bool(big_endian), value_range)

    def _what(self, size: int, error: Exception) -> str:
        return (
            f'{self._message_type.__name__} of {size} serialised bytes: it cannot be read '
            f'({error}). Check that publisher and node use the same definition of the message.'
        )


@dataclass
class _Reader:
    """Reads the fields of a CDR message one after the other."""

    data: bytes
    byte_order: str
    offset: int = _ENCAPSULATION

    def numbers(self, letters: str) -> tuple[int, ...]:
        """Return numbers of one kind each, as `struct` names them."""
        size = struct.calcsize(letters[0])
        self.offset += -(self.offset - _ENCAPSULATION) % size
        layout = self.byte_order + letters
        values = struct.unpack_from(layout, self.data, self.offset)
        self.offset += struct.calcsize(layout)
        return values

    def text(self) -> str:
        """Return a string; its length counts the zero at its end."""
        return bytes(self.octets()).rstrip(b'\0').decode()

    def octets(self) -> memoryview:
        """Return a sequence of bytes where it lies."""
        (length,) = self.numbers('I')
        begin = self.offset
        self.offset += length
        if self.offset > len(self.data):
            raise struct.error(f'{length} bytes are announced at {begin} of {len(self.data)}')
        return memoryview(self.data)[begin : self.offset]


def _compressed(kind: str, data: memoryview, value_range: ValueRange | None) -> CompressedPicture:
    """
    Return the picture of a file, of which the message says what it is.

    image_transport writes the encoding of the picture, a semicolon, and how it is compressed.
    """
    what = f'compressed image {kind!r}'
    if not len(data):
        raise PictureError(f'{what}: it has no data. Check the camera driver.')
    if 'compressedDepth' in kind:
        raise PictureError(
            f'{what}: it holds distances in a format of its own. Republish it raw (`ros2 run '
            'image_transport republish --ros-args -p in_transport:=compressedDepth -p '
            "out_transport:=raw`), and set parameter 'picture_range'."
        )
    encoding, _, compression = kind.partition(';')
    converted = CONVERTED.get(encoding.strip())
    several_bits = converted is not None and converted.value_range is None
    if value_range is None and several_bits and 'jpeg' not in compression:
        raise needs_range(what, repr(encoding.strip()))
    return CompressedPicture(data, value_range)
