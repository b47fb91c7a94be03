# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The model card of a bundle of imported models."""

from __future__ import annotations

from collections.abc import Sequence

from dynamic_dnn_ros.bundles.manifest import Manifest


def model_card(
    manifest: Manifest, models: Sequence[tuple[str, Sequence[str]]], command: str
) -> str:
    """
    Return the card: the sub-networks, and what was assumed of each model.

    :param models: where each one came from, with a line for each thing that was assumed
    """
    metric = manifest.make_task().metric.title
    rows = [
        f'| {entry.id} | {entry.size} | '
        f'{f"{entry.accuracy:.3f}" if entry.accuracy_is_known else "not known"} | '
        f'{entry.multiply_adds / 1e6:.1f} M | {entry.parameters / 1e6:.2f} M | {entry.layers} |'
        for entry in manifest.sub_networks
    ]
    header = f'| id | input | {metric} | multiply-adds | parameters | layers |'
    table = '\n'.join([header, '| --- ' * 6 + '|', *rows])
    assumed = '\n'.join(
        f'- `{where}`\n' + '\n'.join(f'  - {note}' for note in notes) for where, notes in models
    )
    options = ', '.join(f'{name}: {value}' for name, value in manifest.task.options.items())
    return (
        f'# {manifest.name}\n\n{manifest.description}.\n\n'
        f'Task: {manifest.task.name}{f" ({options})" if options else ""}, '
        f'{len(manifest.labels)} labels.\n\n'
        f'## Sub-networks\n\n{table}\n\nAccuracy: {metric} on {manifest.accuracy_data}.\n\n'
        f'## Models, and how they take pictures\n\n{assumed}\n\n'
        f'## Command\n\n`{command}`\n\n'
        '## Limits\n\nThe licence of a model is that of its source. What is marked "as" was '
        'assumed by the kind of the model, not read from it.\n'
    )
