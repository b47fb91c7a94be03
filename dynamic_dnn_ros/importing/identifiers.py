# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Short ids of sub-networks from the names of files and the sizes of inputs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
import re

from dynamic_dnn_ros.bundles.manifest import LONGEST_ID
from dynamic_dnn_ros.importing.errors import ImportingError
from dynamic_dnn_ros.pictures.placement import Size

Words = tuple[str, ...]

#: What a file is called whose name has no word that fits.
_MODEL = 'model'


def size_text(size: Size) -> str:
    """Return a size as a part of an id: 320, or 640x384 (width x height)."""
    return str(size.width) if size.width == size.height else f'{size.width}x{size.height}'


def identifiers(stems: Sequence[str], sizes: Sequence[Size | None]) -> tuple[str, ...]:
    """
    Return an id for each sub-network, of a-z, 0-9 and _, none twice.

    Names that are too long lose whole words: first of those that all of them have, from the end;
    no word is cut. Where a word alone is too long, files are numbered.

    :param stems: the names of their files, without suffix
    :param sizes: of the input, None where the name alone tells them apart
    :raises ImportingError: when two cannot be told apart
    """
    endings = ['' if size is None else f'_{size_text(size)}' for size in sizes]
    names = [_words(stem) for stem in stems]
    room = LONGEST_ID - max(map(len, endings))
    for shortened in _ways(tuple(dict.fromkeys(names))):
        found = [shortened(words) for words in names]
        whole = [text + end for text, end in zip(found, endings)]
        if all(0 < len(text) <= room for text in found) and len(set(whole)) == len(whole):
            return tuple(whole)
    raise ImportingError(
        ', '.join(dict.fromkeys(stems)),
        'these names have the same words, and cannot be made into different ids',
        'Give the files names that differ, yolo_n.onnx and yolo_s.onnx for example',
    )


def _words(stem: str) -> Words:
    return tuple(re.findall('[a-z0-9]+', stem.lower())) or (_MODEL,)


def _ways(names: Sequence[Words]) -> Iterator[Callable[[Words], str]]:
    """Yield ways to shorten names, the one that keeps the most first."""
    yield '_'.join
    if len(names) == 1:
        for count in range(len(names[0]) - 1, 0, -1):
            yield lambda words, count=count: '_'.join(words[:count])  # type: ignore[misc]
        yield lambda words: _MODEL
        return
    shortest = min(map(len, names))
    before = _common(names, shortest)
    after = _common([words[::-1] for words in names], shortest - before)
    for kept in range(before, -1, -1):
        yield (
            lambda words, kept=kept: '_'.join(  # type: ignore[misc]
                (*words[:kept], *words[before : len(words) - after])
            )
        )
    yield lambda words: f'{_MODEL}_{names.index(words) + 1}'


def _common(names: Sequence[Words], most: int) -> int:
    """Return how many words names have in common at their beginning, up to a number."""
    same = (len(set(column)) == 1 for column in zip(*names))
    return next((index for index, alike in enumerate(same) if not alike or index == most), most)
