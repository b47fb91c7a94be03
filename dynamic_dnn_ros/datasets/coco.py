# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
COCO's annotations of instances: one JSON file for many pictures.

https://cocodataset.org/#format-data describes it. Boxes are read; polygons and masks are not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import json
import math
import posixpath
from typing import Any

from dynamic_dnn_ros.datasets.boxes import LabelledBox, together
from dynamic_dnn_ros.datasets.contract import DataError, LabelledBoxes
from dynamic_dnn_ros.datasets.labelled_set import LabelledSet
from dynamic_dnn_ros.datasets.labels import is_ignored, matched, text_of
from dynamic_dnn_ros.datasets.layout import DataFiles, LeftOut
from dynamic_dnn_ros.datasets.splits import chosen_split, split_named, split_of
from dynamic_dnn_ros.pictures.placement import Size

_SECTIONS = ('images', 'annotations', 'categories')


class CocoSet(LabelledSet[LabelledBoxes]):
    """Pictures with boxes; one without annotations has no objects."""

    def __init__(
        self,
        files: DataFiles,
        boxes: Mapping[str, Sequence[LabelledBox]],
        sizes: Mapping[str, Size],
        labels: Sequence[str],
        left_out: LeftOut,
    ) -> None:
        names = [name for name in files.names if name in boxes]
        super().__init__(files, names, labels, left_out)
        self._boxes = boxes
        self._sizes = sizes

    def truth(self, name: str, size: Size) -> LabelledBoxes:
        """
        Return the boxes of a picture.

        :raises DataError: when the picture has another size than its annotations are for
        """
        annotated = self._sizes.get(name, size)
        if annotated != size:
            raise DataError(
                f'picture {self.files.said(name)} is {size}, its annotations are for {annotated}: '
                'give the pictures that were annotated'
            )
        return together(self._boxes[name])


def annotation_files(files: DataFiles) -> list[str]:
    """Return the files that may be such annotations; those of instances, where some are so."""
    found = [name for name in files.names if name.lower().endswith('.json')]
    return [name for name in found if 'instances' in posixpath.basename(name)] or found


def recognise(files: DataFiles) -> bool:
    """Return whether a data set is laid out so."""
    return any(_is_annotation(files.read(name)) for name in annotation_files(files))


def read(
    files: DataFiles,
    labels: Sequence[str] | None = None,
    split: str | None = None,
    below: str = '',
    annotations: str = '',
) -> CocoSet:
    """
    Read a data set with boxes.

    :param labels: of a network, which the names of the data are mapped to
    :param split: train, val or test; None for what is not trained on
    :param below: read only the pictures of this folder
    :param annotations: the file of annotations to read; empty for that of the part
    :raises DataError: when it cannot be used
    """
    name = annotations or _chosen(files, split or _split_below(below))
    said = files.said(name)
    content = _parsed(files.read(name), said)
    pictures = {}
    sizes = {}
    left_out = files.left_out.copy()
    place = _Places(files, name)
    for entry in content['images']:
        number, file_name = _field(entry, 'id', said), str(_field(entry, 'file_name', said))
        found = place.of(file_name)
        if found is None:
            left_out.add('annotated picture that is missing', file_name)
            pictures[number] = ''
        elif not below or found.startswith(below):
            pictures[number] = found
            if entry.get('height') and entry.get('width'):
                sizes[found] = Size(int(entry['height']), int(entry['width']))
        else:
            pictures[number] = ''
    if not any(pictures.values()):
        raise DataError(
            f'{said} annotates {len(pictures)} pictures, and none of them is in {files.path}: '
            'give the folder that holds both'
        )
    categories = _Categories(content['categories'], labels, said)
    boxes: dict[str, list[LabelledBox]] = {found: [] for found in pictures.values() if found}
    for entry in content['annotations']:
        number = _field(entry, 'image_id', said)
        if number not in pictures:
            left_out.add('annotation of a picture that the file does not list', str(number))
        elif pictures[number]:
            box = _box(entry, categories, said)
            if box is None:
                left_out.add('annotation without a box', str(entry.get('id')))
            else:
                boxes[pictures[number]].append(box)
    return CocoSet(files, boxes, sizes, categories.labels, left_out)


class _Categories:
    """Numbers of categories, in whatever order and with whatever gaps, to indices of labels."""

    def __init__(self, entries: Any, labels: Sequence[str] | None, said: str) -> None:
        named: dict[Any, str] = {}
        for entry in entries:
            number = _field(entry, 'id', said)
            if number in named:
                raise DataError(f'{said}: category {number!r} is given twice: remove one of them')
            named[number] = str(_field(entry, 'name', said)).strip()
        try:
            ordered = sorted(named)
        except TypeError as error:
            raise DataError(f'{said}: ids of categories are {list(named)!r}: numbers') from error
        counted = [number for number in ordered if not is_ignored(named[number])]
        names = [named[number] for number in counted]
        targets = range(len(names)) if labels is None else matched(names, labels, said)
        self.labels = tuple(names if labels is None else labels)
        self.index: dict[Any, int | None] = {
            **dict.fromkeys(ordered),
            **dict(zip(counted, targets)),
        }


class _Places:
    """Finds the pictures that a file names: beside it, below `images`, or wherever they are."""

    def __init__(self, files: DataFiles, annotations: str) -> None:
        self._files = files
        self._here = posixpath.dirname(annotations)
        self._split = split_of(annotations) or _split_in(annotations)
        self._by_name: dict[str, list[str]] = {}
        for name in files.pictures():
            self._by_name.setdefault(posixpath.basename(name), []).append(name)

    def of(self, file_name: str) -> str | None:
        """Return the picture of a name; None where there is none."""
        plain = posixpath.normpath(file_name.replace('\\', '/')).lstrip('/')
        beside = posixpath.normpath(posixpath.join(self._here, plain))
        if beside in self._files:
            return beside
        found = self._by_name.get(posixpath.basename(plain), [])
        alike = [name for name in found if f'/{name}'.endswith(f'/{plain}')] or found
        of_part = [name for name in alike if split_of(name) == self._split] or alike
        return of_part[0] if len(of_part) == 1 else None


def _chosen(files: DataFiles, split: str | None) -> str:
    found = [name for name in annotation_files(files) if _is_annotation(files.read(name))]
    if not found:
        raise DataError(
            f'{files.path} holds no annotations: a JSON file with {", ".join(_SECTIONS)} is needed'
        )
    parts = {name: split_of(name) or _split_in(name) for name in found}
    part = chosen_split(parts.values(), split, str(files.path))
    fitting = [name for name in found if part is None or parts[name] == part]
    if len(fitting) > 1:
        raise DataError(
            f'{files.path} holds several files of annotations ({", ".join(fitting)}): name the '
            'one to read'
        )
    return fitting[0]


def _split_in(annotations: str) -> str | None:
    """Return the part that a file's own name tells: 'instances_val2017.json' is of 'val'."""
    stem = posixpath.basename(annotations).rpartition('.')[0]
    words = stem.replace('-', '_').replace('.', '_').split('_')
    return next((split for split in map(split_named, words) if split), None)


def _split_below(below: str) -> str | None:
    return split_of(below) if below else None


def _is_annotation(content: bytes) -> bool:
    return all(f'"{section}"'.encode() in content for section in _SECTIONS)


def _parsed(content: bytes, said: str) -> dict[str, list[Any]]:
    try:
        parsed = json.loads(text_of(content, said))
    except (ValueError, RecursionError) as error:
        raise DataError(
            f'{said} is no JSON ({error}): give annotations as COCO has them'
        ) from error
    for section in _SECTIONS:
        if not isinstance(parsed, dict) or not isinstance(parsed.get(section), list):
            raise DataError(f'{said}: the list {section!r} is missing, as COCO has it')
        if not all(isinstance(entry, dict) for entry in parsed[section]):
            raise DataError(f'{said}: {section!r} holds something else than mappings')
    return parsed


def _field(entry: Mapping[str, Any], name: str, said: str) -> Any:
    value = entry.get(name)
    if not isinstance(value, (int, str)):
        raise DataError(f'{said}: {name!r} is {value!r} in {str(entry)[:120]}')
    return value


def _box(entry: Mapping[str, Any], categories: _Categories, said: str) -> LabelledBox | None:
    category = _field(entry, 'category_id', said)
    if category not in categories.index:
        raise DataError(
            f'{said}: annotation {entry.get("id")} is of category {category!r}, which is not '
            'among its categories'
        )
    bbox = entry.get('bbox')
    if not bbox:
        return None
    numbers = isinstance(bbox, list) and all(isinstance(value, (int, float)) for value in bbox)
    if not numbers or len(bbox) != 4 or not all(map(math.isfinite, bbox)) or min(bbox[2:]) < 0:
        raise DataError(
            f'{said}: annotation {entry.get("id")} has the box {bbox!r}: x, y, width, height in '
            'pixels are needed'
        )
    x, y, width, height = bbox
    crowd = bool(entry.get('iscrowd', 0))
    return LabelledBox((x, y, x + width, y + height), categories.index[category], crowd)
