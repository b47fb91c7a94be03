# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Every command in the documents is one that exists, with options, topics and fields that exist.

Commands of `dynamic-dnn` are read by their own parsers, messages are made of what is written.
What takes seconds and no robot is run by `test_documented_commands_run.py`.
"""

from __future__ import annotations

import argparse
import configparser
import importlib
import itertools
from pathlib import Path
import re

import pytest
import yaml

from dynamic_dnn_ros.cli.main import COMMANDS, parser_of
from dynamic_dnn_ros.launching import arguments as launch_arguments
from dynamic_dnn_ros.launching.arguments import Argument
from support.documents import commands

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = 'dynamic_dnn_ros'


def written(first: str) -> list[object]:
    """Return the commands of all pages that begin with a word, each as a list of words."""
    return [
        pytest.param(words, id=f'{page}: {" ".join(words)[:60]}')
        for page, words in commands(first)
    ]


@pytest.mark.parametrize('words', written('dynamic-dnn'))
def test_dynamic_dnn(words: list[str]) -> None:
    _, name, *rest = words
    assert name in COMMANDS
    try:
        parser_of(name).parse_args(rest)
    except SystemExit:
        pytest.fail(f'{words} is refused')
    except ModuleNotFoundError as error:
        pytest.skip(f'{error.name} is not installed')


@pytest.mark.parametrize('words', written('make'))
def test_make(words: list[str]) -> None:
    text = (ROOT / 'Makefile').read_text()
    for word in words[1:]:
        name, value, _ = word.partition('=')
        if value:
            assert f'$({name})' in text
        else:
            assert re.search(rf'^{name}:', text, re.M), f'no target {name}'


def parameters() -> str:
    return (ROOT / 'docs' / 'parameters.md').read_text()


@pytest.mark.parametrize('words', written('ros2 run'))
def test_ros2_run(words: list[str]) -> None:
    setup = configparser.ConfigParser(delimiters=('=',))
    setup.read(ROOT / 'setup.cfg')
    nodes = setup['options.entry_points']['dynamic_dnn_ros.nodes']
    package, node = words[2:4]
    assert package == PACKAGE
    assert re.search(rf'^{node} =', nodes, re.M)
    for option, value in itertools.pairwise(words):
        if option == '-p':
            # In front of the dot is the name of a camera.
            name = value.partition(':=')[0].rpartition('.')[2]
            assert f'`{name}`' in parameters()


@pytest.mark.parametrize('words', written('ros2 launch'))
def test_ros2_launch(words: list[str]) -> None:
    package, file = words[2:4]
    assert package == PACKAGE
    text = (ROOT / 'launch' / file).read_text()
    groups = [value for name, value in vars(launch_arguments).items() if name in text]
    names = {each.name for group in groups for each in group if isinstance(each, Argument)}
    given = {word.partition(':=')[0] for word in words[4:] if ':=' in word}
    assert given <= names | set(re.findall(r"'(\w+)'", text))


@pytest.mark.parametrize('words', written('ros2 param'))
def test_ros2_param(words: list[str]) -> None:
    assert f'`{words[4]}`' in parameters()


@pytest.mark.parametrize('words', [*written('ros2 topic pub'), *written('ros2 service call')])
def test_what_is_sent_is_a_message(words: list[str]) -> None:
    *_, topic, kind, fields = [word for word in words if not word.startswith('-')]
    package, room, name = kind.split('/')
    made = getattr(importlib.import_module(f'{package}.{room}'), name)
    if room == 'srv':
        made = made.Request
    made(**yaml.safe_load(fields))
    page = 'topics.md' if room == 'msg' else 'targets.md'
    assert topic.rpartition('/')[2] in (ROOT / 'docs' / page).read_text()


def test_there_are_commands_of_each_kind() -> None:
    for first in ('dynamic-dnn', 'make', 'ros2 run', 'ros2 launch', 'ros2 param', 'ros2 topic'):
        assert written(first), first


def test_a_wrong_command_is_noticed() -> None:
    with pytest.raises(pytest.fail.Exception, match='is refused'):
        test_dynamic_dnn(['dynamic-dnn', 'target', 'set', '--latncy', '25ms'])
    assert isinstance(parser_of('train'), argparse.ArgumentParser)
