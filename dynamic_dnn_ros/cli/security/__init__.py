# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""`dynamic-dnn security`: who may do what on the ROS graph, as a policy for SROS 2."""

from __future__ import annotations

import argparse
from pathlib import Path
import re

from dynamic_dnn_ros.cli.security.policy import Graph, policy
from dynamic_dnn_ros.storage import write_whole

_NAME = re.compile(r'(/[A-Za-z_][A-Za-z0-9_]*)+')


class RequestError(ValueError):
    """What was asked for cannot be done. The text says why, and what to do."""


ERRORS = (RequestError,)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    actions = parser.add_subparsers(dest='action', required=True, metavar='ACTION')
    action = actions.add_parser(
        'policy',
        help='write a policy: an enclave for each node, with what it may publish, hear and call',
        description='Write a policy for SROS 2. Make keys of it with `ros2 security '
        'generate_artifacts -k KEYSTORE -p FILE`, and start each node with `--ros-args --enclave '
        'NODE`. Give all names in full, as `ros2 node list` shows them.',
    )
    add = action.add_argument
    add(
        '--application',
        action='append',
        metavar='NODE[:CAMERA,...][=TOPIC]',
        help='an inference node, with the names of its cameras where it has several, or the image '
        'topic of its only one where that is remapped; may be given again; default '
        '/inference_node',
    )
    for name, what in (
        ('camera', 'publishes what the applications serve'),
        ('ask', 'may set targets'),
        ('watch', 'may look at everything'),
        ('operate', 'may set targets, and call the parameters and states of every node'),
    ):
        add(f'--{name}', action='append', default=[], metavar='NODE', help=f'a node that {what}')
    add('--manager-namespace', default='/dynamic_dnn', help='default %(default)s')
    add('--output', type=Path, metavar='FILE', help='default: print it')


def run(arguments: argparse.Namespace) -> int:
    """Write the policy."""
    applications: dict[str, tuple[str, ...]] = {}
    images: dict[str, str] = {}
    for text in arguments.application or ['/inference_node']:
        rest, _, image = text.partition('=')
        node, _, cameras = rest.partition(':')
        names = tuple(name for name in cameras.split(',') if name)
        applications[_checked('--application', node)] = names
        if image:
            if names:
                raise RequestError(f'--application {text}: give cameras or a topic, not both')
            images[node] = _checked('--application', image)
    graph = Graph(
        applications,
        images,
        _checked('--manager-namespace', arguments.manager_namespace),
        *(
            tuple(_checked(f'--{name}', node) for node in getattr(arguments, name))
            for name in ('camera', 'ask', 'watch', 'operate')
        ),
    )
    content = policy(graph)
    if arguments.output is None:
        print(content, end='')
    else:
        write_whole(arguments.output, content.encode())
        print(f'{arguments.output}: written')
    return 0


def _checked(option: str, name: str) -> str:
    """
    Return a name in full.

    :raises RequestError: when it is none
    """
    if not _NAME.fullmatch(name):
        raise RequestError(
            f"{option} {name!r} is no full name. Give one as '/front/inference_node'."
        )
    return name
