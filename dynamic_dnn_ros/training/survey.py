# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What labelled pictures are like: counted before a training on them is proposed."""

from __future__ import annotations

from collections.abc import Callable
import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dynamic_dnn_ros.datasets.contract import DataError, MissingPartError
from dynamic_dnn_ros.datasets.labelled_set import LabelledSet
from dynamic_dnn_ros.datasets.labels import listed
from dynamic_dnn_ros.datasets.registry import kind_of, open_dataset
from dynamic_dnn_ros.pictures.placement import Size

#: Every so manieth picture is a test picture where the data has no part for it.
TEST_EVERY = 5


@dataclasses.dataclass(frozen=True)
class Survey:
    """
    Labelled pictures, counted.

    :param path: of the data.
    :param detection: whether their truth is boxes; else it is one class each.
    :param classes: names.
    :param pictures: of each class; for boxes, those that have at least one of it.
    :param count: of all pictures to train with, test pictures too where they have no part.
    :param smallest: height and width that no picture is below, pixels.
    :param largest: height and width that no picture exceeds, pixels.
    :param side: median of the shorter sides, pixels.
    :param elongation: median of the longer side over the shorter one.
    :param object_share: median side of a box, the root of its area, over the longer side of its
        picture; 0 without boxes.
    :param test_data: where the test pictures lie; None where the data has no part for them.
    """

    path: Path
    detection: bool
    classes: tuple[str, ...]
    pictures: tuple[int, ...]
    count: int
    smallest: Size
    largest: Size
    side: float
    elongation: float
    object_share: float = 0.0
    test_data: Path | None = None

    @property
    def one_size(self) -> bool:
        """Return whether all pictures are of the same size."""
        return self.smallest == self.largest


def survey(path: Path, say: Callable[[str], None]) -> Survey:
    """
    Count labelled pictures; of each the header is read, and its labels.

    :param path: folder, archive or file of annotations.
    :param say: is told once what was left out.
    :raises DataError: when they cannot be read, or are too few to train with.
    """
    kind = kind_of(path)
    if kind == 'segmentation':
        raise DataError(
            f'{path} holds label images, and no family is trained on these: give pictures with '
            'one folder for each class, or with boxes'
        )
    detection = kind == 'detection'
    data: LabelledSet[Any] = open_dataset(path, kind, say=say, split='train')
    test_data = _test_data(path, kind, data)
    sizes = np.array([data.size(index) for index in range(len(data))], np.int64)
    shares = np.zeros(0)
    if detection:
        counts, shares = _boxes(data, sizes)
    else:
        labels = [data.truth_of(index) for index in range(len(data))]
        counts = np.bincount(labels, minlength=len(data.labels))
    _check(path, data.labels, counts, detection)
    return Survey(
        path=path,
        detection=detection,
        classes=data.labels,
        pictures=tuple(int(count) for count in counts),
        count=len(data),
        smallest=Size(*(int(side) for side in sizes.min(0))),
        largest=Size(*(int(side) for side in sizes.max(0))),
        side=float(np.median(sizes.min(1))),
        elongation=float(np.median(sizes.max(1) / sizes.min(1))),
        object_share=float(np.median(shares)) if len(shares) else 0.0,
        test_data=test_data,
    )


def _test_data(path: Path, kind: str, training: LabelledSet[Any]) -> Path | None:
    """
    Return where the test pictures lie, None where no part is theirs.

    :raises DataError: when they cannot be read, or have other classes
    """
    # A detector's training asks for the part test, a classifier's for what is not trained on.
    for part in ('test',) if kind == 'detection' else ('test', 'val'):
        try:
            found: LabelledSet[Any] = open_dataset(path, kind, split=part)
        except MissingPartError:
            continue
        if not set(found.names).isdisjoint(training.names):
            return None
        if found.labels != training.labels:
            only = sorted(set(found.labels) ^ set(training.labels))
            raise DataError(
                f'{path}: its parts to train on and to test on differ in the classes '
                f'{listed(only)}: give both the same classes'
            )
        below = path / found.names[0].partition('/')[0]
        return below if kind == 'classification' and below.is_dir() else path
    return None


def _boxes(
    data: LabelledSet[Any], sizes: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Return how many pictures have each class, and the sides of boxes over their pictures'."""
    counts = np.zeros(len(data.labels), np.int64)
    shares = []
    for index, size in enumerate(sizes):
        truth = data.truth_of(index)
        counts[np.unique(truth.classes[~truth.crowd])] += 1
        extents = truth.boxes[~truth.crowd, 2:] - truth.boxes[~truth.crowd, :2]
        shares.append(np.sqrt(extents.prod(1)) / size.max())
    return counts, np.concatenate(shares)


def _check(
    path: Path, classes: tuple[str, ...], counts: npt.NDArray[np.int64], detection: bool
) -> None:
    """
    Check that there is something to learn.

    :raises DataError: naming the classes that have too few pictures
    """
    if detection:
        if not counts.any():
            raise DataError(f'{path} holds no box: pictures with labelled objects are needed')
        if int(counts.max()) < TEST_EVERY:
            raise DataError(
                f'{path}: no class is in {TEST_EVERY} pictures or more: label more pictures'
            )
        return
    if len(classes) < 2:
        raise DataError(f'{path} holds the one class {classes[0]!r}: at least two are needed')
    few = [f'{name!r} ({count})' for name, count in zip(classes, counts) if count < TEST_EVERY]
    if few:
        raise DataError(
            f'{path}: too few pictures of {listed(few)}: a class needs at least {TEST_EVERY}, of '
            'which some are kept to choose by and to test with. Add pictures, or remove its folder'
        )
