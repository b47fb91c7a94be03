# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Sources of the camera node: pictures, video, camera, bag; and what is wrong with them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image
import pytest

from dynamic_dnn_ros.nodes.camera.sources import (
    FrameError,
    FrameSource,
    Picture,
    SourceError,
    SourceLost,
    library_pictures,
    open_source,
    pan_and_zoom,
)
from dynamic_dnn_ros.pictures.value_range import ValueRange
from support.shared_data import DRIVING_BAG, DRIVING_TOPIC, shared_data


def read(source: FrameSource) -> Picture:
    """Return the next picture of a source that must have one."""
    picture = source.read()
    assert picture is not None
    return picture


def write_video(path: Path, shades: list[int], rate: float = 20.0) -> None:
    """Write grey frames of 64x48."""
    cv2 = pytest.importorskip('cv2')
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'MJPG'), rate, (64, 48))
    assert writer.isOpened()
    for shade in shades:
        writer.write(np.full((48, 64, 3), shade, np.uint8))
    writer.release()


def write_raw_bag(
    path: Path, topics: list[str], storage: str, encoding: str = 'bgr8', cut: int | None = None
) -> None:
    """Write two 4x2 images with two bytes of row padding: red, then green, a tenth apart.

    :param cut: index of a message of which most is missing
    """
    rosbag2 = pytest.importorskip('rosbags.rosbag2')
    from rosbags.typesys import Stores, get_typestore

    store = get_typestore(Stores.ROS2_HUMBLE)
    types = store.types
    with rosbag2.Writer(path, version=8, storage_plugin=rosbag2.StoragePlugin[storage]) as writer:
        for topic in topics:
            connection = writer.add_connection(topic, 'sensor_msgs/msg/Image', typestore=store)
            for index, channel in enumerate((2, 1)):
                rows = np.full((2, 14), 99, np.uint8)
                pixels = np.zeros((2, 4, 3), np.uint8)
                pixels[:, :, channel] = 255
                rows[:, :12] = pixels.reshape(2, 12)
                message = types['sensor_msgs/msg/Image'](
                    header=types['std_msgs/msg/Header'](
                        stamp=types['builtin_interfaces/msg/Time'](sec=1, nanosec=0),
                        frame_id='camera',
                    ),
                    height=2,
                    width=4,
                    encoding=encoding,
                    is_bigendian=0,
                    step=14,
                    data=rows.reshape(-1),
                )
                raw = store.serialize_cdr(message, 'sensor_msgs/msg/Image')
                raw = raw[:60] if index == cut else raw
                writer.write(connection, 10**9 + index * 10**8, raw)


@pytest.mark.parametrize('size', [(451, 300), (512, 512), (300, 900)])
@pytest.mark.parametrize('aspect', [4 / 3, 16 / 9, 0.5])
def test_window_stays_inside_the_picture(size: tuple[int, int], aspect: float) -> None:
    for progress in np.linspace(0.0, 1.0, 101):
        left, upper, right, lower = pan_and_zoom(float(progress), size, aspect)
        assert -1e-9 <= left < right <= size[0] + 1e-9
        assert -1e-9 <= upper < lower <= size[1] + 1e-9
        assert (right - left) / (lower - upper) == pytest.approx(aspect)


def test_library_pictures_make_a_moving_stream() -> None:
    pytest.importorskip('skimage')
    source = open_source('pictures')
    assert source.rate == 30.0
    frames = [read(source) for _ in range(3)]
    assert all(frame.shape == (480, 640, 3) for frame in frames)
    assert not np.array_equal(frames[0], frames[1])
    # It moves slowly: from one frame to the next little changes.
    assert np.abs(frames[0].astype(int) - frames[1]).mean() < 20.0
    assert frames[0].std() > 20.0
    source.close()


def test_stream_of_pictures_ends_and_begins_again(tmp_path: Path) -> None:
    for name, shade in (('b.png', 200), ('a.png', 50), ('notes.txt', 0)):
        if name.endswith('.png'):
            Image.new('L', (80, 60), shade).save(tmp_path / name)
        else:
            (tmp_path / name).write_text('no picture')
    source = open_source('folder', str(tmp_path), size=(32, 24))
    first = read(source)
    assert first.shape == (24, 32, 3)
    assert (first == 50).all()
    last = first
    count = 1
    while (picture := source.read()) is not None:
        last = picture
        count += 1
    assert count == 2 * 4 * 30
    assert (last == 200).all()
    source.rewind()
    assert (read(source) == 50).all()


def test_video_is_read_to_its_end_and_again(tmp_path: Path) -> None:
    write_video(tmp_path / 'video.avi', [10, 120, 240])
    source = open_source('video', str(tmp_path / 'video.avi'))
    assert source.rate == pytest.approx(20.0)
    for _ in range(2):
        shades = []
        while (picture := source.read()) is not None:
            assert picture.shape == (48, 64, 3)
            shades.append(float(picture.mean()))
        assert shades == pytest.approx([10, 120, 240], abs=3)
        source.rewind()
    source.close()


def test_video_is_scaled(tmp_path: Path) -> None:
    write_video(tmp_path / 'video.avi', [10])
    source = open_source('video', str(tmp_path / 'video.avi'), size=(20, 10))
    assert read(source).shape == (10, 20, 3)


@pytest.mark.parametrize('storage', ['SQLITE3', 'MCAP'])
def test_raw_images_of_a_bag(tmp_path: Path, storage: str) -> None:
    write_raw_bag(tmp_path / 'bag', ['/camera/image_raw'], storage)
    source = open_source('bag', str(tmp_path / 'bag'))
    assert source.rate == pytest.approx(10.0)
    red, green = read(source), read(source)
    assert red.shape == (2, 4, 3)
    assert (red == (255, 0, 0)).all()
    assert (green == (0, 255, 0)).all()
    assert source.read() is None
    source.rewind()
    assert (read(source) == red).all()
    source.close()


def test_topic_of_a_bag_is_chosen_by_the_user(tmp_path: Path) -> None:
    write_raw_bag(tmp_path / 'bag', ['/front/image', '/rear/image'], 'MCAP')
    with pytest.raises(SourceError, match=r'several image topics.*/front/image, /rear/image'):
        open_source('bag', str(tmp_path / 'bag'))
    with pytest.raises(SourceError, match=r"no image topic '/left/image'.*/front/image"):
        open_source('bag', str(tmp_path / 'bag'), topic='/left/image')
    source = open_source('bag', str(tmp_path / 'bag'), topic='/rear/image')
    assert '/rear/image' in source.description
    source.close()


def test_compressed_images_of_a_real_bag() -> None:
    pytest.importorskip('rosbags')
    bag = shared_data(DRIVING_BAG)
    source = open_source('bag', str(bag))
    assert DRIVING_TOPIC in source.description
    assert source.rate == pytest.approx(25.0, abs=0.1)
    count = 0
    while (picture := source.read()) is not None:
        assert picture.ndim == 3 and picture.shape[2] == 3
        count += 1
    assert count == 221
    source.close()


def test_encoding_of_a_bag_that_is_no_picture(tmp_path: Path) -> None:
    write_raw_bag(tmp_path / 'bag', ['/depth'], 'MCAP', encoding='32FC1')
    source = open_source('bag', str(tmp_path / 'bag'))
    for _ in range(2):
        with pytest.raises(FrameError, match=r"/depth: image 4x2 '32FC1'.*picture_range"):
            source.read()
    assert source.read() is None
    source.close()


def test_damaged_image_of_a_bag(tmp_path: Path) -> None:
    write_raw_bag(tmp_path / 'bag', ['/image'], 'MCAP', encoding='rgba8')
    source = open_source('bag', str(tmp_path / 'bag'))
    with pytest.raises(FrameError, match=r'step 14 bytes cannot hold 4 pixels'):
        source.read()
    source.close()


def test_a_range_makes_distances_of_a_bag_a_picture(tmp_path: Path) -> None:
    write_raw_bag(tmp_path / 'bag', ['/depth'], 'MCAP', encoding='16UC1')
    source = open_source('bag', str(tmp_path / 'bag'), value_range=ValueRange(0, 65535))
    assert read(source).shape == (2, 4, 3)
    source.close()


def test_one_damaged_message_of_a_bag_costs_that_message(tmp_path: Path) -> None:
    """The first of two messages is cut."""
    write_raw_bag(tmp_path / 'bag', ['/image'], 'MCAP', cut=0)
    source = open_source('bag', str(tmp_path / 'bag'))
    with pytest.raises(FrameError, match='/image: a message of .* cannot be read'):
        source.read()
    assert (read(source) == (0, 255, 0)).all()
    assert source.read() is None
    source.close()


class FailingCapture:
    """OpenCV's side of a camera: which reads and which attempts to open it fail."""

    def __init__(self, reads: str, opens: str) -> None:
        self.reads, self.opens = iter(reads), iter(opens)
        self.opened = False

    def __call__(self, target: int) -> FailingCapture:
        self.opened = next(self.opens) == 'o'
        return self

    def isOpened(self) -> bool:  # noqa: N802 - OpenCV's name
        return self.opened

    def read(self) -> tuple[bool, np.ndarray | None]:
        good = next(self.reads) == 'o'
        return good, np.full((4, 6, 3), 7, np.uint8) if good else None

    def get(self, what: int) -> float:
        return 0.0

    def release(self) -> None:
        self.opened = False


def test_a_read_of_a_camera_that_fails_costs_a_frame_several_the_camera(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cv2 = pytest.importorskip('cv2')
    monkeypatch.setattr(cv2, 'VideoCapture', FailingCapture('oxoxxxo', 'oxo'))
    source = open_source('camera', '0')
    assert read(source).shape == (4, 6, 3)
    with pytest.raises(FrameError, match='camera 0 delivers no frame'):
        source.read()
    read(source)
    for _ in range(2):
        with pytest.raises(FrameError):
            source.read()
    with pytest.raises(SourceLost, match='camera 0 delivers no frame. Check its cable'):
        source.read()
    with pytest.raises(SourceError, match='camera 0 cannot be opened'):
        source.rewind()
    source.rewind()
    assert read(source).shape == (4, 6, 3)


@pytest.mark.parametrize('orientation', [1, 6])
def test_pictures_are_shown_upright(tmp_path: Path, orientation: int) -> None:
    left = np.zeros((48, 64, 3), np.uint8)
    left[:, :32] = 255
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(left).save(tmp_path / 'a.jpg', exif=exif)
    frame = read(open_source('folder', str(tmp_path), size=(48, 48))).astype(int)
    # Turned by 90 degrees clockwise, what was at the left is above.
    upper, side = frame[4, 40].mean(), frame[40, 4].mean()
    assert (upper > 200) == (orientation == 6) and (side > 200) == (orientation == 1)


@pytest.mark.parametrize('source', ['folder', 'video', 'bag'])
def test_missing_path(source: str, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r'does not exist. Check the path'):
        open_source(source, str(tmp_path / 'absent'))
    with pytest.raises(SourceError, match=r'Give its path'):
        open_source(source)


def test_folder_without_pictures(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r'holds no pictures. Put files'):
        open_source('folder', str(tmp_path))
    (tmp_path / 'broken.png').write_bytes(b'no picture')
    with pytest.raises(SourceError, match=r'none can be read.*broken.png: it is no picture'):
        open_source('folder', str(tmp_path))
    Image.new('L', (80, 60), 50).save(tmp_path / 'good.png')
    source = open_source('folder', str(tmp_path))
    assert len(source.left_out) == 1 and 'broken.png' in source.left_out[0]
    assert (read(source) == 50).all()
    with pytest.raises(SourceError, match=r'is a file. Name the folder'):
        open_source('folder', str(tmp_path / 'broken.png'))


def test_file_that_is_no_video(tmp_path: Path) -> None:
    pytest.importorskip('cv2')
    (tmp_path / 'broken.mp4').write_bytes(b'no video')
    with pytest.raises(
        SourceError, match=r'broken.mp4 cannot be opened. Check that it is a video'
    ):
        open_source('video', str(tmp_path / 'broken.mp4'))


def test_camera_that_is_not_there() -> None:
    pytest.importorskip('cv2')
    with pytest.raises(SourceError, match=r'camera 97 cannot be opened. Check `ls /dev/video'):
        open_source('camera', '/dev/video97')
    with pytest.raises(SourceError, match=r"'front' is no camera. Give an index"):
        open_source('camera', 'front')


def test_bag_without_metadata_or_images(tmp_path: Path) -> None:
    pytest.importorskip('rosbags')
    (tmp_path / 'recording.mcap').write_bytes(b'')
    with pytest.raises(SourceError, match=r'no metadata.yaml'):
        open_source('bag', str(tmp_path / 'recording.mcap'))
    write_raw_bag(tmp_path / 'empty', [], 'MCAP')
    with pytest.raises(SourceError, match=r'has no topic of type'):
        open_source('bag', str(tmp_path / 'empty'))
    (tmp_path / 'empty' / 'metadata.yaml').write_text('nonsense: true')
    with pytest.raises(SourceError, match=r'cannot be read.*ros2 bag info'):
        open_source('bag', str(tmp_path / 'empty'))


def test_pictures_are_photographs_of_the_library() -> None:
    pytest.importorskip('skimage')
    files = library_pictures()
    assert 'chelsea.png' in {file.name for file in files}
    assert all(file.stat().st_size > 10_000 for file in files)
