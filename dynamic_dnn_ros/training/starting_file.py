# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A training file with a comment for each of its fields, as text."""

from __future__ import annotations

from collections.abc import Sequence
import os
import textwrap

import yaml

from dynamic_dnn_ros.training.configuration import (
    TrainingConfiguration,
    TrainingConfigurationError,
)
from dynamic_dnn_ros.training.proposal import Field
from dynamic_dnn_ros.yaml_files import parse_yaml

_WIDTH = 100


def starting_text(fields: Sequence[Field], title: str) -> str:
    """
    Return the YAML text of a training file; `train` and `search` take it as it is.

    :param title: its first line, a comment.
    :raises TrainingConfigurationError: if the path of the data cannot be written into it.
    """
    blocks = [_comment(title), *(_comment(each.reason) + _value(each) for each in fields)]
    text = '\n'.join(blocks)
    _check(text, {each.name: each.value for each in fields})
    return text


def _comment(words: str) -> str:
    """Return lines of a comment; what YAML cannot hold in one is left out."""
    words = words[:1].upper() + words[1:]
    printable = ''.join(each if each.isprintable() else '?' for each in words)
    lines = textwrap.wrap(printable, _WIDTH - 2, break_on_hyphens=False)
    return ''.join(f'# {line}\n' for line in lines)


def _value(field: Field) -> str:
    text = yaml.safe_dump(
        {field.name: field.value},
        # Lists of lists and mappings over several lines, those in them in one; scalars plain.
        default_flow_style=None if isinstance(field.value, (list, dict)) else False,
        sort_keys=False,
        width=_WIDTH,
        allow_unicode=True,
    )
    return str(text)


def _check(text: str, values: dict[str, object]) -> None:
    for name in ('training_data', 'test_data'):
        path = str(values.get(name, ''))
        if not path.isprintable() or os.path.expanduser(os.path.expandvars(path)) != path:
            raise TrainingConfigurationError(
                f'{name} is {path!r}: a training file would read it as something else. Give the '
                'data a path without "~", "$" and control characters'
            )
    TrainingConfiguration.from_mapping(parse_yaml(text))
