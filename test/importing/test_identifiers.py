# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Ids of sub-networks."""

import random

import pytest

from dynamic_dnn_ros.bundles.manifest import LONGEST_ID
from dynamic_dnn_ros.importing.errors import ImportingError
from dynamic_dnn_ros.importing.identifiers import identifiers
from dynamic_dnn_ros.pictures.placement import Size

LONG = 'fasterrcnn_mobilenet_v3_large_320_fpn'


@pytest.mark.parametrize(
    ('stems', 'sizes', 'expected'),
    [
        (['yolo_n', 'YOLO-s'], [None, None], ('yolo_n', 'yolo_s')),
        (
            ['nanodet-plus-m-416'] * 2,
            [Size(320, 320), Size(384, 640)],
            ('nanodet_plus_m_416_320', 'nanodet_plus_m_416_640x384'),
        ),
        (['mobilenet-v1-0.25', 'mobilenet-v1-0.5'], [None, None],
         ('mobilenet_v1_0_25', 'mobilenet_v1_0_5')),
        ([LONG], [None], ('fasterrcnn_mobilenet_v3_large',)),
        ([LONG] * 2, [Size(320, 320), Size(384, 640)],
         ('fasterrcnn_mobilenet_v3_320', 'fasterrcnn_mobilenet_v3_640x384')),
        # Only some of the words that all have, and all that tell them apart.
        (
            [f'our_kitchen_robot_front_yolov8_{size}_best_of_march' for size in 'nsm'],
            [None] * 3,
            tuple(f'our_kitchen_robot_front_yolov8_{size}' for size in 'nsm'),
        ),
        (
            [f'warehouse_pallets_detector_version_{each}' for each in ('fast_320', 'exact_640')],
            [None] * 2,
            ('warehouse_pallets_fast_320', 'warehouse_pallets_exact_640'),
        ),
        ([LONG, f'{LONG}_fine'], [None] * 2,
         ('fasterrcnn_mobilenet_v3', 'fasterrcnn_mobilenet_v3_fine')),
        (['a' * 40], [None], ('model',)),
        (['a' * 40, 'b' * 40], [None] * 2, ('model_1', 'model_2')),
        (['a' * 40, 'a' * 40, 'b'], [Size(32, 32), Size(64, 64), Size(32, 32)],
         ('model_1_32', 'model_1_64', 'model_2_32')),
        (['übung'], [None], ('bung',)),
        (['...'], [None], ('model',)),
    ],
)  # fmt: skip
def test_names(stems: list[str], sizes: list[Size | None], expected: tuple[str, ...]) -> None:
    found = identifiers(stems, sizes)
    assert found == expected
    assert all(1 <= len(name) <= LONGEST_ID for name in found)


@pytest.mark.parametrize('seed', range(50))
def test_no_word_is_cut_and_no_id_is_given_twice(seed: int) -> None:
    chance = random.Random(seed)
    vocabulary = ['yolo', 'detector', 'robot', 'm', 'large', '320', 'mobilenet', 'v3', 'fpn']
    stems = ['-'.join(chance.choices(vocabulary, k=chance.randint(1, 9))) for _ in range(4)]
    stems = list(dict.fromkeys(stems))
    found = identifiers(stems, [None] * len(stems))
    assert len(set(found)) == len(stems)
    for stem, name in zip(stems, found):
        assert set(name.split('_')) <= {*stem.split('-'), 'model', '1', '2', '3', '4'}


def test_names_that_cannot_be_told_apart() -> None:
    with pytest.raises(ImportingError, match='have the same words'):
        identifiers(['model', 'MODEL'], [None, None])
