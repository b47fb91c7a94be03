# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The processes of a system, as plain values that need no `launch`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
import math
from typing import Any

from dynamic_dnn_ros.launching.cameras import Serving

INFERENCE, MANAGER, PLATFORM = 'inference_node', 'manager_node', 'platform_node'

OF_INFERENCE = ('manager_namespace', 'bundle', 'engine', 'image_transport', 'sub_network')
OF_MANAGER = ('manager_namespace', 'mode')
OF_PLATFORM = ('manager_namespace', 'platform')
"""Arguments that are parameters of a node; one that is empty is left to the node."""


class ArgumentError(RuntimeError):
    """An argument of a launch file cannot be used. The text says what to give."""


@dataclass(frozen=True)
class NodeDescription:
    """One node: its executable, which is its name too, and how it is started."""

    executable: str
    namespace: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    remappings: Mapping[str, str] = field(default_factory=dict)


def is_true(name: str, text: str) -> bool:
    """
    Return what an argument that is true or false says.

    :raises ArgumentError: when it is neither
    """
    words = {'true': True, '1': True, 'false': False, '0': False}
    try:
        return words[text.strip().lower()]
    except KeyError:
        raise ArgumentError(f'argument {name} is {text!r}. Give true or false.') from None


def number(name: str, text: str, zero: bool = False) -> float:
    """
    Return what an argument that is a positive number says.

    :param zero: whether 0 will do too
    :raises ArgumentError: when it is none
    """
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (0 < value < math.inf or (zero and value == 0)):
        least = 'of at least 0' if zero else 'above 0'
        raise ArgumentError(f'argument {name} is {text!r}. Give a number {least}.')
    return value


def describe_nodes(
    values: Mapping[str, str], serving: Sequence[Serving]
) -> tuple[NodeDescription, ...]:
    """
    Return the nodes of a system: those that serve, and at most one manager and one platform.

    :param values: arguments by name; what a serving node says itself goes over them
    """
    namespace = values['manager_namespace']
    nodes = [
        NodeDescription(
            INFERENCE,
            node.namespace,
            {**_given(values, OF_INFERENCE), **node.parameters},
            node.remappings,
        )
        for node in serving
    ]
    if is_true('manager', values['manager']):
        nodes.append(NodeDescription(MANAGER, namespace, _given(values, OF_MANAGER)))
    if is_true('platform_node', values['platform_node']):
        nodes.append(NodeDescription(PLATFORM, namespace, _given(values, OF_PLATFORM)))
    return tuple(nodes)


def _given(values: Mapping[str, str], names: Sequence[str]) -> dict[str, str]:
    return {name: values[name] for name in names if values.get(name)}
