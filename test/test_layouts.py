# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Layouts for Foxglove and PlotJuggler: each topic and field that they name exists."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
import json
from pathlib import Path
import re
from typing import Any
from xml.etree import ElementTree

import pytest

pytest.importorskip('rclpy', reason='ROS 2 is absent')

from rosidl_parser.definition import AbstractNestedType, NamespacedType

from dynamic_dnn_ros.msg import InferenceStatus, ManagerStatus, SystemLoad

CONFIG = Path(__file__).parents[1] / 'config'

TOPICS = {
    '/dynamic_dnn/inference_status': InferenceStatus,
    '/dynamic_dnn/manager_status': ManagerStatus,
    '/dynamic_dnn/system_load': SystemLoad,
}

PICTURES = {'/inference_node/annotated/compressed', '/image/compressed'}
"""Of one application under its default name; `CompressedImage` each."""

PART = re.compile(r'(?:\.(\w+))?(\[[\d:]*\])?(\{[^}]*\})?')
CONDITION = re.compile(r'\{(\w+)==("[^"]*"|\$\w+)\}')


def field_of(message: Any, name: str, is_indexed: bool) -> Any:
    """Return the type of a field's values: a message class, or None for plain ones."""
    assert message is not None, f'{name} is a field of a plain value'
    fields = message.get_fields_and_field_types()
    assert name in fields, f'{message.__name__} has no field {name!r}'
    declared = message.SLOT_TYPES[list(fields).index(name)]
    assert isinstance(declared, AbstractNestedType) == is_indexed, f'{name} of {message.__name__}'
    inner = declared.value_type if isinstance(declared, AbstractNestedType) else declared
    if isinstance(inner, NamespacedType):
        return getattr(import_module('.'.join(inner.namespaces)), inner.name)
    return None


def check_foxglove(path: str, variables: dict[str, Any]) -> None:
    """Check a path such as ``/topic{id==$mine}.rows[:]{name=="total"}.value``."""
    match = re.fullmatch(r'(/[\w/]+)((?:\.\w+|\[[\d:]*\]|\{[^}]*\})*)', path)
    assert match is not None, path
    message: Any = TOPICS[match[1]]
    for name, index, condition in PART.findall(match[2]):
        if name:
            message = field_of(message, name, bool(index))
        if condition:
            own = CONDITION.fullmatch(condition)
            assert own is not None, condition
            assert field_of(message, own[1], False) is None
            assert not own[2].startswith('$') or own[2][1:] in variables, condition


def check_plotjuggler(curve: str) -> None:
    """Check a name such as ``/topic/rows[0]/value``."""
    topic = next(name for name in TOPICS if curve.startswith(f'{name}/'))
    message: Any = TOPICS[topic]
    for part in curve.removeprefix(f'{topic}/').split('/'):
        match = re.fullmatch(r'(\w+)(\[\d+\])?', part)
        assert match is not None, part
        message = field_of(message, match[1], match[2] is not None)
    assert message is None, f'{curve} is no value'


def panels_of(layout: Any) -> Iterator[str]:
    if isinstance(layout, str):
        yield layout
    else:
        assert layout['direction'] in ('row', 'column') and 0 < layout['splitPercentage'] < 100
        yield from panels_of(layout['first'])
        yield from panels_of(layout['second'])


def test_foxglove_shows_what_there_is() -> None:
    layout = json.loads((CONFIG / 'foxglove.json').read_text())
    panels = layout['configById']
    assert sorted(panels_of(layout['layout'])) == sorted(panels)
    kinds = {name.split('!')[0] for name in panels}
    assert kinds == {'Image', 'Plot', 'StateTransitions', 'RawMessages'}
    for panel in panels.values():
        for row in panel.get('paths', ()):
            check_foxglove(row['value'], layout['globalVariables'])
        if 'topicPath' in panel:
            check_foxglove(panel['topicPath'], layout['globalVariables'])
        if 'imageMode' in panel:
            assert panel['imageMode']['imageTopic'] in PICTURES


def test_plotjuggler_draws_what_there_is() -> None:
    root = ElementTree.parse(CONFIG / 'plotjuggler.xml').getroot()
    curves = [curve.attrib['name'] for curve in root.iter('curve')]
    assert len(curves) > 10
    for curve in curves:
        check_plotjuggler(curve)
    selected = root.find('.//selected_topics')
    assert selected is not None and set(selected.attrib['value'].split(';')) == TOPICS.keys()
    for splitter in root.iter('DockSplitter'):
        assert (
            len(splitter.attrib['sizes'].split(';'))
            == len(splitter)
            == int(splitter.attrib['count'])
        )


@pytest.mark.parametrize(
    'path',
    [
        '/dynamic_dnn/system_load.domains[:]{name=="gpu"}.speed',
        '/dynamic_dnn/system_load.domains[:]{title=="gpu"}.granted',
        '/dynamic_dnn/system_load{application==$nobody}.period',
        '/dynamic_dnn/system_load.domains.granted',
        '/dynamic_dnn/system_load.period.value',
    ],
)
def test_a_path_that_leads_nowhere_is_found(path: str) -> None:
    with pytest.raises(AssertionError):
        check_foxglove(path, {'application': ''})
