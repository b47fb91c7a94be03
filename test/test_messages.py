# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Messages and services are an interface: changed only on purpose, and each field is explained."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
import re
from types import ModuleType

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
FILES = sorted((REPOSITORY / 'msg').glob('*.msg'))
SERVICES = sorted((REPOSITORY / 'srv').glob('*.srv'))
PARTS = ('', '_Request', '_Response')
WHOLE = {path.stem for path in SERVICES}
FROZEN: dict[str, str] = json.loads((REPOSITORY / 'test' / 'interface_hashes.json').read_text())
REMEDY = (
    'If the change is meant, release it as one: run tools/freeze_interfaces.py after make build, '
    'and say it in CHANGELOG.rst'
)
# Where the name of a frequency, a latency or a share of something ends, its comment has a unit.
UNITS = re.compile(
    r'(\bs\b|\bHz\b|\bW\b|\bJ\b|\b0\.\.1\b|Celsius|bytes|factor|pixels|\bunit\b|deviation|expected)'
)
DECLARATION = re.compile(r'^(?P<type>[\w/]+(?:\[\d*\])?) (?P<name>\w+)(?P<constant> ?=)?')
QUANTITIES = {'float32', 'float64', 'float32[]', 'float64[]', 'NamedValue[]'}


def freeze_interfaces() -> ModuleType:
    """Return the tool that writes the frozen hashes."""
    specification = importlib.util.spec_from_file_location(
        'freeze_interfaces', REPOSITORY / 'tools' / 'freeze_interfaces.py'
    )
    assert specification is not None and specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def test_every_message_is_frozen() -> None:
    messages = [f'dynamic_dnn_ros/msg/{path.stem}' for path in FILES]
    services = [f'dynamic_dnn_ros/srv/{path.stem}{part}' for path in SERVICES for part in PARTS]
    assert sorted(FROZEN) == sorted(messages + services), REMEDY


def test_installed_messages_have_the_frozen_hashes() -> None:
    pytest.importorskip('rclpy', reason='ROS 2 is absent')
    installed = freeze_interfaces().installed_hashes()
    if not installed:
        pytest.skip('the installed messages bear no hashes: ROS 2 before Iron makes none')
    assert installed == FROZEN, REMEDY


def test_sources_have_the_frozen_hashes() -> None:
    """A second implementation, that of rosbags, finds the same hashes in the sources."""
    pytest.importorskip('rosbags', reason='rosbags is not installed')
    from support.bag_player import type_store

    store = type_store()
    # rosbags knows messages: of a service, what is asked and what is answered.
    frozen = {name: value for name, value in FROZEN.items() if name.split('/')[-1] not in WHOLE}
    assert {name: store.hash_rihs01(name) for name in frozen} == frozen, REMEDY


@pytest.mark.parametrize('path', [*FILES, *SERVICES], ids=lambda path: path.stem)
def test_every_message_and_field_has_a_comment(path: Path) -> None:
    lines = path.read_text().splitlines()
    assert lines[0].startswith('# '), 'the first line says what the message is'
    fields = 0
    for line in lines:
        if line.startswith('#') or not line.strip() or line == '---':
            continue
        declaration = DECLARATION.match(line)
        assert declaration is not None, f'{path.name}: {line!r} is no declaration'
        if declaration['constant'] is not None:
            continue  # Names of constants say what they are.
        fields += 1
        _, _, comment = line.partition('#')
        assert comment.strip(), f'{path.name}: {line!r} has no comment'
        if declaration['type'] in QUANTITIES:
            assert UNITS.search(comment), f'{path.name}: {line!r} says no unit'
    assert fields > 0


def test_the_build_generates_every_message() -> None:
    text = (REPOSITORY / 'CMakeLists.txt').read_text()
    listed = re.findall(r'"((?:msg/\w+\.msg)|(?:srv/\w+\.srv))"', text)
    assert sorted(listed) == [
        *(f'msg/{path.name}' for path in FILES),
        *(f'srv/{path.name}' for path in SERVICES),
    ]
