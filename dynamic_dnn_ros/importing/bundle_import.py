# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A bundle of separate models out of the models that a user has."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
import hashlib
import math
from pathlib import Path
import re

from dynamic_dnn_ros.bundles.errors import BundleError
from dynamic_dnn_ros.bundles.manifest import (
    MANIFEST_NAME,
    AccuracySource,
    Manifest,
    SeparateModels,
    SubNetwork,
)
from dynamic_dnn_ros.bundles.reader import Bundle, read_bundle
from dynamic_dnn_ros.bundles.writer import MODEL_CARD_NAME, check_place, placed_bundle
from dynamic_dnn_ros.engines.registry import create_engine
from dynamic_dnn_ros.engines.verification import write_recorded_bundle
from dynamic_dnn_ros.importing.card import model_card
from dynamic_dnn_ros.importing.errors import ImportingError
from dynamic_dnn_ros.importing.identifiers import identifiers
from dynamic_dnn_ros.importing.labels import metadata_labels
from dynamic_dnn_ros.importing.measuring import measured
from dynamic_dnn_ros.importing.model import Choices, Given, Ready, guessed_labels, made_ready
from dynamic_dnn_ros.pictures.placement import Size

_ENGINE = 'onnxruntime'


@dataclass(frozen=True)
class Order:
    """
    What a user wants of a bundle.

    :param labels: that were given, in the order of the outputs; None: those of the models
    :param accuracy: one of each sub-network, 0..1, in the order of models and sizes as given
    :param data: labelled pictures that the accuracy is measured on
    :param description: what the models are
    :param command: for the model card
    """

    output: Path
    choices: Choices = field(default_factory=Choices)
    name: str | None = None
    labels: tuple[str, ...] | None = None
    accuracy: tuple[float, ...] | None = None
    data: Path | None = None
    description: str = ''
    command: str = ''
    quiet: bool = False


def write_imported_bundle(
    given: Sequence[Given], order: Order, say: Callable[[str], None]
) -> Bundle:
    """
    Make models ready, measure them where there is data, and write their bundle.

    :param say: is told what was assumed and found, a line each
    :raises ImportingError: when a model cannot be served, or they do not fit together
    :raises BundleError: when the bundle cannot be written
    :raises EngineError: when ONNX Runtime cannot run what it ran once
    :raises DataError: when the labelled pictures cannot be read
    """
    check_place(order.output)
    if (order.output / MANIFEST_NAME).is_file():
        say(f'the bundle that stands in {order.output} is replaced; --output names another folder')
    for name in sorted(order.output.glob('profile_*.json')):
        say(
            f'{name.name} of the bundle that stood in {order.output} goes with it: measure it '
            "again with 'dynamic-dnn profile'"
        )
    labels = common_labels(given, order.labels)
    if labels is None:
        labels = guessed_labels(given[0], order.choices)
        say(
            f'labels: no model says its own, so those {len(labels)} from {labels[0]!r} to '
            f'{labels[-1]!r} are assumed; give others with --labels'
        )
    ready = []
    for each in given:
        say(f'{each.where}:')
        ready.append(made_ready(each, labels, order.choices))
        for note in ready[-1].notes:
            say(f'  {note}')
    _check_alike(ready)
    entries = _sub_networks(ready, order.accuracy)
    content = {_model_name(each.given.stem): each.content for each in ready}
    first = ready[0]
    manifest = Manifest(
        name=order.name or bundle_name(order.output),
        source=SeparateModels(dict.fromkeys(content, '')),
        labels=labels,
        task=first.task,
        preprocessing=first.preprocessing,
        sub_networks=entries,
        description=order.description
        or 'separate models: ' + ', '.join(each.given.stem for each in ready),
    )
    accuracies: dict[str, float] = {}
    pictures = 0
    if order.data is not None:
        engine = create_engine(_ENGINE, placed_bundle(order.output, manifest, content), threads=1)
        accuracies, pictures = measured(engine, manifest, order.data, order.quiet, say)
    manifest = _with_accuracy(manifest, order, accuracies, pictures)
    if order.data is None:
        manifest = _with_known_accuracy(manifest, order, content, say)
    card = model_card(manifest, [(each.given.where, each.notes) for each in ready], order.command)
    return write_recorded_bundle(
        order.output,
        manifest,
        content,
        other_files={MODEL_CARD_NAME: card.encode()},
        engine_name=_ENGINE,
    )


def common_labels(
    given: Sequence[Given], chosen: tuple[str, ...] | None
) -> tuple[str, ...] | None:
    """
    Return the labels that all models of a bundle have; None where nobody says any.

    :param chosen: those that the user gave
    :raises ImportingError: when models say others than the user or each other
    """
    own = {}
    for each in given:
        found = each.labels or metadata_labels(each.metadata, each.where)
        if found is not None:
            own[each.where] = found
    labels = chosen
    source = '--labels'
    for where, found in own.items():
        if labels is None:
            labels, source = found, where
        elif len(found) != len(labels):
            raise ImportingError(
                where,
                f'has {len(found)} labels of its own, and {source} has {len(labels)}',
                'Models of one bundle share their labels: import those that differ each into a '
                'bundle of its own, or correct --labels',
            )
        elif found != labels and source != '--labels':
            index = next(i for i, (a, b) in enumerate(zip(found, labels)) if a != b)
            raise ImportingError(
                where,
                f'has other labels than {source}: its label {index} is {found[index]!r}, there '
                f'it is {labels[index]!r}',
                'Models of one bundle share their labels: import each into a bundle of its own, '
                'or give the right ones with --labels',
            )
    return labels


def bundle_name(output: Path) -> str:
    """
    Return the name of a bundle: that of its folder.

    :raises ImportingError: when that is no name for a bundle
    """
    name = output.resolve().name
    if not re.fullmatch('[a-z0-9_]+', name):
        raise ImportingError(
            f'--output {output}',
            'the name of the folder is that of the bundle, which has small letters, digits and _ '
            'only',
            f'Name the folder {_model_name(name)!r} for example, or give another --name',
        )
    return name


def _model_name(stem: str) -> str:
    return '_'.join(re.findall('[a-z0-9]+', stem.lower())) or 'model'


def _check_alike(ready: Sequence[Ready]) -> None:
    """Refuse models that one task or one preparation of pictures does not fit."""
    first = ready[0]
    for each in ready[1:]:
        where = each.given.where
        if _model_name(each.given.stem) in {
            _model_name(other.given.stem) for other in ready[: ready.index(each)]
        }:
            raise ImportingError(
                where, 'has the name of another model of the bundle', 'Rename one of the files'
            )
        if each.task != first.task:
            raise ImportingError(
                where,
                f'is of another kind ({_task_text(each)}) than {first.given.where} '
                f'({_task_text(first)})',
                'Import models of each kind into a bundle of their own',
            )
        if each.preprocessing != first.preprocessing:
            raise ImportingError(
                where,
                f'takes its pictures in another way than {first.given.where}',
                'Import them into bundles of their own, or give all of --resize, --mean, --std, '
                '--channels, which then hold for all',
            )


def _task_text(ready: Ready) -> str:
    decoder = ready.task.options.get('decoder')
    return f'{ready.task.name}, {decoder}' if decoder else ready.task.name


def _sub_networks(
    ready: Sequence[Ready], accuracy: Sequence[float] | None
) -> tuple[SubNetwork, ...]:
    """Return the sub-networks, the cheapest first."""
    places = [(each, size) for each in ready for size in each.costs]
    sized = any(len(each.costs) > 1 for each in ready)
    sizes: list[Size | None] = [size if sized else None for _, size in places]
    names = identifiers([each.given.stem for each, _ in places], sizes)
    if accuracy is not None and len(accuracy) != len(places):
        raise ImportingError(
            '--accuracy',
            f'has {len(accuracy)} figures, and there are {len(places)} sub-networks: '
            + ', '.join(names),
            'Give one of each, in this order, between commas',
        )
    entries = []
    for index, (each, size) in enumerate(places):
        cost = each.costs[size]
        entries.append(
            SubNetwork(
                id=names[index],
                configuration={'model': _model_name(each.given.stem)},
                size=size,
                accuracy=math.nan if accuracy is None else accuracy[index],
                multiply_adds=cost.multiply_adds,
                parameters=cost.parameters,
                layers=cost.layers,
                accuracy_source=AccuracySource.GIVEN,
            )
        )
    return tuple(sorted(entries, key=lambda entry: entry.multiply_adds))


def _with_accuracy(
    manifest: Manifest, order: Order, accuracies: Mapping[str, float], pictures: int
) -> Manifest:
    if order.data is not None:
        entries = tuple(
            replace(
                entry,
                accuracy=accuracies[entry.id],
                accuracy_source=AccuracySource.MEASURED,
            )
            for entry in manifest.sub_networks
        )
        text = f'{pictures} pictures of {order.data.name}, measured with the import'
        return replace(manifest, sub_networks=entries, accuracy_data=text)
    text = 'no data: nobody measured it'
    if order.accuracy is not None:
        text = 'data that is not said: given with the import, not measured'
    return replace(manifest, accuracy_data=text)


def _with_known_accuracy(
    manifest: Manifest, order: Order, content: Mapping[str, bytes], say: Callable[[str], None]
) -> Manifest:
    """
    Take over what was measured of the same files in the bundle that is replaced, or say its loss.

    :param content: the files of the new models, by name
    """
    try:
        before = read_bundle(order.output).manifest
    except BundleError:
        return manifest  # There is none, or none to learn from.
    measured_ones = {
        (_file_of(before, entry), entry.size): entry
        for entry in before.own_sub_networks
        if entry.accuracy_source is AccuracySource.MEASURED and math.isfinite(entry.accuracy)
    }
    if not measured_ones:
        return manifest
    alike = (before.task, before.labels, before.preprocessing) == (
        manifest.task,
        manifest.labels,
        manifest.preprocessing,
    )
    hashes = {name: hashlib.sha256(file).hexdigest() for name, file in content.items()}
    entries, kept = [], []
    for entry in manifest.sub_networks:
        known = measured_ones.get((hashes[str(entry.configuration['model'])], entry.size))
        if alike and order.accuracy is None and known is not None:
            entry = replace(entry, accuracy=known.accuracy, accuracy_source=known.accuracy_source)
            kept.append(entry.id)
        entries.append(entry)
    if kept:
        say(
            f'accuracy of {", ".join(kept)}: as it was measured before ({before.accuracy_data}), '
            'since the model is the same file'
        )
    if len(kept) < len(measured_ones):
        say(
            'an accuracy that was measured of the bundle before goes with it: its model is '
            "another one now, or is served otherwise. Measure with --data, or 'dynamic-dnn bundle "
            "check --data ... --record'"
        )
    text = before.accuracy_data if kept else manifest.accuracy_data
    return replace(manifest, sub_networks=tuple(entries), accuracy_data=text)


def _file_of(manifest: Manifest, entry: SubNetwork) -> str:
    """Return the SHA-256 of the file of a sub-network; empty where it is part of a network."""
    if not isinstance(manifest.source, SeparateModels):
        return ''
    return manifest.files[manifest.source.models[str(entry.configuration['model'])]]
