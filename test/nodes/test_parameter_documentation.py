# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import re
import subprocess
import sys

import yaml

from dynamic_dnn_ros.nodes.camera.node import CameraNode
from dynamic_dnn_ros.nodes.common.lifecycle import COMMON_PARAMETERS
from dynamic_dnn_ros.nodes.inference.node import InferenceNode
from dynamic_dnn_ros.nodes.manager.node import ManagerNode
from dynamic_dnn_ros.nodes.platform.node import PlatformNode
from support.shared_data import REPOSITORY

TOOL = REPOSITORY / 'tools' / 'document_parameters.py'
SECTIONS = {
    '/**': COMMON_PARAMETERS,
    '/**/inference_node': InferenceNode.PARAMETERS,
    '/**/manager_node': ManagerNode.PARAMETERS,
    '/**/platform_node': PlatformNode.PARAMETERS,
    '/**/camera_node': CameraNode.PARAMETERS,
}


def test_documentation_is_what_the_tables_say() -> None:
    result = subprocess.run(
        [sys.executable, str(TOOL), '--check'], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr


def test_the_parameter_file_holds_every_parameter_at_its_default() -> None:
    """Read with every comment taken off, it sets what the tables have, in the same types."""
    text = (REPOSITORY / 'config' / 'robot.yaml').read_text()
    active = yaml.safe_load(text)
    document = yaml.safe_load(re.sub('^    # ', '    ', text, flags=re.MULTILINE))
    assert set(document) == set(SECTIONS)
    for section, table in SECTIONS.items():
        rows = {
            row.name: list(row.default) if isinstance(row.default, tuple) else row.default
            for row in table
        }
        found = document[section]['ros__parameters']
        assert found == rows
        assert [type(found[name]) for name in rows] == [type(value) for value in rows.values()]
        assert len(active[section]['ros__parameters']) == 1
