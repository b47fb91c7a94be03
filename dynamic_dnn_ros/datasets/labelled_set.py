# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A set of labelled pictures, each read when it is asked for."""

from __future__ import annotations

import abc
from collections.abc import Iterator, Sequence
import copy
from typing import Any, Generic, TypeVar

from dynamic_dnn_ros.datasets.contract import DataError, LabelledPicture
from dynamic_dnn_ros.datasets.decoding import decoded, size_of
from dynamic_dnn_ros.datasets.layout import DataFiles, LeftOut
from dynamic_dnn_ros.pictures.input import Picture
from dynamic_dnn_ros.pictures.placement import Size

TruthT = TypeVar('TruthT')
_SetT = TypeVar('_SetT', bound='LabelledSet[Any]')


class LabelledSet(abc.ABC, Generic[TruthT]):
    """
    Labelled pictures in the order of their names. Processes may share it, and it can be pickled.

    :ivar files: that they are among.
    :ivar names: of the pictures, relative to the data set.
    :ivar labels: names of the classes that truths are about.
    :ivar left_out: what was found and does not count.
    """

    def __init__(
        self, files: DataFiles, names: Sequence[str], labels: Sequence[str], left_out: LeftOut
    ) -> None:
        """
        Take what a layout has.

        :raises DataError: when there is no picture
        """
        if not names:
            raise DataError(f'{files.path} holds no labelled pictures')
        self.files = files
        self.names = tuple(names)
        self.labels = tuple(labels)
        self.left_out = left_out

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> LabelledPicture[TruthT]:
        """
        Return a picture with its truth.

        :raises DataError: when one of them cannot be read, or they do not fit
        """
        pixels = self.pixels(index)
        name = self.names[index]
        return LabelledPicture(name, pixels, self.truth(name, Size(*pixels.shape[:2])))

    def __iter__(self) -> Iterator[LabelledPicture[TruthT]]:
        """Yield each picture with its truth."""
        for index in range(len(self)):
            yield self[index]

    def truth_of(self, index: int) -> TruthT:
        """
        Return the truth of a picture, which is not decoded.

        :raises DataError: when it cannot be read
        """
        return self.truth(self.names[index], self.size(index))

    def pixels(self, index: int) -> Picture:
        """
        Return a picture alone, upright, RGB.

        :raises DataError: when it cannot be read
        """
        name = self.names[index]
        return decoded(self.files.read(name), self.files.said(name))

    def size(self, index: int) -> Size:
        """
        Return the size of a picture, upright; a JPEG file is not decoded for it.

        :raises DataError: when it cannot be read
        """
        name = self.names[index]
        return size_of(self.files.read(name), self.files.said(name))

    def take(self: _SetT, indices: Sequence[int]) -> _SetT:
        """Return the set of some of the pictures."""
        part = copy.copy(self)
        part.names = tuple(self.names[index] for index in indices)
        return part

    @abc.abstractmethod
    def truth(self, name: str, size: Size) -> TruthT:
        """
        Return the truth of a picture.

        :param size: of the picture, upright
        :raises DataError: when it cannot be read, or does not fit the picture
        """
