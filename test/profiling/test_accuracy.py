# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image
import pytest

from dynamic_dnn_ros.bundles.manifest import SubNetwork
from dynamic_dnn_ros.datasets.contract import DataError
from dynamic_dnn_ros.datasets.registry import open_dataset
from dynamic_dnn_ros.engines.contract import Outputs, Picture, PreparedSubNetwork
from dynamic_dnn_ros.pictures.input import Preprocessing, Resize
from dynamic_dnn_ros.pictures.placement import Placement, Size
from dynamic_dnn_ros.profiling.accuracy import measure_accuracies
from dynamic_dnn_ros.tasks.registry import create_task
from support.labelled_data import write_picture, write_yolo

LABELS = ('cup', 'cat', 'dog')
FITTED = Preprocessing(Resize.LETTERBOX, (0.0,) * 3, (1.0,) * 3)
STRETCHED = Preprocessing(Resize.STRETCH, (0.0,) * 3, (1.0,) * 3)


class Answering(PreparedSubNetwork):
    """A sub-network whose outputs are those of a function, picture after picture."""

    def __init__(self, name: str, size: Size, answer: Callable[[int], Outputs]) -> None:
        super().__init__(SubNetwork(name, {}, size, 0.0, 1, 1, 1), 'cpu')
        self._answer = answer
        self.pictures: list[Picture] = []

    def run(self, picture: Picture) -> Outputs:
        assert picture.shape == (*self.sub_network.size, 3)
        self.pictures.append(picture)
        return self._answer(len(self.pictures) - 1)


def boxes_of_v8(boxes: np.ndarray, classes: np.ndarray, scale: float = 1.0) -> Outputs:
    values = np.zeros((1, 4 + len(LABELS), 8), np.float32)
    for place, ((left, upper, right, lower), label) in enumerate(zip(boxes * scale, classes)):
        values[0, :4, place] = (left + right) / 2, (upper + lower) / 2, right - left, lower - upper
        values[0, 4 + label, place] = 0.9
    return {'output0': values}


def test_detectors_of_several_sizes_are_measured_in_the_pictures_of_the_data(tmp_path: Path):
    lines = {
        'a': '0 0.5 0.5 0.5 0.5\n1 0.2 0.2 0.3 0.3\n',
        'b': '1 0.4 0.5 0.2 0.9\n',
        'c': None,
    }
    data = open_dataset(write_yolo(tmp_path, lines), 'detection', LABELS)
    task = create_task('detection', {'decoder': 'ultralytics_v8', 'several': True})
    truths = [data.truth_of(index) for index in range(3)]

    def placed(size: Size, scale: float = 1.0) -> Callable[[int], Outputs]:
        placement = Placement.of(Size(10, 20), size, FITTED)
        return lambda index: boxes_of_v8(
            placement.to_input(truths[index].boxes), truths[index].classes, scale
        )

    large, small = Size(64, 64), Size(32, 48)
    prepared = [
        Answering('exact', large, placed(large)),
        Answering('small', small, placed(small)),
        Answering('off', large, placed(large, scale=0.5)),
        Answering('blind', large, lambda _: {'output0': np.zeros((1, 7, 8), np.float32)}),
        Answering('nan', large, lambda _: {'output0': np.full((1, 7, 8), np.nan, np.float32)}),
    ]
    measured = measure_accuracies(prepared, task, LABELS, FITTED, data, quiet=True)
    assert measured['exact'] == pytest.approx(1.0)
    assert measured['small'] == pytest.approx(1.0)
    assert measured['off'] < 0.1
    assert measured['blind'] == measured['nan'] == 0.0
    assert all(len(each.pictures) == 3 for each in prepared)


def test_data_without_any_object_says_nothing(tmp_path: Path):
    data = open_dataset(write_yolo(tmp_path, {'a': '', 'b': ''}), 'detection', ('cat', 'cup'))
    task = create_task('detection', {'decoder': 'ultralytics_v8', 'several': True})
    silent = Answering('s0', Size(32, 32), lambda _: {'output0': np.zeros((1, 6, 8), np.float32)})
    with pytest.raises(DataError, match=r'its 2 pictures have nothing to be found.*AP 50:95'):
        measure_accuracies([silent], task, ('cat', 'cup'), FITTED, data, quiet=True)


def test_segmenters_are_measured_at_the_size_of_the_picture(tmp_path: Path):
    numbers = np.zeros((10, 20), np.uint8)
    numbers[:, 10:] = 1
    numbers[0] = 255
    write_picture(tmp_path / 'images' / 'a.png')
    (tmp_path / 'masks').mkdir()
    Image.fromarray(numbers).save(tmp_path / 'masks' / 'a.png')
    (tmp_path / 'names.yaml').write_text('names: [cat, cup]')
    data = open_dataset(tmp_path, 'segmentation', ('cup', 'cat'))
    task = create_task('segmentation', {'kind': 'labels'})

    def halves(left: int, right: int) -> Callable[[int], Outputs]:
        values = np.full((1, 20, 40), left, np.int64)
        values[..., 20:] = right
        return lambda _: {'output': values}

    prepared = [
        Answering('right', Size(20, 40), halves(1, 0)),
        Answering('wrong', Size(20, 40), halves(0, 1)),
        Answering('half', Size(20, 40), halves(1, 1)),
    ]
    measured = measure_accuracies(prepared, task, ('cup', 'cat'), STRETCHED, data, quiet=True)
    assert measured['right'] == pytest.approx(1.0)
    assert measured['wrong'] == 0.0
    assert measured['half'] == pytest.approx(0.25)


def test_classifiers_are_measured_by_the_names_of_folders(tmp_path: Path):
    for index, name in enumerate(('Cat', 'Cat', 'cup', 'dog')):
        write_picture(tmp_path / name / f'{index}.png', seed=index)
    data = open_dataset(tmp_path, 'classification', LABELS)
    task = create_task('classification', {})
    logits = np.eye(3, dtype=np.float32)
    prepared = [
        Answering('right', Size(8, 8), lambda index: {'logits': logits[[[1, 1, 0, 2][index]]]}),
        Answering('cats', Size(4, 6), lambda _: {'logits': logits[[1]]}),
    ]
    measured = measure_accuracies(prepared, task, LABELS, STRETCHED, data, quiet=True)
    assert measured == {'right': 1.0, 'cats': 0.5}


def test_a_picture_that_cannot_be_read_is_named(tmp_path: Path):
    for name in ('cat', 'cup'):
        write_picture(tmp_path / name / 'a.png')
    (tmp_path / 'cup' / 'b.png').write_bytes(b'no picture')
    data = open_dataset(tmp_path, 'classification')
    task = create_task('classification', {})
    answering = Answering('s0', Size(8, 8), lambda _: {'logits': np.eye(2, dtype=np.float32)[:1]})
    with pytest.raises(DataError, match=r'cup/b.png: it is no picture'):
        measure_accuracies([answering], task, ('cat', 'cup'), STRETCHED, data, quiet=True)
