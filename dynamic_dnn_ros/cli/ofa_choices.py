# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The lists of sub-networks that are published beside checkpoints of Once-for-All."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
import json
from pathlib import Path
from typing import Any

from dynamic_dnn_ros.networks.contract import ConfigurationError
from dynamic_dnn_ros.networks.ofa_checkpoint import configuration_mapping
from dynamic_dnn_ros.networks.ofa_layouts import MobileNetV3Configuration
from dynamic_dnn_ros.networks.ofa_mobilenet_v3 import OfaMobileNetV3

_ACCURACY_FIELDS = ('accuracy', 'imagenet_top1')
_NOTES = ('set', 'level', 'gpu_latency_s', 'wid')
"""Fields beside a configuration that published lists have, and a bundle has no place for."""


class InputError(ValueError):
    """An argument, or a file that it names, cannot be used; says the problem and the remedy."""


@dataclass(frozen=True)
class Choice:
    """A sub-network to put into the bundle, with the accuracy that was published for it."""

    configuration: MobileNetV3Configuration
    published_accuracy: float | None = None


def read_choices(
    path: Path, chosen_set: str | None, network: OfaMobileNetV3, layout: str
) -> list[Choice]:
    """
    Read the sub-networks that a file lists.

    :param chosen_set: take only the entries whose `set` it is.
    :raises InputError: naming the file, the entry, and what is wrong with it.
    """
    try:
        content = json.loads(text_of(path))
    except json.JSONDecodeError as error:
        raise InputError(
            f'{path}: is not JSON ({error}): give a list of configurations'
        ) from error
    entries = content
    if isinstance(content, Mapping):
        entries = content.get('levels')
        meant_for = content.get('super_network', layout)
        if meant_for != layout:
            raise InputError(
                f'{path}: its sub-networks are of layout {meant_for}, the checkpoint is of '
                f'{layout}: give the checkpoint or the list of the other one'
            )
    if (
        not isinstance(entries, list)
        or not entries
        or not all(isinstance(entry, Mapping) for entry in entries)
    ):
        raise InputError(f"{path}: needs a list of configurations, bare or under 'levels'")
    sets = sorted({str(entry['set']) for entry in entries if 'set' in entry})
    if chosen_set is not None:
        entries = [entry for entry in entries if entry.get('set') == chosen_set]
        if not entries:
            raise InputError(
                f'{path}: has no set {chosen_set!r}: choose from {", ".join(sets) or "none"}'
            )
    elif len(sets) > 1:
        raise InputError(f'{path}: has several sets: choose with --set from {", ".join(sets)}')
    return [
        _choice(entry, network, f'{path}: entry {number}') for number, entry in enumerate(entries)
    ]


def text_of(path: Path) -> str:
    """
    Return the text of a file, without a byte order mark.

    :raises InputError: when it cannot be read.
    """
    try:
        return path.read_text(encoding='utf-8-sig')
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f'{path}: cannot be read ({error}): give a text file, UTF-8') from error


def _choice(entry: Mapping[str, Any], network: OfaMobileNetV3, where: str) -> Choice:
    beside = (*_ACCURACY_FIELDS, *_NOTES)
    fields = {name: value for name, value in entry.items() if name not in beside}
    try:
        configuration = network.configuration(configuration_mapping(fields))
    except ConfigurationError as error:
        raise InputError(f'{where}: {error}') from error
    for name in _ACCURACY_FIELDS:
        if name not in entry:
            continue
        value = entry[name]
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
            raise InputError(f'{where}: {name} is {value!r}: allowed is a number of 0 to 1')
        return Choice(configuration, float(value))
    return Choice(configuration)
