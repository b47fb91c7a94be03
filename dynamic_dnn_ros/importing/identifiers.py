# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Short ids of sub-networks from the names of files and the sizes of inputs."""

from __future__ import annotations

from collections.abc import Sequence
import re

from dynamic_dnn_ros.importing.errors import ImportingError
from dynamic_dnn_ros.pictures.placement import Size

#: What a manifest takes.
LONGEST = 16


def size_text(size: Size) -> str:
    """Return a size as a part of an id: 320, or 640x384 (width x height)."""
    return str(size.width) if size.width == size.height else f'{size.width}x{size.height}'


def identifiers(stems: Sequence[str], sizes: Sequence[Size | None]) -> tuple[str, ...]:
    """
    Return an id for each sub-network, 1 to 16 of a-z, 0-9 and _, none twice.

    :param stems: the names of their files, without suffix
    :param sizes: of the input, None where the name alone tells them apart
    :raises ImportingError: when two cannot be told apart
    """
    endings = ['' if size is None else f'_{size_text(size)}' for size in sizes]
    wordlists = [_words(stem) for stem in stems]
    # Leading words tell sizes of one model apart, and not one model from another.
    ways = (_whole, _leading_words, _cut_words) if len(set(stems)) == 1 else (_whole, _cut_words)
    room = LONGEST - max(map(len, endings))
    for shortened in ways:
        found = [shortened(words, room) for words in wordlists]
        names = [None if text is None else text + end for text, end in zip(found, endings)]
        if None not in names and len(set(names)) == len(names):
            return tuple(name for name in names if name is not None)
    raise ImportingError(
        ', '.join(dict.fromkeys(stems)),
        f'these names cannot be made into different ids of {LONGEST} letters',
        'Give the files shorter names that differ, yolo_n.onnx and yolo_s.onnx for example',
    )


def _words(stem: str) -> list[str]:
    return re.findall('[a-z0-9]+', stem.lower()) or ['model']


def _whole(words: Sequence[str], room: int) -> str | None:
    text = '_'.join(words)
    return text if len(text) <= room else None


def _leading_words(words: Sequence[str], room: int) -> str | None:
    for count in range(len(words), 0, -1):
        text = '_'.join(words[:count])
        if len(text) <= room:
            return text
    return words[0][:room]


def _cut_words(words: Sequence[str], room: int) -> str | None:
    """Cut the longest word, again and again, until all fit."""
    words = list(words)
    while len('_'.join(words)) > room:
        longest = max(range(len(words)), key=lambda index: len(words[index]))
        if len(words[longest]) == 1:
            return None
        words[longest] = words[longest][:-1]
    return '_'.join(words)
