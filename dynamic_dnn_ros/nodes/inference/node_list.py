# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The list of inference nodes that one process runs, as a YAML file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
import re
from typing import Any

from dynamic_dnn_ros.nodes.common.lifecycle import COMMON_PARAMETERS
from dynamic_dnn_ros.nodes.common.written_parameters import (
    WrittenError,
    check_keys,
    checked_parameters,
    written_document,
    written_rows,
)
from dynamic_dnn_ros.nodes.inference.parameters import PARAMETERS

TABLE = (*COMMON_PARAMETERS, *PARAMETERS)

#: What all nodes of a process have in common, so that it stands once in the file.
COMMON = ('scheduler', 'executor')

KEYS = ('name', 'namespace', 'parameters', 'remappings')

_NAME = re.compile(r'[A-Za-z_][A-Za-z0-9_]*')
_NAMESPACE = re.compile(r'/?([A-Za-z_][A-Za-z0-9_]*(/[A-Za-z_][A-Za-z0-9_]*)*)?/?')


@dataclass(frozen=True)
class ListedNode:
    """
    One inference node of several in a process.

    `namespace` is empty for the root; `remappings` are from a name to another one.
    """

    name: str = 'inference_node'
    namespace: str = ''
    parameters: Mapping[str, Any] = field(default_factory=dict)
    remappings: Mapping[str, str] = field(default_factory=dict)

    @property
    def identifier(self) -> str:
        """Return the fully qualified name."""
        return '/'.join(['', *filter(None, [self.namespace, self.name])])


def read_nodes(path: Path) -> tuple[ListedNode, ...]:
    """
    Return the nodes that a file lists.

    :raises WrittenError: naming the file, the node, the key and the remedy
    """
    document = written_document(path, 'nodes', 'docs/streams.md has one.')
    check_keys(str(path), document, ('nodes', *COMMON))
    rows = written_rows(path, document, 'nodes')
    given = {name: document[name] for name in COMMON if name in document}
    common = checked_parameters(str(path), given, TABLE, 'inference_node')
    nodes = tuple(_node(path, number, row, common) for number, row in enumerate(rows, 1))
    identifiers = [node.identifier for node in nodes]
    for identifier in identifiers:
        if identifiers.count(identifier) > 1:
            raise WrittenError(
                f'{path}: {identifier!r} is listed twice. Give one of the two another name or '
                'namespace.'
            )
    return nodes


def _node(path: Path, number: int, row: Any, common: Mapping[str, Any]) -> ListedNode:
    where = f'{path}: node {number}'
    if not isinstance(row, dict):
        raise WrittenError(f'{where} is {row!r}. Give keys and values: "- name: front".')
    check_keys(where, row, KEYS)
    name, namespace = row.get('name', 'inference_node'), row.get('namespace', '')
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise WrittenError(
            f'{where}: name is {name!r}. Give letters, digits and underscores, as "front_node".'
        )
    if not isinstance(namespace, str) or not _NAMESPACE.fullmatch(namespace):
        raise WrittenError(f'{where}: namespace is {namespace!r}. Give names with "/" between.')
    parameters = checked_parameters(where, row.get('parameters'), TABLE, 'inference_node')
    for key in COMMON:
        if key in parameters:
            raise WrittenError(
                f'{where}: {key} is that of the whole process. Give it once, beside "nodes".'
            )
    remappings = row.get('remappings') or {}
    if not isinstance(remappings, dict) or not all(
        isinstance(text, str) and text for pair in remappings.items() for text in pair
    ):
        raise WrittenError(
            f'{where}: remappings are {remappings!r}. Give names: "image: /camera/image_raw".'
        )
    return ListedNode(name, namespace.strip('/'), {**common, **parameters}, remappings)
