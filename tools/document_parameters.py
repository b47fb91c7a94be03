# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Write docs/parameters.md and config/robot.yaml from the parameter tables of the nodes.

With `--check` they are only compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
import sys
import textwrap

from dynamic_dnn_ros.nodes.camera.node import CameraNode
from dynamic_dnn_ros.nodes.common.lifecycle import COMMON_PARAMETERS, ManagedNode
from dynamic_dnn_ros.nodes.common.parameters import ParameterSpecification, markdown_table
from dynamic_dnn_ros.nodes.inference.node import InferenceNode
from dynamic_dnn_ros.nodes.manager.node import ManagerNode
from dynamic_dnn_ros.nodes.platform.node import PlatformNode

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / 'docs' / 'parameters.md'
FILE = ROOT / 'config' / 'robot.yaml'
NODES: dict[str, type[ManagedNode]] = {
    'inference_node': InferenceNode,
    'manager_node': ManagerNode,
    'platform_node': PlatformNode,
    'camera_node': CameraNode,
}


def page() -> str:
    """Return the content of the page."""
    parts = [
        '# Parameters\n',
        'Made from the tables in the nodes by `python tools/document_parameters.py`; a test keeps '
        'the two equal. `config/robot.yaml` holds the same, as a file to start from.\n\n'
        'What a parameter says is what holds. Live ones may be set at any time. The others take '
        'effect when the node is configured, those "at start" when its process starts; while the '
        'node is configured, to set one of them to something else is refused. Take the node back '
        'first: `ros2 lifecycle set NODE deactivate`, then `cleanup`; set it; then `configure` '
        'and `activate`. A value of the wrong type or out of range is never fatal: at start the '
        'node stays unconfigured and says on `/diagnostics` what to set; later, the change is '
        'refused. Names that no parameter has are ignored, and named in the log at start. A '
        'camera of an inference node may have those "by camera" for itself: `front.score_limit` '
        '([streams.md](streams.md#parameters-of-one-camera)).\n',
        '## Every node\n',
        markdown_table(COMMON_PARAMETERS),
    ]
    for name, node in NODES.items():
        parts += [f'## {name}\n', markdown_table(node.PARAMETERS)]
    return '\n'.join(parts)


def parameter_file() -> str:
    """Return the content of the parameter file."""
    parts = [
        '# Copyright 2026 dynamic_dnn_ros contributors\n'
        '# SPDX-License-Identifier: Apache-2.0\n'
        '#\n'
        '# Every parameter of every node with its default, to start from: copy this file, take\n'
        '# the "# " off a line, change its value, and name the file to a launch file:\n'
        '#\n'
        '#     ros2 launch dynamic_dnn_ros dynamic_dnn.launch.py params_file:=robot.yaml\n'
        '#\n'
        '# The first parameter of each section is active, so that the file loads as it is. One\n'
        '# node alone is named in full, as /front/inference_node in place of /**/inference_node.\n'
        '# Made by tools/document_parameters.py; docs/parameters.md has the same as a table.\n',
        section('/**', COMMON_PARAMETERS),
    ]
    parts += [section(f'/**/{name}', node.PARAMETERS) for name, node in NODES.items()]
    return '\n'.join(parts)


def section(name: str, table: Sequence[ParameterSpecification]) -> str:
    """Return the parameters of the nodes of a name, all but the first commented out."""
    lines = [f'{name}:', '  ros__parameters:']
    for index, row in enumerate(table):
        unit = f' [{row.unit}]' if row.unit and row.allowed == 'any' else ''
        allowed = f' Allowed: {row.allowed}.' if row.allowed != 'any' else ''
        live = ' Live.' if row.live else ' Read at start.' if row.at_start else ''
        part = f' Of one camera: front.{row.name}.' if row.by_part else ''
        text = f'{row.description}{unit}{allowed}{live}{part}'
        lines += [f'    ## {line}' for line in textwrap.wrap(text, 92)]
        lines.append(f'    {"# " if index else ""}{row.name}: {value_text(row.default)}')
    return '\n'.join(lines) + '\n'


def value_text(value: object) -> str:
    """Return a default as YAML of the same type: text in quotes, a double with a point."""
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return f'[{", ".join(value_text(entry) for entry in value)}]'
    return repr(value)


if __name__ == '__main__':
    for path, made in ((PAGE, page()), (FILE, parameter_file())):
        if '--check' not in sys.argv:
            path.write_text(made, encoding='utf-8')
        elif path.read_text(encoding='utf-8') != made:
            sys.exit(f'{path} is not what the tables say: run python tools/document_parameters.py')
