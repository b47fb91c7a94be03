# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Label images: for each picture another one, whose pixels are numbers of classes.

Pictures lie below `images` (or JPEGImages), label images of the same names below `masks` (or
SegmentationClass, labels, annotations). They are PNG files of grey levels or with a palette, of
which the indices count, not the colours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dynamic_dnn_ros.datasets.contract import DataError
from dynamic_dnn_ros.datasets.labelled_set import LabelledSet
from dynamic_dnn_ros.datasets.labels import (
    is_ignored,
    matched,
    names_by_number,
    names_file,
    names_of_lines,
    text_of,
    yaml_of,
)
from dynamic_dnn_ros.datasets.layout import DataFiles, LeftOut
from dynamic_dnn_ros.datasets.voc import in_part
from dynamic_dnn_ros.pictures import upright
from dynamic_dnn_ros.pictures.errors import PictureError
from dynamic_dnn_ros.pictures.placement import Size

#: What no class has: a pixel of it counts neither way.
UNLABELLED = 255

_PICTURES = ('images', 'JPEGImages')
_MASKS = ('masks', 'SegmentationClass', 'labels', 'annotations')
_MODES = ('L', 'P', '1', 'I', 'I;16', 'I;16B')
#: Of SegmentationClass, where no file says otherwise.
_VOC_NAMES = (
    'background',
    'aeroplane',
    'bicycle',
    'bird',
    'boat',
    'bottle',
    'bus',
    'car',
    'cat',
    'chair',
    'cow',
    'diningtable',
    'dog',
    'horse',
    'motorbike',
    'person',
    'pottedplant',
    'sheep',
    'sofa',
    'train',
    'tvmonitor',
)


class LabelImageSet(LabelledSet[NDArray[np.uint8]]):
    """Pictures with the index of the class of each pixel, `UNLABELLED` for none."""

    def __init__(
        self,
        files: DataFiles,
        masks: Mapping[str, str],
        named: Mapping[int, str],
        labels: Sequence[str] | None,
        left_out: LeftOut,
    ) -> None:
        # Several numbers of one name are one class.
        own = list(dict.fromkeys(name for name in named.values() if not is_ignored(name)))
        super().__init__(files, list(masks), own if labels is None else labels, left_out)
        if len(self.labels) > UNLABELLED:
            raise DataError(f'{files.path} has {len(self.labels)} classes: {UNLABELLED} at most')
        targets = range(len(own)) if labels is None else matched(own, labels, str(files.path))
        target = dict(zip(own, targets))
        self._masks = masks
        self._table = np.full(65536, -1, np.int16)
        self._table[UNLABELLED] = UNLABELLED
        for number, name in named.items():
            self._table[number] = target.get(name, UNLABELLED)

    def truth(self, name: str, size: Size) -> NDArray[np.uint8]:
        """
        Return the label image of a picture, uint8 (height, width).

        :raises DataError: when it cannot be read, or does not fit the picture or the names
        """
        said = self.files.said(self._masks[name])
        numbers = _numbers(self.files.read(self._masks[name]), said)
        if numbers.shape != size:
            raise DataError(
                f'label image {said} is {Size(*numbers.shape)}, its picture is {size}: give '
                'those that belong together'
            )
        indices = self._table[numbers]
        if indices.min() < 0:
            unknown = np.unique(numbers[indices < 0]).tolist()
            raise DataError(
                f'label image {said} has pixels of the numbers '
                f'{", ".join(map(str, unknown[:8]))}, which have no name: name them in names.yaml '
                "('unlabeled' where they shall not count)"
            )
        return indices.astype(np.uint8)


def recognise(files: DataFiles) -> bool:
    """Return whether a data set is laid out so."""
    return bool(_pairs(files))


def read(
    files: DataFiles,
    labels: Sequence[str] | None = None,
    split: str | None = None,
    below: str = '',
) -> LabelImageSet:
    """
    Read a data set with label images.

    :param labels: of a network, which the names of the data are mapped to
    :param split: train, val or test; None for what is not trained on
    :param below: read only the pictures of this folder
    :raises DataError: when it cannot be used
    """
    pairs = _pairs(files)
    left_out = files.left_out.copy()
    for name in files.pictures():
        if _is_below(name, _PICTURES) and name not in pairs:
            left_out.add('picture without a label image', name)
    if below:
        chosen = [name for name in pairs if name.startswith(below)]
    else:
        chosen = in_part(files, list(pairs), 'Segmentation', split)
    masks = {name: pairs[name] for name in chosen}
    return LabelImageSet(files, masks, _names(files, pairs), labels, left_out)


def _pairs(files: DataFiles) -> dict[str, str]:
    """Return pictures, in order, with their label images."""
    found: dict[str, str] = {}
    for name in files.pictures():
        folders = name.split('/')[:-1]
        stem = name.rpartition('/')[2].rpartition('.')[0]
        for position, folder in enumerate(folders):
            if folder not in _PICTURES:
                continue
            for mask in _MASKS:
                changed = [*folders[:position], mask, *folders[position + 1 :], f'{stem}.png']
                if '/'.join(changed) in files:
                    found.setdefault(name, '/'.join(changed))
    return found


def _is_below(name: str, folders: Sequence[str]) -> bool:
    return any(folder in folders for folder in name.split('/')[:-1])


def _names(files: DataFiles, pairs: Mapping[str, str]) -> dict[int, str]:
    at_top = [name for name in files.names if '/' not in name]
    described = [name for name in at_top if name.endswith(('.yaml', '.yml'))]
    # One that is called after masks comes first: another may be about boxes.
    for name in sorted(described, key=lambda name: ('mask' not in name, name)):
        said = files.said(name)
        mapping = yaml_of(files.read(name), said)
        if isinstance(mapping, Mapping):
            found: Any = mapping.get('classes', mapping.get('names'))
            if found is not None:
                return names_by_number(found, said)
    listed = names_file(files)
    if listed is not None:
        said = files.said(listed)
        return dict(enumerate(names_of_lines(text_of(files.read(listed), said), said)))
    if any('SegmentationClass' in mask for mask in pairs.values()):
        return dict(enumerate(_VOC_NAMES))
    raise DataError(
        f'{files.path} does not name its classes: names.yaml with a mapping of numbers to names, '
        'or names.txt with a name in each line, is needed'
    )


def _numbers(content: bytes, said: str) -> NDArray[Any]:
    what = f'label image {said}'
    try:
        with upright.readable(what, 'Replace or remove it.'):
            image = upright.opened(content, ('PNG',), what)
            if image.mode not in _MODES:
                raise DataError(
                    f'{what} has colours (mode {image.mode}): the number of a class in each '
                    'pixel, as grey level or with a palette, is needed'
                )
            numbers = np.asarray(image)
    except PictureError as error:
        raise DataError(str(error)) from error
    return numbers.astype(np.uint16)
