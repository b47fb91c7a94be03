# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import numpy as np
from PIL import Image
import torch

from dynamic_dnn_ros.training.batches import (
    Normalisation,
    augment,
    plain_batches,
    resize,
    training_batches,
)
from support.training import colour_pictures


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
    scaled = resize(torch.from_numpy(image).permute(2, 0, 1)[None], 24)
    expected = np.asarray(Image.fromarray(image).resize((24, 24), Image.Resampling.BILINEAR))
    # Pillow rounds to whole colours, after each of the two directions.
    assert np.abs(scaled[0].permute(1, 2, 0).numpy() - expected).max() <= 1.01


def test_augmentation_shifts_and_flips_each_picture():
    rows = torch.arange(16).view(1, 1, 16, 1).expand(1, 3, 16, 16)
    columns = torch.arange(16).view(1, 1, 1, 16).expand(1, 3, 16, 16)
    generator = torch.Generator().manual_seed(0)
    shifts, flips = set(), set()
    for image in augment((rows * 16 + columns).repeat(200, 1, 1, 1), 2, generator):
        # The inner part shows how far a picture was shifted, and whether it was flipped.
        inner = image[0, 4:12, 4:12]
        step = float(inner[0, 1] - inner[0, 0])
        assert abs(step) == 1.0
        assert torch.equal(inner[1:] - inner[:-1], torch.full((7, 8), 16.0))
        flips.add(step < 0)
        shifts.add(int(inner[0, 0] // 16) - 4)
    assert flips == {False, True}
    assert shifts == {-2, -1, 0, 1, 2}


def test_training_batches_hold_every_picture_once_and_shares_are_disjoint():
    pictures = colour_pictures(64)
    seen = []
    for rank in range(2):
        generator = torch.Generator().manual_seed(5)
        batches = list(training_batches(pictures, 16, 0, generator, rank, 2))
        assert [len(labels) for _, labels in batches] == [16, 16]
        seen += [image.sort().values for images, _ in batches for image in images.flatten(1)]
    assert len(torch.unique(torch.stack(seen), dim=0)) == 64


def test_plain_batches_keep_the_order():
    pictures = colour_pictures(70)
    batches = list(plain_batches(pictures, 24, Normalisation((0.0,) * 3, (1.0,) * 3), 32))
    assert [tuple(images.shape) for images, _ in batches] == [
        (32, 3, 24, 24),
        (32, 3, 24, 24),
        (6, 3, 24, 24),
    ]
    assert torch.equal(torch.cat([labels for _, labels in batches]), torch.arange(70) % 10)
