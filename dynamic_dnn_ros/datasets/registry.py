# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Opens labelled pictures in whatever layout they are."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
import logging
import os
from pathlib import Path
from types import ModuleType
from typing import Any

from dynamic_dnn_ros.datasets import coco, image_folder, label_images, voc, yolo
from dynamic_dnn_ros.datasets.contract import DataError
from dynamic_dnn_ros.datasets.labelled_set import LabelledSet
from dynamic_dnn_ros.datasets.labels import NAME_FILES
from dynamic_dnn_ros.datasets.layout import DataFiles

_LOGGER = logging.getLogger(__name__)

#: Readers of each kind of truth, each with what it looks for, in the order in which they look.
_LAYOUTS: dict[str, tuple[tuple[ModuleType, str], ...]] = {
    'classification': ((image_folder, 'one folder of pictures for each class'),),
    'detection': (
        (coco, 'a JSON file of COCO annotations'),
        (voc, 'XML files of Pascal VOC in Annotations, pictures in JPEGImages'),
        (
            yolo,
            'YOLO text: names of classes in data.yaml or names.txt, pictures in images, files of '
            'lines in labels',
        ),
    ),
    'segmentation': (
        (label_images, 'label images: PNG files in masks, pictures of the same names in images'),
    ),
}
KINDS = tuple(_LAYOUTS)

#: A folder of pictures may lie so far below the data set that it is of.
_LEVELS_ABOVE = 2
_YAML = ('.yaml', '.yml')
_FOLDERS_OF_TRUTH = frozenset(
    ('labels', 'annotations', 'Annotations', 'masks', 'SegmentationClass')
)


def open_dataset(
    path: Path,
    kind: str,
    labels: Sequence[str] | None = None,
    say: Callable[[str], None] = _LOGGER.info,
    split: str | None = None,
) -> LabelledSet[Any]:
    """
    Open labelled pictures: a folder, an archive, a file of annotations, or one part of them.

    :param kind: classification, detection or segmentation: what their truth is
    :param labels: of a network, which the names of the data are mapped to; None: the data's own
    :param say: is told once what was left out
    :param split: train, val or test; None for what is not trained on, or all without parts
    :raises DataError: when there are none, they cannot be read, or do not fit the labels
    """
    if kind not in _LAYOUTS:
        raise DataError(f'{kind!r} is no kind of truth: {", ".join(KINDS)}')
    _check_exists(path)
    found = _opened(path, kind, labels, split)
    if found.left_out:
        say(f'{path}: {found.left_out}')
    return found


def kind_of(path: Path) -> str:
    """
    Return what the truth of labelled pictures is: classification, detection or segmentation.

    Boxes and masks are looked for first: a folder that has them has folders of pictures too.

    :raises DataError: when there are no labelled pictures, or they cannot be read
    """
    _check_exists(path)
    if path.suffix.lower() in (*_YAML, '.json', '.txt') and path.is_file():
        return 'detection'
    files = DataFiles(path)
    for kind in ('detection', 'segmentation', 'classification'):
        if _reader(files, kind) is not None:
            return kind
    raise _no_labels(path, len(files.pictures()), 'training', KINDS)


def _check_exists(path: Path) -> None:
    if not path.exists():
        raise DataError(f'{path} does not exist: give a folder or an archive with pictures')


def _no_labels(path: Path, count: int, purpose: str, kinds: Sequence[str]) -> DataError:
    sought = '; '.join(what for kind in kinds for _, what in _LAYOUTS[kind])
    held = f'{count} pictures, and no labels for {purpose} that are known'
    return DataError(f'{path} holds {held if count else "no pictures"}. Looked for: {sought}')


def _opened(
    path: Path, kind: str, labels: Sequence[str] | None, split: str | None
) -> LabelledSet[Any]:
    if path.suffix.lower() == '.json' and path.is_file() and kind == 'detection':
        return _of_annotations(path, labels)
    description = ''
    if path.suffix.lower() in (*_YAML, '.txt') and path.is_file():
        path, description = path.absolute().parent, path.name
    files = DataFiles(path)
    reader = _reader(files, kind)
    if reader is yolo and description:
        return yolo.read(files, labels, split, description=description)
    if reader is not None:
        return reader.read(files, labels, split)
    count = len(files.pictures())
    # A part of an image folder is one itself.
    for above in _above(path) if count and kind != 'classification' else ():
        files = DataFiles(above)
        reader = _reader(files, kind)
        if reader is not None:
            below = f'{path.resolve().relative_to(above).as_posix()}/'
            return reader.read(files, labels, None, below)
    raise _no_labels(path, count, kind, (kind,))


def _reader(files: DataFiles, kind: str) -> Any:
    return next((each for each, _ in _LAYOUTS[kind] if each.recognise(files)), None)


def _above(path: Path) -> Iterator[Path]:
    """Yield the folders that a folder of pictures may be a part of, by what lies in them."""
    if not path.is_dir():
        return
    folder = path.resolve()
    for _ in range(_LEVELS_ABOVE):
        folder = folder.parent
        try:
            found = {entry.name for entry in os.scandir(folder)}
        except OSError:
            return
        described = any(name in NAME_FILES or name.endswith(_YAML) for name in found)
        if described or not _FOLDERS_OF_TRUTH.isdisjoint(found):
            yield folder


def _of_annotations(path: Path, labels: Sequence[str] | None) -> LabelledSet[Any]:
    folder = path.absolute().parent
    folder = folder.parent if folder.name == 'annotations' else folder
    files = DataFiles(folder)
    name = next((each for each in files.names if files.location(each) == path.resolve()), '')
    if not name:
        raise DataError(f'{path} is hidden, or a link: give the file itself')
    return coco.read(files, labels, annotations=name)
