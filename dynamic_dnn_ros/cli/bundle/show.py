# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What is in a bundle, as data and as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import math
import re
import textwrap
from typing import Any

from dynamic_dnn_ros.bundles.completeness import is_older_than_weights
from dynamic_dnn_ros.bundles.graphs import GRAPH_SUFFIX
from dynamic_dnn_ros.bundles.manifest import MANIFEST_NAME, SubNetwork
from dynamic_dnn_ros.bundles.profile import OperatingPoints
from dynamic_dnn_ros.bundles.reader import Bundle
from dynamic_dnn_ros.bundles.writer import MODEL_CARD_NAME
from dynamic_dnn_ros.cli.tables import options_text
from dynamic_dnn_ros.management.no_profile.kept import default_folder, learnt_of

WIDTH = 99


def description(bundle: Bundle) -> dict[str, Any]:
    """Return everything that is known of a bundle as plain JSON data; sizes are bytes."""
    mapping = bundle.manifest.to_mapping()
    sizes = {
        name: (bundle.folder / name).stat().st_size
        for name in (MANIFEST_NAME, *bundle.manifest.files)
    }
    return {
        **{name: value for name, value in mapping.items() if name != 'profiles'},
        'folder': str(bundle.folder),
        'sha256': bundle.sha256,
        'size': sum(sizes.values()),
        'sizes': _by_kind(sizes, bundle),
        'files': {
            name: {'size': sizes[name], 'sha256': sha256}
            for name, sha256 in bundle.manifest.files.items()
        },
        'sub_networks': [
            {
                **entry.to_mapping(),
                'response_recorded': _answered_by(entry) <= bundle.responses.keys(),
                'mean_work': entry.mean_work,
            }
            for entry in bundle.manifest.sub_networks
        ],
        'profiles': [_profile(profile, bundle) for profile in bundle.profiles],
        'learnt': [each._asdict() for each in learnt_of(bundle.sha256, default_folder())],
        'model_card': _model_card(bundle),
        'metric': bundle.manifest.make_task().metric.title,
    }


def _answered_by(entry: SubNetwork) -> set[str]:
    """Return the ids of those whose responses tell that it answers as it did."""
    return {stage.sub_network or entry.id for stage in entry.stages} or {entry.id}


def _by_kind(sizes: Mapping[str, int], bundle: Bundle) -> dict[str, int]:
    kinds = {
        name: 'graphs' for name in bundle.manifest.files if name.endswith(GRAPH_SUFFIX)
    } | dict.fromkeys(bundle.manifest.profiles, 'profiles')
    kinds |= dict.fromkeys(bundle.manifest.source.files, 'weights')
    result: dict[str, int] = {}
    for name, size in sizes.items():
        kind = kinds.get(name, 'other')
        result[kind] = result.get(kind, 0) + size
    return dict(sorted(result.items(), key=lambda item: -item[1]))


def _profile(profile: OperatingPoints, bundle: Bundle) -> dict[str, Any]:
    older = is_older_than_weights(profile, bundle.manifest)
    return {
        'platform': profile.platform,
        'kind': profile.kind.name.lower(),
        'hardware': profile.hardware,
        'extrapolated': profile.extrapolated,
        'interpolated': int(profile.interpolated.sum()),
        'interpolation_error': _finite(profile.interpolation_error),
        'interpolation_error_maximum': _finite(profile.interpolation_error_maximum),
        'description': profile.description,
        'made_with_these_weights': None if older is None else not older,
        'domains': list(profile.domains),
        'processors': list(profile.processors),
        'points': len(profile),
        'latencies': [
            row
            for index in range(len(profile.sub_networks))
            for number in range(len(profile.processors))
            for row in _latency(profile, index, number)
        ],
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _latency(profile: OperatingPoints, index: int, number: int) -> list[dict[str, Any]]:
    """Return the latency at the fastest and at the slowest setting, s, where there is one."""
    rows = ((profile.sub_network == index) & (profile.processor == number)).nonzero()[0]
    if not len(rows):
        return []
    means = profile.latency_mean[rows]
    row: dict[str, Any] = {
        'sub_network': profile.sub_networks[index],
        'processor': profile.processors[number],
    }
    for name, point in (('fastest', rows[means.argmin()]), ('slowest', rows[means.argmax()])):
        row[name] = {
            'frequencies': dict(zip(profile.domains, profile.frequencies[point].tolist())),
            'mean': float(profile.latency_mean[point]),
            'p95': float(profile.latency_p95[point]),
        }
    return [row]


def _model_card(bundle: Bundle) -> dict[str, str]:
    """Return the sections of the model card by title."""
    card = bundle.other_files.get(MODEL_CARD_NAME, b'').decode(errors='replace')
    parts = re.split(r'^## (.+)$', card, flags=re.MULTILINE)
    return {title.strip(): body.strip() for title, body in zip(parts[1::2], parts[2::2])}


def text(shown: dict[str, Any]) -> str:
    """Return the data of `description` as text for a terminal."""
    preprocessing = shown['preprocessing']
    recorded = sum(entry['response_recorded'] for entry in shown['sub_networks'])
    labels = shown['labels']
    few = ', '.join(labels[:10]) + (', ...' if len(labels) > 10 else '')
    source, task = shown['source'], dict(shown['task'])
    origin = {'family': source['family']} if 'family' in source else _models(source['models'])
    facts = {
        'folder': shown['folder'],
        'sha256': shown['sha256'],
        'size on disk': f'{shown["size"] / 1e6:.2f} MB: '
        + ', '.join(f'{kind} {size / 1e6:.2f}' for kind, size in shown['sizes'].items()),
        **origin,
        'task': ', '.join(filter(None, (task.pop('name'), options_text(task)))),
        'labels': f'{len(labels)}: {few}',
        'preprocessing': f'{preprocessing["resize"]}, {preprocessing["interpolation"]}, '
        f'mean {_numbers(preprocessing["mean"])}, '
        f'standard deviation {_numbers(preprocessing["standard_deviation"])}',
        'accuracy': f'{shown["metric"]} on {shown["accuracy_data"] or "data that is not said"}',
        'responses': f'recorded for {recorded} of {len(shown["sub_networks"])} sub-networks'
        + ('' if recorded else ": a loss of accuracy is only seen by 'bundle check --data'"),
    }
    lines = [f'{shown["name"]}: {shown["description"] or "no description"}']
    lines += [f'{name:15}{value}' for name, value in facts.items()]
    wide = max(12, *(len(entry['id']) for entry in shown['sub_networks']))
    lines += [
        '',
        f'{"sub-network":{wide}} {shown["metric"]:>8} {"input":>9} {"multiply-adds":>14} '
        f'{"parameters":>11} {"layers":>7}',
    ]
    for entry in shown['sub_networks']:
        size = f'{entry["width"]}x{entry["height"]}'
        accuracy = 'unknown' if entry['accuracy'] is None else f'{entry["accuracy"]:.1%}'
        lines.append(
            f'{entry["id"]:{wide}} {accuracy:>8} {size:>9} {entry["multiply_adds"]:14,} '
            f'{entry["parameters"]:11,} {entry["layers"]:7}'
            + (' (accuracy given, not measured)' if _is_given(entry) else '')
        )
        lines += _stage_lines(entry)
    for profile in shown['profiles']:
        lines += ['', *_profile_lines(profile)]
    if not shown['profiles']:
        lines += ['', 'no profile: latencies are measured when a node starts']
    for each in shown['learnt']:
        lines += [
            '',
            f'learnt on {each["platform"]} by a manager here, until {each["written"]}: '
            f'{each["frames"]}',
            f'not of the bundle: {each["file"]}',
        ]
    for title in ('Data', 'Recipe', 'Command', 'Limits'):
        if title in shown['model_card']:
            body = _wrapped(shown['model_card'][title])
            lines += ['', f'{title} (from the model card)', body]
    return '\n'.join(lines) + '\n'


def _stage_lines(entry: Mapping[str, Any]) -> list[str]:
    """Return the stages of a sub-network, a line each; nothing where it is one piece."""
    stages = entry.get('stages', ())
    lines = []
    for stage in stages:
        runs = f' ({stage["sub_network"]})' if 'sub_network' in stage else ''
        leaves = ''
        if 'exit' in stage:
            leaves = f', leaves from a confidence of {stage["exit"]["threshold"]:.3g}'
        elif 'gate' in stage:
            leaves = f', a gate picks {" or ".join(stage["gate"]["next"])}'
        if 'then' in stage:
            leaves += f', then {stage["then"]}'
        elif stage.get('last'):
            leaves += ', final'
        lines.append(
            f'  {stage["name"]}{runs}: work {stage["work"]:.3f}, taken by {stage["taken"]:.1%}'
            f'{leaves}'
        )
    if stages:
        lines.append(f'  mean work {entry["mean_work"]:.3f} of the largest path')
    return lines


def _numbers(values: Sequence[float]) -> str:
    return ', '.join(f'{value:.4g}' for value in values)


def _models(models: Mapping[str, str]) -> dict[str, str]:
    return {'models': ', '.join(models)}


def _is_given(entry: Mapping[str, Any]) -> bool:
    return entry['accuracy'] is not None and entry['accuracy_source'] == 'given'


def _wrapped(body: str) -> str:
    """Return a section with its paragraphs filled; tables and code stay as they are."""
    return '\n\n'.join(
        part if part.startswith(('|', '```')) else textwrap.fill(part, WIDTH)
        for part in body.split('\n\n')
    )


def _profile_lines(profile: dict[str, Any]) -> list[str]:
    kind = profile['kind'] + (f' on {profile["hardware"]}' if profile['hardware'] else '')
    kind += ', extrapolated' if profile['extrapolated'] else ''
    domains = ', '.join(profile['domains']) or 'no frequency domain'
    lines = [f'profile of {profile["platform"]} ({kind}): {profile["points"]} points, {domains}']
    if profile['made_with_these_weights'] is False:
        lines.append("made with other weights: make it again with 'dynamic-dnn profile'")
    if profile['interpolation_error'] is not None:
        lines.append(
            f'{profile["interpolated"]} points interpolated; relative error of the mean latency '
            f'{profile["interpolation_error"]:.1%} in the mean, '
            f'{profile["interpolation_error_maximum"]:.1%} at most'
        )
    if profile['description']:
        lines.append(textwrap.fill(profile['description'], WIDTH))
    lines.append('latency at the fastest and at the slowest setting')
    wide = max([12, *(len(row['sub_network']) for row in profile['latencies'])])
    lines.append(
        f'{"sub-network":{wide}} {"processor":10} {"mean":>10} {"p95":>10}   '
        f'{"mean":>10} {"p95":>10}'
    )
    for row in profile['latencies']:
        fast, slow = row['fastest'], row['slowest']
        lines.append(
            f'{row["sub_network"]:{wide}} {row["processor"]:10} {_time(fast["mean"])} '
            f'{_time(fast["p95"])}   {_time(slow["mean"])} {_time(slow["p95"])}'
        )
    return lines


def _time(seconds: float) -> str:
    return f'{seconds * 1e3:7.2f} ms'
