# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Messages for `/diagnostics`, as diagnostic_aggregator and rqt read them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue


class Level(Enum):
    """How serious a diagnostic is."""

    OK = DiagnosticStatus.OK
    WARNING = DiagnosticStatus.WARN
    ERROR = DiagnosticStatus.ERROR


@dataclass(frozen=True)
class Diagnostic:
    """
    What one part of a node says of itself.

    `stream` names the one of several streams that it is about, `hardware` its camera; empty: it is
    about the node.
    """

    part: str
    level: Level
    message: str
    values: Mapping[str, object] = field(default_factory=dict)
    stream: str = ''
    hardware: str = ''


def diagnostic_array(
    stamp: Time, node_name: str, hardware_id: str, diagnostics: Sequence[Diagnostic]
) -> DiagnosticArray:
    """
    Build the message for one node.

    :param node_name: fully qualified; leads the name of each status
    :param hardware_id: the platform or camera, empty where none is known
    """
    array = DiagnosticArray()
    array.header.stamp = stamp
    for diagnostic in diagnostics:
        status = DiagnosticStatus()
        status.level = diagnostic.level.value
        owner = f'{node_name}/{diagnostic.stream}' if diagnostic.stream else node_name
        status.name = f'{owner.lstrip("/")}: {diagnostic.part}'
        status.message = diagnostic.message
        status.hardware_id = diagnostic.hardware or hardware_id
        status.values = [
            KeyValue(key=key, value=str(value)) for key, value in diagnostic.values.items()
        ]
        array.status.append(status)
    return array
