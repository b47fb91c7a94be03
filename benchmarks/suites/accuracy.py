# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Top-1 accuracy of the running node on camera frames, against the networks without any node.

And what the ways from a frame of 1280x720 to the input of a network cost over a whole test set,
against one filter over all pixels: the averaging of rows, JPEG, and its decoding at a reduced
scale.
"""

from __future__ import annotations

from collections.abc import Callable
import io

import numpy as np
from PIL import Image as Picture
from report import Figure, Report, figure

from dynamic_dnn_ros.pictures.input import Preprocessing, Resize
from dynamic_dnn_ros.pictures.placement import Size
from dynamic_dnn_ros.pictures.scaling import CompressedPicture, RawPicture, fitted
from support.accuracy import measure_accuracy
from support.images import Pixels, jpeg
from support.offline import OfflineClassifier, offline_classifier
from support.shared_data import cifar10_test, shipped_bundle

RUNS = 1
PICTURES = 1000
FRAMES_PER_PICTURE = 10
"""So many times the pictures go through preprocessing alone: the whole test set."""
WIDTH, HEIGHT = 1280, 720
BATCH = 100
JPEG_QUALITY = 90


def run(runs: int) -> Report:
    """Classify the pictures live and off line, with the smallest and the largest sub-network."""
    offline = offline_classifier(shipped_bundle())
    figures = []
    chosen = (offline.sub_networks[0], offline.sub_networks[-1])
    for identifier in chosen:
        found = [measure_accuracy(shipped_bundle(), identifier, PICTURES) for _ in range(runs)]
        name = f'{identifier}: '
        figures += [
            figure(f'{name}live', [one.live for one in found], '0..1'),
            figure(f'{name}off line', [one.offline for one in found], '0..1'),
            figure(
                f'{name}difference',
                [abs(one.live - one.offline) * 100 for one in found],
                'points',
                '<= 0.5',
            ),
            figure(
                f'{name}off line on the pictures before they were scaled to frames',
                [one.original for one in found],
                '0..1',
            ),
            figure(
                f'{name}frames classified differently',
                [one.different * 100 for one in found],
                '%',
            ),
            figure(f'{name}frames replaced', [one.replaced for one in found], 'frames', '<= 0'),
        ]
    figures += _preprocessing(offline, chosen, FRAMES_PER_PICTURE * PICTURES)
    configuration = {
        'pictures': PICTURES,
        'preprocessing': f'{FRAMES_PER_PICTURE * PICTURES} pictures, enlarged to {WIDTH}x{HEIGHT} '
        f'(bicubic); JPEG of quality {JPEG_QUALITY}',
        'data': 'CIFAR-10 (JPEG), test, the first of each class in turn',
        'frames': '320x240 bgr8, the next one after the result of the last',
        'bundle': offline.bundle.manifest.name,
        'sub_networks': list(chosen),
    }
    return Report('accuracy', 'measured', configuration, figures)


def _all_pixels(pixels: Pixels, resolution: int, preprocessing: Preprocessing) -> Pixels:
    """Return what Pillow makes of all pixels of a frame at once, as the training has it."""
    image = Picture.fromarray(pixels)
    box = (0.0, 0.0, float(image.width), float(image.height))
    if preprocessing.resize is Resize.CENTER_CROP:
        side = min(image.size)
        left, upper = (image.width - side) / 2, (image.height - side) / 2
        box = (left, upper, left + side, upper + side)
    resampling = Picture.Resampling[preprocessing.interpolation.name]
    return np.asarray(image.resize((resolution, resolution), resampling, box))


def _preprocessing(
    offline: OfflineClassifier, sub_networks: tuple[str, ...], count: int
) -> list[Figure]:
    """Return accuracies of the ways from a frame to the network's input."""
    preprocessing = offline.bundle.manifest.preprocessing
    ways: dict[str, Callable[[Pixels, bytes, int], Pixels]] = {
        'all pixels': lambda pixels, file, side: _all_pixels(pixels, side, preprocessing),
        'preprocessing of the node': lambda pixels, file, side: fitted(
            RawPicture('rgb8', WIDTH, HEIGHT, WIDTH * 3, pixels.data),
            Size(side, side),
            preprocessing,
        )[0],
        'JPEG, all pixels': lambda pixels, file, side: _all_pixels(
            np.asarray(Picture.open(io.BytesIO(file))), side, preprocessing
        ),
        'JPEG decoded at a reduced scale': lambda pixels, file, side: fitted(
            CompressedPicture(file), Size(side, side), preprocessing, reduced_decoding=True
        )[0],
    }
    pictures = cifar10_test(count)
    right = {(way, name): 0 for way in ways for name in sub_networks}
    sides = {offline.bundle.manifest.sub_network(name).size.height for name in sub_networks}
    levels = 0
    for begin in range(0, len(pictures), BATCH):
        batch = pictures[begin : begin + BATCH]
        squares: dict[tuple[str, int], list[Pixels]] = {
            (way, side): [] for way in ways for side in sides
        }
        for picture in batch:
            image = Picture.open(io.BytesIO(picture.jpeg)).convert('RGB')
            frame = np.asarray(image.resize((WIDTH, HEIGHT), Picture.Resampling.BICUBIC))
            file = jpeg(frame, JPEG_QUALITY)
            for (way, side), found in squares.items():
                found.append(ways[way](frame, file, side))
        truth = np.array([offline.classes.index(picture.class_name) for picture in batch])
        for way, name in right:
            side = offline.bundle.manifest.sub_network(name).size.height
            best = offline.best_of_squares(np.stack(squares[way, side]), name)
            right[way, name] += int((best == truth).sum())
        for side in sides:
            one = np.stack(squares['all pixels', side]).astype(int)
            other = np.stack(squares['preprocessing of the node', side])
            levels = max(levels, int(np.abs(one - other).max()))
    figures = [
        figure('preprocessing of the node against all pixels', levels, 'grey levels', '<= 1')
    ]
    for name in sub_networks:
        accuracy = {way: right[way, name] / len(pictures) for way in ways}
        figures += [figure(f'{name}: {way}', accuracy[way], '0..1') for way in ways]
        for way, reference in (
            ('preprocessing of the node', 'all pixels'),
            ('JPEG decoded at a reduced scale', 'JPEG, all pixels'),
        ):
            lost = (accuracy[reference] - accuracy[way]) * 100
            # Better than the training's is no loss, but further away than it should be as well.
            figures.append(
                figure(f'{name}: {way} off from {reference}', abs(lost), 'points', '<= 0.1')
                if way.startswith('preprocessing')
                else figure(f'{name}: {way} loses against {reference}', lost, 'points', '<= 0.1')
            )
    return figures
