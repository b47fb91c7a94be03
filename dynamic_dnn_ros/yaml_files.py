# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Read YAML strictly: a key that is given twice is an error, and never wins silently."""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml


class DoubledKeyError(yaml.YAMLError):
    """A mapping has a key twice. The text names the key, both lines and the remedy."""


class _Strict:
    """Checks the keys of a whole document before anything is made of it."""

    def construct_document(self, node: Any) -> Any:
        waiting, seen = [node], set()
        while waiting:
            each = waiting.pop()
            if id(each) in seen:
                continue
            seen.add(id(each))
            if isinstance(each, yaml.MappingNode):
                self._check_keys(each)
                waiting += [part for pair in each.value for part in pair]
            elif isinstance(each, yaml.SequenceNode):
                waiting += each.value
        return super().construct_document(node)  # type: ignore[misc]

    def _check_keys(self, node: yaml.MappingNode) -> None:
        lines: dict[Hashable, int] = {}
        for key_node, _ in node.value:
            # '<<' merges another mapping; it is no key, and what it brings may be given anew.
            if not isinstance(key_node, yaml.ScalarNode) or key_node.tag.endswith(':merge'):
                continue
            key = self.construct_object(key_node)  # type: ignore[attr-defined]
            line = key_node.start_mark.line + 1
            if key in lines:
                raise DoubledKeyError(
                    f'{key_node.value!r} is given twice, in line {lines[key]} and in line {line}: '
                    'remove one of them'
                )
            lines[key] = line


class _StrictLoader(_Strict, getattr(yaml, 'CSafeLoader', yaml.SafeLoader)):  # type: ignore[misc]
    pass


class _TextLoader(_Strict, getattr(yaml, 'CBaseLoader', yaml.BaseLoader)):  # type: ignore[misc]
    pass


def parse_yaml(text: str, text_only: bool = False) -> Any:
    """
    Return what a YAML document says.

    :param text_only: leave every scalar as the text that it is; 'on' is no truth value, then
    :raises yaml.YAMLError: where it is none, or has a key twice
    """
    return yaml.load(text, _TextLoader if text_only else _StrictLoader)


def read_yaml(path: Path, text_only: bool = False) -> Any:
    """
    Return what a YAML file says; it may begin with a byte order mark.

    :raises OSError: when it cannot be read
    :raises UnicodeDecodeError: when it is no UTF-8
    :raises yaml.YAMLError: where it is no YAML, or has a key twice
    """
    return parse_yaml(path.read_text(encoding='utf-8-sig'), text_only)
