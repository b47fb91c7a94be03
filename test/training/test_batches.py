# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import numpy as np
from PIL import Image
import pytest
import torch

from dynamic_dnn_ros.datasets.contract import DataError
from dynamic_dnn_ros.pictures.input import Preprocessing, Resize
from dynamic_dnn_ros.pictures.placement import Size
from dynamic_dnn_ros.pictures.scaling import CompressedPicture, fitted
from dynamic_dnn_ros.training import pictures as pictures_module
from dynamic_dnn_ros.training.augmentation import make_augmentation
from dynamic_dnn_ros.training.batches import (
    CAMERA_INTERPOLATION,
    Normalisation,
    TrainingBatches,
    plain_batches,
    resize,
)
from dynamic_dnn_ros.training.pictures import read_pictures
from support.training import colour_pictures, write_folder

PLAIN = make_augmentation([])


def test_normalisation_is_that_of_the_manifest():
    images = torch.randint(0, 256, (2, 3, 4, 4), dtype=torch.uint8)
    mean, deviation = (0.5, 0.4, 0.3), (0.2, 0.25, 0.3)
    normalised = Normalisation(mean, deviation)(images)
    expected = (images.numpy() / 255 - np.reshape(mean, (1, 3, 1, 1))) / np.reshape(
        deviation, (1, 3, 1, 1)
    )
    np.testing.assert_allclose(normalised, expected, atol=1e-5)


def test_resizing_is_that_of_pillow():
    image = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    scaled = resize(torch.from_numpy(image).permute(2, 0, 1)[None], Size(24, 24))
    expected = np.asarray(Image.fromarray(image).resize((24, 24), Image.Resampling.BILINEAR))
    # Pillow rounds to whole colours, after each of the two directions.
    assert np.abs(scaled[0].permute(1, 2, 0).numpy() - expected).max() <= 1.01


def test_an_epoch_holds_every_picture_once_and_shares_are_disjoint():
    pictures = colour_pictures(64)
    seen = []
    for rank in range(2):
        batches = TrainingBatches(pictures, PLAIN, 16, rank=rank, count=2)
        epoch = list(batches.batches(seed=5))
        assert [len(labels) for _, labels in epoch] == [16, 16]
        assert len(batches) == 2
        seen += [image for images, _ in epoch for image in images.flatten(1)]
    assert len(torch.unique(torch.stack(seen), dim=0)) == 64


def test_fewer_pictures_than_processes_are_refused():
    with pytest.raises(DataError, match='3 pictures are too few for 4 processes'):
        TrainingBatches(colour_pictures(3), PLAIN, 16, count=4)
    (batch,) = TrainingBatches(colour_pictures(4), PLAIN, 16, rank=3, count=4).batches(0)
    assert len(batch[1]) == 1


def test_two_processes_see_in_a_step_what_one_sees_in_a_step_twice_as_large():
    augmentation = make_augmentation([{'RandomCrop': {'size': 32, 'padding': 4}}])
    pictures = colour_pictures(50)
    (alone,) = TrainingBatches(pictures, augmentation, 32).batches(1)
    shares = [
        next(iter(TrainingBatches(pictures, augmentation, 16, rank=rank, count=2).batches(1)))
        for rank in range(2)
    ]
    for position, whole in enumerate(alone):
        assert torch.equal(whole[0::2], shares[0][position])
        assert torch.equal(whole[1::2], shares[1][position])


def test_epochs_differ_repeat_and_do_not_depend_on_workers():
    augmentation = make_augmentation([{'RandomCrop': {'size': 32, 'padding': 4}}])
    pictures = colour_pictures(12)
    first, again, next_epoch = (
        torch.cat([images for images, _ in TrainingBatches(pictures, augmentation, 4).batches(s)])
        for s in (1, 1, 2)
    )
    workers = TrainingBatches(pictures, augmentation, 4, workers=1).batches(1)
    assert torch.equal(first, again)
    assert torch.equal(first, torch.cat([images for images, _ in workers]))
    assert not torch.equal(first, next_epoch)


def test_a_picture_that_a_worker_cannot_read_is_named_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(pictures_module, '_MEMORY', 0)
    write_folder(tmp_path, colour_pictures(10))
    pictures = read_pictures(tmp_path, quiet=True, workers=1)
    (tmp_path / 'class_3' / '0003.png').write_bytes(b'no picture')
    for batches in (
        TrainingBatches(pictures, PLAIN, 10, workers=1).batches(0),
        plain_batches(pictures, Size(24, 24), Normalisation((0.0,) * 3, (1.0,) * 3)),
    ):
        with pytest.raises(DataError, match=r'^picture .*0003.png: it is no picture') as caught:
            list(batches)
        assert '\n' not in str(caught.value)


def test_plain_batches_keep_the_order():
    pictures = colour_pictures(70)
    batches = list(
        plain_batches(pictures, Size(24, 24), Normalisation((0.0,) * 3, (1.0,) * 3), 32)
    )
    assert [tuple(images.shape) for images, _ in batches] == [
        (32, 3, 24, 24),
        (32, 3, 24, 24),
        (6, 3, 24, 24),
    ]
    assert torch.equal(torch.cat([labels for _, labels in batches]), torch.arange(70) % 10)


@pytest.mark.parametrize('how', list(Resize))
def test_pictures_of_any_size_are_scaled_as_the_engine_scales_them(tmp_path, how):
    generator = np.random.default_rng(0)
    for index, size in enumerate(((40, 30), (32, 32), (50, 20))):
        path = tmp_path / f'class_{index % 2}' / f'{index}.png'
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(generator.integers(0, 256, (*size, 3), dtype=np.uint8)).save(path)
    pictures = read_pictures(tmp_path, quiet=True, resize=how)
    ((images, labels),) = plain_batches(
        pictures, Size(24, 24), Normalisation((0.0,) * 3, (1 / 255,) * 3)
    )
    assert labels.tolist() == [0, 0, 1]
    preprocessing = Preprocessing(how, (0.0,) * 3, (1.0,) * 3, CAMERA_INTERPOLATION)
    for image, path in zip(images, pictures.images.paths):
        picture = CompressedPicture(path.read_bytes())
        expected, _ = fitted(picture, Size(24, 24), preprocessing)
        # The engine may average rows first: one grey level is what it may be off.
        expected = expected.astype(np.float32)
        np.testing.assert_allclose(image.permute(1, 2, 0), expected, rtol=0, atol=1.001)
