# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The policy allows what the nodes do, each of them no more than it has to."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest
from rclpy.node import Node
from rclpy.parameter import Parameter

from dynamic_dnn_ros.cli.main import main
from dynamic_dnn_ros.cli.security.policy import Graph as Described
from dynamic_dnn_ros.cli.security.policy import permissions_of, policy
from dynamic_dnn_ros.client import TargetClient
from dynamic_dnn_ros.nodes.camera.node import CameraNode
from dynamic_dnn_ros.nodes.inference.node import InferenceNode
from dynamic_dnn_ros.nodes.manager.node import ManagerNode
from dynamic_dnn_ros.nodes.platform.node import PlatformNode
from support.graph import Graph

FRONT, REAR = '/front/inference_node', '/rear/inference_node'
MANAGER, PLATFORM = '/dynamic_dnn/manager_node', '/dynamic_dnn/platform_node'
DESCRIBED = Described(
    {FRONT: (), REAR: ('left', 'right')},
    {FRONT: '/camera/image_raw'},
    cameras=('/driver',),
    askers=('/planner',),
    watchers=('/screen',),
    operators=('/person',),
)


def test_only_the_manager_asks_for_clocks_and_only_askers_for_targets() -> None:
    allowed = permissions_of(DESCRIBED)

    def publishers(topic: str) -> set[str]:
        return {node for node, row in allowed.items() if topic in row.publish}

    assert publishers('/dynamic_dnn/dvfs_setting') == {MANAGER}
    assert publishers(f'{REAR}/left/sub_network_switch') == {MANAGER}
    assert publishers('/dynamic_dnn/system_load') == {PLATFORM}
    assert publishers('/dynamic_dnn/performance_target') == {'/planner', '/person'}
    assert publishers('/camera/image_raw') == {'/driver'}
    calling = {
        name: {node for node, row in allowed.items() if name in row.request}
        for name in ('/dynamic_dnn/set_target', f'{PLATFORM}/set_parameters')
    }
    assert calling['/dynamic_dnn/set_target'] == {'/planner', '/person'}
    assert calling[f'{PLATFORM}/set_parameters'] == {'/person'}
    assert allowed['/screen'].publish == ('/parameter_events', '/rosout')
    assert '/rear/left/image/compressed' in allowed[REAR].subscribe


def test_the_policy_is_what_ros2_security_reads(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / 'policy.xml'
    given = ['--application', f'{FRONT}=/camera/image_raw', '--application', f'{REAR}:left,right']
    given += ['--camera', '/driver', '--ask', '/planner', '--watch', '/screen']
    given += ['--operate', '/person', '--output', str(file)]
    assert main(['security', 'policy', *given]) == 0
    assert file.read_text() == policy(DESCRIBED)
    root = ElementTree.parse(file).getroot()
    assert root.tag == 'policy' and root.get('version') == '0.2.0'
    manager = root.find(f"enclaves/enclave[@path='{MANAGER}']/profiles/profile")
    assert manager is not None
    assert (manager.get('ns'), manager.get('node')) == ('/dynamic_dnn', 'manager_node')
    heard = [topic.text for topic in manager.findall("topics[@subscribe='ALLOW']/topic")]
    assert '/dynamic_dnn/performance_target' in heard

    assert main(['security', 'policy', '--ask', 'planner']) == 1
    assert "--ask 'planner' is no full name" in capsys.readouterr().err


def test_the_policy_allows_what_running_nodes_do(graph: Graph) -> None:
    described = Described(
        {'/inference_node': ()}, {}, cameras=('/camera_node',), askers=('/planner',)
    )
    shared = {'context': graph.context}
    # It begins with the least accurate, which no manager leaves in place.
    overrides = [Parameter('engine', value='onnxruntime'), Parameter('sub_network', value='s0')]
    nodes = [
        graph.add_node(PlatformNode(namespace='/dynamic_dnn', **shared)),
        graph.add_node(ManagerNode(namespace='/dynamic_dnn', **shared)),
        graph.add_node(InferenceNode(parameter_overrides=overrides, **shared)),
        graph.add_node(CameraNode(**shared)),
    ]
    planner = graph.add_node(Node('planner', **shared))
    TargetClient(planner)
    try:
        for node in nodes:
            node.start()
        manager = nodes[1]
        graph.spin_until(lambda: manager._switch_publishers, 20.0, 'a switch of the manager')
        for full_name, allowed in permissions_of(described).items():
            namespace, name = full_name.rsplit('/', 1)
            where = name, namespace or '/'
            ask = graph.node
            assert ask.get_publisher_names_and_types_by_node(*where), f'{full_name} is not here'
            for found, permitted in (
                (ask.get_publisher_names_and_types_by_node(*where), allowed.publish),
                (ask.get_subscriber_names_and_types_by_node(*where), allowed.subscribe),
                (ask.get_service_names_and_types_by_node(*where), allowed.reply),
                (ask.get_client_names_and_types_by_node(*where), allowed.request),
            ):
                assert {topic for topic, _ in found} <= set(permitted), full_name
    finally:
        for node in nodes:
            node.stop()
