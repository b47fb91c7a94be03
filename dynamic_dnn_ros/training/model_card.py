# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The page that goes with a bundle: data, recipe, command, figures, limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dynamic_dnn_ros.bundles.manifest import Manifest, SubNetwork
from dynamic_dnn_ros.networks.registry import family_class
from dynamic_dnn_ros.training.configuration import Optimizer, Phase, Rule, TrainingConfiguration

_RULES = {
    Rule.LARGEST: 'largest',
    Rule.SAMPLED: 'random ones (progressive shrinking)',
    Rule.ADAPTIVE: 'largest, whose blocks decide by the picture',
    Rule.SANDWICH: 'largest, smallest and random ones (sandwich rule)',
    Rule.EXITS: 'exits of the largest, on labels and on what its last answer says',
    Rule.BOOTSTRAPPING: 'largest, smallest and random ones (ensemble bootstrapping)',
}


def model_card(
    manifest: Manifest,
    configuration: TrainingConfiguration,
    training_report: str,
    commands: Sequence[str],
    figures: Mapping[str, Sequence[str]] | None = None,
    selection: str = 'The sub-networks are the landmarks of the family; none was searched for.',
) -> str:
    """
    Return the model card.

    :param training_report: how long was trained, on what.
    :param commands: what makes the bundle, in order.
    :param figures: further columns of the table of sub-networks, by title: a text for each
        sub-network, in their order.
    :param selection: how the sub-networks were chosen and the further figures measured.
    """
    columns = {
        'id': [entry.id for entry in manifest.sub_networks],
        'test accuracy': [f'{entry.accuracy * 100:.2f} %' for entry in manifest.sub_networks],
        **(figures or {}),
        'multiply-adds': [f'{entry.multiply_adds / 1e6:.2f} M' for entry in manifest.sub_networks],
        'parameters': [f'{entry.parameters / 1e3:.0f} k' for entry in manifest.sub_networks],
        'layers': [str(entry.layers) for entry in manifest.sub_networks],
        'input': [str(entry.size) for entry in manifest.sub_networks],
    }
    metric = manifest.make_task().metric.title
    own_statistics = family_class(manifest.super_network.family).statistics_per_sub_network
    introduction = (
        f'{manifest.description}. {len(manifest.sub_networks)} sub-networks share one set of '
        + ('weights; each has its own' if own_statistics else 'weights and of')
        + ' batch-norm statistics.'
    )
    recalibration = ''
    if own_statistics:
        recalibration = (
            ' Batch-norm statistics of a sub-network are averaged over '
            f'{configuration.recalibration_pictures} training pictures.'
        )
    sections = {
        'Sub-networks': f'{_table(columns)}\n\nTest accuracy: {metric} on '
        f'{manifest.accuracy_data}; no choice was made on them. {selection}',
        'Data': _data(manifest, configuration),
        'Recipe': f'{_recipe(configuration)}{recalibration}\n\n'
        f'{_phases(configuration.phases)}\n\n{training_report}.',
        'Command': '\n'.join(['```', *commands, '```']),
        'Limits': configuration.limits.strip() or 'None stated.',
    }
    text = f'# {manifest.name}\n\n{introduction}\n'
    return text + ''.join(f'\n## {title}\n\n{body}\n' for title, body in sections.items())


def describe(entry: SubNetwork) -> str:
    """Return a line about a sub-network, for a terminal."""
    return (
        f'{entry.id}: accuracy {entry.accuracy:.2%}, {entry.multiply_adds / 1e6:.2f} M '
        f'multiply-adds, {entry.size} pixels'
    )


def _table(columns: Mapping[str, Sequence[str]]) -> str:
    rows = [columns.keys(), ['---'] * len(columns), *zip(*columns.values())]
    return '\n'.join(f'| {" | ".join(row)} |' for row in rows)


def _data(manifest: Manifest, configuration: TrainingConfiguration) -> str:
    return (
        f'{configuration.data_name}: classes {_few(manifest.labels)}. '
        f'{configuration.held_out} training pictures were held out of training. Where statistics '
        "and accuracies are measured, pictures are scaled to the sub-network's resolution as "
        f'camera frames are (`{manifest.preprocessing.resize.value}`, '
        f'`{manifest.preprocessing.interpolation.value}`).'
    )


def _recipe(configuration: TrainingConfiguration) -> str:
    altered = ', '.join(
        f'`{name}({", ".join(f"{key}={value!r}" for key, value in arguments.items())})`'
        for transform in configuration.augmentation
        for name, arguments in transform.items()
    )
    return (
        f'{_optimizer(configuration)}, weight decay '
        f'{configuration.weight_decay:g} on filters and matrices, gradients limited to a norm of '
        f'{configuration.gradient_limit:g}, batches of {configuration.batch_size} a process, '
        f'{_losses(configuration)}. Augmentation: {altered or "none"}. '
        f'{_averaging(configuration)}{_beginning(configuration)}'
        'In each phase the learning rate rises linearly during warm-up and falls along half a '
        'cosine.'
    )


def _optimizer(configuration: TrainingConfiguration) -> str:
    if configuration.optimizer is Optimizer.ADAMW:
        return 'AdamW'
    return f'SGD with Nesterov momentum {configuration.momentum}'


def _losses(configuration: TrainingConfiguration) -> str:
    if family_class(configuration.family).task == 'detection':
        return (
            'quality focal loss on scores, GIoU and distribution focal loss on boxes, points '
            'assigned to objects by task alignment'
        )
    return f'label smoothing {configuration.label_smoothing:g}'


def _averaging(configuration: TrainingConfiguration) -> str:
    if not configuration.averaging:
        return ''
    return (
        'The weights are the exponential average over the steps, of which each keeps '
        f'{configuration.averaging:g}. '
    )


def _beginning(configuration: TrainingConfiguration) -> str:
    source = configuration.initial_weights or configuration.fine_tune
    return f'Training began with the weights of `{source}`. ' if source else ''


def _phases(phases: Sequence[Phase]) -> str:
    return _table(
        {
            'phase': [phase.name for phase in phases],
            'trains': [_RULES[phase.rule] for phase in phases],
            'epochs': [f'{phase.epochs}, {phase.warm_up:g} of warm-up' for phase in phases],
            'learning rate': [
                f'{phase.learning_rate:g} to {phase.final_learning_rate:g}' for phase in phases
            ],
            'within': [
                '; '.join(f'{name} {_few(values)}' for name, values in phase.within.items())
                or 'all'
                for phase in phases
            ],
            'random ones a step': [
                '-' if phase.rule.trains_largest_alone else str(phase.sampled) for phase in phases
            ],
            'further': ['; '.join(_further(phase)) or '-' for phase in phases],
        }
    )


def _further(phase: Phase) -> list[str]:
    further = []
    if phase.sort_channels:
        further.append('channels sorted first')
    if phase.teacher:
        further.append(f'distilled from the end of {phase.teacher}, weight {phase.distillation:g}')
    if phase.freeze:
        frozen = ', '.join(f'{name} {value}' for name, value in phase.freeze.items())
        further.append(f'frozen: {frozen}')
    if phase.only:
        further.append(f'only: {", ".join(phase.only)}')
    return further


def _few(values: Sequence[object]) -> str:
    texts = [str(value) for value in values]
    if len(texts) > 20:
        texts = [*texts[:18], '...', texts[-1]]
    return ', '.join(texts)
