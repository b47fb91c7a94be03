# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Write docs/parameters.md from the parameter tables of the nodes (`--check`: only compare)."""

from __future__ import annotations

from pathlib import Path
import sys

from dynamic_dnn_ros.nodes.camera.node import CameraNode
from dynamic_dnn_ros.nodes.common.lifecycle import COMMON_PARAMETERS, ManagedNode
from dynamic_dnn_ros.nodes.common.parameters import markdown_table
from dynamic_dnn_ros.nodes.inference.node import InferenceNode
from dynamic_dnn_ros.nodes.manager.node import ManagerNode
from dynamic_dnn_ros.nodes.platform.node import PlatformNode

PAGE = Path(__file__).resolve().parent.parent / 'docs' / 'parameters.md'
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
        'the two equal.\n\n'
        'Parameters that are not live take effect when the node is configured next. A value of '
        'the wrong type or out of range is never fatal: at start the node stays unconfigured and '
        'says on `/diagnostics` what to set; later, the change is refused.\n',
        '## Every node\n',
        markdown_table(COMMON_PARAMETERS),
    ]
    for name, node in NODES.items():
        parts += [f'## {name}\n', markdown_table(node.PARAMETERS)]
    return '\n'.join(parts)


if __name__ == '__main__':
    if '--check' not in sys.argv:
        PAGE.write_text(page(), encoding='utf-8')
    elif PAGE.read_text(encoding='utf-8') != page():
        sys.exit(f'{PAGE} is not what the tables say: run python tools/document_parameters.py')
