# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Ids of sub-networks."""

import pytest

from dynamic_dnn_ros.importing.errors import ImportingError
from dynamic_dnn_ros.importing.identifiers import identifiers
from dynamic_dnn_ros.pictures.placement import Size


@pytest.mark.parametrize(
    ('stems', 'sizes', 'expected'),
    [
        (['yolo_n', 'YOLO-s'], [None, None], ('yolo_n', 'yolo_s')),
        (
            ['nanodet-plus-m-416'] * 2,
            [Size(320, 320), Size(384, 640)],
            ('nanodet_320', 'nanodet_640x384'),
        ),
        (['nanodet-plus-m-416'] * 2, [Size(320, 320), Size(416, 416)],
         ('nanodet_plus_320', 'nanodet_plus_416')),
        (['mobilenet-v1-0.25', 'mobilenet-v1-0.5'], [None, None],
         ('mobilene_v1_0_25', 'mobilenet_v1_0_5')),
        (['übung'], [None], ('bung',)),
        (['...'], [None], ('model',)),
    ],
)  # fmt: skip
def test_names(stems: list[str], sizes: list[Size | None], expected: tuple[str, ...]) -> None:
    found = identifiers(stems, sizes)
    assert found == expected
    assert all(1 <= len(name) <= 16 for name in found)


def test_names_that_cannot_be_told_apart() -> None:
    with pytest.raises(ImportingError, match='different ids'):
        identifiers(['model', 'MODEL'], [None, None])
