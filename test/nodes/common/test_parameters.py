# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from rclpy.node import Node
from rclpy.parameter import Parameter

from dynamic_dnn_ros.nodes.common.parameters import (
    Parameters,
    ParameterSpecification,
    PartParameters,
    markdown_table,
    typed_value,
)
from support.graph import Graph

TABLE = (
    ParameterSpecification('rate', 10.0, 'How often.', 'Hz', minimum=0.1, maximum=100.0),
    ParameterSpecification('count', 3, 'How many.', minimum=1, live=True),
    ParameterSpecification('mode', 'fast', 'How.', choices=('fast', 'slow')),
    ParameterSpecification('enabled', True, 'Whether.'),
    ParameterSpecification('executor', 'one', 'Who.', at_start=True),
    ParameterSpecification(
        'bounds',
        (0.0, 0.0),
        'From, to.',
        check=lambda value: 'odd. Give two.' if len(value) % 2 else None,
    ),
    ParameterSpecification(
        'name', 'a', 'What.', check=lambda value: None if value else 'empty. Give a name.'
    ),
    ParameterSpecification('names', (), 'Which.', live=True),
)


@pytest.fixture
def nodes(graph: Graph) -> Iterator[list[Node]]:
    nodes: list[Node] = []
    yield nodes
    for node in nodes:
        node.destroy_node()


def declare(graph: Graph, nodes: list[Node], **overrides: object) -> tuple[Node, Parameters]:
    node = Node(
        'parametrised',
        context=graph.context,
        parameter_overrides=[Parameter(name, value=value) for name, value in overrides.items()],
    )
    nodes.append(node)
    return node, Parameters(node, TABLE)


def test_defaults_and_overrides(graph: Graph, nodes: list[Node]) -> None:
    _, parameters = declare(graph, nodes, mode='slow', count=7)
    assert (parameters['rate'], parameters['mode'], parameters['count']) == (10.0, 'slow', 7)
    assert not parameters.problems


def test_a_part_has_those_that_are_set_for_it(graph: Graph, nodes: list[Node]) -> None:
    table = [replace(row, by_part=row.name in ('rate', 'count', 'mode')) for row in TABLE]
    given = {'names': ['front', 'rear'], 'front.rate': 20, 'rear.count': 0, 'left.count': 9}
    node = Node(
        'parametrised',
        context=graph.context,
        parameter_overrides=[Parameter(name, value=value) for name, value in given.items()],
    )
    nodes.append(node)
    parameters = Parameters(node, table, in_use=lambda: True, parts='names')
    front, rear, left = (PartParameters(parameters, name) for name in ('front', 'rear', 'left'))
    assert (front['rate'], rear['rate'], rear['mode'], left['count']) == (20.0, 10.0, 'fast', 3)
    assert parameters.unknown.keys() == {'left.count'}
    (problem,) = parameters.problems
    assert problem.startswith("parameter 'rear.count' is 0, outside at least 1")

    def put(name: str, value: object) -> str:
        (result,) = node.set_parameters([Parameter(name, value=value)])
        return str(result.reason)

    assert put('rear.count', 5) == '' and not parameters.problems
    assert put('count', 7) == '' and (front['count'], rear['count']) == (7, 5)
    assert 'takes effect at the next configure' in put('front.mode', 'slow')
    assert 'not one of: fast, slow' in put('front.mode', 'odd')
    # What was given at start for one that comes later counts from then on.
    assert put('names', ['rear', 'left']) == ''
    parameters.follow_parts()
    assert (left['count'], front['rate'], rear['count']) == (9, 10.0, 5)
    assert not node.has_parameter('front.rate') and parameters.own('front', 'rate') is None


def test_integer_of_a_yaml_file_serves_as_double(graph: Graph, nodes: list[Node]) -> None:
    _, parameters = declare(graph, nodes, rate=30)
    assert parameters['rate'] == 30.0 and isinstance(parameters['rate'], float)


@pytest.mark.parametrize('value', [[0, 4095], [0.0, 4095.0]])
def test_a_list_of_numbers(graph: Graph, nodes: list[Node], value: list[float]) -> None:
    node, parameters = declare(graph, nodes)
    assert parameters['bounds'] == (0.0, 0.0)
    assert node.set_parameters([Parameter('bounds', value=[1.0, 2.0])])[0].successful
    assert not node.set_parameters([Parameter('bounds', value=[1.0])])[0].successful
    parameters.take_over()
    assert parameters['bounds'] == (1.0, 2.0)
    _, parameters = declare(graph, nodes, bounds=value)
    assert parameters['bounds'] == (0.0, 4095.0)


def test_a_list_of_strings_may_be_empty(graph: Graph, nodes: list[Node]) -> None:
    node, parameters = declare(graph, nodes)
    assert parameters['names'] == () and 'list of strings' in markdown_table(TABLE)
    for value in (['front', 'rear'], [], ['front'], ()):
        (result,) = node.set_parameters([Parameter('names', value=value)])
        assert result.successful and parameters['names'] == tuple(value)
        assert node.get_parameter('names').type_ is Parameter.Type.STRING_ARRAY
    (result,) = node.set_parameters([Parameter('names', value=[1, 2])])
    assert not result.successful
    assert result.reason.startswith("parameter 'names' is (1, 2), not a list of strings. Set it")
    assert parameters['names'] == ()
    assert declare(graph, nodes, names=['left'])[1]['names'] == ('left',)


@pytest.mark.parametrize(
    ('value', 'text'), [(0, '0'), (2024, '2024'), (1.5, '1.5'), (True, 'true'), (False, 'false')]
)
def test_what_looks_like_a_number_is_text_where_text_is_declared(
    graph: Graph, nodes: list[Node], value: object, text: str
) -> None:
    node, parameters = declare(graph, nodes, name=value)
    assert (parameters['name'], parameters.problems) == (text, ())
    assert node.set_parameters([Parameter('name', value='b'), Parameter('count', value=4)])
    assert node.set_parameters([Parameter('name', value=value)])[0].successful
    parameters.take_over()
    assert parameters['name'] == text
    result = node.set_parameters([Parameter('mode', value=value)])[0]
    assert not result.successful
    assert f"'mode' is '{text}', not one of: fast, slow" in result.reason


def test_text_is_what_was_typed(
    graph: Graph, nodes: list[Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ['node', '--ros-args', '-p', 'name:=a', '-p', 'other:name:=b', '--param']
    monkeypatch.setattr('sys.argv', [*arguments, 'parametrised:name:=1.10', '-p', 'mode:=fast'])
    _, parameters = declare(graph, nodes, name=1.1)
    assert parameters['name'] == '1.10'
    assert typed_value([*arguments, 'on'], 'parametrised', 'name') == 'a'
    assert typed_value(arguments, 'parametrised', 'absent') is None


def test_lists_are_no_text(graph: Graph, nodes: list[Node]) -> None:
    _, parameters = declare(graph, nodes, name=[1, 2])
    assert parameters['name'] == 'a'
    assert 'not a string' in parameters.problems[0]


@pytest.mark.parametrize(
    ('name', 'value', 'named'),
    [
        ('rate', 'often', "'rate' is 'often', not a double"),
        ('rate', 0.0, r'outside 0\.1 to 100 Hz'),
        ('rate', float('nan'), 'not a finite number'),
        ('count', 0, 'outside at least 1'),
        ('count', 2.5, 'not an integer'),
        ('mode', 'medium', 'not one of: fast, slow'),
        ('enabled', 'yes', 'not a boolean'),
        ('name', '', 'Give a name'),
        ('bounds', 'wide', 'not a list of doubles'),
        ('bounds', [1.0], 'odd. Give two'),
        ('bounds', [0.0, float('inf')], 'not a finite number'),
    ],
)
def test_bad_value_at_start_is_a_problem_until_it_is_mended(
    graph: Graph, nodes: list[Node], name: str, value: object, named: str
) -> None:
    node, parameters = declare(graph, nodes, **{name: value})
    default = next(row.default for row in TABLE if row.name == name)
    assert parameters[name] == default
    assert len(parameters.problems) == 1
    with pytest.raises(AssertionError, match=named):
        raise AssertionError(parameters.problems[0])
    assert node.set_parameters([Parameter(name, value=default)])[0].successful
    assert not parameters.problems


def test_bad_value_later_is_refused_and_the_old_one_stays(graph: Graph, nodes: list[Node]) -> None:
    node, parameters = declare(graph, nodes)
    for name, value in (('rate', 1000.0), ('mode', 'medium'), ('name', '')):
        result = node.set_parameters([Parameter(name, value=value)])[0]
        assert not result.successful and result.reason
    assert (parameters['rate'], parameters['mode'], parameters['name']) == (10.0, 'fast', 'a')


def test_only_live_values_count_at_once(graph: Graph, nodes: list[Node]) -> None:
    node, parameters = declare(graph, nodes)
    node.set_parameters([Parameter('rate', value=20.0), Parameter('count', value=7)])
    assert (parameters['rate'], parameters['count']) == (10.0, 7)
    parameters.take_over()
    assert parameters['rate'] == 20.0


def test_descriptor_tells_what_the_table_tells(graph: Graph, nodes: list[Node]) -> None:
    node, _ = declare(graph, nodes)
    rate = node.describe_parameter('rate')
    assert 'How often. [Hz]' in rate.description
    assert rate.floating_point_range[0].from_value == pytest.approx(0.1)
    assert rate.floating_point_range[0].to_value == pytest.approx(100.0)
    assert node.describe_parameter('count').integer_range[0].from_value == 1
    assert 'fast, slow' in node.describe_parameter('mode').additional_constraints


def test_documentation_has_a_line_for_each_parameter() -> None:
    lines = markdown_table(TABLE).splitlines()
    assert len(lines) == 2 + len(TABLE)
    assert lines[2] == '| `rate` | double | `10.0` | 0.1 to 100 Hz | no | How often. |'


def test_only_live_parameters_change_while_the_node_is_configured(
    graph: Graph, nodes: list[Node]
) -> None:
    in_use = True
    changes: list[None] = []
    node = Node('configured', context=graph.context)
    nodes.append(node)
    parameters = Parameters(
        node, TABLE, lambda: in_use, lambda given: None, lambda: changes.append(None)
    )
    refused = node.set_parameters([Parameter('rate', value=20.0)])[0]
    assert not refused.successful
    assert "'rate' takes effect at the next configure" in refused.reason
    assert 'ros2 lifecycle set /configured deactivate' in refused.reason
    assert node.get_parameter('rate').value == parameters['rate'] == 10.0
    assert not changes
    # What stays as it is, is no change.
    assert node.set_parameters([Parameter('rate', value=10.0)])[0].successful
    assert node.set_parameters([Parameter('count', value=4)])[0].successful
    assert parameters['count'] == 4 and changes
    in_use = False
    assert node.set_parameters([Parameter('rate', value=20.0)])[0].successful
    parameters.take_over()
    assert parameters['rate'] == 20.0


def test_what_is_read_at_start_cannot_be_changed_later(graph: Graph, nodes: list[Node]) -> None:
    node, parameters = declare(graph, nodes, executor='two')
    assert parameters['executor'] == 'two'
    refused = node.set_parameters([Parameter('executor', value='one')])[0]
    assert not refused.successful and 'start the node again' in refused.reason
    assert node.get_parameter('executor').value == 'two'


def test_values_that_contradict_what_holds_are_refused(graph: Graph, nodes: list[Node]) -> None:
    node = Node('parametrised', context=graph.context)
    nodes.append(node)
    Parameters(node, TABLE, contradiction=lambda given: 'no b here' if 'name' in given else None)
    refused = node.set_parameters([Parameter('name', value='b')])[0]
    assert (refused.successful, refused.reason) == (False, 'no b here')
    assert node.set_parameters([Parameter('count', value=4)])[0].successful


def test_names_that_are_no_parameters_are_told_with_the_nearest(
    graph: Graph, nodes: list[Node]
) -> None:
    _, parameters = declare(
        graph,
        nodes,
        mdoe='slow',
        robot_description='x',
        count=2,
        **{'use_sim_time': False, 'qos_overrides./image.subscription.depth': 3},
    )
    assert parameters.unknown == {'mdoe': " (did you mean 'mode'?)", 'robot_description': ''}
