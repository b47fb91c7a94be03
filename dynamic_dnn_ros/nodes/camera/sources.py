# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Where the camera node's pictures come from: picture files, a video, a camera, a bag."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
import importlib
import importlib.util
import math
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dynamic_dnn_ros.nodes.inference.images import compressed_picture, raw_picture
from dynamic_dnn_ros.pictures.errors import PictureError
from dynamic_dnn_ros.pictures.upright import upright_picture
from dynamic_dnn_ros.pictures.value_range import ValueRange

Picture = NDArray[np.uint8]
"""Height x width x 3, red, green, blue."""

Window = tuple[float, float, float, float]
"""Left, upper, right, lower, pixels."""

DEFAULT_SIZE = (640, 480)
SECONDS_PER_PICTURE = 4.0
PICTURE_RATE = 30.0

#: So many reads that fail one after the other, and a camera has to be opened again.
FAILURES_OF_A_LOST_CAMERA = 3

_SUFFIXES = frozenset({'.bmp', '.jpeg', '.jpg', '.png', '.ppm', '.tif', '.tiff', '.webp'})
_LIBRARY_PICTURES = (
    'chelsea.png',
    'rocket.jpg',
    'coffee.png',
    'motorcycle_left.png',
    'astronaut.png',
)
# Pillow 9.0 of Ubuntu 22.04 has no Resampling yet.
_BILINEAR = getattr(Image, 'Resampling', Image).BILINEAR
_RAW_TYPE = 'sensor_msgs/msg/Image'
_COMPRESSED_TYPE = 'sensor_msgs/msg/CompressedImage'


class SourceError(ValueError):
    """A source that cannot be used. The text names the source, the problem and the remedy."""


class FrameError(ValueError):
    """One frame of a source cannot be read; the next may. The text names the frame and why."""


class SourceLost(SourceError):
    """A source that delivers no more, and may be opened again."""


class FrameSource(Protocol):
    """
    A stream of pictures.

    `rate` is the source's own, hertz; 0 where the source itself sets the pace (a camera).
    `left_out` says of each frame that was left out when the source was opened why.
    """

    description: str
    rate: float
    left_out: tuple[str, ...]

    def read(self) -> Picture | None:
        """
        Return the next picture; None at the end of the source.

        :raises FrameError: when this picture cannot be read; the next call goes on after it
        :raises SourceLost: when the source has to be opened again
        """

    def rewind(self) -> None:
        """
        Begin again at the first picture; a camera that was lost is opened again.

        :raises SourceError: when it cannot be opened
        """

    def close(self) -> None:
        """Release what the source holds."""


def pan_and_zoom(progress: float, size: tuple[int, int], aspect: float) -> Window:
    """
    Return the window that a slow camera movement over a picture shows.

    :param progress: 0..1 through the movement: in towards the lower right and out again
    :param size: width and height of the picture, pixels
    :param aspect: width over height of the window
    :return: left, upper, right, lower in pixels, inside the picture
    """
    width, height = size
    largest = min(float(width), height * aspect)
    window_width = largest * (1.0 - 0.35 * math.sin(math.pi * progress))
    window_height = window_width / aspect
    left = (width - window_width) * progress
    upper = (height - window_height) * 0.5 * (1.0 - math.cos(math.pi * progress))
    return left, upper, left + window_width, upper + window_height


class PictureSource:
    """Picture files, shown in turn with a slow pan and zoom, so that they make a stream."""

    def __init__(
        self,
        files: Sequence[Path],
        description: str,
        size: tuple[int, int],
        value_range: ValueRange | None = None,
    ) -> None:
        """
        Read the pictures; those that cannot be read are left out.

        :param size: width and height of the frames, pixels; 0 for the default
        :param value_range: values that become black and white, where there are more than 8 bits
        :raises SourceError: when no file can be read as a picture
        """
        self.description = description
        self.rate = PICTURE_RATE
        self._size = (size[0] or DEFAULT_SIZE[0], size[1] or DEFAULT_SIZE[1])
        self._pictures: list[Image.Image] = []
        left_out = []
        for file in files:
            try:
                self._pictures.append(Image.fromarray(upright_picture(file, value_range)))
            except PictureError as error:
                left_out.append(str(error))
        self.left_out = tuple(left_out)
        if not self._pictures:
            raise SourceError(f'{description}: none can be read. {left_out[0]}')
        self._frames_per_picture = int(SECONDS_PER_PICTURE * PICTURE_RATE)
        self._frame = 0

    def read(self) -> Picture | None:
        """Return the next view; the stream ends after the last picture."""
        index, step = divmod(self._frame, self._frames_per_picture)
        if index == len(self._pictures):
            return None
        self._frame += 1
        picture = self._pictures[index]
        box = pan_and_zoom(
            step / self._frames_per_picture, picture.size, self._size[0] / self._size[1]
        )
        view = picture.resize(self._size, _BILINEAR, box=box)
        return np.array(view, dtype=np.uint8)

    def rewind(self) -> None:
        """Begin again at the first picture."""
        self._frame = 0

    def close(self) -> None:
        """Let the pictures go."""
        self._pictures.clear()


class VideoSource:
    """A video file or a camera, decoded by OpenCV."""

    def __init__(self, target: str | int, size: tuple[int, int]) -> None:
        """
        Open the video.

        :param target: path of a file, or index of a camera
        :param size: width and height of the frames, pixels; 0 for the source's own
        :raises SourceError: when OpenCV is absent or cannot open it
        """
        self._cv2 = _optional_module('cv2', 'opencv-python-headless', 'a video or a camera')
        self.left_out: tuple[str, ...] = ()
        self._failed = 0
        self._target = target
        self._size = size
        is_camera = isinstance(target, int)
        self.description = f'camera {target}' if is_camera else f'video {target}'
        self.rate = self._open()

    def _open(self) -> float:
        """Open the video and return its rate, hertz."""
        target, size = self._target, self._size
        is_camera = isinstance(target, int)
        self._capture = self._cv2.VideoCapture(target)
        if not self._capture.isOpened():
            remedy = (
                'Check `ls /dev/video*`, that no other program uses it, and that you are in the '
                'group "video".'
                if is_camera
                else 'Check that it is a video that FFmpeg can decode (`ffprobe`).'
            )
            raise SourceError(f'{self.description} cannot be opened. {remedy}')
        if is_camera and size[0] and size[1]:
            self._capture.set(self._cv2.CAP_PROP_FRAME_WIDTH, size[0])
            self._capture.set(self._cv2.CAP_PROP_FRAME_HEIGHT, size[1])
        frames_per_second = float(self._capture.get(self._cv2.CAP_PROP_FPS))
        usable = math.isfinite(frames_per_second) and 0.0 < frames_per_second <= 1000.0
        return 0.0 if is_camera else (frames_per_second if usable else PICTURE_RATE)

    def read(self) -> Picture | None:
        """
        Return the next frame; None at the end of a file.

        :raises FrameError: when a camera delivers no frame this time
        :raises SourceLost: when it did so several times, one after the other
        """
        delivered, frame = self._capture.read()
        if not delivered:
            if not isinstance(self._target, int):
                return None
            problem = f'{self.description} delivers no frame'
            self._failed += 1
            if self._failed < FAILURES_OF_A_LOST_CAMERA:
                raise FrameError(problem)
            raise SourceLost(f'{problem}. Check its cable, and that no other program uses it.')
        self._failed = 0
        picture: Picture = self._cv2.cvtColor(frame, self._cv2.COLOR_BGR2RGB)
        return _resized(picture, self._size)

    def rewind(self) -> None:
        """
        Open the file or the camera again: seeking is not exact in every container.

        :raises SourceError: when it cannot be opened
        """
        self._capture.release()
        self._failed = 0
        self._open()

    def close(self) -> None:
        """Release the file or the camera."""
        self._capture.release()


class BagSource:
    """The images of one topic of a ROS 2 bag, raw or compressed, mcap or sqlite3."""

    def __init__(
        self,
        path: Path,
        topic: str,
        size: tuple[int, int],
        value_range: ValueRange | None = None,
    ) -> None:
        """
        Open the bag.

        :param path: folder of the bag
        :param topic: image topic; empty: the only one that the bag holds
        :param size: width and height of the frames, pixels; 0 for the bag's own
        :param value_range: values that become black and white, where there are more than 8 bits
        :raises SourceError: when it is no bag, or has no such topic
        """
        _optional_module('rosbags', 'rosbags', 'a bag')
        from rosbags.highlevel import AnyReader
        from rosbags.typesys import Stores, get_typestore

        if not (path / 'metadata.yaml').is_file():
            raise SourceError(
                f'bag {path} has no metadata.yaml. Name the folder of the bag; `ros2 bag reindex` '
                'writes a lost metadata.yaml anew.'
            )
        try:
            # The types of images are the same in all releases that this package runs on.
            self._reader = AnyReader([path], default_typestore=get_typestore(Stores.ROS2_HUMBLE))
            self._reader.open()
        except Exception as error:
            raise SourceError(
                f'bag {path} cannot be read: {error}. Check it with `ros2 bag info`.'
            ) from error
        try:
            self._connection = self._find(path, topic)
        except SourceError:
            self._reader.close()
            raise
        self.left_out: tuple[str, ...] = ()
        self._size = size
        self._value_range = value_range
        seconds = self._reader.duration * 1e-9
        count = self._connection.msgcount
        self.rate = (count - 1) / seconds if count > 1 and seconds > 0.0 else PICTURE_RATE
        self.description = f'bag {path}, topic {self._connection.topic}'
        self._messages = self._iterate()

    def read(self) -> Picture | None:
        """
        Return the next image; None at the end of the bag.

        :raises FrameError: when an image cannot be decoded
        """
        try:
            raw = next(self._messages, None)
        except Exception as error:  # a damaged bag raises errors of any type, and ends there
            raise FrameError(f'{self.description}: it cannot be read further ({error})') from error
        if raw is None:
            return None
        try:
            message: Any = self._reader.deserialize(raw, self._connection.msgtype)
        except Exception as error:  # so does a damaged message
            raise FrameError(
                f'{self.description}: a message of {len(raw)} bytes cannot be read ({error!r})'
            ) from error
        return _resized(self._decode(message), self._size)

    def rewind(self) -> None:
        """Begin again at the first message."""
        self._messages = self._iterate()

    def close(self) -> None:
        """Close the bag."""
        self._messages = iter(())
        self._reader.close()

    def _find(self, path: Path, topic: str) -> Any:
        images = [
            connection
            for connection in self._reader.connections
            if connection.msgtype in (_RAW_TYPE, _COMPRESSED_TYPE)
        ]
        names = sorted({connection.topic for connection in images})
        if not names:
            raise SourceError(
                f'bag {path} has no topic of type {_RAW_TYPE} or {_COMPRESSED_TYPE}. Choose a bag '
                'that was recorded from a camera.'
            )
        if topic and topic not in names:
            raise SourceError(
                f'bag {path} has no image topic {topic!r}. Set it to one of: {", ".join(names)}.'
            )
        if not topic and len(names) > 1:
            raise SourceError(
                f'bag {path} has several image topics. Choose one: {", ".join(names)}.'
            )
        chosen = topic or names[0]
        return next(connection for connection in images if connection.topic == chosen)

    def _iterate(self) -> Iterator[bytes]:
        for _, _, raw in self._reader.messages(connections=[self._connection]):
            yield raw

    def _decode(self, message: Any) -> Picture:
        try:
            compressed = self._connection.msgtype == _COMPRESSED_TYPE
            camera_picture = (compressed_picture if compressed else raw_picture)(
                message, self._value_range
            )
            return np.array(camera_picture.open().convert('RGB'), dtype=np.uint8)
        except PictureError as error:
            raise FrameError(f'{self.description}: {error}') from error


def open_source(
    source: str,
    path: str = '',
    topic: str = '',
    size: tuple[int, int] = (0, 0),
    value_range: ValueRange | None = None,
) -> FrameSource:
    """
    Open a source of pictures.

    :param source: one of `SOURCES`
    :param path: folder of pictures, video file, camera index, or folder of a bag
    :param topic: image topic of a bag; empty: its only one
    :param size: width and height of the frames, pixels; 0: the source's own
    :param value_range: values that become black and white, where there are more than 8 bits
    :raises SourceError: naming the source, the problem and the remedy
    """
    return _OPEN[source](path, topic, size, value_range)


def library_pictures() -> list[Path]:
    """
    Return the photographs that an installed scikit-image carries.

    :raises SourceError: when it is not installed, or without pictures
    """
    # The specification is enough: importing the library would cost its memory.
    specification = importlib.util.find_spec('skimage')
    if specification is None or specification.origin is None:
        raise SourceError(
            'the default pictures come with scikit-image, which is not installed. Install it '
            '(`pip install scikit-image`), or choose another source.'
        )
    folder = Path(specification.origin).parent / 'data'
    files = [folder / name for name in _LIBRARY_PICTURES if (folder / name).is_file()]
    if not files:
        raise SourceError(
            f'scikit-image was installed without its pictures ({folder}). Install it from PyPI '
            '(`pip install scikit-image`), or choose another source.'
        )
    return files


def _open_default(
    path: str, topic: str, size: tuple[int, int], value_range: ValueRange | None
) -> FrameSource:
    return PictureSource(library_pictures(), 'photographs of scikit-image', size)


def _open_folder(
    path: str, topic: str, size: tuple[int, int], value_range: ValueRange | None
) -> FrameSource:
    folder = _existing(path, 'folder of pictures')
    if not folder.is_dir():
        raise SourceError(f'{folder} is a file. Name the folder that holds the pictures.')
    files = sorted(file for file in folder.iterdir() if file.suffix.lower() in _SUFFIXES)
    if not files:
        raise SourceError(
            f'folder {folder} holds no pictures. Put files of these kinds into it: '
            f'{", ".join(sorted(_SUFFIXES))}.'
        )
    return PictureSource(files, f'pictures of {folder}', size, value_range)


def _open_video(
    path: str, topic: str, size: tuple[int, int], value_range: ValueRange | None
) -> FrameSource:
    file = _existing(path, 'video file')
    if file.is_dir():
        raise SourceError(f'{file} is a folder. Name a video file.')
    return VideoSource(str(file), size)


def _open_camera(
    path: str, topic: str, size: tuple[int, int], value_range: ValueRange | None
) -> FrameSource:
    index = path.removeprefix('/dev/video') or '0'
    if not index.isdecimal():
        raise SourceError(f'{path!r} is no camera. Give an index, such as 0, or /dev/video0.')
    return VideoSource(int(index), size)


def _open_bag(
    path: str, topic: str, size: tuple[int, int], value_range: ValueRange | None
) -> FrameSource:
    bag = _existing(path, 'bag')
    # A single file of a bag is what shell completion offers.
    return BagSource(bag if bag.is_dir() else bag.parent, topic, size, value_range)


_OPEN: dict[str, Callable[[str, str, tuple[int, int], ValueRange | None], FrameSource]] = {
    'pictures': _open_default,
    'folder': _open_folder,
    'video': _open_video,
    'camera': _open_camera,
    'bag': _open_bag,
}

SOURCES = tuple(_OPEN)
"""Kinds of sources."""


def _existing(path: str, what: str) -> Path:
    if not path:
        raise SourceError(f'no {what} was named. Give its path.')
    found = Path(path).expanduser()
    if not found.exists():
        raise SourceError(f'{what} {found} does not exist. Check the path.')
    return found


def _optional_module(module: str, distribution: str, purpose: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise SourceError(
            f'{purpose} needs {distribution}, which cannot be imported ({error}). Install it: '
            f'`pip install {distribution}`.'
        ) from error


def _resized(picture: Picture, size: tuple[int, int]) -> Picture:
    height, width = picture.shape[:2]
    wanted = (size[0] or width, size[1] or height)
    if wanted == (width, height):
        return picture
    scaled = Image.fromarray(picture).resize(wanted, _BILINEAR)
    return np.array(scaled, dtype=np.uint8)
