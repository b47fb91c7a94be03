# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
One folder of pictures for each class, as torchvision's ImageFolder has it.

https://pytorch.org/vision/stable/generated/torchvision.datasets.ImageFolder.html: classes in the
order of their names, pictures in that of class, folder and name.
"""

from __future__ import annotations

from collections.abc import Sequence
import re

from dynamic_dnn_ros.datasets.contract import DataError
from dynamic_dnn_ros.datasets.labelled_set import LabelledSet
from dynamic_dnn_ros.datasets.labels import listed, matched, numbered
from dynamic_dnn_ros.datasets.layout import DataFiles, LeftOut
from dynamic_dnn_ros.datasets.splits import chosen_split, split_named
from dynamic_dnn_ros.pictures.placement import Size

_WORDNET = re.compile(r'n\d{8}')


class ImageFolderSet(LabelledSet[int]):
    """Pictures with the index of their class."""

    def __init__(
        self,
        files: DataFiles,
        names: Sequence[str],
        beginning: str,
        labels: Sequence[str] | None,
        left_out: LeftOut,
    ) -> None:
        self._cut = len(beginning)
        classes = sorted({self.class_of(name) for name in names})
        super().__init__(files, names, classes if labels is None else labels, left_out)
        indices = range(len(classes)) if labels is None else _all_of(classes, labels, files)
        self._index = dict(zip(classes, indices))

    def class_of(self, name: str) -> str:
        """Return the folder that a picture is in, below the data set or the part of it."""
        return name[self._cut :].partition('/')[0]

    def truth(self, name: str, size: Size) -> int:
        """Return the index of a picture's class."""
        return self._index[self.class_of(name)]

    def truth_of(self, index: int) -> int:
        """Return the index of a picture's class; the picture is not read."""
        return self._index[self.class_of(self.names[index])]


def recognise(files: DataFiles) -> bool:
    """Return whether a data set is laid out so."""
    return any('/' in name for name in files.pictures())


def read(
    files: DataFiles,
    labels: Sequence[str] | None = None,
    split: str | None = None,
    below: str = '',
) -> ImageFolderSet:
    """
    Read a data set with a folder for each class; folders in these are of the class.

    :param labels: of a network; pictures of each are needed, and of no other class
    :param split: train, val or test, where there is a folder for each; None for what is not
        trained on
    :param below: read only the folders in this one
    :raises DataError: when it cannot be used
    """
    beginning = below or _part(files, split)
    left_out = files.left_out.copy()
    chosen = []
    for name in files.pictures():
        if not name.startswith(beginning):
            continue
        if '/' in name[len(beginning) :]:
            chosen.append(name)
        else:
            left_out.add('picture outside of the folders of classes', name)
    cut = len(beginning)
    # A stable sort: in a class, pictures stay in the order of folder and name.
    chosen.sort(key=lambda name: name[cut:].partition('/')[0])
    filled = {name[cut:].partition('/')[0] for name in chosen}
    folders = {name[cut:].partition('/')[0] for name in files.folders if _in(name, beginning)}
    empty = sorted(folders - filled)
    if filled and empty:
        raise DataError(
            f'{files.path} has folders without pictures: {listed(empty)}: put pictures of their '
            'classes into them, or remove them'
        )
    return ImageFolderSet(files, chosen, beginning, labels, left_out)


def _part(files: DataFiles, split: str | None) -> str:
    """Return the beginning of the names of a part, where all folders are parts."""
    top = [name for name in files.folders if '/' not in name]
    inner = {name.partition('/')[0] for name in files.folders if '/' in name}
    parts = {split_named(name): name for name in top if name in inner}
    if len(parts) < len(top) or None in parts:
        return ''
    chosen = chosen_split(parts, split, str(files.path))
    return '' if chosen is None else f'{parts[chosen]}/'


def _in(name: str, beginning: str) -> bool:
    return name.startswith(beginning) and len(name) > len(beginning)


def _all_of(classes: Sequence[str], labels: Sequence[str], files: DataFiles) -> list[int]:
    """
    Return the index among the labels of each class.

    Folders may be named by the numbers of labels. ImageNet's are named by those of WordNet, in
    whose order its labels are.

    :raises DataError: naming classes that are no labels, or labels without pictures
    """
    if all(_WORDNET.fullmatch(name) for name in classes) and len(classes) == len(labels):
        return list(range(len(labels)))
    if all(name.isdecimal() for name in classes) and not set(classes) & set(labels):
        numbers = [str(index) for index in range(len(labels))]
        indices = matched([str(int(name)) for name in classes], numbers, str(files.path))
    else:
        indices = matched(classes, labels, str(files.path))
    missing = [name for index, name in enumerate(numbered(labels)) if index not in set(indices)]
    if missing:
        raise DataError(
            f'{files.path} holds no pictures of classes that the network knows: '
            f'{listed(missing)}. It has to have a folder for each of the {len(labels)} labels'
        )
    return indices
