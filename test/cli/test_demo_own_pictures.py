# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Which pictures of the user the demo shows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image
import pytest
import yaml

from dynamic_dnn_ros.cli.demo.own_pictures import (
    LONGEST_SIDE,
    SHOWN,
    in_folder,
    of_bundle,
    spread,
)
from dynamic_dnn_ros.datasets.contract import DataError
from support.bundles import make_bundle
from support.training import training_mapping


def save(path: Path, level: int, size: tuple[int, int] = (40, 30)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new('RGB', size, (level, level, level)).save(path)


def levels(folder: Path) -> list[int]:
    return [int(np.asarray(Image.open(path))[0, 0, 0]) for path in sorted(folder.iterdir())]


def test_names_come_from_all_over() -> None:
    assert spread('abcdefghi', 3) == ['a', 'e', 'i']
    assert spread('ab', 3) == ['a', 'b']


def test_pictures_of_a_folder_and_of_folders_within_it(tmp_path: Path) -> None:
    for index in range(30):
        save(tmp_path / 'data' / 'ab'[index % 2] / f'{index:02}.png', index)
    (tmp_path / 'data' / 'a' / 'broken.png').write_bytes(b'no picture')
    save(tmp_path / 'data' / 'masks' / '00.png', 77)
    found = in_folder(tmp_path / 'data')
    assert len(found.names) == 31 and found.words == f'pictures of {tmp_path / "data"}'
    (tmp_path / 'shown').mkdir()
    count = found.write(tmp_path / 'shown')
    shown = levels(tmp_path / 'shown')
    assert count == len(shown) in (SHOWN - 1, SHOWN)
    assert {level % 2 for level in shown} == {level % 2 for level in shown[:4]} == {0, 1}


def test_large_pictures_are_made_smaller(tmp_path: Path) -> None:
    save(tmp_path / 'data' / 'large.jpg', 9, (3000, 1000))
    (tmp_path / 'shown').mkdir()
    in_folder(tmp_path / 'data').write(tmp_path / 'shown')
    with Image.open(tmp_path / 'shown' / '00.png') as shown:
        assert max(shown.size) == LONGEST_SIDE


def test_folders_that_cannot_be_shown_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match='absent does not exist: give a folder'):
        in_folder(tmp_path / 'absent')
    (tmp_path / 'empty').mkdir()
    with pytest.raises(DataError, match='empty holds no pictures'):
        in_folder(tmp_path / 'empty')
    (tmp_path / 'empty' / 'broken.png').write_bytes(b'no picture')
    with pytest.raises(DataError, match=r'none of the pictures of .* can be read\. .*broken'):
        in_folder(tmp_path / 'empty').write(tmp_path)


def training_file(folder: Path, bundle: Path, labels: tuple[str, ...]) -> None:
    """Write pictures of each class, and a training file that makes a bundle of them."""
    for number, label in enumerate(labels):
        for index in range(10):
            save(folder / 'data' / label / f'{index}.png', 10 * number + index)
    fields = {
        **training_mapping(folder, data_name='my things', test_every=5, held_out=4),
        'training_data': str(folder / 'data'),
        'output': str(bundle),
    }
    del fields['test_data']
    (folder / 'mine.yaml').write_text(yaml.safe_dump(fields))


def test_a_bundle_that_was_trained_here_is_shown_its_test_pictures(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / 'bundle')
    training_file(tmp_path, tmp_path / 'bundle', bundle.manifest.labels)
    (tmp_path / 'other.yaml').write_text('training_data: [')
    found = of_bundle(str(tmp_path / 'bundle'), tmp_path)
    assert found is not None and found.words == 'test pictures of my things'
    # Every fifth one is kept for tests.
    assert {Path(name).stem for name in found.names} == {'4', '9'}
    assert of_bundle(str(tmp_path / 'bundle'), tmp_path / 'data') is None
    other = make_bundle(tmp_path / 'another')
    assert of_bundle(str(other.folder), tmp_path) is None
    assert of_bundle('no_such_bundle', tmp_path) is None


def test_test_pictures_that_are_gone_are_named(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / 'bundle')
    training_file(tmp_path, tmp_path / 'bundle', bundle.manifest.labels)
    (tmp_path / 'data').rename(tmp_path / 'moved')
    with pytest.raises(DataError, match='data does not exist'):
        of_bundle(str(tmp_path / 'bundle'), tmp_path)
