# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The names of a network's classes: from a file, or from what an exporter left in the model."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Mapping, Sequence
import json
from pathlib import Path
from typing import Any

import yaml

from dynamic_dnn_ros.importing.errors import ImportingError
from dynamic_dnn_ros.yaml_files import parse_yaml

_REMEDY = (
    'Give a text file with one name a line, a JSON list, or a YAML file with `names:` as '
    'Ultralytics has it'
)

#: Where files keep the names.
_KEYS = ('names', 'labels', 'classes')


class _Doubled(ValueError):
    """A key stands twice."""


def read_labels(path: Path) -> tuple[str, ...]:
    """
    Read the names of classes, in the order of the network's outputs.

    A text file has one name a line. JSON and YAML have a list, a mapping of indices to names, or
    either under `names`, `labels` or `classes`; or the `categories` of COCO. Two labels may have
    one name, as ImageNet has two cranes.

    :raises ImportingError: when there are none, or an index or a key is missing or doubled
    """
    try:
        text = path.read_text(encoding='utf-8-sig')
    except (OSError, UnicodeError) as error:
        reason = getattr(error, 'strerror', None) or 'it is not UTF-8 text'
        raise ImportingError(path, f'cannot be read as labels ({reason})', _REMEDY) from error
    suffix = path.suffix.lower()
    if suffix in ('.yaml', '.yml', '.json'):
        names = _names_in(_loaded(path, text, suffix), path)
    else:
        lines = [line.strip() for line in text.splitlines()]
        while lines and not lines[-1]:
            lines.pop()
        names = lines
    return _checked(names, path)


def parse_labels(text: str, where: object) -> tuple[str, ...]:
    """
    Read names between commas.

    :raises ImportingError: when one of them is empty
    """
    return _checked(text.split(','), where)


def metadata_labels(metadata: Mapping[str, str], where: object) -> tuple[str, ...] | None:
    """
    Return the names of classes that an exporter wrote into a model, None where it wrote none.

    Ultralytics writes `names`, a Python dictionary of indices and names, as text.

    :raises ImportingError: when they are written but cannot be read
    """
    text = metadata.get('names')
    if not text:
        return None
    try:
        names = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError) as error:
        raise ImportingError(
            where, 'its metadata `names` cannot be read', 'Give the names with --labels'
        ) from error
    return _checked(_names_in(names, where), where)


def _loaded(path: Path, text: str, suffix: str) -> Any:
    try:
        if suffix == '.json':
            return json.loads(text, object_pairs_hook=_unique_object)
        return parse_yaml(text, text_only=True)
    except _Doubled as error:
        raise ImportingError(path, str(error), 'Keep one of the two') from error
    except (ValueError, yaml.YAMLError, RecursionError) as error:
        reason = ' '.join(str(error).split())
        raise ImportingError(path, f'cannot be read ({reason})', _REMEDY) from error


def _unique_object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    for key, count in Counter(key for key, _ in pairs).items():
        if count > 1:
            raise _Doubled(f'has the key {key!r} {count} times')
    return dict(pairs)


def _names_in(content: Any, where: object) -> list[Any]:
    """Return the names in plain data: a list, a mapping by index, or either under a key."""
    if isinstance(content, Mapping):
        for key in _KEYS:
            if isinstance(content.get(key), (Mapping, list, tuple)):
                return _names_in(content[key], where)
        categories = content.get('categories')
        if isinstance(categories, list) and all(
            isinstance(each, Mapping) and 'name' in each for each in categories
        ):
            return [each['name'] for each in categories]
        return _by_index(content, where)
    if isinstance(content, (list, tuple)):
        return list(content)
    raise ImportingError(where, 'holds no list of labels', _REMEDY)


def _by_index(content: Mapping[Any, Any], where: object) -> list[Any]:
    try:
        indices = {int(key): value for key, value in content.items()}
    except (TypeError, ValueError) as error:
        raise ImportingError(
            where, f'has no {", ".join(_KEYS)}, and its keys are no indices', _REMEDY
        ) from error
    if sorted(indices) != list(range(len(content))):
        missing = next(index for index in range(len(content) + 1) if index not in indices)
        raise ImportingError(
            where,
            f'numbers its labels with gaps: there is no {missing}',
            'Number them from 0, without gaps, in the order of the outputs',
        )
    return [indices[index] for index in range(len(indices))]


def _checked(names: Sequence[Any], where: object) -> tuple[str, ...]:
    if not names:
        raise ImportingError(where, 'holds no labels', _REMEDY)
    texts = []
    for index, name in enumerate(names):
        if not isinstance(name, str):
            raise ImportingError(where, f'its label {index} is no text ({name!r})', _REMEDY)
        text = name.strip()
        if not text:
            raise ImportingError(where, f'its label {index} is empty', 'Give each class a name')
        texts.append(text)
    return tuple(texts)
