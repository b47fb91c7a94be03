# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The list of nodes that one process runs, and what is said of one that cannot be used."""

from __future__ import annotations

from pathlib import Path

import pytest

from dynamic_dnn_ros.nodes.common.written_parameters import WrittenError
from dynamic_dnn_ros.nodes.inference.node_list import ListedNode, read_nodes

LIST = """
scheduler: round_robin
nodes:
  - name: detector
    namespace: /vehicle/front/
    parameters: {bundle: fruit_detector, cameras: [left, right], memory_budget: 0}
    remappings: {left/image: /left_camera/image_raw}
  - {}
"""


def read(folder: Path, text: str) -> tuple[ListedNode, ...]:
    path = folder / 'nodes.yaml'
    path.write_text(text)
    return read_nodes(path)


def test_the_nodes_have_what_the_file_says(tmp_path: Path) -> None:
    detector, other = read(tmp_path, LIST)
    assert (detector.identifier, other.identifier) == (
        '/vehicle/front/detector',
        '/inference_node',
    )
    assert detector.parameters == {
        'scheduler': 'round_robin',
        'bundle': 'fruit_detector',
        'cameras': ('left', 'right'),
        'memory_budget': 0,
    }
    assert detector.remappings == {'left/image': '/left_camera/image_raw'}
    assert other == ListedNode(parameters={'scheduler': 'round_robin'})


@pytest.mark.parametrize(
    ('text', 'said'),
    [
        ('- name: a', 'there is no list "nodes" at the top'),
        ('nodes: []', '"nodes" holds no list of nodes. Add one'),
        ('schedular: prema\nnodes: [{}]', "unknown key 'schedular' (did you mean 'scheduler'?)"),
        ('scheduler: best\nnodes: [{}]', "parameter 'scheduler' is 'best', not one of: "),
        ('nodes: [front]', 'node 1 is \'front\'. Give keys and values: "- name: front".'),
        ('nodes: [{nam: a}]', "node 1 has an unknown key 'nam' (did you mean 'name'?)"),
        ('nodes: [{name: "a/b"}]', "node 1: name is 'a/b'. Give letters"),
        ('nodes: [{namespace: 3}]', 'node 1: namespace is 3. Give names with "/" between.'),
        ('nodes: [{parameters: {thread: 2}}]', "no parameter 'thread' (did you mean 'threads'?)"),
        ('nodes: [{parameters: {threads: two}}]', "parameter 'threads' is 'two', not an integer"),
        ('nodes: [{parameters: {cameras: [a, a]}}]', "'a' is there twice. Give each camera"),
        ('nodes: [{parameters: {executor: events}}]', 'Give it once, beside "nodes".'),
        ('nodes: [{remappings: [image]}]', "remappings are ['image']. Give names"),
        ('nodes: [{}, {}]', "'/inference_node' is listed twice. Give one of the two"),
    ],
)
def test_what_cannot_be_used_is_said_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(WrittenError) as caught:
        read(tmp_path, text)
    assert said in str(caught.value) and str(tmp_path) in str(caught.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(WrittenError, match='cannot be read'):
        read_nodes(tmp_path / 'none.yaml')
