# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
The command ``dynamic-dnn``: one table of subcommands, each a module that is imported when used.

A module gives ``add_arguments(parser)``, ``run(arguments) -> int``, and ``ERRORS``, the exceptions
of `run` that are bad input: what those say is the whole answer.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
import importlib
import importlib.util
import os
import re
import sys
from typing import Protocol, cast

from dynamic_dnn_ros.cli.parser import Parser
from dynamic_dnn_ros.suggestions import suggestion

PACKAGE = 'dynamic_dnn_ros'
ROS_MODULES = frozenset(
    {
        'ament_index_python',
        'builtin_interfaces',
        'diagnostic_msgs',
        'dynamic_dnn_ros.msg',
        'dynamic_dnn_ros.srv',
        'lifecycle_msgs',
        'rcl_interfaces',
        'rclpy',
        'sensor_msgs',
        'std_msgs',
    }
)


class CommandModule(Protocol):
    """What the module of a subcommand gives."""

    ERRORS: tuple[type[Exception], ...]

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the arguments."""

    def run(self, arguments: argparse.Namespace) -> int:
        """Do the work and return the exit code."""


@dataclass(frozen=True)
class Command:
    """
    A subcommand: its module, the extras that install what it needs, and what it does.

    `resumes` tells whether the same command goes on after an interrupt or an error of the
    operating system, `needs_ros` whether nothing of it works without ROS 2.
    """

    module: str
    extras: str
    summary: str
    resumes: bool = False
    needs_ros: bool = False

    def load(self) -> CommandModule:
        """
        Import the module.

        :raises ModuleNotFoundError: when something that it needs is not installed
        """
        return cast(CommandModule, importlib.import_module(self.module))


COMMANDS = {
    'doctor': Command(
        'dynamic_dnn_ros.cli.doctor',
        'torch',
        'say what this computer lacks for large images and clocks, and how to mend it',
    ),
    'demo': Command(
        'dynamic_dnn_ros.cli.demo',
        'demo',
        'run camera, inference, manager and platform on this machine, with changing targets',
        needs_ros=True,
    ),
    'target': Command(
        'dynamic_dnn_ros.cli.target',
        'demo',
        'set, ask about, clear or list what applications are asked for',
        needs_ros=True,
    ),
    'watch': Command(
        'dynamic_dnn_ros.cli.watch',
        'demo',
        'show what runs on this robot now, how its targets stand and what was switched',
        needs_ros=True,
    ),
    'view': Command(
        'dynamic_dnn_ros.cli.view',
        'view',
        'show what runs on this robot as a live page in the browser, and set targets there',
        needs_ros=True,
    ),
    'security': Command(
        'dynamic_dnn_ros.cli.security',
        'torch',
        'write who may set targets, clocks and parameters, as a policy for SROS 2',
    ),
    'bundle': Command(
        'dynamic_dnn_ros.cli.bundle',
        'torch',
        'show what is in a bundle, check it, or export it as ONNX',
    ),
    'profile': Command(
        'dynamic_dnn_ros.cli.profile',
        'torch',
        "measure a bundle's operating points here, or compute them for a simulated board",
        resumes=True,
    ),
    'new': Command(
        'dynamic_dnn_ros.cli.new',
        'train',
        'write a training file for your pictures that runs as it is',
    ),
    'train': Command(
        'dynamic_dnn_ros.cli.train',
        'train',
        'train a dynamic network on your pictures and write its bundle',
        resumes=True,
    ),
    'make-dynamic': Command(
        'dynamic_dnn_ros.cli.make_dynamic',
        'train,onnx',
        'make a dynamic network of one of torchvision, timm or your own, with your pictures',
        resumes=True,
    ),
    'import-ofa': Command(
        'dynamic_dnn_ros.cli.import_ofa',
        'train',
        'make a bundle from a checkpoint of the authors of Once-for-All',
    ),
    'import-onnx': Command(
        'dynamic_dnn_ros.cli.import_onnx',
        'onnx',
        'make a bundle from ONNX models: your own detectors, segmenters and classifiers',
    ),
    'import-model': Command(
        'dynamic_dnn_ros.cli.import_model',
        'train,onnx',
        'make a bundle from models of torchvision or timm',
    ),
    'search': Command(
        'dynamic_dnn_ros.cli.search',
        'search',
        'choose the sub-networks of a trained bundle by accuracy and measured latency',
        resumes=True,
    ),
    'cascade': Command(
        'dynamic_dnn_ros.cli.cascade',
        'torch',
        'chain sub-networks, so that easy pictures take a small one and hard ones a large one',
    ),
    'exits': Command(
        'dynamic_dnn_ros.cli.exits',
        'train',
        'give a network exits inside, so that easy pictures leave it early and hard ones do not',
        resumes=True,
    ),
    'granularity': Command(
        'dynamic_dnn_ros.cli.granularity',
        'torch,onnx,engines',
        'say how blocks are to decide by the picture, from what they take, before any training',
    ),
    'gates': Command(
        'dynamic_dnn_ros.cli.gates',
        'torch',
        'have the picture pick, after a shared beginning, how the network goes on',
        resumes=True,
    ),
    'calibrate': Command(
        'dynamic_dnn_ros.cli.calibrate',
        'simulate',
        'make a simulated board from a table of measurements, and say how far it is off',
    ),
    'simulate': Command(
        'dynamic_dnn_ros.cli.simulate',
        'simulate',
        'run a scenario on a simulated board under the manager, or what it is judged against',
    ),
    'train-decider': Command(
        'dynamic_dnn_ros.cli.train_decider',
        'simulate',
        'train a decider that learns, in a scenario on a simulated board',
        resumes=True,
    ),
    'replay': Command(
        'dynamic_dnn_ros.cli.replay',
        'demo',
        'decide a recorded run again, or ask what another manager would have made of it',
        needs_ros=True,
    ),
    'report': Command(
        'dynamic_dnn_ros.cli.report',
        'demo',
        'write a page on what happened in recorded or simulated runs, side by side',
    ),
}


OWN_EXTRA = {'timm': 'timm', 'faster_coco_eval': 'evaluation', 'cv2': 'detection'}
"""Modules that only some inputs of a command need, and the extra of each."""


def missing_module(name: str, error: ModuleNotFoundError) -> str:
    """Return what is missing for a subcommand, and how to get it."""
    missing = error.name or str(error)
    if missing in ROS_MODULES:
        return (
            f'dynamic-dnn {name} needs ROS 2, but {missing} cannot be imported: source a ROS 2 '
            'distribution and the workspace that holds dynamic_dnn_ros, or run `make demo` in '
            'the sources, which brings ROS 2 along.'
        )
    if missing.startswith('dynamic_dnn_ros.'):
        return (
            f'dynamic-dnn {name} needs {missing}, which the installed package lacks: its files '
            'have changed since it was built. Build it again: `make build` in the sources, or '
            '`colcon build` in the workspace.'
        )
    extras = OWN_EXTRA.get(missing, COMMANDS[name].extras)
    return (
        f'dynamic-dnn {name} needs {missing}, which is not installed. Install it: '
        f"pip install '{PACKAGE}[{extras}]' (or pip install '.[{extras}]' in the sources)."
    )


def overview() -> str:
    """Return the help of the command without a subcommand."""
    lines = [
        'usage: dynamic-dnn COMMAND [OPTION]...',
        '',
        'Dynamic neural networks for robotic perception on ROS 2.',
        '',
        'commands:',
    ]
    lines += [f'  {name:<10} {command.summary}' for name, command in COMMANDS.items()]
    lines += ['', 'dynamic-dnn COMMAND --help says more about one of them.']
    return '\n'.join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """
    Run a subcommand.

    :param arguments: command line without the program's name; that of the process where None
    :return: exit code: 0 success, 1 failure, 2 wrong usage, 130 interrupted
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        try:
            return _answer(_with_negative_values(given))
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read the output has had enough, as `head`. Python flushes once more at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _with_negative_values(given: Sequence[str]) -> list[str]:
    """Join options and values like -25ms, which argparse takes for an option."""
    joined: list[str] = []
    for each in given:
        follows_option = joined and joined[-1].startswith('--') and '=' not in joined[-1]
        if follows_option and re.match(r'-[.\d]', each):
            joined[-1] += f'={each}'
        else:
            joined.append(each)
    return joined


def _answer(given: Sequence[str]) -> int:
    if '_ARGCOMPLETE' in os.environ:
        _complete()
    if not given or given[0] in ('-h', '--help'):
        print(overview())
        return 0 if given else 2
    if given[0] == '--version':
        from importlib.metadata import version

        print(f'dynamic-dnn {version(PACKAGE)}')
        return 0
    name, *rest = given
    if name not in COMMANDS:
        meant = suggestion(name, COMMANDS)
        print(
            f'dynamic-dnn: there is no command {name!r}{meant}. '
            f'Choose from: {", ".join(COMMANDS)}',
            file=sys.stderr,
        )
        return 2
    try:
        return _run(name, rest)
    except ModuleNotFoundError as error:
        print(missing_module(name, error), file=sys.stderr)
        return 1
    except BrokenPipeError:
        raise
    except (OSError, KeyboardInterrupt) as error:
        interrupted = isinstance(error, KeyboardInterrupt)
        remedy = '; run the command again to continue' if COMMANDS[name].resumes else ''
        said = 'interrupted' if interrupted else error
        print(f'dynamic-dnn {name}: {said}{remedy}', file=sys.stderr)
        return 130 if interrupted else 1


def _complete() -> None:
    """
    Tell the shell that asks how the line may go on, and end the process.

    The shell asks by variables: `eval "$(register-python-argcomplete dynamic-dnn)"`. Only the
    module of the subcommand that the line names is imported.
    """
    import argcomplete

    parser = argparse.ArgumentParser(prog='dynamic-dnn')
    subparsers = parser.add_subparsers()
    named = os.environ.get('COMP_LINE', '').split()[1:2]
    for name, command in COMMANDS.items():
        subparser = subparsers.add_parser(name, help=command.summary)
        if name in named:
            command.load().add_arguments(subparser)
    argcomplete.autocomplete(parser)


def parser_of(name: str) -> argparse.ArgumentParser:
    """
    Return the parser of a subcommand's arguments.

    :raises ModuleNotFoundError: when something that it needs is not installed
    """
    command = COMMANDS[name]
    parser = Parser(prog=f'dynamic-dnn {name}', description=command.summary)
    command.load().add_arguments(parser)
    return parser


def _run(name: str, rest: Sequence[str]) -> int:
    """Run a subcommand; what is wrong with its input is said here for all of them."""
    command = COMMANDS[name]
    asks_for_help = not {'-h', '--help'}.isdisjoint(rest)
    if command.needs_ros and not asks_for_help and importlib.util.find_spec('rclpy') is None:
        # Said before the extras, which alone would not do.
        raise ModuleNotFoundError('No module named rclpy', name='rclpy')
    module = command.load()
    arguments = parser_of(name).parse_args(rest)
    try:
        return module.run(arguments)
    except module.ERRORS as error:
        print(f'dynamic-dnn {name}: {error}', file=sys.stderr)
        return 1


if __name__ == '__main__':
    sys.exit(main())
