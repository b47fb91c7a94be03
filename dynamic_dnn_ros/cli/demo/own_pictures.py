# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Pictures of the user for the demo: test pictures of their bundle, or a folder of theirs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
import yaml

from dynamic_dnn_ros.bundles.errors import BundleError
from dynamic_dnn_ros.bundles.reader import read_bundle
from dynamic_dnn_ros.bundles.shipped import find_bundle
from dynamic_dnn_ros.datasets.contract import DataError
from dynamic_dnn_ros.datasets.layout import DataFiles
from dynamic_dnn_ros.exits.held_out import held_out_pictures
from dynamic_dnn_ros.pictures.errors import PictureError
from dynamic_dnn_ros.pictures.upright import upright_picture
from dynamic_dnn_ros.training.configuration import (
    TrainingConfiguration,
    TrainingConfigurationError,
)
from dynamic_dnn_ros.yaml_files import read_yaml

SHOWN = 12
"""Pictures that a run shows; one stays for some seconds."""

LONGEST_SIDE = 1280
"""Pixels of what is shown: the camera node keeps all of them decoded."""

_MASKS = frozenset(('masks', 'SegmentationClass', 'SegmentationObject'))


@dataclass(frozen=True)
class OwnPictures:
    """Names of pictures among files of the user, and what they are in words."""

    files: DataFiles
    names: tuple[str, ...]
    words: str

    def write(self, folder: Path) -> int:
        """
        Write some, spread over all of them, as a camera node shows them; return how many.

        :raises DataError: when none can be read
        """
        wrong = ''
        written = 0
        chosen = spread(self.names, SHOWN)
        # A short run shows the first ones only: they come from all over, too.
        for name in [*chosen[::3], *chosen[1::3], *chosen[2::3]]:
            try:
                pixels = upright_picture(self.files.read(name), name=self.files.said(name))
            except (PictureError, DataError) as error:
                wrong = wrong or str(error)
                continue
            picture = Image.fromarray(pixels)
            picture.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
            picture.save(folder / f'{written:02}.png')
            written += 1
        if not written:
            raise DataError(f'none of the {self.words} can be read. {wrong}')
        return written


def spread(names: Sequence[str], most: int) -> list[str]:
    """Return at most so many names, from all over the sequence."""
    places = np.linspace(0, len(names) - 1, min(most, len(names))).round().astype(int)
    return [names[place] for place in places]


def in_folder(folder: Path) -> OwnPictures:
    """
    Return the pictures of a folder or archive, those in folders within it too.

    :raises DataError: when there are none
    """
    if not folder.exists():
        raise DataError(f'{folder} does not exist: give a folder or an archive with pictures')
    files = DataFiles(folder)
    # Label images of a data set are truths, not pictures.
    names = tuple(name for name in files.pictures() if _MASKS.isdisjoint(name.split('/')))
    if not names:
        raise DataError(f'{folder} holds no pictures: give a folder or an archive that does')
    return OwnPictures(files, names, f'pictures of {folder}')


def of_bundle(bundle: str, folder: Path) -> OwnPictures | None:
    """
    Return the test pictures of a bundle, by the training file in a folder that made it.

    :param bundle: name or folder, as a user gives it
    :return: None where no file there writes this bundle
    :raises DataError: when there is one, and its pictures cannot be read any more
    """
    try:
        found = find_bundle(bundle)
        configuration = _configuration_of(found, folder)
        if configuration is None:
            return None
        manifest = read_bundle(found).manifest
    except BundleError:
        return None  # The inference node says what is wrong with it.
    _, test = held_out_pictures(configuration, manifest, lambda text: None)
    return OwnPictures(test.files, test.names, f'test pictures of {configuration.data_name}')


def _configuration_of(bundle: Path, folder: Path) -> TrainingConfiguration | None:
    for path in _training_files(folder):
        try:
            configuration = TrainingConfiguration.from_file(path)
        except TrainingConfigurationError:
            continue
        if configuration.output.resolve() == bundle.resolve():
            return configuration
    return None


def _training_files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.glob('*.yaml')):
        try:
            document = read_yaml(path)
        except (OSError, UnicodeDecodeError, yaml.YAMLError):
            continue
        if isinstance(document, dict) and {'training_data', 'output'} <= document.keys():
            yield path
