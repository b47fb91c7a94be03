# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
YOLO text: a file of lines 'class x y width height' for each picture, in parts of its size.

https://docs.ultralytics.com/datasets/detect/ describes the layout: pictures below a folder
`images`, files of the same names below `labels` beside it, a YAML file with the names of the
classes and the folders of the parts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
import posixpath

from dynamic_dnn_ros.datasets.boxes import LabelledBox, together
from dynamic_dnn_ros.datasets.contract import DataError, LabelledBoxes
from dynamic_dnn_ros.datasets.labelled_set import LabelledSet
from dynamic_dnn_ros.datasets.labels import (
    NAME_FILES,
    is_ignored,
    matched,
    names_by_number,
    names_file,
    names_of_lines,
    text_of,
    yaml_of,
)
from dynamic_dnn_ros.datasets.layout import DataFiles, LeftOut
from dynamic_dnn_ros.datasets.splits import SPLITS, chosen_split, split_of
from dynamic_dnn_ros.pictures.placement import Size

#: How far a value may lie outside of the picture: tools round. Boxes are cut at its border.
_ROUNDING = 0.01


class YoloSet(LabelledSet[LabelledBoxes]):
    """Pictures with boxes; one without a file of lines, or with an empty one, has no objects."""

    def __init__(
        self,
        files: DataFiles,
        names: Sequence[str],
        description: _Description,
        labels: Sequence[str] | None,
        left_out: LeftOut,
    ) -> None:
        own = list(description.names.values())
        counted = [name for name in own if not is_ignored(name)]
        super().__init__(files, names, counted if labels is None else labels, left_out)
        targets = iter(
            range(len(counted)) if labels is None else matched(counted, labels, description.said)
        )
        self._label = {
            number: None if is_ignored(name) else next(targets)
            for number, name in description.names.items()
        }
        self._poses = description.poses
        self._said = description.said

    def truth(self, name: str, size: Size) -> LabelledBoxes:
        """
        Return the boxes of a picture.

        :raises DataError: naming file and line that cannot be read
        """
        file = label_file(name)
        if file not in self.files:
            return together(())
        said = self.files.said(file)
        lines = text_of(self.files.read(file), said).splitlines()
        boxes = [
            self._box(line, f'{said}, line {number}')
            for number, line in enumerate(lines, start=1)
            if line.strip()
        ]
        return together(boxes, (float(size.width), float(size.height)))

    def _box(self, line: str, where: str) -> LabelledBox:
        try:
            number, *values = map(float, line.split())
        except ValueError as error:
            raise DataError(f'{where}: {line.strip()!r} is not made of numbers') from error
        if number not in self._label:
            raise DataError(
                f'{where}: the class is {number:g}, {self._said} names {len(self._label)} '
                f'classes, from {min(self._label)} to {max(self._label)}'
            )
        if self._poses:
            values = values[:4]
        polygon = len(values) >= 6 and len(values) % 2 == 0
        if len(values) != 4 and not polygon:
            raise DataError(
                f'{where}: {len(values)} values follow the class: four of a box (x, y, width, '
                'height), or x and y of at least three points are needed'
            )
        for value in values:
            if not -_ROUNDING <= value <= 1 + _ROUNDING:
                raise DataError(
                    f'{where}: {value:g} lies outside of 0..1: parts of the size of the picture '
                    'are needed, not pixels'
                )
        if polygon:
            corners = (min(values[::2]), min(values[1::2]), max(values[::2]), max(values[1::2]))
        else:
            x, y, width, height = values
            corners = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
        left, upper, right, lower = (min(1.0, max(0.0, corner)) for corner in corners)
        return LabelledBox((left, upper, right, lower), self._label[int(number)])


class _Description:
    """
    What is said of the classes and the parts of a data set.

    :ivar names: of the classes, by number.
    :ivar parts: folders and lists of pictures of each part, where it is said.
    :ivar said: what to call it in an error.
    """

    def __init__(self, files: DataFiles, name: str) -> None:
        self.said = files.said(name)
        self.parts: dict[str, list[str]] = {}
        self.poses = False
        if not name.endswith(('.yaml', '.yml')):
            lines = names_of_lines(text_of(files.read(name), self.said), self.said)
            self.names = dict(enumerate(lines))
            return
        mapping = yaml_of(files.read(name), self.said)
        if not isinstance(mapping, Mapping) or 'names' not in mapping:
            raise DataError(f'{self.said} has no names of classes: give a file that has')
        self.names = names_by_number(mapping['names'], self.said)
        self.poses = 'kpt_shape' in mapping
        folder = mapping.get('path')
        folder = folder if isinstance(folder, str) else ''
        for split in SPLITS:
            entries = mapping.get(split, mapping.get('valid') if split == 'val' else None)
            entries = [entries] if isinstance(entries, str) else entries
            if not isinstance(entries, list):
                continue
            for entry in entries:
                found = self._found(files, posixpath.dirname(name), folder, str(entry))
                if found is not None:
                    self.parts.setdefault(split, []).append(found)

    @staticmethod
    def _found(files: DataFiles, here: str, folder: str, entry: str) -> str | None:
        """Return a folder or file of the data set that an entry means; None where it has none."""
        for base in (posixpath.join(here, folder), here, ''):
            path = posixpath.normpath(posixpath.join(base, entry))
            # As they come from their makers, entries often lead one folder too far up.
            while path.startswith('../'):
                path = path[3:]
            if path in ('.', '') or path in files or path in files.folders:
                return '' if path == '.' else path
        return None


def description_of(files: DataFiles) -> str | None:
    """Return the file that names the classes; None where there is none."""
    for name in files.names:
        if '/' not in name and name.endswith(('.yaml', '.yml')):
            mapping = yaml_of(files.read(name), files.said(name))
            if isinstance(mapping, Mapping) and 'names' in mapping:
                return name
    return names_file(files)


def label_file(picture: str) -> str:
    """Return the file with the boxes of a picture: below `labels`, where it is below `images`."""
    folders = list(PurePosixPath(picture).parent.parts)
    if 'images' in folders:
        last = len(folders) - 1 - folders[::-1].index('images')
        folders[last] = 'labels'
    return '/'.join((*folders, PurePosixPath(picture).stem + '.txt'))


def recognise(files: DataFiles) -> bool:
    """Return whether a data set is laid out so."""
    if description_of(files) is None:
        return False
    return any(label_file(name) in files for name in files.pictures())


def read(
    files: DataFiles,
    labels: Sequence[str] | None = None,
    split: str | None = None,
    below: str = '',
    description: str = '',
) -> YoloSet:
    """
    Read a data set with boxes.

    :param labels: of a network, which the names of the data are mapped to
    :param split: train, val or test; None for what is not trained on
    :param below: read only the pictures of this folder
    :param description: the file that names the classes; empty for the first one found
    :raises DataError: when it cannot be used
    """
    name = description or description_of(files)
    if name is None:
        raise DataError(
            f'{files.path} does not name its classes: a YAML file with names, or '
            f'{" or ".join(NAME_FILES[:2])} with a name in each line is needed'
        )
    described = _Description(files, name)
    pictures = files.pictures()
    if below:
        names = [picture for picture in pictures if picture.startswith(below)]
    elif described.parts:
        chosen = chosen_split(described.parts, split, str(files.path))
        assert chosen is not None
        names = _of_part(files, pictures, described.parts[chosen])
    else:
        part = chosen_split(map(split_of, pictures), split, str(files.path))
        names = [picture for picture in pictures if part in (None, split_of(picture))]
    return YoloSet(files, names, described, labels, files.left_out)


def _of_part(files: DataFiles, pictures: Sequence[str], entries: Sequence[str]) -> list[str]:
    wanted: set[str] = set()
    for entry in entries:
        if entry not in files:
            prefix = f'{entry}/' if entry else ''
            wanted.update(name for name in pictures if name.startswith(prefix))
            continue
        said = files.said(entry)
        for number, line in enumerate(text_of(files.read(entry), said).splitlines(), start=1):
            if not line.strip():
                continue
            name = _listed_name(files, entry, line.strip())
            if name is None:
                raise DataError(f'{said}, line {number}: there is no picture {line.strip()}')
            wanted.add(name)
    return [name for name in pictures if name in wanted]


def _listed_name(files: DataFiles, entry: str, line: str) -> str | None:
    for base in (posixpath.dirname(entry), ''):
        name = posixpath.normpath(posixpath.join(base, line))
        if name in files:
            return name
    # Absolute paths of the computer that the list was made on.
    parts = line.strip('/').split('/')
    tails = ('/'.join(parts[start:]) for start in range(len(parts)))
    return next((tail for tail in tails if tail in files), None)
