# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What the form of the page asks for, as the client of targets takes it."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from typing import Any

from dynamic_dnn_ros.cli import units
from dynamic_dnn_ros.cli.target.text import report_lines
from dynamic_dnn_ros.client import (
    Answer,
    Expectation,
    LateFrames,
    Objective,
    TargetClient,
    TargetFields,
)
from dynamic_dnn_ros.management.words import target_text

ACTIONS = ('set', 'ask', 'clear')

_READERS: Mapping[str, Callable[[str], float]] = {
    'latency': units.latency,
    'latency_quantile': units.share,
    'accuracy': units.share,
    'energy': units.energy,
    'rate': units.rate,
}
_KNOWN = (*_READERS, 'priority', 'objective', 'late_frames')


class FormError(ValueError):
    """The form cannot be read. The text names the field, the problem and the remedy."""


def read_form(form: Mapping[str, Any]) -> TargetFields:
    """
    Return a target.

    :param form: texts by the name of the field, with units: ``{'latency': '25 ms'}``; empty ones
        ask for nothing
    :raises FormError: naming the field
    """
    unknown = sorted(form.keys() - set(_KNOWN))
    if unknown:
        raise FormError(f'a target has no field {unknown[0]!r}. Known are: {", ".join(_KNOWN)}.')
    texts = {name: text.strip() for name, text in form.items() if isinstance(text, str)}
    if len(texts) < len(form):
        raise FormError('the fields of a target are texts, such as "25 ms".')
    fields: TargetFields = {}
    for name, reader in _READERS.items():
        if texts.get(name):
            try:
                fields[name] = reader(texts[name])  # type: ignore[literal-required]
            except argparse.ArgumentTypeError as error:
                raise FormError(f'{name.replace("_", " ")}: {error}') from error
    if texts.get('priority'):
        try:
            fields['priority'] = int(texts['priority'])
        except ValueError:
            raise FormError(
                f'priority: {texts["priority"]!r} is no whole number. Give 0 to 255.'
            ) from None
    if texts.get('objective'):
        fields['objective'] = _choice(Objective, 'objective', texts['objective'])
    if texts.get('late_frames'):
        fields['late_frames'] = _choice(LateFrames, 'late frames', texts['late_frames'])
    asked = any(fields.get(name) for name in ('latency', 'accuracy', 'energy', 'rate'))
    if not asked and fields.get('objective', Objective.MINIMUM_ENERGY) is Objective.MINIMUM_ENERGY:
        raise FormError(
            'nothing is asked for. Fill in a latency, an accuracy, an energy or a rate, or choose '
            'another aim than the least energy.'
        )
    return fields


def _choice(kind: Any, name: str, text: str) -> Any:
    try:
        return kind[text.upper()]
    except KeyError:
        known = ', '.join(each.name.lower() for each in kind)
        raise FormError(f'{name}: {text!r} is not one of: {known}.') from None


def carry_out(
    client: TargetClient, action: str, application: str, form: Mapping[str, Any]
) -> dict[str, Any]:
    """
    Set, ask about or clear a target, and return the answer in words.

    :raises FormError: when the form cannot be read
    :raises ClientError: when the manager is absent, silent, or refuses
    """
    if action == 'clear':
        answer = client.clear_target(application)
        return answer_words(answer, answer.message or 'The target is withdrawn.')
    fields = read_form(form)
    answer = (
        client.set_target(application, **fields)
        if action == 'set'
        else client.ask_target(application, **fields)
    )
    return answer_words(answer, answer.message)


def answer_words(answer: Answer, message: str) -> dict[str, Any]:
    """Return an answer in words, its rows each a name and a text."""
    rows = report_lines(answer.report) if answer.report is not None else []
    if answer.replaced is not None:
        metric = answer.report.metric if answer.report is not None else ''
        sender = answer.replaced.sender or 'an unknown sender'
        rows.append(('before', f'{target_text(answer.replaced, metric)} (of {sender})'))
    looks = {Expectation.MET: 'good', Expectation.MISSED: 'bad'}
    return {
        'look': looks.get(answer.expected, 'open'),
        'message': message,
        'rows': [list(row) for row in rows],
    }
