# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Real data that lies beside the repository, and is in no way part of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
import functools
import os
from pathlib import Path
import tarfile

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
"""Folder of the sources."""
DATA = Path(os.environ.get('DYNAMIC_DNN_SHARED_DATA', REPOSITORY.parent / 'shared' / 'data'))
"""Folder of the data; ``DYNAMIC_DNN_SHARED_DATA`` names another one."""

DRIVING_BAG = 'camera/driving_mcap'
DRIVING_TOPIC = '/camera/image_raw/compressed'
CIFAR10_TEST = 'cifar10_jpeg/test.tar.xz'
SHIPPED_BUNDLE = 'cifar10_ofa'


def shared_data(name: str) -> Path:
    """Return the path of a shared file or folder; skip the test, with the reason, without it."""
    path = DATA / name
    if not path.exists():
        pytest.skip(
            f'{path} is absent: real data lies outside of the repository; set '
            'DYNAMIC_DNN_SHARED_DATA to the folder that holds it'
        )
    return path


def shipped_bundle(name: str = SHIPPED_BUNDLE) -> Path:
    """Return the path of a bundle that ships with the package; skip the test without it."""
    path = REPOSITORY / 'models' / name
    if not (path / 'manifest.json').exists():
        pytest.skip(f'{path} is absent: the bundle has not been trained')
    return path


@dataclass(frozen=True)
class LabelledPicture:
    """A picture of a data set: the content of its JPEG file, and its class."""

    name: str
    class_name: str
    jpeg: bytes


def _members(archive: Path) -> Iterator[LabelledPicture]:
    with tarfile.open(archive) as tar:
        for member in tar:
            if member.isfile() and member.name.endswith(('.jpg', '.jpeg')):
                file = tar.extractfile(member)
                assert file is not None
                class_name = member.name.split('/')[-2]
                yield LabelledPicture(member.name, class_name, file.read())


@functools.lru_cache(maxsize=2)
def cifar10_test(count: int = 1000) -> tuple[LabelledPicture, ...]:
    """Return test pictures of CIFAR-10 (JPEG), the first ones of each class in turn."""
    by_class: dict[str, list[LabelledPicture]] = {}
    for picture in _members(shared_data(CIFAR10_TEST)):
        by_class.setdefault(picture.class_name, []).append(picture)
    for pictures in by_class.values():
        pictures.sort(key=lambda picture: picture.name)
    turns = zip(*(by_class[name] for name in sorted(by_class)))
    return tuple(picture for turn in turns for picture in turn)[:count]
