# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Annotations as Pascal VOC has them: an XML file for each picture.

http://host.robots.ox.ac.uk/pascal/VOC/voc2012/htmldoc/devkit_doc.html: pictures in JPEGImages,
files of the same names in Annotations, parts listed in ImageSets/Main. An XML file may also lie
beside its picture, as labelling tools leave it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
import math
import posixpath
from xml.etree import ElementTree

from dynamic_dnn_ros.datasets.boxes import LabelledBox, together
from dynamic_dnn_ros.datasets.contract import DataError, LabelledBoxes
from dynamic_dnn_ros.datasets.labelled_set import LabelledSet
from dynamic_dnn_ros.datasets.labels import (
    is_ignored,
    matched,
    names_file,
    names_of_lines,
    text_of,
)
from dynamic_dnn_ros.datasets.layout import DataFiles, LeftOut
from dynamic_dnn_ros.datasets.splits import chosen_split, split_named, split_of
from dynamic_dnn_ros.pictures.placement import Size

_EDGES = ('xmin', 'ymin', 'xmax', 'ymax')


class VocSet(LabelledSet[LabelledBoxes]):
    """
    Pictures with boxes; one without a file has no objects.

    Objects that are marked as difficult are regions that count neither way.
    """

    def __init__(
        self,
        files: DataFiles,
        names: Sequence[str],
        own: Sequence[str],
        labels: Sequence[str] | None,
        left_out: LeftOut,
    ) -> None:
        counted = [name for name in own if not is_ignored(name)]
        super().__init__(files, names, counted if labels is None else labels, left_out)
        targets = (
            range(len(counted)) if labels is None else matched(counted, labels, str(files.path))
        )
        self._label: dict[str, int | None] = {
            **dict.fromkeys(own),
            **dict(zip(counted, targets)),
        }

    def truth(self, name: str, size: Size) -> LabelledBoxes:
        """
        Return the boxes of a picture.

        :raises DataError: naming the file that cannot be used, or is of a picture of another size
        """
        file = annotation_file(name)
        if file not in self.files:
            return together(())
        said = self.files.said(file)
        root = _parsed(self.files.read(file), said)
        _check_size(root, size, said)
        return together([self._box(each, said) for each in root.findall('object')])

    def _box(self, found: ElementTree.Element, said: str) -> LabelledBox:
        name = _name_of(found, said)
        if name not in self._label:
            raise DataError(
                f'{said}: {name!r} is not among the names of classes: add or correct it'
            )
        edges = [(found.findtext(f'bndbox/{edge}') or '').strip() for edge in _EDGES]
        try:
            left, upper, right, lower = map(float, edges)
        except ValueError as error:
            raise _bad_box(edges, said) from error
        if not all(map(math.isfinite, (left, upper, right, lower))):
            raise _bad_box(edges, said)
        # The first pixel is 1, and the last one of a box belongs to it.
        difficult = (found.findtext('difficult') or '0').strip() not in ('0', '')
        return LabelledBox((left - 1, upper - 1, right, lower), self._label[name], difficult)


def annotation_file(picture: str) -> str:
    """Return the file with the boxes of a picture."""
    folder, _, last = picture.rpartition('/')
    parts = ['Annotations' if part == 'JPEGImages' else part for part in folder.split('/')]
    return posixpath.join('/'.join(parts), last.rpartition('.')[0] + '.xml')


def recognise(files: DataFiles) -> bool:
    """Return whether a data set is laid out so."""
    return any(annotation_file(name) in files for name in files.pictures())


def read(
    files: DataFiles,
    labels: Sequence[str] | None = None,
    split: str | None = None,
    below: str = '',
) -> VocSet:
    """
    Read a data set with boxes.

    Its classes are those of a file of names, where it has one, or all that occur, in the order of
    their names.

    :param labels: of a network, which the names of the data are mapped to
    :param split: train, val or test; None for what is not trained on
    :param below: read only the pictures of this folder
    :raises DataError: when it cannot be used
    """
    pictures = files.pictures()
    left_out = files.left_out.copy()
    of_pictures = {annotation_file(name) for name in pictures}
    annotations = [name for name in files.names if name.lower().endswith('.xml')]
    for name in annotations:
        if name not in of_pictures:
            left_out.add('annotations of a picture that is missing', name)
    described = names_file(files)
    if described is not None:
        said = files.said(described)
        own: Sequence[str] = names_of_lines(text_of(files.read(described), said), said)
    else:
        own = _occurring(files, [name for name in annotations if name in of_pictures])
    if below:
        chosen = [name for name in pictures if name.startswith(below)]
    else:
        chosen = in_part(files, pictures, 'Main', split)
    return VocSet(files, chosen, own, labels, left_out)


def in_part(
    files: DataFiles, pictures: Sequence[str], purpose: str, split: str | None
) -> list[str]:
    """
    Return the pictures of a part, by the lists in ImageSets, or by the folders' names.

    :param purpose: the folder of the lists
    :raises DataError: when there is no such part
    """
    lists: dict[str, set[tuple[str, str]]] = {}
    for name in files.names:
        folder, _, last = name.rpartition('/')
        part = split_named(last.rpartition('.')[0]) if last.endswith('.txt') else None
        if part is not None and f'/{folder}'.endswith(f'/ImageSets/{purpose}'):
            root = folder[: -len(f'ImageSets/{purpose}')]
            lines = text_of(files.read(name), files.said(name)).split('\n')
            stems = (line.split()[0] for line in lines if line.strip())
            lists.setdefault(part, set()).update((root, stem) for stem in stems)
    if not lists:
        part = chosen_split(map(split_of, pictures), split, str(files.path))
        return [name for name in pictures if part in (None, split_of(name))]
    wanted = lists[chosen_split(lists, split, str(files.path)) or '']
    return [name for name in pictures if _listed_as(name) in wanted]


def _listed_as(picture: str) -> tuple[str, str]:
    folder, _, last = picture.rpartition('/')
    return folder.rpartition('JPEGImages')[0], last.rpartition('.')[0]


def _occurring(files: DataFiles, annotations: Iterable[str]) -> list[str]:
    found = set()
    for name in annotations:
        said = files.said(name)
        for each in _parsed(files.read(name), said).findall('object'):
            found.add(_name_of(each, said))
    return sorted(found)


def _parsed(content: bytes, said: str) -> ElementTree.Element:
    # Entities can make a little file a huge one; annotations have no use for them.
    if b'<!DOCTYPE' in content or b'<!ENTITY' in content:
        raise DataError(f'{said} declares a document type: remove the declaration')
    try:
        return ElementTree.fromstring(content)
    except ElementTree.ParseError as error:
        raise DataError(f'{said} is no XML ({error}): replace or remove it') from error


def _name_of(found: ElementTree.Element, said: str) -> str:
    name = (found.findtext('name') or '').strip()
    if not name:
        raise DataError(f'{said}: an object has no name: the name of its class is needed')
    return name


def _check_size(root: ElementTree.Element, size: Size, said: str) -> None:
    try:
        height, width = (int(root.findtext(f'size/{side}') or 0) for side in ('height', 'width'))
    except ValueError:
        return
    # Some tools write 0.
    if height > 0 and width > 0 and (height, width) != size:
        raise DataError(
            f'{said} is for a picture of {Size(height, width)}, the picture is {size}: give the '
            'pictures that were annotated'
        )


def _bad_box(edges: Sequence[str], said: str) -> DataError:
    return DataError(
        f'{said}: an object has the box {edges!r}: {", ".join(_EDGES)} in pixels are needed'
    )
