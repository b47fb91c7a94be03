# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""`dynamic-dnn target`: set, ask about, clear and list what applications are asked for."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
import json
import sys
import time
from typing import Any

from dynamic_dnn_ros.cli import units
from dynamic_dnn_ros.cli.tables import print_table
from dynamic_dnn_ros.cli.target.text import (
    answer_data,
    answer_text,
    application_data,
    report_data,
    report_lines,
)
from dynamic_dnn_ros.client import (
    DEFAULT_NAMESPACE,
    DEFAULT_TIMEOUT,
    Answer,
    ApplicationSummary,
    ClientError,
    Expectation,
    LateFrames,
    NotMetError,
    Objective,
    TargetClient,
    TargetReport,
    TargetState,
)
from dynamic_dnn_ros.management.words import point_text, state_words, target_text
from dynamic_dnn_ros.nodes.manager.news import there

MISSED = 3
"""Exit code where a target is, or would be, missed."""

POLLING = 0.1
"""Seconds between two looks whether an application has appeared."""


class RequestError(ValueError):
    """What was asked for is not complete. The text says what is missing."""


ERRORS = (ClientError, RequestError)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    actions = parser.add_subparsers(dest='action', required=True, metavar='ACTION')
    set_action = actions.add_parser(
        'set', help='ask an application for something, in place of what it was asked for before'
    )
    ask_action = actions.add_parser(
        'ask', help=f'say what would become of it, and set nothing (exit code {MISSED}: missed)'
    )
    clear_action = actions.add_parser('clear', help='withdraw what an application was asked for')
    list_action = actions.add_parser('list', help='show applications and how their targets stand')
    for action in (set_action, ask_action):
        _add_target(action)
    set_action.add_argument(
        '--wait',
        type=units.duration,
        metavar='TIME',
        help=f'wait until it is met, so long at most (exit code {MISSED}: it was not)',
    )
    for action in (set_action, ask_action, clear_action):
        action.add_argument(
            'application',
            nargs='?',
            default='',
            metavar='APPLICATION',
            help='fully qualified name of the inference node, e.g. /front/inference_node, and of '
            'its camera where that has a name, e.g. /inference_node/front; '
            'default: the only one that is there',
        )
        action.add_argument(
            '--sender', default='dynamic-dnn', help='who asks, in free text; default: %(default)s'
        )
    for action in (set_action, ask_action, clear_action, list_action):
        add_connection(action)
        action.add_argument('--json', action='store_true', help='print it as JSON, in SI units')


def add_connection(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that say which manager is meant."""
    parser.add_argument(
        '--namespace',
        default=DEFAULT_NAMESPACE,
        help='parameter manager_namespace of the nodes; default: %(default)s',
    )
    parser.add_argument(
        '--timeout',
        type=units.duration,
        default=DEFAULT_TIMEOUT,
        metavar='TIME',
        help='how long to wait for the manager, and for an application that is not there; '
        'default: %(default)g s',
    )


def _add_target(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        '--latency',
        type=units.latency,
        metavar='TIME',
        help='from the image to its result, at most: 25ms, or 0.025 in seconds',
    )
    parser.add_argument(
        '--latency-quantile',
        type=units.share,
        metavar='SHARE',
        help='of frames that must keep it: 99%% or 0.99; default: 0.95',
    )
    parser.add_argument(
        '--accuracy', type=units.share, metavar='SHARE', help='at least: 85%% or 0.85'
    )
    parser.add_argument(
        '--energy',
        type=units.energy,
        metavar='ENERGY',
        help='for one inference, at most: 200mJ, or 0.2 in joules',
    )
    parser.add_argument(
        '--rate', type=units.rate, metavar='RATE', help='frames served, at least: 20Hz or 20'
    )
    parser.add_argument(
        '--priority', type=int, default=0, metavar='0..255', help='the higher is met first'
    )
    parser.add_argument(
        '--objective',
        choices=[objective.name.lower() for objective in Objective],
        default=Objective.MINIMUM_ENERGY.name.lower(),
        help='what to improve once all limits are met; default: %(default)s',
    )
    parser.add_argument(
        '--late-frames',
        choices=[each.name.lower() for each in LateFrames],
        default=LateFrames.SERVE.name.lower(),
        help='what becomes of a frame that can no longer keep the latency; default: %(default)s',
    )


def run(arguments: argparse.Namespace) -> int:
    """
    Carry out an action.

    :return: exit code: 0, or `MISSED`
    :raises RequestError: when it is not said which application is meant, or what is asked for, or
        the application is not there
    :raises ClientError: when the manager is absent, silent, or refuses
    """
    with TargetClient(
        manager_namespace=arguments.namespace,
        sender=getattr(arguments, 'sender', ''),
        timeout=arguments.timeout,
    ) as client:
        if arguments.action == 'list':
            return _list(client, arguments.json)
        application = arguments.application or only_application(client)
        if arguments.action == 'clear':
            answer = client.clear_target(application)
            _print_answer(application, answer, arguments.json)
            if answer.replaced is None:
                _require(client, application)
            return 0
        fields = _fields(arguments)
        if arguments.action == 'ask':
            answer = client.ask_target(application, **fields)
            _print_answer(application, answer, arguments.json)
            _require(client, application)
            return MISSED if answer.expected is Expectation.MISSED else 0
        answer = client.set_target(application, **fields)
        if arguments.wait is None:
            _print_answer(application, answer, arguments.json)
            _await(client, application, answer)
            return 0
        return _wait(client, application, answer, arguments)


def only_application(client: TargetClient) -> str:
    """
    Return the id of the one application that is there.

    :raises RequestError: when there is none, or more than one
    """
    there = sorted(client.applications())
    if len(there) == 1:
        return there[0]
    if not there:
        raise RequestError(
            f'no application is there under {client.manager_namespace}. Start an inference_node, '
            'or name the one that is to come, e.g. /front/inference_node.'
        )
    raise RequestError(f'which application is meant? Name one of: {", ".join(there)}.')


def _require(client: TargetClient, application: str) -> None:
    """
    See that an application is there.

    :raises RequestError: when it is not
    """
    applications = client.applications()
    if application not in applications:
        raise RequestError(f'{application} is not there. {there(applications)}')


def _await(client: TargetClient, application: str, answer: Answer) -> None:
    """
    Wait until an application that was not there appears, as long as for the manager.

    :raises RequestError: when it does not
    """
    report = answer.report
    end = time.monotonic() + client.timeout
    while report is not None and report.state is TargetState.WAITING:
        if time.monotonic() >= end:
            raise RequestError(
                f'{application} is not there after {client.timeout:g} s. '
                f"'dynamic-dnn target clear {application}' forgets its target. "
                f'{there(client.applications())}'
            )
        time.sleep(POLLING)
        report = client.targets().get(application)


def _fields(arguments: argparse.Namespace) -> dict[str, Any]:
    names = ('latency', 'latency_quantile', 'accuracy', 'energy', 'rate')
    fields: dict[str, Any] = {name: getattr(arguments, name) for name in names}
    fields['priority'] = arguments.priority
    fields['objective'] = Objective[arguments.objective.upper()]
    fields['late_frames'] = LateFrames[arguments.late_frames.upper()]
    limits = [fields[name] for name in names if name != 'latency_quantile']
    if not any(limits) and fields['objective'] is Objective.MINIMUM_ENERGY:
        if all(limit is None for limit in limits):
            raise RequestError(
                'nothing is asked for. Give at least one of --latency, --accuracy, --energy, '
                '--rate, or an --objective other than minimum_energy.'
            )
    return fields


def _wait(
    client: TargetClient, application: str, answer: Answer, arguments: argparse.Namespace
) -> int:
    if not arguments.json:
        _print_answer(application, answer, False)
        sys.stdout.flush()
    code = 0
    report: TargetReport | None
    try:
        report = client.wait_until_met(application, arguments.wait)
    except NotMetError as error:
        print(f'dynamic-dnn target: {error}', file=sys.stderr)
        code, report = MISSED, error.report
    if arguments.json:
        _dump({**answer_data(answer), 'report': report_data(report) if report else None})
    elif report is not None:
        print(f'{state_words(report.state)}:')
        _print_rows(report)
    return code


def _list(client: TargetClient, as_json: bool) -> int:
    reports = client.targets()
    applications = client.applications()
    if as_json:
        _dump(
            {
                'applications': [application_data(one) for one in applications.values()],
                'targets': [report_data(report) for report in reports.values()],
            }
        )
        return 0
    rows = list_rows(reports, applications)
    if not rows:
        print(f'No application is there under {client.manager_namespace}, and no target is kept.')
        return 0
    print_table(('application', 'target', 'of', 'state', 'serves'), rows)
    for name, report in sorted(reports.items()):
        if report.message:
            print(f'{name}: {report.message}')
    return 0


def list_rows(
    reports: Mapping[str, TargetReport], applications: Mapping[str, ApplicationSummary]
) -> list[tuple[str, ...]]:
    """Return the rows of the list: whoever is there or has a target."""
    rows: list[tuple[str, ...]] = []
    for name in sorted({*reports, *applications}):
        report, application = reports.get(name), applications.get(name)
        target = report.target if report is not None else None
        serves = point_text(report.decision) if report is not None else 'none'
        if serves == 'none' and application is not None:
            serves = application.sub_network
        rows.append(
            (
                name,
                target_text(target, report.metric if report is not None else ''),
                target.sender or '–' if target is not None else '–',
                state_words(report.state) if report is not None else 'not decided yet',
                serves,
            )
        )
    return rows


def _print_answer(application: str, answer: Answer, as_json: bool) -> None:
    if as_json:
        _dump(answer_data(answer))
    else:
        print(answer_text(application, answer))


def _print_rows(report: TargetReport) -> None:
    rows = report_lines(report)
    width = max(len(name) for name, _ in rows)
    for name, text in rows:
        print(f'  {name:<{width}}  {text}')


def _dump(data: Any) -> None:
    print(json.dumps(data, indent=2, ensure_ascii=False))
